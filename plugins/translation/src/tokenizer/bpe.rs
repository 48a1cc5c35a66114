//! Byte pair encoding: characters grow together, the pair first that was merged first in training.

use std::collections::HashMap;

/// What two pieces become, and how early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merge {
    /// Less is earlier.
    pub(super) rank: usize,
    /// The piece.
    pub(super) id: u32,
}

/// Characters and their merges.
#[derive(Debug)]
pub(super) struct Bpe {
    /// The tokens of single characters.
    chars: HashMap<char, u32>,
    merges: HashMap<(u32, u32), Merge>,
}

impl Bpe {
    pub(super) fn new(ids: &HashMap<String, u32>, merges: HashMap<(u32, u32), Merge>) -> Self {
        let single = ids.iter().filter_map(|(text, id)| {
            let mut chars = text.chars();
            let first = chars.next()?;
            chars.next().is_none().then_some((first, *id))
        });
        Self { chars: single.collect(), merges }
    }

    /// Adds the tokens of a word; unknown characters in a row are one token.
    pub(super) fn cut(&self, word: &str, unknown: u32, ids: &mut Vec<u32>) {
        let known = word.chars().map(|letter| self.chars.get(&letter).copied().unwrap_or(unknown));
        let mut pieces: Vec<u32> = known.collect();
        pieces.dedup_by(|one, before| *one == unknown && *before == unknown);
        while let Some((place, merge)) = self.first_merge(&pieces) {
            if let Some(piece) = pieces.get_mut(place) {
                *piece = merge.id;
            }
            pieces.remove(place + 1);
        }
        ids.extend(pieces);
    }

    /// The pair that is merged next: the earliest, of equal ones the leftmost.
    fn first_merge(&self, pieces: &[u32]) -> Option<(usize, Merge)> {
        let pairs = pieces.iter().zip(pieces.iter().skip(1)).enumerate();
        let merges = pairs.filter_map(|(place, (left, right))| {
            self.merges.get(&(*left, *right)).map(|merge| (place, *merge))
        });
        merges.min_by_key(|(place, merge)| (merge.rank, *place))
    }
}
