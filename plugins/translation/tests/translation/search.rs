//! Decoding, compared with a search without cache and batches (`tests/python/search.py`), which itself is
//! compared with `transformers`: the same tokens, and scores within 0.0001.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

use meshhost_translation::model::Translator;
use meshhost_translation::search::Decoded;
use meshhost_translation::settings::Settings;

use crate::models::{self, Folder};

const SCORE_DIFFERENCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Given {
    sentences: Vec<Vec<u32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    rules: Value,
    found: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    tokens: Vec<u32>,
    score: f32,
}

fn given() -> Given {
    serde_json::from_slice(&fs::read(models::files().join("search.json")).unwrap()).unwrap()
}

/// The random model, whose vocabulary says nothing, merged or as two decoders.
fn random(merged: bool) -> Folder {
    let encoder = ("random-encoder", "encoder_model.onnx");
    let decoders: &[_] = if merged {
        &[encoder, ("random-decoder", "decoder_model_merged.onnx")]
    } else {
        let later = ("random-decoder-with-past", "decoder_with_past_model.onnx");
        &[encoder, ("random-decoder", "decoder_model.onnx"), later]
    };
    let mut folder = Folder::new(&models::files(), decoders);
    let config = r#"{"model_type": "marian", "eos_token_id": 0, "decoder_start_token_id": 31}"#;
    folder.beside.insert("config.json".to_owned(), config.into());
    for (name, file) in [
        ("source.spm", "unigram.spm"),
        ("target.spm", "unigram.spm"),
        ("vocab.json", "unigram.vocab.json"),
    ] {
        folder.beside.insert(name.to_owned(), fs::read(models::files().join(file)).unwrap());
    }
    folder
}

fn settings(rules: &Value) -> Settings {
    Settings::read(
        br#"{"model_type": "marian", "pad_token_id": 31}"#,
        Some(rules.to_string().as_bytes()),
    )
    .unwrap()
}

fn compare(case: &Case, settings: &Settings, found: &[Option<Decoded>]) {
    assert_eq!(case.found.len(), found.len());
    for (number, (wanted, found)) in case.found.iter().zip(found).enumerate() {
        let found = found.as_ref().unwrap_or_else(|| panic!("{}, {number}: nothing", case.name));
        let ends = settings.ends.contains(wanted.tokens.last().unwrap());
        let wanted_tokens = &wanted.tokens[1..wanted.tokens.len() - usize::from(ends)];
        assert_eq!(found.tokens, wanted_tokens, "{}, {number}", case.name);
        let difference = (found.score - wanted.score).abs() / wanted.score.abs().max(1.0);
        assert!(difference < SCORE_DIFFERENCE, "{}, {number}: {difference}", case.name);
        assert_eq!(
            found.cut,
            wanted.tokens.len() == settings.length_max,
            "{}, {number}",
            case.name
        );
    }
}

#[test]
fn all_rules_find_what_the_other_search_finds() {
    let (given, folder) = (given(), random(true));
    let translator = Translator::open(&folder, "random").unwrap();
    assert!(given.cases.len() >= 36);
    let mut ways = std::collections::BTreeSet::new();
    for case in &given.cases {
        let settings = settings(&case.rules);
        let found = translator.decode(&given.sentences, &settings).unwrap();
        compare(case, &settings, &found);
        ways.extend(case.found.iter().map(|found| found.tokens.clone()));
    }
    // The rules make a difference: these are not a few translations over and over.
    assert!(ways.len() > 60, "{}", ways.len());
}

#[test]
fn two_decoders_find_what_the_merged_one_finds() {
    let (given, folder) = (given(), random(false));
    let translator = Translator::open(&folder, "random").unwrap();
    for case in given.cases.iter().step_by(3) {
        let settings = settings(&case.rules);
        compare(case, &settings, &translator.decode(&given.sentences, &settings).unwrap());
    }
    let runs = folder.runs.borrow();
    let decoders: Vec<_> = runs
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !name.ends_with("encoder"))
        .collect();
    assert_eq!(decoders[0], "random-decoder");
    assert!(decoders[1..3].iter().all(|name| *name == "random-decoder-with-past"));
}

#[test]
fn sentences_that_are_done_leave_the_batch() {
    let (given, folder) = (given(), random(true));
    let translator = Translator::open(&folder, "random").unwrap();
    let case = given.cases.iter().find(|case| case.name == "1 beams").unwrap();
    translator.decode(&given.sentences, &settings(&case.rules)).unwrap();
    let rows: Vec<_> = folder.runs.borrow().iter().map(|(_, rows)| *rows).collect();
    let lengths: Vec<_> = case.found.iter().map(|found| found.tokens.len() - 1).collect();
    // One run of the encoder, then one of the decoder for each token.
    let longest = *lengths.iter().max().unwrap();
    let wanted = (0..longest).map(|step| lengths.iter().filter(|length| **length > step).count());
    assert_eq!(rows[1..], wanted.collect::<Vec<_>>());
    assert!(rows[1] > *rows.last().unwrap());
}
