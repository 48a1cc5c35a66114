//! The text of a PDF, page by page.
//!
//! A PDF is a program that draws. `hayro-interpret` runs it, and what is listened to here is where it
//! puts which characters; pictures, shapes and colours are passed over. The library takes anything for
//! an answer and has no unsafe code. It offers no bound on time and memory, so what it would inflate
//! (`inflated`) and draw (`work`) is looked at first. What slips through ends the call at the plugin's own
//! limits, and the next ingest remembers the file (`poison`).

mod characters;
mod inflated;
mod work;

use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, Rect};
use hayro_interpret::{
    Context, InterpreterCache, InterpreterSettings, RenderContent, interpret_page,
};

use self::characters::Characters;
use self::work::Work;
use super::{TEXT_BYTES_MAX, Unreadable};
use crate::document::{Builder, Document, Unit};

/// Pages of one file.
const PAGES_MAX: usize = 5_000;

/// Reads it.
pub(super) fn read(bytes: Vec<u8>) -> Result<Document, Unreadable> {
    if !inflated::is_bounded(&bytes) {
        return Err(wrong("its compressed parts are larger than what is taken"));
    }
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(_) => wrong("it is protected by a password, or in an unknown way"),
        LoadPdfError::Invalid => wrong("it is no PDF, or damaged"),
    })?;
    if pdf.pages().len() > PAGES_MAX {
        return Err(wrong("it has more than 5,000 pages: split it"));
    }
    let mut builder = Builder::new(false);
    builder.places().unit = Unit::Pages;
    let cache = InterpreterCache::new();
    // Comments and form fields are drawn by streams of their own, which nobody has looked at.
    let settings =
        InterpreterSettings { render_content: RenderContent::PAGE, ..Default::default() };
    let mut work = Work::new();
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        if !work.takes(page) {
            return Err(wrong("it draws more than what is taken"));
        }
        let whole = Rect::new(-1e6, -1e6, 1e6, 1e6);
        let xref = pdf.xref();
        let mut context = Context::new(Affine::IDENTITY, whole, &cache, xref, settings.clone());
        let mut characters = Characters::default();
        interpret_page(page, &mut context, &mut characters);
        add_page(&mut builder, number, &characters.finish());
        if builder.text().len() as u64 > TEXT_BYTES_MAX {
            return Err(wrong("it has more than 8 MiB of text: split it"));
        }
    }
    if builder.text().is_empty() {
        return Err(wrong("it holds no text; pictures of text are read by the plugin ocr"));
    }
    Ok(builder.finish()?)
}

fn add_page(builder: &mut Builder, number: u32, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    builder.page();
    let start = builder.text().len();
    builder.places().mark(start, number);
    for paragraph in text.split("\n\n") {
        let start = builder.text().len();
        builder.text().push_str(paragraph);
        builder.block(start..start + paragraph.len());
        builder.text().push_str("\n\n");
    }
}

fn wrong(text: &str) -> Unreadable {
    Unreadable::Wrong(text.to_owned())
}
