//! How a passage is numbered in its corpus: the number of its document, which is never used again,
//! and its place there. So the passages of a document follow each other, and those of a later document
//! come after.

use meshhost_core::index::PASSAGES_MAX;

const PLACE_BITS: u32 = 10;
const _: () = assert!(1 << PLACE_BITS == PASSAGES_MAX, "every place has a number");

/// The number of the passage at `place` of a document.
pub(crate) const fn number(document: i64, place: u32) -> i64 {
    document << PLACE_BITS | (place as i64)
}

/// The document of a passage.
pub(crate) const fn document(passage: i64) -> i64 {
    passage >> PLACE_BITS
}

/// The place of a passage in its document.
pub(crate) fn place(passage: i64) -> u32 {
    let place = passage & ((1 << PLACE_BITS) - 1);
    u32::try_from(place).unwrap_or_default()
}

/// The first and the last number that passages of a document may have.
pub(crate) const fn of_document(document: i64) -> (i64, i64) {
    (document << PLACE_BITS, (document << PLACE_BITS) + (1 << PLACE_BITS) - 1)
}
