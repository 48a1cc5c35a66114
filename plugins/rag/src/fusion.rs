//! Two searches as one: reciprocal rank fusion.

use std::collections::HashMap;

use crate::index::Hit;
use crate::retrieval::Scores;

/// How much the first ranks stand out; the number that the method was published with.
const K: f64 = 60.0;

/// A hit of one search or both.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fused {
    pub(crate) hit: Hit,
    pub(crate) scores: Scores,
}

/// The hits of both, best first; of equal ones the order of keys decides.
pub(crate) fn fuse(by_vector: Vec<Hit>, by_words: Vec<Hit>) -> Vec<Fused> {
    let mut fused: HashMap<(String, u32), Fused> = HashMap::new();
    let searches = [(by_vector, true), (by_words, false)];
    for (hits, is_vector) in searches {
        for (rank, hit) in (1_u32..).zip(hits) {
            let score = hit.score;
            let found = fused.entry((hit.key.clone(), hit.passage)).or_insert_with(|| Fused {
                hit,
                scores: Scores { fused: 0.0, vector: None, words: None, rerank: None },
            });
            found.scores.fused += 1.0 / (K + f64::from(rank));
            let own = if is_vector { &mut found.scores.vector } else { &mut found.scores.words };
            *own = Some(score);
        }
    }
    let mut fused: Vec<_> = fused.into_values().collect();
    fused.sort_by(|a, b| {
        let place = |one: &Fused| (one.hit.key.clone(), one.hit.passage);
        b.scores.fused.total_cmp(&a.scores.fused).then_with(|| place(a).cmp(&place(b)))
    });
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(key: &str, score: f64) -> Hit {
        Hit {
            key: key.to_owned(),
            version: String::new(),
            passage: 0,
            text: String::new(),
            document_attributes: vec![],
            attributes: vec![],
            score,
        }
    }

    #[test]
    fn what_both_find_comes_before_what_one_finds() {
        let fused = fuse(vec![hit("a", 0.9), hit("b", 0.8)], vec![hit("c", 7.0), hit("b", 5.0)]);
        let keys: Vec<_> = fused.iter().map(|one| one.hit.key.as_str()).collect();
        assert_eq!(keys, ["b", "a", "c"]);
        let scores = fused[0].scores;
        assert!((scores.fused - 2.0 / 62.0).abs() < 1e-12);
        assert_eq!((scores.vector, scores.words, scores.rerank), (Some(0.8), Some(5.0), None));
    }
}
