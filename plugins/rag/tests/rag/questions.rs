//! Asking: where, of what kind, how many, and with or without a reranker.

use meshhost_rag::ingest::ingest;
use meshhost_rag::query::{Asked, query};
use meshhost_rag::retrieval::{Error, Kind, Reranking};

use crate::garden::{asked, garden, wanted};
use crate::stand_in::World;

fn world() -> World {
    let world = World::default();
    ingest(&world.ports(), &wanted(&garden())).unwrap();
    world
}

#[test]
fn a_question_is_asked_of_a_file_a_folder_or_a_kind() {
    let world = world();
    let paths = |asked: &Asked| -> Vec<String> {
        let answer = query(&world.ports(), asked).unwrap();
        answer.passages.into_iter().map(|one| one.path).collect()
    };
    let all = paths(&Asked { limit: Some(50), ..asked("the pump in the garden") });
    assert!(all.len() > 8);
    let shed = Asked { path: Some(format!("{}/shed", garden())), ..asked("the pump") };
    assert!(!paths(&shed).is_empty() && paths(&shed).iter().all(|path| path.contains("/shed/")));
    let file = Asked { path: Some(format!("{}/guide.md", garden())), ..asked("the pump") };
    assert!(!paths(&file).is_empty() && paths(&file).iter().all(|path| path.ends_with("guide.md")));
    // The beginning of a name is no folder.
    let beginning = Asked { path: Some(format!("{}/gui", garden())), ..asked("the pump") };
    assert!(paths(&beginning).is_empty());
    let code = Asked { kind: Some(Kind::Code), ..asked("the pump") };
    assert!(!paths(&code).is_empty() && paths(&code).iter().all(|path| path.ends_with(".py")));
    assert_eq!(paths(&Asked { limit: Some(2), ..asked("the pump") }).len(), 2);
}

#[test]
fn the_answer_says_whether_it_was_reranked() {
    let world = world();
    let without = query(&world.ports(), &asked("the pump")).unwrap();
    assert_eq!(without.reranking, Reranking::Unwanted);
    let wanted = Asked { rerank: true, ..asked("the pump") };
    let missing = query(&world.ports(), &wanted).unwrap();
    assert!(matches!(missing.reranking, Reranking::Missing(why) if why.contains("not be called")));
    assert_eq!(missing.passages, without.passages);

    world.reranker.is_there.set(true);
    let named = Asked { rerank_model: Some("other".to_owned()), limit: Some(50), ..wanted };
    let done = query(&world.ports(), &named).unwrap();
    assert_eq!(done.reranking, Reranking::Done("other".to_owned()));
    assert!(done.passages.is_sorted_by(|a, b| a.scores.rerank >= b.scores.rerank));
    assert!(done.passages.iter().all(|one| one.scores.rerank.is_some()));
    assert_ne!(done.passages[0], without.passages[0]);
}

#[test]
fn scores_say_which_search_found_a_passage() {
    let world = world();
    let answer = query(&world.ports(), &asked("blight")).unwrap();
    let first = &answer.passages[0];
    assert!(first.scores.vector.is_some() && first.scores.words.is_some());
    assert!((first.scores.fused - 2.0 / 61.0).abs() < 1e-9);
    assert!(answer.passages.iter().skip(1).all(|one| one.scores.words.is_none()));
    // Without a word there is nothing to search for by words.
    assert!(!query(&world.ports(), &asked("?!")).unwrap().passages.is_empty());
}

#[test]
fn wrong_questions_are_refused() {
    let world = world();
    for wrong in [
        asked(" "),
        asked(&"a".repeat(4_097)),
        Asked { limit: Some(0), ..asked("a") },
        Asked { limit: Some(51), ..asked("a") },
    ] {
        assert!(matches!(query(&world.ports(), &wrong), Err(Error::Invalid(_))));
    }
    let nowhere = Asked { corpus: "none".to_owned(), ..asked("a") };
    assert!(matches!(query(&world.ports(), &nowhere), Err(Error::NotFound(_))));
    *world.embedder.digest.borrow_mut() = "blake3:other".to_owned();
    assert!(matches!(query(&world.ports(), &asked("a")), Err(Error::OtherMaker(_))));
}
