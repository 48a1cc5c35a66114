use meshhost_core::{grant::EffectiveGrants, limits::Limits};

use super::{
    bindings::meshhost::index::store::{Attribute, Document, Filter, Host as _, Passage, Settings},
    *,
};
use crate::imports::testing::Setting;

fn granted(bytes: u64) -> HostState {
    let index_bytes = Some(bytes);
    Setting::granted(EffectiveGrants { index_bytes, ..EffectiveGrants::default() }).state()
}

fn settings() -> Settings {
    Settings { dimensions: Some(2), maker: "test".to_owned() }
}

fn document(key: &str, texts: &[(&str, [f32; 2])]) -> Document {
    let passage = |(text, vector): &(&str, [f32; 2])| Passage {
        text: (*text).to_owned(),
        vector: Some(vector.to_vec()),
        attributes: Vec::new(),
    };
    Document {
        key: key.to_owned(),
        version: "1".to_owned(),
        attributes: vec![Attribute { name: "lang".to_owned(), value: "en".to_owned() }],
        passages: texts.iter().map(passage).collect(),
    }
}

fn filter() -> Filter {
    Filter { key_prefix: None, attributes: Vec::new() }
}

fn name() -> String {
    "notes".to_owned()
}

async fn opened(bytes: u64) -> HostState {
    let mut state = granted(bytes);
    View::of(&mut state).open(name(), settings()).await.unwrap().unwrap();
    state
}

fn code<T>(answer: Answer<T>) -> Option<ErrorCode> {
    answer.unwrap().err().map(|error| error.code)
}

#[tokio::test]
async fn without_a_grant_every_function_is_denied_and_recorded_once() {
    let mut state = Setting::default().state();
    let mut view = View::of(&mut state);
    let denied = [
        code(view.open(name(), settings()).await),
        code(view.corpora().await),
        code(view.drop(name()).await),
        code(view.upsert(name(), document("a", &[])).await),
        code(view.delete(name(), Vec::new()).await),
        code(view.documents(name(), None, 1).await),
        code(view.get(name(), Vec::new()).await),
        code(view.search_vector(name(), vec![1.0], filter(), 1).await),
        code(view.search_words(name(), "a".to_owned(), filter(), 1).await),
    ];
    assert_eq!(denied, [Some(ErrorCode::Denied); 9]);
    let recorded = state.record().take().denied;
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0].permission.as_deref(), Some("index=256MiB"));
    assert_eq!(recorded[0].function, "meshhost:index/store#open");
    assert!(!state.record().effect_in_flight());
}

#[tokio::test]
async fn what_is_put_is_found_listed_and_deleted() {
    let mut state = opened(1_000_000).await;
    let mut view = View::of(&mut state);
    let one = document("one", &[("blue whales", [1.0, 0.0]), ("red ants", [0.0, 1.0])]);
    view.upsert(name(), one).await.unwrap().unwrap();
    let near = view.search_vector(name(), vec![3.0, 1.0], filter(), 1).await.unwrap().unwrap();
    assert_eq!((near.len(), near[0].passage, near[0].text.as_str()), (1, 0, "blue whales"));
    assert_eq!(near[0].document_attributes[0].value, "en");
    let text = || "ANTS, (ants)".to_owned();
    let found = view.search_words(name(), text(), filter(), 9).await.unwrap().unwrap();
    assert_eq!((found.len(), found[0].passage), (1, 1));
    let other = Filter { key_prefix: Some("two".to_owned()), attributes: Vec::new() };
    assert!(view.search_words(name(), text(), other, 9).await.unwrap().unwrap().is_empty());
    let entries = view.documents(name(), None, 9).await.unwrap().unwrap();
    assert_eq!((entries.len(), entries[0].passages, entries[0].version.as_str()), (1, 2, "1"));
    let keys = || vec!["none".to_owned(), "one".to_owned()];
    let got = view.get(name(), keys()).await.unwrap().unwrap();
    assert!(got[0].is_none() && got[1].is_some());
    assert_eq!(view.corpora().await.unwrap().unwrap()[0].passages, 2);
    assert_eq!(view.delete(name(), keys()).await.unwrap().unwrap(), 1);
    assert!(view.drop(name()).await.unwrap().unwrap());
    assert!(!view.drop(name()).await.unwrap().unwrap());
    assert_eq!(code(view.upsert(name(), document("a", &[])).await), Some(ErrorCode::NotFound));
    assert!(!state.record().effect_in_flight());
}

#[tokio::test]
async fn what_is_wrong_never_reaches_the_index() {
    let mut state = opened(1_000_000).await;
    let mut view = View::of(&mut state);
    let (invalid, too_large) = (Some(ErrorCode::Invalid), Some(ErrorCode::TooLarge));
    for bad in ["../notes", "", "/etc/passwd", "Notes"] {
        let bad = || bad.to_owned();
        assert_eq!(code(view.open(bad(), settings()).await), invalid);
        assert_eq!(code(view.drop(bad()).await), invalid);
        assert_eq!(code(view.upsert(bad(), document("a", &[])).await), invalid);
        assert_eq!(code(view.delete(bad(), Vec::new()).await), invalid);
        assert_eq!(code(view.documents(bad(), None, 1).await), invalid);
        assert_eq!(code(view.get(bad(), Vec::new()).await), invalid);
        assert_eq!(code(view.search_vector(bad(), vec![1.0], filter(), 1).await), invalid);
        assert_eq!(code(view.search_words(bad(), "a".to_owned(), filter(), 1).await), invalid);
    }
    for wrong in [f32::NAN, f32::INFINITY] {
        let document = document("a", &[("", [wrong, 1.0])]);
        assert_eq!(code(view.upsert(name(), document).await), invalid);
        assert_eq!(code(view.search_vector(name(), vec![wrong], filter(), 1).await), invalid);
    }
    assert_eq!(code(view.search_vector(name(), Vec::new(), filter(), 1).await), invalid);
    assert_eq!(code(view.search_vector(name(), vec![1.0], filter(), 0).await), invalid);
    assert_eq!(code(view.search_vector(name(), vec![1.0], filter(), 257).await), too_large);
    assert_eq!(code(view.search_words(name(), "a".to_owned(), filter(), 257).await), too_large);
    assert_eq!(code(view.search_words(name(), "a".repeat(4_097), filter(), 1).await), too_large);
    assert_eq!(code(view.documents(name(), None, 1_025).await), too_large);
    assert_eq!(code(view.documents(name(), Some(String::new()), 1).await), invalid);
    let keys = || vec!["k".to_owned(); 1_025];
    assert_eq!(code(view.get(name(), keys()).await), too_large);
    assert_eq!(code(view.delete(name(), keys()).await), too_large);
    let attribute = Attribute { name: "n".to_owned(), value: String::new() };
    let flood = || Filter { key_prefix: None, attributes: vec![attribute.clone(); 9] };
    assert_eq!(code(view.search_vector(name(), vec![1.0], flood(), 1).await), invalid);
    assert_eq!(code(view.search_words(name(), "a".to_owned(), flood(), 1).await), invalid);
    let wide = Settings { dimensions: Some(4_097), maker: String::new() };
    assert_eq!(code(view.open("wide".to_owned(), wide).await), invalid);
    assert!(view.documents(name(), None, 9).await.unwrap().unwrap().is_empty());
    assert!(!state.record().effect_in_flight());
}

#[tokio::test]
async fn the_quota_is_told_and_noted_as_a_limit() {
    let mut state = opened(100).await;
    let large = document("a", &[("text", [1.0, 0.0])]);
    assert_eq!(code(View::of(&mut state).upsert(name(), large).await), Some(ErrorCode::Quota));
    assert_eq!(state.record().limit_reached(), Some(LimitKind::IndexBytes));
}

#[tokio::test]
async fn documents_and_answers_count_as_host_memory() {
    let limits = Limits { host_buffer_bytes: 4_096, ..Limits::DEFAULT };
    let grants = EffectiveGrants { index_bytes: Some(1 << 20), ..EffectiveGrants::default() };
    let mut state = Setting { limits, ..Setting::granted(grants) }.state();
    let mut view = View::of(&mut state);
    view.open(name(), settings()).await.unwrap().unwrap();
    let text = "x ".repeat(1_000);
    for key in ["a", "b"] {
        let one = document(key, &[(text.as_str(), [1.0, 0.0])]);
        view.upsert(name(), one).await.unwrap().unwrap();
    }
    let large = "x ".repeat(3_000);
    let large = document("c", &[(large.as_str(), [1.0, 0.0])]);
    assert!(view.upsert(name(), large).await.is_err(), "one document is too much");
    assert!(view.search_vector(name(), vec![1.0, 0.0], filter(), 1).await.is_ok());
    assert!(view.search_vector(name(), vec![1.0, 0.0], filter(), 2).await.is_err());
    assert_eq!(state.record().limit_reached(), Some(LimitKind::HostMemory));
}

#[tokio::test]
async fn a_change_that_is_cut_off_leaves_its_end_unknown() {
    let mut state = granted(1);
    let view = View::of(&mut state);
    let never = std::future::pending::<Result<(), IndexError>>();
    tokio::select! {
        biased;
        _ = view.context.change(never) => unreachable!("it never ends"),
        () = std::future::ready(()) => {}
    }
    assert!(state.record().effect_in_flight());
}
