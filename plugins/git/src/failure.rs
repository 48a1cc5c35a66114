//! What gix answers, as an error of the contract.

use std::fmt::Display;

use crate::repository::Error;

/// Bytes of a message that repeats what a library said.
const MESSAGE_BYTES_MAX: usize = 400;

/// Something that should have worked did not: the repository is damaged or could not be read.
pub(crate) fn fault(error: impl Display) -> Error {
    Error::Fault(shortened(error))
}

/// The text of an error, bounded.
pub(crate) fn shortened(error: impl Display) -> String {
    let mut text = error.to_string();
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Writing did not work: mostly because reading alone was granted.
pub(crate) fn write_failure(error: impl Display) -> Error {
    Error::NotPermitted(shortened(format!("writing to the repository: {error:#}")))
}
