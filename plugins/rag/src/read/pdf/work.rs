//! How much there is to draw: pages draw forms, and forms draw forms, so that a file of a kilobyte can
//! ask for more than any machine does. The library goes all of that way; this goes it first, with a
//! bound.

use hayro_interpret::hayro_syntax::content::TypedIter;
use hayro_interpret::hayro_syntax::content::ops::TypedInstruction;
use hayro_interpret::hayro_syntax::object::dict::keys::{RESOURCES, SUBTYPE};
use hayro_interpret::hayro_syntax::object::{Dict, Name, Stream};
use hayro_interpret::hayro_syntax::page::{Page, Resources};

/// Bytes of drawing instructions of one file, each form counted as often as it is drawn.
const INSTRUCTIONS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a form costs beside its instructions.
const FORM_BYTES: usize = 256;
/// Forms within forms.
const DEPTH_MAX: usize = 24;

/// What may still be drawn.
#[derive(Debug)]
pub(super) struct Work {
    left: usize,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { left: INSTRUCTIONS_BYTES_MAX }
    }

    /// Whether a page can be drawn as well.
    pub(super) fn takes(&mut self, page: &Page<'_>) -> bool {
        page.page_stream().is_none_or(|content| self.content(content, page.resources(), 0))
    }

    fn content(&mut self, content: &[u8], resources: &Resources<'_>, depth: usize) -> bool {
        let Some(left) = self.left.checked_sub(content.len().saturating_add(FORM_BYTES)) else {
            return false;
        };
        self.left = left;
        let mut instructions = TypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            let TypedInstruction::XObject(drawn) = instruction else { continue };
            let form = resources.get_x_object(drawn.0).filter(is_form);
            if form.is_some_and(|form| !self.form(&form, resources, depth + 1)) {
                return false;
            }
        }
        true
    }

    fn form(&mut self, form: &Stream<'_>, around: &Resources<'_>, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        let Ok(content) = form.decoded_data() else { return true };
        let own = form.dict().get::<Dict<'_>>(RESOURCES).map(Resources::new);
        self.content(&content, own.as_ref().unwrap_or(around), depth)
    }
}

fn is_form(stream: &Stream<'_>) -> bool {
    stream.dict().get::<Name<'_>>(SUBTYPE).is_some_and(|name| name.as_ref() == b"Form")
}
