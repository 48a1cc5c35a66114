//! A Unigram model: of all ways to cut a word, the one whose pieces are the likeliest together.

use std::collections::HashMap;

/// How much less likely an unknown character is than the least likely piece.
const UNKNOWN_PENALTY: f64 = 10.0;
/// Longer pieces are never found.
const PIECE_BYTES_MAX: usize = 256;

/// Pieces with the logarithms of their likelihoods.
#[derive(Debug)]
pub(super) struct Unigram {
    pieces: HashMap<String, (u32, f64)>,
    longest: usize,
    unknown: f64,
}

/// The best way to reach a place in a word.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    begin: usize,
    /// The last piece; absent for an unknown character.
    id: Option<u32>,
}

impl Unigram {
    pub(super) fn new(pieces: HashMap<String, (u32, f64)>) -> Self {
        let longest = pieces.keys().map(String::len).max().unwrap_or(0).min(PIECE_BYTES_MAX);
        let least = pieces.values().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
        Self { pieces, longest, unknown: least - UNKNOWN_PENALTY }
    }

    /// Adds the tokens of a word; unknown characters in a row are one token.
    pub(super) fn cut(&self, word: &str, unknown: u32, ids: &mut Vec<u32>) {
        let mut best: Vec<Option<Best>> = vec![None; word.len() + 1];
        let borders: Vec<usize> =
            word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        for (place, begin) in borders.iter().enumerate() {
            let reached = best.get(*begin).copied().flatten().map(|best| best.score);
            let score = if *begin == 0 { 0.0 } else { reached.unwrap_or(f64::NEG_INFINITY) };
            for (number, end) in borders.iter().skip(place + 1).enumerate() {
                if end - begin > self.longest && number > 0 {
                    break;
                }
                let piece = word.get(*begin..*end).and_then(|text| self.pieces.get(text));
                let (id, worth) = match piece {
                    Some((id, worth)) => (Some(*id), *worth),
                    None if number == 0 => (None, self.unknown),
                    None => continue,
                };
                let found = Best { score: score + worth, begin: *begin, id };
                if let Some(known) = best.get_mut(*end)
                    && known.is_none_or(|known| found.score > known.score)
                {
                    *known = Some(found);
                }
            }
        }
        self.collect(word.len(), &best, unknown, ids);
    }

    fn collect(&self, end: usize, best: &[Option<Best>], unknown: u32, ids: &mut Vec<u32>) {
        let (mut at, mut backwards) = (end, Vec::new());
        while let Some(last) = best.get(at).copied().flatten() {
            backwards.push(last.id);
            at = last.begin;
        }
        let first = ids.len();
        for id in backwards.into_iter().rev() {
            let id = id.unwrap_or(unknown);
            if id != unknown || ids.len() == first || ids.last() != Some(&unknown) {
                ids.push(id);
            }
        }
    }
}
