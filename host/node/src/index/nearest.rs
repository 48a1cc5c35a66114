//! The best of what was scored.

use std::{cmp::Ordering, collections::BinaryHeap};

/// A passage with its score. Of two with one score the earlier number is better, so that the same
/// search gives the same answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scored {
    /// The passage's number.
    pub(crate) passage: i64,
    /// More is better.
    pub(crate) score: f64,
}

impl Eq for Scored {}

impl Ord for Scored {
    /// The better one is less, so that the worst is at the top of a heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.passage.cmp(&other.passage))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best few.
#[derive(Debug)]
pub(super) struct Best {
    most: usize,
    heap: BinaryHeap<Scored>,
}

impl Best {
    /// Keeps at most `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::with_capacity(most.saturating_add(1)) }
    }

    /// Takes one in, when it is good enough.
    pub(super) fn offer(&mut self, one: Scored) {
        if self.heap.len() < self.most {
            self.heap.push(one);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && one < *worst
        {
            *worst = one;
        }
    }

    /// What a score must reach: everything does, as long as there are too few.
    pub(super) fn floor(&self) -> f64 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.most => worst.score,
            _ => f64::NEG_INFINITY,
        }
    }

    /// All of them, in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Scored> {
        self.heap.iter().copied()
    }

    /// All of them, best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_the_first_of_all_when_sorted(
            scores in prop::collection::vec(0_u8..9, 0..50),
            most in 1_usize..9,
        ) {
            let scored = |(passage, score): (usize, &u8)| {
                Scored { passage: i64::try_from(passage).unwrap(), score: f64::from(*score) }
            };
            let all: Vec<Scored> = scores.iter().enumerate().map(scored).collect();
            let mut best = Best::new(most);
            all.iter().rev().for_each(|one| best.offer(*one));
            let mut sorted = all;
            sorted.sort();
            sorted.truncate(most);
            let floor = sorted.get(most - 1).map_or(f64::NEG_INFINITY, |one| one.score);
            prop_assert_eq!(best.floor(), floor);
            prop_assert_eq!(best.into_sorted(), sorted);
        }
    }
}
