//! Between the contract's types and ours.

use meshhost_tokens::Failure;

use crate::embed;
use crate::embedder::{Error, Model};

pub(crate) fn model(model: embed::Model) -> Model {
    let embed::Model { name, digest, dimensions, tokens_max } = model;
    Model { name, digest, dimensions, tokens_max }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(text) => Self::Invalid(text),
            Failure::TooLarge(text) => Self::TooLarge(text),
            Failure::NoModel(text) => Self::NoModel(text),
            Failure::Busy(text) => Self::Busy(text),
            Failure::Quota(text) => Self::Quota(text),
            Failure::Unavailable(text) => Self::Unavailable(text),
            Failure::Fault(text) => Self::Fault(text),
        }
    }
}
