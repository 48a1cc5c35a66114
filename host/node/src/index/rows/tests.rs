use meshhost_core::index::Attribute;
use proptest::prelude::*;

use super::{super::vector::normalised, *};

const DIMENSIONS: usize = 5;

/// A passage of the tests: its vector, and whether it has the attribute that filters ask for.
type Said = ([i8; DIMENSIONS], bool);

fn attribute() -> Attribute {
    Attribute { name: "kind".to_owned(), value: "note".to_owned() }
}

fn written(there: bool) -> Box<[u8]> {
    let one = [attribute()];
    attributes::written(if there { &one } else { &[] }).into()
}

fn vector(numbers: &[i8; DIMENSIONS]) -> Vec<f32> {
    let mut vector: Vec<f32> = numbers.iter().map(|&one| f32::from(one)).collect();
    if vector.iter().all(|number| *number == 0.0) {
        vector[0] = 1.0;
    }
    vector
}

/// The documents `0`, `1` and so on with such passages.
fn rows(documents: &[Vec<Said>]) -> Rows {
    let mut rows = Rows::new(DIMENSIONS);
    for (number, said) in documents.iter().enumerate() {
        let document = i64::try_from(number).unwrap();
        let key = number.to_string().into();
        rows.add_document(document, DocumentFacts { key, attributes: written(number % 3 == 0) });
        for (place, (numbers, there)) in (0..).zip(said) {
            rows.add(StoredVector {
                passage: passages::number(document, place),
                attributes: written(*there),
                vector: normalised(&vector(numbers)),
            });
        }
    }
    rows
}

fn nearest(rows: &Rows, query: &Query, filter: &Filter, count: usize) -> Vec<i64> {
    let found = rows.candidates(query, &Needles::new(filter), count, &AtomicBool::new(false));
    assert!(found.is_sorted_by(|one, other| one.most >= other.most));
    found.into_iter().map(|one| one.passage).collect()
}

fn said() -> impl Strategy<Value = Said> {
    (prop::array::uniform5(-3_i8..4), any::<bool>())
}

proptest! {
    /// What is truly nearest is always among the candidates, whatever is removed or filtered, and
    /// nothing is that the filter holds back.
    #[test]
    fn the_nearest_are_among_the_candidates(
        documents in prop::collection::vec(prop::collection::vec(said(), 0..5), 0..30),
        removed in prop::collection::vec(0_usize..30, 0..9),
        numbers in prop::array::uniform5(-9_i8..10),
        prefix in prop::option::of(0_u8..3),
        asked in any::<bool>(),
        count in 1_usize..8,
    ) {
        let mut rows = rows(&documents);
        for number in &removed {
            rows.remove_document(i64::try_from(*number).unwrap());
        }
        let query = Query::new(&vector(&numbers));
        let key_prefix = prefix.map(|digit| digit.to_string());
        let attributes = if asked { vec![attribute()] } else { Vec::new() };
        let mut truth = Vec::new();
        for (number, said) in documents.iter().enumerate() {
            let prefix = key_prefix.as_deref().unwrap_or_default();
            if removed.contains(&number) || !number.to_string().starts_with(prefix) {
                continue;
            }
            for (place, (numbers, there)) in (0..).zip(said) {
                if !asked || *there || number % 3 == 0 {
                    let passage = passages::number(i64::try_from(number).unwrap(), place);
                    let score = query.cosine(&normalised(&vector(numbers)));
                    truth.push(Scored { passage, score });
                }
            }
        }
        truth.sort();
        let found = nearest(&rows, &query, &Filter { key_prefix, attributes }, count);
        for one in truth.iter().take(count) {
            prop_assert!(found.contains(&one.passage), "{one:?} is not in {found:?}");
        }
        prop_assert!(found.iter().all(|one| truth.iter().any(|true_one| true_one.passage == *one)));
    }
}

#[test]
fn many_rows_leave_few_candidates() {
    let random = |seed: usize| {
        let mut state = seed as u64 + 1;
        std::array::from_fn(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            i8::from_le_bytes([state.to_be_bytes()[0]])
        })
    };
    let documents: Vec<Vec<Said>> = (0..100)
        .map(|one| (0..100).map(|two| (random(one * 100 + two), false)).collect())
        .collect();
    let rows = rows(&documents);
    assert_eq!(rows.blocks.len(), 5);
    let query = Query::new(&[1.0, -2.0, 3.0, -4.0, 5.0]);
    let found = nearest(&rows, &query, &Filter::default(), 10);
    assert!((10..1_000).contains(&found.len()), "{}", found.len());
    let stopped = AtomicBool::new(true);
    let none = rows.candidates(&query, &Needles::new(&Filter::default()), 10, &stopped);
    assert!(none.is_empty(), "a search that nobody waits for ends");
}

#[test]
fn bytes_are_those_of_what_it_holds_and_wear_is_seen() {
    let one = vec![([1, 2, 3, 4, 5], true); 1_024];
    let mut rows = rows(&[one.clone(), one.clone(), one.clone(), one]);
    let all = rows.bytes();
    let facts = 4 * 1_024 * written(true).len() as u64 + 4 + 2 * written(true).len() as u64;
    assert_eq!(all, bytes_of(5, 4 * 1_024, 4, facts));
    rows.remove_document(1);
    rows.remove_document(1);
    rows.remove_document(77);
    assert!(rows.bytes() < all && !rows.is_worn());
    rows.remove_document(0);
    rows.remove_document(3);
    assert!(rows.is_worn());
}
