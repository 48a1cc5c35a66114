//! Sequences of tokens that a translation has to hold.

use std::rc::Rc;

/// Sequences that have to stand there, whole and in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    sequences: Vec<Vec<u32>>,
    /// Tokens that go on with a word: behind a sequence, its last word would be another one.
    joining: Rc<[u32]>,
}

impl Wanted {
    /// Sequences that are empty say nothing.
    pub(crate) fn new(mut sequences: Vec<Vec<u32>>, joining: Rc<[u32]>) -> Self {
        sequences.retain(|sequence| !sequence.is_empty());
        Self { sequences, joining }
    }

    /// The tokens that may not follow, because one of the sequences has just come to its end.
    pub(crate) fn joining(&self, tokens: &[u32], progress: &[usize]) -> &[u32] {
        let mut pairs = self.sequences.iter().zip(progress);
        let ended = |(sequence, met): (&Vec<u32>, &usize)| {
            *met == sequence.len() && tokens.ends_with(sequence)
        };
        if pairs.any(ended) { &self.joining } else { &[] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// How much of each stands there before the first token.
    pub(crate) fn begin(&self) -> Vec<usize> {
        vec![0; self.sequences.len()]
    }

    /// Whether all of it stands there.
    pub(crate) fn is_met(&self, progress: &[usize]) -> bool {
        self.sequences.iter().zip(progress).all(|(sequence, met)| *met == sequence.len())
    }

    /// Whether a sequence stands there in part.
    pub(crate) fn is_begun(&self, progress: &[usize]) -> bool {
        self.sequences.iter().zip(progress).any(|(sequence, met)| *met > 0 && *met < sequence.len())
    }

    /// The tokens that go on with what was begun, or begin what is missing.
    pub(crate) fn next(&self, progress: &[usize]) -> Vec<u32> {
        let missing =
            || self.sequences.iter().zip(progress).filter(|(sequence, met)| **met < sequence.len());
        let begun = missing().find(|(_, met)| **met > 0);
        let tokens = begun.map_or_else(|| missing().collect(), |one| vec![one]);
        tokens.into_iter().filter_map(|(sequence, met)| sequence.get(*met).copied()).collect()
    }

    /// How much stands there with one more token. What was begun and is not gone on with begins anew.
    pub(crate) fn advance(&self, progress: &[usize], token: u32) -> Vec<usize> {
        let mut after = progress.to_vec();
        for (sequence, met) in self.sequences.iter().zip(&mut after) {
            if *met > 0 && *met < sequence.len() {
                if sequence.get(*met) == Some(&token) {
                    *met += 1;
                    return after;
                }
                *met = 0;
            }
        }
        let mut begins = self.sequences.iter().zip(&mut after);
        if let Some((_, met)) =
            begins.find(|(sequence, met)| **met == 0 && sequence.first() == Some(&token))
        {
            *met = 1;
        }
        after
    }

    /// All tokens of all sequences.
    pub(crate) fn tokens(&self) -> usize {
        self.sequences.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(sequences: Vec<Vec<u32>>) -> Wanted {
        Wanted::new(sequences, Rc::from([8, 9]))
    }

    #[test]
    fn behind_a_sequence_a_new_word_begins() {
        let wanted = wanted(vec![vec![1, 2]]);
        assert_eq!(wanted.joining(&[0, 1, 2], &[2]), [8, 9]);
        assert!(wanted.joining(&[0, 1], &[1]).is_empty());
        assert!(wanted.joining(&[1, 2, 5], &[2]).is_empty());
    }

    fn follow(wanted: &Wanted, tokens: &[u32]) -> Vec<usize> {
        tokens.iter().fold(wanted.begin(), |progress, token| wanted.advance(&progress, *token))
    }

    #[test]
    fn sequences_stand_whole_and_in_any_order() {
        let wanted = wanted(vec![vec![1, 2, 3], vec![], vec![7]]);
        assert_eq!(wanted.next(&wanted.begin()), [1, 7]);
        assert_eq!(follow(&wanted, &[9, 1, 2]), [2, 0]);
        assert_eq!(wanted.next(&[2, 0]), [3]);
        // The 7 stands in the middle of the other one, which begins anew.
        assert_eq!(follow(&wanted, &[1, 2, 7]), [0, 1]);
        assert_eq!(follow(&wanted, &[1, 2, 1, 2, 3]), [3, 0]);
        assert!(wanted.is_met(&follow(&wanted, &[7, 5, 1, 2, 3, 1])));
        assert!(!wanted.is_met(&follow(&wanted, &[7, 1, 2, 4, 3])));
    }

    #[test]
    fn one_that_is_wanted_twice_stands_twice() {
        let wanted = wanted(vec![vec![4, 5], vec![4, 5]]);
        assert!(!wanted.is_met(&follow(&wanted, &[4, 5])));
        assert!(wanted.is_met(&follow(&wanted, &[4, 5, 0, 4, 5])));
    }
}
