//! What is found, against comparing everything.

use proptest::prelude::*;

use super::*;

/// What a test says of a passage: document, vector and attribute.
type Said = (u8, [i8; 3], Option<u8>);

fn said() -> impl Strategy<Value = Said> {
    (0_u8..9, prop::array::uniform3(-2_i8..3), prop::option::of(0_u8..2))
}

fn vector(numbers: [i8; 3]) -> Vec<f32> {
    let numbers = if numbers == [0; 3] { [1, 0, 0] } else { numbers };
    numbers.iter().map(|&number| f32::from(number)).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

fn documents(said: &[Said]) -> Vec<Document> {
    let kind = |value: Option<u8>| value.map(|value| attribute(&value.to_string()));
    let own = |key: u8| said.iter().filter(move |one| one.0 == key);
    let made = (0..9).map(|key| {
        let passages = own(key).map(|one| Passage {
            text: format!("word{}", one.1[0]),
            vector: (one.1[1] != 2).then(|| vector(one.1)),
            attributes: kind(one.2).into_iter().collect(),
        });
        let attributes = kind((key % 4 == 0).then_some(0)).into_iter().collect();
        Document { attributes, ..document(&format!("{}/{key}", key % 2), passages.collect()) }
    });
    made.filter(|one| !one.passages.is_empty()).collect()
}

/// Every passage that a filter lets through, with its document.
fn passing<'a>(
    documents: &'a [Document],
    filter: &'a Filter,
) -> impl Iterator<Item = (&'a Document, usize, &'a Passage)> {
    let passes = |document: &Document, passage: &Passage| {
        let has =
            |one: &Attribute| passage.attributes.contains(one) || document.attributes.contains(one);
        document.key.starts_with(filter.key_prefix.as_deref().unwrap_or_default())
            && filter.attributes.iter().all(has)
    };
    documents.iter().flat_map(move |document| {
        let passages = document.passages.iter().enumerate();
        let passages = passages.filter(move |(_, passage)| passes(document, passage));
        passages.map(move |(place, passage)| (document, place, passage))
    })
}

async fn agrees_with_everything(said: &[Said], removed: &[u8], filter: &Filter, query: [i8; 3]) {
    let home = tempfile::tempdir().unwrap();
    let a = caller("a");
    let mut all = documents(said);
    // One has room for the corpus, one for none of it.
    for memory_bytes in [MIB, 0] {
        let index = index(home.path(), memory_bytes);
        index.open(&a, "c", &settings(Some(3))).await.unwrap();
        let near = || index.search_vector(&a, "c", vector(query), filter.clone(), 5);
        if memory_bytes > 0 {
            near().await.unwrap();
            for one in &all {
                index.upsert(&a, "c", one.clone()).await.unwrap();
                index.upsert(&a, "c", one.clone()).await.unwrap();
            }
            let keys: Vec<String> =
                removed.iter().map(|key| format!("{}/{key}", key % 2)).collect();
            all.retain(|one| !keys.contains(&one.key));
            index.delete(&a, "c", keys).await.unwrap();
        }
        let scores = passing(&all, filter)
            .filter_map(|(_, _, passage)| Some(cosine(passage.vector.as_ref()?, &vector(query))));
        let mut expected: Vec<f64> = scores.collect();
        expected.sort_by(|one, other| other.total_cmp(one));
        expected.truncate(5);
        let hits = near().await.unwrap();
        let got: Vec<f64> = hits.iter().map(|hit| hit.score).collect();
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(&expected).all(|(one, other)| (one - other).abs() < 1e-6));
        for hit in &hits {
            let one = passing(&all, filter).find(|(document, place, _)| {
                document.key == hit.key && *place == hit.passage as usize
            });
            let (document, _, passage) = one.expect("the filter lets it through");
            assert_eq!((&hit.text, &hit.attributes), (&passage.text, &passage.attributes));
            assert_eq!(hit.document_attributes, document.attributes);
        }
        let with_word = passing(&all, filter).filter(|(_, _, passage)| passage.text == "word1");
        let hits = words(&index, "c", "WORD1", filter.clone()).await;
        assert_eq!(hits.len(), with_word.count().min(9));
        assert!(hits.iter().all(|hit| hit.text == "word1"));
        index.inner.store.close().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// In memory and on disk, after changes and with filters: the answer is that of comparing everything.
    #[test]
    fn a_search_agrees_with_comparing_everything(
        said in prop::collection::vec(said(), 0..25),
        removed in prop::collection::vec(0_u8..9, 0..4),
        prefix in prop::option::of(0_u8..2),
        kinds in prop::collection::vec(0_u8..2, 0..2),
        query in prop::array::uniform3(-2_i8..3),
    ) {
        let filter = Filter {
            key_prefix: prefix.map(|prefix| format!("{prefix}/")),
            attributes: kinds.iter().map(|kind| attribute(&kind.to_string())).collect(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agrees_with_everything(&said, &removed, &filter, query));
    }
}
