//! Documents are taken in and found again through three plugins and the node's index: `rag` imports
//! `meshhost:embedding` from another plugin, and both are the real components.

use std::fs;

use meshhost_core::code::Exit;
use serde_json::{Value, json};

use crate::support::{Home, guest};

/// A node with `rag`, which may read `notes`, and a provider of vectors without a model.
fn home() -> Home {
    let home = Home::new();
    home.install(&guest("word-vectors"), &[]);
    let notes = home.work().join("notes");
    fs::create_dir(&notes).expect("a folder");
    fs::write(notes.join("garden.md"), "# Garden\n\n## Tomatoes\n\nTomatoes want sun and water.\n")
        .expect("a file");
    fs::write(notes.join("house.txt"), "The roof was mended in spring.\n").expect("a file");
    let granted = format!("fs:ro={}", notes.display());
    let calls = ["--grant", "call=embedding.*", "--grant", "call=rerank.*"];
    home.install(&guest("rag"), &[&["--yes", "--grant", &granted], &calls[..]].concat());
    home
}

fn ingest(home: &Home) -> Value {
    let path = format!("path={}", home.work().join("notes").display());
    home.json(["call", "rag.ingest", "corpus=notes", "model=words", &path])["data"].clone()
}

fn query(home: &Home, question: &str) -> Value {
    let question = format!("question={question}");
    home.json(["call", "rag.query", "corpus=notes", &question])["data"].clone()
}

#[test]
fn a_folder_is_taken_in_and_a_question_finds_the_passage_with_its_lines() {
    let home = home();
    let first = ingest(&home);
    assert_eq!((&first["added"], &first["failed"]), (&json!(2), &json!(0)), "{first}");
    let answer = query(&home, "Do tomatoes need water?");
    let best = &answer["passages"][0];
    assert!(best["path"].as_str().is_some_and(|path| path.ends_with("garden.md")), "{answer}");
    assert_eq!(best["heading"], json!(["Garden", "Tomatoes"]));
    assert_eq!(best["place"]["value"], json!({ "first": 1, "last": 5 }));
    let roof = query(&home, "When was the roof mended?");
    assert_eq!(roof["passages"][0]["text"], "The roof was mended in spring.");
    // Nobody is here who could rerank, and the answer says so.
    assert_eq!(answer["reranking"]["tag"], "missing");
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn what_has_not_changed_is_not_taken_in_again_and_what_is_gone_is_not_found() {
    let home = home();
    ingest(&home);
    let again = ingest(&home);
    assert_eq!((&again["unchanged"], &again["added"]), (&json!(2), &json!(0)), "{again}");
    let notes = home.work().join("notes");
    fs::write(notes.join("house.txt"), "The cellar is damp.\n").expect("a file");
    fs::remove_file(notes.join("garden.md")).expect("a file");
    let changed = ingest(&home);
    assert_eq!((&changed["updated"], &changed["removed"]), (&json!(1), &json!(1)), "{changed}");
    let answer = query(&home, "tomatoes");
    let paths = answer["passages"].to_string();
    assert!(!paths.contains("garden.md") && paths.contains("cellar"), "{answer}");
}

#[test]
fn without_a_provider_of_vectors_nothing_is_installed_and_nothing_is_taken_in() {
    let bare = Home::new();
    let rag = guest("rag");
    let rag = rag.to_str().expect("it is a name");
    let refused = bare.run(["plugin", "install", rag, "--yes"]).expect(Exit::Usage as i32);
    refused.says("meshhost:embedding/embedder@0.1.0").says("meshhost plugin install embedding");

    let home = home();
    ingest(&home);
    home.run(["plugin", "disable", "word-vectors"]).expect(0);
    let asked = home.run_json(["call", "rag.query", "corpus=notes", "question=roof"]);
    assert_eq!(asked.json()["error"]["details"]["tag"], "unavailable", "{}", asked.stdout);
    home.run(["plugin", "enable", "word-vectors"]).expect(0);
    assert_eq!(query(&home, "roof")["passages"][0]["text"], "The roof was mended in spring.");
}

#[test]
fn a_plugin_reaches_no_folder_that_was_not_granted_and_no_corpus_of_another() {
    let home = home();
    fs::write(home.work().join("secret.txt"), "The key is under the mat.\n").expect("a file");
    let path = format!("path={}", home.work().display());
    let asked = home.run_json(["call", "rag.ingest", "corpus=notes", "model=words", &path]);
    asked.expect(Exit::PluginFailure as i32);
    ingest(&home);
    assert!(!query(&home, "key under the mat").to_string().contains("mat."));
    home.install(&guest("search-index"), &["--grant", "index=1MiB"]);
    let corpora = home.json(["call", "search-index.corpora"])["data"].clone();
    assert_eq!(corpora, json!([]));
}
