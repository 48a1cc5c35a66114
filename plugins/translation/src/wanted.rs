//! Sequences of tokens that a translation has to hold.

/// Sequences that have to stand there, whole and in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted(Vec<Vec<u32>>);

impl Wanted {
    /// Sequences that are empty say nothing.
    pub(crate) fn new(mut sequences: Vec<Vec<u32>>) -> Self {
        sequences.retain(|sequence| !sequence.is_empty());
        Self(sequences)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much of each stands there before the first token.
    pub(crate) fn begin(&self) -> Vec<usize> {
        vec![0; self.0.len()]
    }

    /// Whether all of it stands there.
    pub(crate) fn is_met(&self, progress: &[usize]) -> bool {
        self.0.iter().zip(progress).all(|(sequence, met)| *met == sequence.len())
    }

    /// Whether a sequence stands there in part.
    pub(crate) fn is_begun(&self, progress: &[usize]) -> bool {
        self.0.iter().zip(progress).any(|(sequence, met)| *met > 0 && *met < sequence.len())
    }

    /// The tokens that go on with what was begun, or begin what is missing.
    pub(crate) fn next(&self, progress: &[usize]) -> Vec<u32> {
        let missing =
            || self.0.iter().zip(progress).filter(|(sequence, met)| **met < sequence.len());
        let begun = missing().find(|(_, met)| **met > 0);
        let tokens = begun.map_or_else(|| missing().collect(), |one| vec![one]);
        tokens.into_iter().filter_map(|(sequence, met)| sequence.get(*met).copied()).collect()
    }

    /// How much stands there with one more token. What was begun and is not gone on with begins anew.
    pub(crate) fn advance(&self, progress: &[usize], token: u32) -> Vec<usize> {
        let mut after = progress.to_vec();
        for (sequence, met) in self.0.iter().zip(&mut after) {
            if *met > 0 && *met < sequence.len() {
                if sequence.get(*met) == Some(&token) {
                    *met += 1;
                    return after;
                }
                *met = 0;
            }
        }
        let mut begins = self.0.iter().zip(&mut after);
        if let Some((_, met)) =
            begins.find(|(sequence, met)| **met == 0 && sequence.first() == Some(&token))
        {
            *met = 1;
        }
        after
    }

    /// All tokens of all sequences.
    pub(crate) fn tokens(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(wanted: &Wanted, tokens: &[u32]) -> Vec<usize> {
        tokens.iter().fold(wanted.begin(), |progress, token| wanted.advance(&progress, *token))
    }

    #[test]
    fn sequences_stand_whole_and_in_any_order() {
        let wanted = Wanted::new(vec![vec![1, 2, 3], vec![], vec![7]]);
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
        let wanted = Wanted::new(vec![vec![4, 5], vec![4, 5]]);
        assert!(!wanted.is_met(&follow(&wanted, &[4, 5])));
        assert!(wanted.is_met(&follow(&wanted, &[4, 5, 0, 4, 5])));
    }
}
