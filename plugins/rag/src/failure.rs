//! What the index, the embedder and the system answer, as errors of the contract.

use std::io;

use crate::bindings::meshhost::mesh::invoke::CallError;
use crate::embedder;
use crate::index;
use crate::retrieval::Error;

/// Bytes of a message that repeats what somebody else said.
const MESSAGE_BYTES_MAX: usize = 300;

impl From<index::Error> for Error {
    fn from(error: index::Error) -> Self {
        let text = format!("the index: {}", shortened(&error.message));
        match error.code {
            index::ErrorCode::Denied => Self::NotPermitted(text),
            index::ErrorCode::NotFound => Self::NotFound(text),
            index::ErrorCode::Invalid => Self::Invalid(text),
            index::ErrorCode::TooLarge => Self::TooLarge(text),
            index::ErrorCode::Quota => Self::Quota(text),
            index::ErrorCode::Fault => Self::Fault(text),
        }
    }
}

impl From<embedder::Error> for Error {
    fn from(error: embedder::Error) -> Self {
        let said = |text: String| format!("embedding: {}", shortened(&text));
        match error {
            embedder::Error::Invalid(text) => Self::Invalid(said(text)),
            embedder::Error::TooLarge(text) => Self::TooLarge(said(text)),
            embedder::Error::NoModel(text) => Self::NoModel(said(text)),
            embedder::Error::Busy(text) => Self::Busy(said(text)),
            embedder::Error::Quota(text) => Self::Quota(said(text)),
            embedder::Error::Unavailable(text) => Self::Unavailable(said(text)),
            embedder::Error::Fault(text) => Self::Fault(said(text)),
            embedder::Error::Call(CallError::Denied(text)) => Self::NotPermitted(said(text)),
            embedder::Error::Call(CallError::Skipped(text)) => Self::Unavailable(said(text)),
            embedder::Error::Call(
                CallError::Failure(text)
                | CallError::Indeterminate(text)
                | CallError::Invalid(text),
            ) => Self::Fault(said(text)),
        }
    }
}

/// The error of a path that was asked for.
pub(crate) fn of_path(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound(format!(
            "there is no {path}: look at the path, and whether its folder is granted (fs:ro=FOLDER)"
        )),
        io::ErrorKind::PermissionDenied => {
            Error::NotPermitted(format!("{path} may not be read: grant its folder (fs:ro=FOLDER)"))
        }
        _ => Error::Fault(format!("{path}: {error}")),
    }
}

/// Why a file or folder on the way could not be read.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it went away".to_owned(),
        io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => format!("it could not be read: {error}"),
    }
}

/// The error with what happened until then.
pub(crate) fn after(error: Error, progress: &str) -> Error {
    let with = |text: String| format!("{text}; {progress}");
    match error {
        Error::Invalid(text) => Error::Invalid(with(text)),
        Error::NotFound(text) => Error::NotFound(with(text)),
        Error::NotPermitted(text) => Error::NotPermitted(with(text)),
        Error::TooLarge(text) => Error::TooLarge(with(text)),
        Error::OtherMaker(text) => Error::OtherMaker(with(text)),
        Error::NoModel(text) => Error::NoModel(with(text)),
        Error::Busy(text) => Error::Busy(with(text)),
        Error::Quota(text) => Error::Quota(with(text)),
        Error::Unavailable(text) => Error::Unavailable(with(text)),
        Error::Fault(text) => Error::Fault(with(text)),
    }
}

/// What somebody else said, bounded.
pub(crate) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&("a".to_owned() + &"ü".repeat(300))).len(), 299);
    }

    #[test]
    fn a_denied_call_of_the_embedder_is_a_missing_permission() {
        let denied = embedder::Error::Call(CallError::Denied("no grant".to_owned()));
        assert_eq!(Error::from(denied), Error::NotPermitted("embedding: no grant".to_owned()));
    }

    #[test]
    fn progress_follows_what_happened() {
        let error = after(Error::Busy("later".to_owned()), "3 files are in");
        assert_eq!(error, Error::Busy("later; 3 files are in".to_owned()));
    }
}
