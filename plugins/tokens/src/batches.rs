//! Texts that go through a model together: padded to the longest of them, so texts of like length.

/// Tokens that a run of its own costs as much as, beside those that it computes: with fewer of them
/// saved, padding is cheaper than another run.
const RUN_TOKENS: usize = 16;

/// Puts texts of these lengths into batches, each of at most `tokens_max` tokens with its padding,
/// or of one text. Returns where the texts stood, batch by batch, so that the padded tokens and
/// what the runs cost beside them are fewest.
#[must_use]
pub fn of(lengths: &[usize], tokens_max: usize) -> Vec<Vec<usize>> {
    let mut sorted: Vec<(usize, usize)> = lengths.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    // For each number of the shortest texts: what they cost at least, and how many of them stand
    // in the last batch.
    let mut best = vec![(0, 0)];
    for (last, (longest, _)) in sorted.iter().enumerate() {
        let together = (1..=last + 1)
            .take_while(|texts| *texts == 1 || texts * longest <= tokens_max)
            .filter_map(|texts| {
                let (before, _) = best.get(last + 1 - texts)?;
                Some((before + texts * longest + RUN_TOKENS, texts))
            });
        best.push(together.min().unwrap_or_default());
    }
    let mut batches = Vec::new();
    let mut rest = sorted.as_slice();
    while let Some((_, texts)) = best.get(rest.len()).filter(|(_, texts)| *texts > 0) {
        let (before, batch) = rest.split_at(rest.len() - texts);
        batches.push(batch.iter().map(|(_, position)| *position).collect());
        rest = before;
    }
    batches.reverse();
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_like_length_stand_together() {
        assert_eq!(of(&[10, 90, 11, 92, 10], 1000), [vec![0, 4, 2], vec![1, 3]]);
        assert_eq!(of(&[5, 6, 7], 1000), [[0, 1, 2]]);
        assert_eq!(of(&[], 1000), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn a_batch_is_bounded_and_a_text_that_is_longer_stands_alone() {
        assert_eq!(of(&[100, 100, 100, 300], 200), [vec![0, 1], vec![2], vec![3]]);
        assert_eq!(of(&[0, 0, 0], 0), [[0, 1, 2]]);
    }

    proptest! {
        #[test]
        fn every_text_stands_in_one_batch(
            lengths in proptest::collection::vec(0_usize..600, 0..256),
            tokens_max in 0_usize..9000,
        ) {
            let batches = of(&lengths, tokens_max);
            for batch in &batches {
                let longest = batch.iter().map(|position| lengths[*position]).max().unwrap();
                prop_assert!(batch.len() == 1 || batch.len() * longest <= tokens_max);
            }
            let mut positions: Vec<_> = batches.into_iter().flatten().collect();
            positions.sort_unstable();
            prop_assert!(positions.into_iter().eq(0..lengths.len()));
        }
    }
}
