//! Cutting documents into passages: as many whole pieces as fit, never beyond a section.

use std::ops::Range;

pub use crate::draft::{Draft, Limits};
use crate::draft::{PIECE_BYTES_MAX, Unit};

/// Which way documents are cut. It is raised when the same bytes are cut otherwise.
pub const CUTTING: u32 = 1;
/// Tokens of a passage, where the model takes as many.
pub const PASSAGE_TOKENS: u32 = 256;
/// Bytes of a passage.
pub const PASSAGE_BYTES_MAX: usize = 2 * PIECE_BYTES_MAX;
/// What is said again is at most this part of a passage.
const OVERLAP_PART: u32 = 8;

/// A passage of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where it lies in the document's text.
    pub range: Range<usize>,
    /// The number of its section.
    pub section: usize,
}

/// The passages of a draft that is counted.
#[must_use]
pub fn passages(draft: &Draft, limits: Limits) -> Vec<Passage> {
    let units = &draft.units;
    let mut passages = Vec::new();
    let mut open = Open::default();
    for (at, unit) in units.iter().enumerate() {
        if !open.takes(units, at, draft.room(unit.section, limits)) {
            passages.extend(open.passage(units, at));
            open = open.next(units, at, draft.room(unit.section, limits));
        }
        open.tokens = open.tokens.saturating_add(Draft::tokens(unit));
    }
    passages.extend(open.passage(units, units.len()));
    passages
}

/// The passage that is being filled.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// The number of its first piece.
    start: usize,
    tokens: u32,
}

impl Open {
    /// Whether the piece `at` belongs to it as well.
    fn takes(self, units: &[Unit], at: usize, room: u32) -> bool {
        let (Some(first), Some(unit)) = (units.get(self.start), units.get(at)) else { return true };
        if at == self.start {
            return true;
        }
        let same = |other: Option<&Unit>| other.is_some_and(|other| other.block == unit.block);
        let before = at.checked_sub(1).and_then(|before| units.get(before));
        // What has to be cut begins with a passage, unless there is little in this one.
        let begins_long = !same(before) && same(units.get(at + 1)) && self.tokens > room / 2;
        first.section == unit.section
            && self.tokens.saturating_add(Draft::tokens(unit)) <= room
            && unit.range.end - first.range.start <= PASSAGE_BYTES_MAX
            && !begins_long
    }

    fn passage(self, units: &[Unit], end: usize) -> Option<Passage> {
        let first = units.get(self.start)?;
        let last = units.get(end.checked_sub(1)?)?;
        Some(Passage { range: first.range.start..last.range.end, section: first.section })
    }

    /// The one after it, which begins with the piece `at`. Where that goes on with a block that had to
    /// be cut, what was said before it is said again.
    fn next(self, units: &[Unit], at: usize, room: u32) -> Self {
        let mut next = Self { start: at, tokens: 0 };
        let Some(unit) = units.get(at) else { return next };
        for (number, earlier) in units.iter().enumerate().take(at).skip(self.start + 1).rev() {
            let tokens = next.tokens.saturating_add(Draft::tokens(earlier));
            if earlier.block != unit.block
                || tokens > room / OVERLAP_PART
                || tokens.saturating_add(Draft::tokens(unit)) > room
                || unit.range.end - earlier.range.start > PASSAGE_BYTES_MAX
            {
                break;
            }
            next = Self { start: number, tokens };
        }
        next
    }
}
