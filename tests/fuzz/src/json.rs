//! JSON from outside, and the one canonical spelling of it.

use meshhost_core::{
    evidence::canonical,
    json::{self, Bounds, JsonProblem},
};
use serde_json::Value;

/// The strict parser: what it takes, the usual one reads the same; what that refuses, it refuses.
pub(crate) fn json(bytes: &[u8]) {
    let usual = serde_json::from_slice::<Value>(bytes);
    match json::parse(bytes, Bounds::CALL) {
        Ok(value) => {
            assert_eq!(usual.ok().as_ref(), Some(&value), "both read the same");
            let written = value.to_string();
            assert_eq!(json::parse(written.as_bytes(), Bounds::CALL), Ok(value), "{written}");
        }
        Err(error) => {
            assert!(error.offset <= bytes.len() && error.line >= 1 && error.column >= 1);
            let words = error.to_string();
            assert!(words.len() < 1_024, "{words}");
            let bound = matches!(
                error.problem,
                JsonProblem::TooLong(_) | JsonProblem::TooDeep(_) | JsonProblem::TooManyValues(_)
            );
            let stricter = matches!(
                error.problem,
                JsonProblem::DuplicateKey(_) | JsonProblem::IntegerTooLarge
            );
            assert!(bound || stricter || usual.is_err(), "refused and well: {error}");
        }
    }
    if json::parse(bytes, Bounds::SMALL).is_ok() {
        assert!(json::parse(bytes, Bounds::CALL).is_ok(), "wider bounds take no less");
    }
}

/// The canonical text is its own canonical text and means the same.
pub(crate) fn canonical(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes, Bounds::CALL) else { return };
    let _ = canonical::to_commit(&value);
    let Ok(text) = canonical::to_string(&value) else { return };
    let read = json::parse(text.as_bytes(), Bounds::CALL);
    assert_eq!(read.as_ref(), Ok(&value), "{text}");
    assert_eq!(canonical::to_string(&value).as_ref(), Ok(&text));
    assert_eq!(read.map(|read| canonical::to_string(&read)), Ok(Ok(text)));
}
