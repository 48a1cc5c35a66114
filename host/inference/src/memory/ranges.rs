//! Which parts of a region are free.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Ranges begin at multiples of this, so that reused ones meet pages that exist.
const ALIGNMENT: u64 = 4096;

/// A part of a region, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Hands out ranges, the lowest first: their pages were written before and cost nothing again.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// Length by offset; no two touch.
    free: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { free: BTreeMap::from([(0, bytes)]) }
    }

    /// A range of this length, when one is free.
    pub(crate) fn take(&mut self, length: u64) -> Option<Range> {
        let needed = rounded(length)?;
        let (&offset, &found) = self.free.iter().find(|(_, found)| **found >= needed)?;
        self.free.remove(&offset);
        if found > needed {
            self.free.insert(offset + needed, found - needed);
        }
        Some(Range { offset, length })
    }

    /// Gives a range back that [`Self::take`] handed out.
    pub(crate) fn give(&mut self, range: Range) {
        let Some(mut length) = rounded(range.length) else { return };
        let mut offset = range.offset;
        if let Some(after) = self.free.remove(&(offset + length)) {
            length += after;
        }
        let before = self.free.range(..offset).next_back().map(|(start, size)| (*start, *size));
        if let Some((start, size)) = before.filter(|(start, size)| start + size == offset) {
            self.free.remove(&start);
            offset = start;
            length += size;
        }
        self.free.insert(offset, length);
    }
}

/// A length as it is handed out; at least one unit, so that every range has a place of its own.
fn rounded(length: u64) -> Option<u64> {
    length.max(1).checked_next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_full_when_nothing_fits_and_whole_when_all_is_back() {
        let mut ranges = Ranges::new(3 * ALIGNMENT);
        let taken: Vec<_> = (0..3).map(|_| ranges.take(1).unwrap()).collect();
        assert_eq!(ranges.take(1), None);
        assert_eq!(ranges.take(u64::MAX), None);
        for range in [taken[1], taken[0], taken[2]] {
            ranges.give(range);
        }
        assert_eq!(ranges.free, BTreeMap::from([(0, 3 * ALIGNMENT)]));
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_and_all_come_back(
            steps in proptest::collection::vec((any::<bool>(), 0_u64..20_000), 1..200),
        ) {
            let mut ranges = Ranges::new(1 << 18);
            let mut held: Vec<Range> = Vec::new();
            for (take, number) in steps {
                if take {
                    if let Some(range) = ranges.take(number) {
                        prop_assert!(range.offset + range.length <= 1 << 18);
                        for other in &held {
                            prop_assert!(range.offset >= other.offset + other.length.max(1)
                                || other.offset >= range.offset + range.length.max(1));
                        }
                        held.push(range);
                    }
                } else if !held.is_empty() {
                    let index = usize::try_from(number).unwrap() % held.len();
                    ranges.give(held.swap_remove(index));
                }
            }
            for range in held {
                ranges.give(range);
            }
            prop_assert_eq!(ranges.free, BTreeMap::from([(0, 1 << 18)]));
        }
    }
}
