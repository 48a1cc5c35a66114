//! Why something did not work, as the contracts of models of text tell it apart.

use meshhost_sdk::inference::Problem;

/// Bytes of a message that repeats what a library said.
const MESSAGE_BYTES_MAX: usize = 200;

/// Why a model of text gave nothing. The text says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A parameter is wrong.
    #[error("{0}")]
    Invalid(String),
    /// More texts, or longer ones, than what is taken.
    #[error("{0}")]
    TooLarge(String),
    /// The model is not granted, not there, or not of this kind.
    #[error("{0}")]
    NoModel(String),
    /// The models have too much to do.
    #[error("{0}")]
    Busy(String),
    /// The plugin's runs or compute time are used up.
    #[error("{0}")]
    Quota(String),
    /// What runs the models is not there.
    #[error("{0}")]
    Unavailable(String),
    /// A model or the host failed.
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

/// What a library said, bounded: it may repeat what stands in a file.
pub(crate) fn shortened(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened("ü".repeat(300) + "a"), "ü".repeat(100));
        assert_eq!(shortened("a".to_owned() + &"ü".repeat(300)).len(), 199);
    }
}
