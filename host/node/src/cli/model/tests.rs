use meshhost_core::id::Digest;

use super::*;
use crate::{
    api::{DamagedFile, RunningModel},
    store::models::ModelFile,
};

fn model(name: &str) -> ModelRecord {
    ModelRecord {
        name: name.parse().unwrap(),
        digest: Digest::of(name.as_bytes()),
        bytes: 3 << 20,
        files: vec![ModelFile {
            name: "tokenizer.json".to_owned(),
            digest: Digest::of(b"{}"),
            bytes: 2,
        }],
        task: Task::Embed {
            tokenizer: "tokenizer.json".to_owned(),
            tokens_max: 1_256,
            pooling: Pooling::Mean,
            normalise: true,
        },
        batch_rows: 16,
        licence: "Apache-2.0\u{1b}[2J".to_owned(),
        source: "somewhere, in many words ".repeat(8),
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn fits(text: &str) {
    for line in plain(text).lines() {
        // A digest stays whole, so that it can be copied.
        assert!(line.chars().count() <= 80 || line.contains("blake3:"), "{line:?}");
    }
}

#[test]
fn what_was_added_shows_its_licence() {
    let (old, same) = (Digest::of(b"old"), model("minilm").digest);
    for (change, replaced, words) in [
        (ModelChange::Added, None, "minilm is added\n"),
        (ModelChange::Updated, Some(old), "minilm is updated; before it was "),
        (ModelChange::Updated, Some(same), "used in another way"),
        (ModelChange::Unchanged, None, "is unchanged\n"),
    ] {
        let text = said(&AddedModel { model: model("minilm"), change, replaced });
        fits(&text);
        assert!(text.contains(words), "{text}");
        assert!(text.contains("licence   Apache-2.0\\u{1b}[2J"), "spelt out: {text}");
    }
}

#[test]
fn lists_and_cards_fit_the_screen() {
    let long = model(&"m".repeat(64));
    for text in [list(&[model("minilm"), long.clone()]), card(&long)] {
        fits(&text);
        assert!(!text.contains("\u{1b}[2J"), "{text}");
    }
    assert!(card(&long).contains("embed: the mean of all tokens, scaled to length 1"));
    assert!(list(&[]).contains("meshhost model add"));
}

#[test]
fn what_runs_and_what_is_damaged_is_shown() {
    let absent = RunningModels {
        worker: "absent".to_owned(),
        process: None,
        engine: None,
        reason: None,
        models: Vec::new(),
    };
    assert!(processes(&absent).contains("one starts when"));
    let failed = RunningModels { reason: Some("no library".to_owned()), ..absent.clone() };
    assert!(processes(&failed).contains("no library"));
    let running = RunningModel {
        name: None,
        digest: Digest::of(b"x"),
        engine: "ONNX Runtime 1.31.1".to_owned(),
        provider: "cpu".to_owned(),
        sessions: 1,
        bytes: 1 << 30,
        runs: 1_000_000,
        running: 1,
        waiting: 2,
    };
    let running = RunningModels {
        worker: "running".to_owned(),
        process: Some(7),
        engine: Some(running.engine.clone()),
        models: vec![running],
        ..absent
    };
    let text = processes(&running);
    fits(&text);
    assert!(text.contains("process 7") && text.contains("1 run, 2 wait"), "{text}");

    let damaged = DamagedFile {
        model: "minilm".parse().unwrap(),
        file: None,
        digest: Digest::of(b"x"),
        problem: "changed".to_owned(),
    };
    let found = ModelVerification { files: 1, bytes: 2, damaged: vec![damaged] };
    let text = plain(&verified(&found));
    assert!(text.contains("minilm  the model itself  changed"), "{text}");
}
