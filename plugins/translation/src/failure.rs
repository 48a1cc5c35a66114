//! Why something did not work, as the contract tells it apart.

use meshhost_sdk::inference::Problem;

/// Why texts could not be translated. The text says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A parameter is wrong.
    #[error("{0}")]
    Invalid(String),
    /// More than what is taken.
    #[error("{0}")]
    TooLarge(String),
    /// The model does not know the language.
    #[error("{0}")]
    Language(String),
    /// The model is not granted, not there, or does not translate.
    #[error("{0}")]
    NoModel(String),
    /// The model has too much to do.
    #[error("{0}")]
    Busy(String),
    /// The plugin's runs or compute time are used up.
    #[error("{0}")]
    Quota(String),
    /// What runs the model is not there.
    #[error("{0}")]
    Unavailable(String),
    /// The model or the host failed, or the call was ended.
    #[error("{0}")]
    Fault(String),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::NoModel(text) => Self::NoModel(text),
            Problem::TooLarge(text) => Self::TooLarge(text),
            Problem::Busy(text) => Self::Busy(text),
            Problem::Quota(text) => Self::Quota(text),
            Problem::Unavailable(text) => Self::Unavailable(text),
            Problem::Fault(text) => Self::Fault(text),
        }
    }
}

/// A model that is not what it should be.
pub(crate) fn wrong_model(what: impl Into<String>) -> Failure {
    Failure::NoModel(what.into())
}
