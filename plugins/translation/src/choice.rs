//! Which tokens come next: the likeliest over all open translations.

use std::cmp::Reverse;

use crate::search::Open;
use crate::tensors::{long, short};
use crate::wanted::Wanted;

/// A token that may follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// Which open translation it continues.
    pub(crate) parent: usize,
    /// What follows.
    pub(crate) token: u32,
    /// The translation's score with it.
    pub(crate) score: f32,
}

/// The `count` best ones, best first; of equal ones, the first.
pub(crate) fn best(open: &[Open], rows: &[Vec<f32>], count: usize) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::with_capacity(count + 1);
    let mut least = f32::NEG_INFINITY;
    for (parent, (before, row)) in open.iter().zip(rows).enumerate() {
        for (token, score) in row.iter().enumerate() {
            let score = before.score + score;
            // What is no number is not greater than anything.
            if score > least {
                let place = found.partition_point(|other| other.score >= score);
                found.insert(place, Candidate { parent, token: short(token), score });
                found.truncate(count);
                if found.len() == count {
                    least = found.last().map_or(least, |last| last.score);
                }
            }
        }
    }
    found
}

/// Adds for each open translation what brings it closer to what is wanted, and what it would say itself:
/// else one that is not among the likeliest could neither go on nor end.
pub(crate) fn add_wanted(
    candidates: &mut Vec<Candidate>,
    open: &[Open],
    rows: &[Vec<f32>],
    wanted: &Wanted,
) {
    for (parent, (before, row)) in open.iter().zip(rows).enumerate() {
        for token in wanted.next(&before.progress).into_iter().chain(likeliest(row)) {
            let score = before.score + row.get(long(token)).copied().unwrap_or(f32::NEG_INFINITY);
            let known = candidates.iter().any(|one| one.parent == parent && one.token == token);
            if score > f32::NEG_INFINITY && !known {
                candidates.push(Candidate { parent, token, score });
            }
        }
    }
    candidates.sort_by(|one, other| other.score.total_cmp(&one.score));
}

/// The likeliest token after a translation.
pub(crate) fn likeliest(row: &[f32]) -> Option<u32> {
    let best = row.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
    best.map(|(token, _)| short(token))
}

/// `count` of them, in turn from those that have got equally far with what is wanted, the furthest
/// first: so one that holds all of it is never pushed out by likelier ones that hold nothing.
pub(crate) fn spread(mut going: Vec<Open>, count: usize) -> Vec<Open> {
    let far = |open: &Open| open.progress.iter().sum::<usize>();
    going.sort_by_key(|open| Reverse(far(open)));
    let mut ranked: Vec<(usize, Open)> = Vec::with_capacity(going.len());
    for open in going {
        let rank = match ranked.last() {
            Some((rank, before)) if far(before) == far(&open) => rank + 1,
            _ => 0,
        };
        ranked.push((rank, open));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(count).map(|(_, open)| open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(score: f32, progress: Vec<usize>) -> Open {
        Open { tokens: vec![0], score, parent: 0, progress }
    }

    #[test]
    fn the_best_come_first_over_all_rows() {
        let two = [open(-1.0, vec![]), open(0.0, vec![])];
        let rows = [vec![0.0, f32::NAN, -3.0], vec![-2.0, f32::NEG_INFINITY, -1.0]];
        let found: Vec<_> =
            best(&two, &rows, 3).iter().map(|one| (one.parent, one.token, one.score)).collect();
        assert_eq!(found, [(0, 0, -1.0), (1, 2, -1.0), (1, 0, -2.0)]);
        assert_eq!(best(&two, &rows, 9).len(), 4);
    }

    #[test]
    fn every_state_of_progress_has_its_place() {
        let going = vec![
            open(-1.0, vec![0]),
            open(-2.0, vec![0]),
            open(-3.0, vec![2]),
            open(-4.0, vec![1]),
            open(-5.0, vec![2]),
        ];
        let scores: Vec<_> = spread(going.clone(), 4).iter().map(|open| open.score).collect();
        assert_eq!(scores, [-3.0, -4.0, -1.0, -5.0]);
        assert_eq!(spread(going, 1)[0].score, -3.0);
    }
}
