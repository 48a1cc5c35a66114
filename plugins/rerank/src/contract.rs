//! Between the contract's types and ours.

use meshhost_tokens::Failure;

use crate::rerank;
use crate::reranker::{Error, Model, Ranked, Ranking};

pub(crate) fn model(model: rerank::Model) -> Model {
    let rerank::Model { name, digest, tokens_max } = model;
    Model { name, digest, tokens_max }
}

pub(crate) fn ranking(by: rerank::Model, scores: &[f32]) -> Ranking {
    let ranked = rerank::ranked(scores).into_iter();
    let ranked = ranked.map(|(passage, score)| Ranked { passage, score }).collect();
    Ranking { model: model(by), ranked }
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
