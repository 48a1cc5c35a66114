//! Reading files: one module for each kind.

mod code;
mod html;
mod markdown;
mod pdf;
mod plain;

use crate::decode::{self, NoText};
use crate::document::{Document, TooManyBlocks};
use crate::kind::Kind;

/// Bytes of a file that is text.
pub const TEXT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of a PDF.
pub const PDF_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why a file is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no text and no PDF.
    Binary,
    /// What is wrong with it.
    Wrong(String),
}

/// The most bytes of a file of this kind.
#[must_use]
pub fn bytes_max(kind: Kind) -> u64 {
    if kind == Kind::Pdf { PDF_BYTES_MAX } else { TEXT_BYTES_MAX }
}

/// Reads a file of at most [`bytes_max`] bytes.
///
/// # Errors
/// When it is not of its kind, or damaged, or holds too much.
pub fn read(kind: Kind, bytes: Vec<u8>) -> Result<Document, Unreadable> {
    if kind == Kind::Pdf {
        return pdf::read(bytes);
    }
    let text = decode::text(bytes).map_err(|problem| match problem {
        NoText::Binary => Unreadable::Binary,
        NoText::OtherEncoding => Unreadable::Wrong(
            "its text is neither UTF-8 nor UTF-16 with a byte order mark: save it as UTF-8"
                .to_owned(),
        ),
    })?;
    let document = match kind {
        Kind::Markdown => markdown::read(text),
        Kind::Html => html::read(&text),
        Kind::Code => code::read(text),
        Kind::Text | Kind::Pdf => plain::read(text),
    };
    document.map_err(Unreadable::from)
}

impl From<TooManyBlocks> for Unreadable {
    fn from(_: TooManyBlocks) -> Self {
        Self::Wrong("it has more paragraphs than are taken: split it".to_owned())
    }
}
