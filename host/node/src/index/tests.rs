use std::{future::poll_fn, path::Path, task::Poll};

use meshhost_core::{
    config::Durability,
    index::{
        ANSWER_BYTES_MAX, Attribute, Filter, Hit, IndexCaller, IndexErrorCode, Passage,
        SearchIndex, TEXT_BYTES_MAX, words_of,
    },
};

use super::*;

mod agreement;

const MIB: u64 = 1024 * 1024;

fn index(folder: &Path, memory_bytes: u64) -> Index {
    Index::new(Indexes::new(folder.to_owned(), Durability::Process), memory_bytes)
}

fn caller(plugin: &str) -> IndexCaller {
    IndexCaller { plugin: plugin.parse().unwrap(), quota_bytes: 64 * MIB }
}

fn settings(dimensions: Option<u32>) -> Settings {
    Settings { dimensions, maker: "test".to_owned() }
}

fn attribute(value: &str) -> Attribute {
    Attribute { name: "kind".to_owned(), value: value.to_owned() }
}

fn passage(text: &str, vector: Option<Vec<f32>>) -> Passage {
    Passage { text: text.to_owned(), vector, attributes: Vec::new() }
}

fn document(key: &str, passages: Vec<Passage>) -> Document {
    Document { key: key.to_owned(), version: "1".to_owned(), attributes: Vec::new(), passages }
}

async fn words(index: &Index, corpus: &str, text: &str, filter: Filter) -> Vec<Hit> {
    let words = words_of(text).unwrap();
    index.search_words(&caller("a"), corpus, words, filter, 9).await.unwrap()
}

fn found(hits: &[Hit]) -> Vec<(&str, u32)> {
    hits.iter().map(|hit| (hit.key.as_str(), hit.passage)).collect()
}

#[tokio::test]
async fn what_a_plugin_put_is_deleted_and_one_of_its_name_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    let (index, a, b) = (index(home.path(), MIB), caller("a"), caller("b"));
    let near = async |caller: &IndexCaller, vector: &[f32]| {
        let (vector, filter) = (vector.to_vec(), Filter::default());
        let hits = index.search_vector(caller, "notes", vector, filter, 9).await;
        hits.unwrap().into_iter().map(|hit| hit.key).collect::<Vec<_>>()
    };
    let put = async |caller: &IndexCaller, key: &str, vector: &[f32]| {
        let dimensions = u32::try_from(vector.len()).ok();
        index.open(caller, "notes", &settings(dimensions)).await.unwrap();
        let one = document(key, vec![passage("blue whales", Some(vector.to_vec()))]);
        index.upsert(caller, "notes", one).await.unwrap();
    };
    let (old, new) = ([1.0, 0.0], [0.0, 0.0, 1.0]);
    for caller in [&a, &b] {
        put(caller, "old", &old).await;
        assert_eq!(near(caller, &old).await, ["old"], "now it is in memory");
    }
    assert!(index.stored_bytes(&a.plugin).unwrap() > 0);
    let kept = index.inner.store.of(&a.plugin).await.unwrap();
    index.remove_all(&a.plugin).await.unwrap();
    assert_eq!(index.stored_bytes(&a.plugin).unwrap(), 0);
    assert!(kept.corpora().await.is_err(), "whoever still has it open finds nothing");
    assert!(index.corpora(&a).await.unwrap().is_empty());
    // Its first corpus has the number of the old one, and other vectors.
    put(&a, "new", &new).await;
    assert_eq!(
        (near(&a, &new).await, near(&b, &old).await),
        (vec!["new".into()], vec!["old".into()])
    );
    let absent = "c".parse().unwrap();
    index.remove_all(&absent).await.unwrap();
    assert_eq!(index.stored_bytes(&absent).unwrap(), 0);
}

#[tokio::test]
async fn a_corpus_is_made_once_listed_and_dropped_with_all_it_holds() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    let made = index.open(&a, "notes", &settings(Some(2))).await.unwrap();
    assert_eq!((made.documents, made.passages, made.bytes), (0, 0, 0));
    let again = index.open(&a, "notes", &settings(None)).await.unwrap();
    assert_eq!(again.settings, settings(Some(2)), "it stays as it was made");
    let one = document("k", vec![passage("blue whales", Some(vec![1.0, 0.0]))]);
    let charge = one.charge();
    index.upsert(&a, "notes", one.clone()).await.unwrap();
    let listed = index.corpora(&a).await.unwrap();
    assert_eq!((listed.len(), listed[0].passages, listed[0].bytes), (1, 1, charge));
    // Another plugin has no such corpus, and its own of that name is another one.
    let b = caller("b");
    assert!(index.corpora(&b).await.unwrap().is_empty());
    let missing = index.documents(&b, "notes", None, 1).await.unwrap_err();
    assert_eq!(missing.code, IndexErrorCode::NotFound);
    assert!(!index.remove(&b, "notes").await.unwrap());
    assert!(index.remove(&a, "notes").await.unwrap());
    assert!(!index.remove(&a, "notes").await.unwrap());
    let gone = index.upsert(&a, "notes", one).await.unwrap_err();
    assert_eq!(gone.code, IndexErrorCode::NotFound);
    index.open(&a, "notes", &settings(Some(2))).await.unwrap();
    assert!(words(&index, "notes", "whales", Filter::default()).await.is_empty());
}

#[tokio::test]
async fn a_document_takes_the_place_of_the_one_with_its_key() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    index.open(&a, "c", &settings(Some(2))).await.unwrap();
    let near = |vector: [f32; 2]| {
        let index = index.clone();
        async move {
            let filter = Filter::default();
            index.search_vector(&caller("a"), "c", vector.to_vec(), filter, 9).await.unwrap()
        }
    };
    assert!(near([1.0, 0.0]).await.is_empty());
    let old = vec![
        passage("old words", Some(vec![5.0, 0.0])),
        passage("no vector", None),
        passage("more old words", Some(vec![0.0, 2.0])),
    ];
    index.upsert(&a, "c", document("k", old)).await.unwrap();
    let hits = near([3.0, 1.0]).await;
    assert_eq!(found(&hits), [("k", 0), ("k", 2)]);
    assert!((hits[0].score - 3.0 / 10_f64.sqrt()).abs() < 1e-7);
    let new = Document {
        version: "2".to_owned(),
        ..document("k", vec![passage("new words", Some(vec![-1.0, 0.0]))])
    };
    index.upsert(&a, "c", new).await.unwrap();
    let hits = near([3.0, 1.0]).await;
    assert_eq!((found(&hits), hits[0].version.as_str()), (vec![("k", 0)], "2"));
    assert!(words(&index, "c", "old", Filter::default()).await.is_empty());
    assert_eq!(found(&words(&index, "c", "new", Filter::default()).await), [("k", 0)]);
    let keys = vec!["k".to_owned(), "none".to_owned(), "k".to_owned()];
    let got = index.get(&a, "c", keys.clone()).await.unwrap();
    assert!(got[0].is_some() && got[1].is_none() && got[0] == got[2]);
    assert_eq!(index.delete(&a, "c", keys).await.unwrap(), 1);
    assert!(near([3.0, 1.0]).await.is_empty());
    let left = index.corpora(&a).await.unwrap().remove(0);
    assert_eq!((left.documents, left.passages, left.bytes), (0, 0, 0));
}

#[tokio::test]
async fn words_are_found_without_case_and_accents_and_never_read_as_syntax() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    index.open(&a, "c", &settings(None)).await.unwrap();
    let texts = [
        "The Café in Größe 42",
        "text NEAR text OR text AND NOT text",
        "名前 имя été",
        "zebra zebra zebra",
        "a zebra among many other animals that live there and are not striped at all",
        "cafe\u{301} e\u{301}te\u{301}",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let one = document(&format!("{number}"), vec![passage(text, None)]);
        index.upsert(&a, "c", one).await.unwrap();
    }
    for (text, expected) in [
        ("cafe", &["0", "5"][..]),
        ("CAFE\u{301}", &["0", "5"]),
        ("grosse größe", &["0"]),
        ("ete", &["2", "5"]),
        ("ИМЯ", &["2"]),
        ("zebra", &["3", "4"]),
        ("near(", &["1"]),
        ("\"or\"", &["1"]),
        ("text:zebra", &["3", "1", "4"]),
        ("^zebra*", &["3", "4"]),
        ("-zebra +nothing", &["3", "4"]),
        ("zeb*", &[]),
        ("NOT", &["1", "4"]),
        ("\"; DROP TABLE corpora; --", &[]),
        ("", &[]),
        ("\u{301} ½", &[]),
    ] {
        let hits = words(&index, "c", text, Filter::default()).await;
        let mut keys: Vec<&str> = hits.iter().map(|hit| hit.key.as_str()).collect();
        assert!(hits.iter().all(|hit| hit.score > 0.0), "{text}: {hits:?}");
        assert!(hits.is_sorted_by(|one, other| one.score >= other.score), "{text}");
        let mut expected = expected.to_vec();
        if text != "zebra" {
            keys.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(keys, expected, "{text}");
    }
}

#[tokio::test]
async fn one_corpus_does_not_change_what_another_finds() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    for corpus in ["one", "two"] {
        index.open(&a, corpus, &settings(None)).await.unwrap();
    }
    index.upsert(&a, "one", document("k", vec![passage("rare word", None)])).await.unwrap();
    let before = words(&index, "one", "rare", Filter::default()).await[0].score;
    for number in 0..20 {
        let one = document(&number.to_string(), vec![passage("rare rare common", None)]);
        index.upsert(&a, "two", one).await.unwrap();
    }
    let after = words(&index, "one", "rare", Filter::default()).await;
    assert_eq!((after.len(), after[0].score), (1, before));
}

#[tokio::test]
async fn the_quota_holds_over_all_corpora_and_is_given_back() {
    let home = tempfile::tempdir().unwrap();
    let index = index(home.path(), MIB);
    let one = |key: &str| document(key, vec![passage("text", Some(vec![1.0, 2.0]))]);
    let quota_bytes = 2 * one("a").charge();
    let a = IndexCaller { quota_bytes, ..caller("a") };
    for corpus in ["one", "two"] {
        index.open(&a, corpus, &settings(Some(2))).await.unwrap();
        index.upsert(&a, corpus, one("a")).await.unwrap();
    }
    let full = index.upsert(&a, "one", one("b")).await.unwrap_err();
    assert_eq!(full.code, IndexErrorCode::Quota);
    assert!(index.get(&a, "one", vec!["b".to_owned()]).await.unwrap()[0].is_none());
    index.upsert(&a, "one", one("a")).await.unwrap();
    let longer = document("a", vec![passage("longer", Some(vec![1.0, 2.0]))]);
    assert_eq!(index.upsert(&a, "one", longer).await.unwrap_err().code, IndexErrorCode::Quota);
    assert_eq!(index.get(&a, "one", vec!["a".to_owned()]).await.unwrap()[0].iter().count(), 1);
    index.upsert(&caller("b"), "one", one("b")).await.unwrap_err();
    index.delete(&a, "two", vec!["a".to_owned()]).await.unwrap();
    index.upsert(&a, "one", one("b")).await.unwrap();
    index.remove(&a, "one").await.unwrap();
    index.upsert(&a, "two", one("b")).await.unwrap();
}

#[tokio::test]
async fn vectors_must_fit_their_corpus() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    index.open(&a, "two", &settings(Some(2))).await.unwrap();
    index.open(&a, "none", &settings(None)).await.unwrap();
    for (corpus, vector) in [("two", vec![1.0; 3]), ("two", vec![1.0]), ("none", vec![1.0])] {
        let one = document("k", vec![passage("text", None), passage("", Some(vector.clone()))]);
        let refused = index.upsert(&a, corpus, one).await.unwrap_err();
        assert_eq!(refused.code, IndexErrorCode::Invalid);
        let refused = index.search_vector(&a, corpus, vector, Filter::default(), 1).await;
        assert_eq!(refused.unwrap_err().code, IndexErrorCode::Invalid);
        assert!(index.documents(&a, corpus, None, 9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn no_more_corpora_than_may_be_and_no_larger_answer() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    for number in 0..meshhost_core::index::CORPORA_MAX {
        index.open(&a, &format!("c{number}"), &settings(None)).await.unwrap();
    }
    let refused = index.open(&a, "another", &settings(None)).await.unwrap_err();
    assert_eq!(refused.code, IndexErrorCode::TooLarge);
    assert_eq!(index.corpora(&a).await.unwrap().len(), 256);
    let text = "word ".repeat(TEXT_BYTES_MAX / 5);
    let many = u32::try_from(ANSWER_BYTES_MAX).unwrap()
        / (5 * (u32::try_from(TEXT_BYTES_MAX).unwrap() / 5))
        + 1;
    for number in 0..many {
        let one = document(&number.to_string(), vec![passage(&text, None)]);
        index.upsert(&caller("a"), "c0", one).await.unwrap();
    }
    let search =
        |limit| index.search_words(&a, "c0", vec!["word".to_owned()], Filter::default(), limit);
    assert_eq!(search(256).await.unwrap_err().code, IndexErrorCode::TooLarge);
    assert_eq!(search(100).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_listing_goes_on_after_a_key() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    index.open(&a, "c", &settings(None)).await.unwrap();
    for key in ["b", "a", "ä", "a/b", "a\0b"] {
        let attributes = vec![attribute("\u{1e}x\u{1f}")];
        let one = Document { attributes, ..document(key, vec![passage("t", None)]) };
        index.upsert(&a, "c", one).await.unwrap();
    }
    let keys = |entries: Vec<meshhost_core::index::Entry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.key).collect()
    };
    let first = index.documents(&a, "c", None, 3).await.unwrap();
    assert_eq!(first[0].attributes, [attribute("\u{1e}x\u{1f}")]);
    assert_eq!(keys(first), ["a", "a\0b", "a/b"]);
    assert_eq!(keys(index.documents(&a, "c", Some("a/b"), 9).await.unwrap()), ["b", "ä"]);
}

#[tokio::test]
async fn what_was_put_is_there_when_the_index_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let a = caller("a");
    let first = index(home.path(), MIB);
    first.open(&a, "c", &settings(Some(2))).await.unwrap();
    let one = document("k", vec![passage("text", Some(vec![1.0, 1.0]))]);
    first.upsert(&a, "c", one).await.unwrap();
    // Nothing is closed: the other one sees what a killed process leaves.
    let second = index(home.path(), MIB);
    let hits = second.search_vector(&a, "c", vec![1.0, 1.0], Filter::default(), 1).await.unwrap();
    assert_eq!(found(&hits), [("k", 0)]);
    first.inner.store.close().await;
    second.inner.store.close().await;
}

#[tokio::test]
async fn an_index_of_a_newer_program_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let first = index(home.path(), MIB);
    first.open(&caller("a"), "c", &settings(None)).await.unwrap();
    first.inner.store.of(&"a".parse().unwrap()).await.unwrap().set_schema(2).await;
    first.inner.store.close().await;
    let second = index(home.path(), MIB);
    assert_eq!(second.corpora(&caller("a")).await, Err(IndexError::fault()));
    assert!(second.corpora(&caller("b")).await.is_ok());
}

#[tokio::test]
async fn a_change_happens_although_nobody_waits_for_it() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    index.open(&a, "c", &settings(Some(2))).await.unwrap();
    for number in 0..40_u32 {
        let one = document("k", vec![passage(&number.to_string(), Some(vec![1.0, 0.5])); 20]);
        let mut change = Box::pin(index.upsert(&a, "c", one));
        for _ in 0..number {
            let polled = poll_fn(|context| Poll::Ready(change.as_mut().poll(context)));
            if polled.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(change);
        // Old or new, always whole, and the memory is as the store is.
        let hits = index.search_vector(&a, "c", vec![1.0, 0.0], Filter::default(), 99).await;
        let hits = hits.unwrap();
        assert!(hits.is_empty() || hits.len() == 20, "{}", hits.len());
        assert!(hits.iter().all(|hit| hit.text == hits[0].text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_search_while_documents_change() {
    let home = tempfile::tempdir().unwrap();
    let (index, a) = (index(home.path(), MIB), caller("a"));
    index.open(&a, "c", &settings(Some(2))).await.unwrap();
    // More than one block, so that several threads share a scan.
    let large = |key: &str| document(key, vec![passage("", Some(vec![1.0, 2.0])); 1_024]);
    for key in ["a", "b", "c", "d"] {
        index.upsert(&a, "c", large(key)).await.unwrap();
    }
    let mut searches = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (index, a) = (index.clone(), a.clone());
        searches.spawn(async move {
            for _ in 0..10 {
                let filter = Filter { key_prefix: Some("d".to_owned()), attributes: Vec::new() };
                let hits = index.search_vector(&a, "c", vec![1.0, 2.0], filter, 9).await.unwrap();
                assert_eq!(hits.len(), 9);
            }
        });
    }
    for number in 0..10 {
        let one = document(&number.to_string(), vec![passage("", Some(vec![2.0, 1.0])); 3]);
        index.upsert(&a, "c", one).await.unwrap();
        index.delete(&a, "c", vec!["a".to_owned(), "b".to_owned()]).await.unwrap();
    }
    searches.join_all().await;
}
