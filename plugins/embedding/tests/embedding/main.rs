//! The plugin's pipeline: with the real model against vectors that were computed elsewhere, and
//! with a model that says what a test wants.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "../../../tokens/tests/support/folder.rs"]
mod folder;
#[path = "../../../tokens/tests/support/stand_in.rs"]
mod stand_in;

use folder::Folder;
use meshhost_embedding::embed::{count_tokens, describe, embed};
use meshhost_tokens::Failure;
use meshhost_tokens::engine::{Element, Input, Output, Pooling, Task, TextUse, Value};
use stand_in::StandIn;

const MINILM: TextUse =
    TextUse { task: Task::Embed, pooling: Pooling::Mean, normalise: true, tokens_max: 256 };

/// What the project accepts of a cosine between a vector and its reference.
const COSINE_MIN: f32 = 0.9999;

/// Texts and their vectors, computed by `models/minilm/reference.py`, which shares no code with this.
fn reference() -> Vec<(String, Vec<f32>)> {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("reference.json")).unwrap();
    let case = |case: serde_json::Value| {
        let vector = serde_json::from_value(case["vector"].clone()).unwrap();
        (case["text"].as_str().unwrap().to_owned(), vector)
    };
    cases.into_iter().map(case).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[test]
fn vectors_are_those_of_the_published_method() {
    let Some(minilm) = Folder::find("minilm", MINILM) else { return };
    let (texts, expected): (Vec<_>, Vec<_>) = reference().into_iter().unzip();
    let (model, vectors) = embed(&minilm, &texts, None).unwrap();
    assert_eq!((model.dimensions, model.tokens_max), (384, 256));
    assert_eq!(vectors.len(), texts.len());
    for ((text, vector), expected) in texts.iter().zip(&vectors).zip(&expected) {
        let cosine = cosine(vector, expected);
        assert!(cosine >= COSINE_MIN, "{cosine} for {text:?}");
        let length = vector.iter().map(|value| value * value).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    let runs = minilm.runs.get();
    assert!(runs < texts.len(), "{runs} runs");

    let alone = embed(&minilm, &texts[3..4], None).unwrap().1;
    assert!(cosine(&alone[0], &vectors[3]) > COSINE_MIN);
}

#[test]
fn nothing_is_cut_off_when_tokens_are_counted() {
    let Some(minilm) = Folder::find("minilm", MINILM) else { return };
    let texts = ["", "Paris", &"word ".repeat(1000)].map(str::to_owned);
    assert_eq!(count_tokens(&minilm, &texts, None).unwrap(), [2, 3, 1002]);
}

/// For each token a vector of two: the token, and 1.
fn tokens(inputs: &[Input]) -> Output {
    let ids = inputs.iter().find(|input| input.name == "input_ids").unwrap();
    let numbers = ids.numbers.iter().flat_map(|id| [f32::from(u16::try_from(*id).unwrap()), 1.0]);
    let shape = vec![ids.rows, ids.numbers.len() / ids.rows, 2];
    Output { shape, numbers: numbers.collect() }
}

fn plain(pooling: Pooling) -> StandIn {
    let used = TextUse { task: Task::Embed, pooling, normalise: false, tokens_max: 8 };
    StandIn::new(used, &[None, None, Some(2)], tokens)
}

#[test]
fn results_stand_in_the_callers_order_and_texts_are_cut() {
    let texts = ["c c c c c c c c c", "a", "", "b b"].map(str::to_owned);
    let (model, vectors) = embed(&plain(Pooling::Mean), &texts, Some("other")).unwrap();
    assert_eq!((model.name.as_str(), model.dimensions, model.tokens_max), ("other", 2, 8));
    // [CLS] is 2, [SEP] is 3; six of the nine have room.
    assert_eq!(vectors, [[41.0 / 8.0, 1.0], [3.0, 1.0], [2.5, 1.0], [15.0 / 4.0, 1.0]]);
    let first = embed(&plain(Pooling::First), &texts, None).unwrap().1;
    assert_eq!(first, [[2.0, 1.0]; 4]);
}

#[test]
fn a_model_that_does_not_say_how_long_its_vectors_are_is_asked() {
    let silent = plain(Pooling::Mean).with(|it| it.outputs[0].shape[2] = None);
    assert_eq!(describe(&silent, None).unwrap().dimensions, 2);
    assert_eq!(embed(&silent, &["a".to_owned()], None).unwrap().0.dimensions, 2);
}

#[test]
fn texts_are_bounded() {
    let model = plain(Pooling::Mean);
    assert!(matches!(embed(&model, &[], None), Err(Failure::Invalid(_))));
    let many = vec![String::new(); 257];
    assert!(matches!(embed(&model, &many, None), Err(Failure::TooLarge(_))));
    assert!(matches!(count_tokens(&model, &many, None), Err(Failure::TooLarge(_))));
    let long = ["a".repeat(4 << 20), "a".to_owned()];
    assert!(matches!(embed(&model, &long, None), Err(Failure::TooLarge(_))));
    assert_eq!(embed(&model, &many[1..], None).unwrap().1.len(), 256);
    assert_eq!(embed(&model, &long[..1], None).unwrap().1, [[2.0, 1.0]]);
}

#[test]
fn a_model_that_does_not_fit_is_told() {
    let extra = Value { name: "pixels".into(), element: Element::Float32, shape: vec![None; 4] };
    let other = TextUse { task: Task::Rerank, ..MINILM };
    for (misfit, said) in [
        (plain(Pooling::Mean).with(|it| it.text = None), "is not for this"),
        (plain(Pooling::Mean).with(|it| it.text = Some(other)), "is not for this"),
        (plain(Pooling::Mean).with(|it| it.inputs.push(extra)), "inputs that are not of text"),
        (plain(Pooling::Mean).with(|it| it.outputs.clear()), "no output for this task"),
    ] {
        let failure = embed(&misfit, &["a".to_owned()], None).unwrap_err();
        let Failure::NoModel(text) = failure else { panic!("{failure}") };
        assert!(text.contains(said), "{text}");
        assert!(describe(&misfit, None).is_err());
    }
    let answers = |answer| StandIn::new(MINILM, &[None, None, Some(2)], answer);
    let flat = answers(|_| Output { shape: vec![1, 2], numbers: vec![0.0; 2] });
    assert!(matches!(embed(&flat, &["a".to_owned()], None), Err(Failure::NoModel(_))));
    let none = answers(|_| Output { shape: vec![1, 3, 2], numbers: vec![f32::NAN; 6] });
    assert!(matches!(embed(&none, &["a".to_owned()], None), Err(Failure::Fault(_))));
}
