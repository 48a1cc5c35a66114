//! The plugin's pipeline: with a real cross-encoder against logits that were computed elsewhere, and
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
use meshhost_rerank::rerank::{describe, ranked, scores};
use meshhost_tokens::Failure;
use meshhost_tokens::engine::{Input, Output, Pooling, Task, TextUse};
use stand_in::StandIn;

const USED: TextUse =
    TextUse { task: Task::Rerank, pooling: Pooling::Mean, normalise: false, tokens_max: 128 };

/// What ONNX Runtime may differ by as well.
const DIFFERENCE_MAX: f32 = 1e-3;

#[test]
fn scores_are_the_logits_and_the_passage_that_answers_is_first() {
    let Some(tiny) = Folder::find("tiny-rerank", USED) else { return };
    // Written by models/tiny-rerank/check.py, which computes them in float64 and shares no code
    // with this.
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&tiny.file("expected.json")).unwrap();
    assert!(cases.len() >= 5);
    for case in cases {
        let query = case["query"].as_str().unwrap();
        let passages: Vec<String> = serde_json::from_value(case["passages"].clone()).unwrap();
        let expected: Vec<f32> = serde_json::from_value(case["logits"].clone()).unwrap();
        let (model, found) = scores(&tiny, query, &passages, None).unwrap();
        assert_eq!((model.name.as_str(), model.tokens_max), ("tiny-rerank", 128));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= DIFFERENCE_MAX, "{query}: {found} {expected}");
        }
        assert_eq!(ranked(&found)[0].0, 0, "{query} {passages:?} {found:?}");
    }
}

/// For each pair the sum of its own tokens: [CLS] is 2, [SEP] is 3, a is 4, b is 5.
fn sums(inputs: &[Input]) -> Output {
    let of = |name| &inputs.iter().find(|input| input.name == name).unwrap().numbers;
    let (ids, mask) = (of("input_ids"), of("attention_mask"));
    let rows = inputs[0].rows;
    let own = ids.iter().zip(mask).map(|(id, mask)| id * mask).collect::<Vec<_>>();
    let sum = |row: &[u32]| f32::from(u16::try_from(row.iter().sum::<u32>()).unwrap());
    let numbers = own.chunks(own.len() / rows).map(sum).collect();
    Output { shape: vec![rows, 1], numbers }
}

fn model(tokens_max: u32) -> StandIn {
    StandIn::new(TextUse { tokens_max, ..USED }, &[None, Some(1)], sums)
}

#[test]
fn scores_stand_in_the_callers_order_and_the_longer_side_is_cut() {
    let passages = ["b b b b b b b b b", "", "a"].map(str::to_owned);
    let found = scores(&model(64), "a", &passages, Some("other")).unwrap();
    assert_eq!(found.0.name, "other");
    assert_eq!(found.1, [57.0, 12.0, 16.0]);
    // Five have room beside the marks: one a and four b; two and three; four a and an a.
    let cut = |query: &str| scores(&model(8), query, &passages, None).unwrap().1;
    assert_eq!(cut("a"), [32.0, 12.0, 16.0]);
    assert_eq!(cut("a a a a a a a a")[..], [8.0 + 8.0 + 15.0, 28.0, 28.0]);
}

#[test]
fn passages_are_bounded() {
    let model = model(64);
    assert_eq!(describe(&model, None).unwrap().tokens_max, 64);
    assert!(matches!(scores(&model, "a", &[], None), Err(Failure::Invalid(_))));
    let many = vec![String::new(); 257];
    assert!(matches!(scores(&model, "a", &many, None), Err(Failure::TooLarge(_))));
    assert_eq!(scores(&model, "a", &many[1..], None).unwrap().1.len(), 256);
    let query = "a".repeat(4 << 20);
    assert!(scores(&model, &query, &[String::new()], None).is_ok());
    assert!(matches!(scores(&model, &query, &["a".to_owned()], None), Err(Failure::TooLarge(_))));
}

#[test]
fn a_model_that_does_not_fit_is_told() {
    let passages = ["a".to_owned()];
    let refusal = |engine: &StandIn| scores(engine, "a", &passages, None).unwrap_err();
    let embeds = TextUse { task: Task::Embed, ..USED };
    let other = model(64).with(|it| it.text = Some(embeds));
    assert!(matches!(refusal(&other), Failure::NoModel(_)));
    let answers = |answer| StandIn::new(USED, &[None, Some(1)], answer);
    let labels = answers(|_| Output { shape: vec![1, 2], numbers: vec![0.0; 2] });
    assert!(matches!(refusal(&labels), Failure::NoModel(_)));
    let none = answers(|_| Output { shape: vec![1, 1], numbers: vec![f32::NAN] });
    assert!(matches!(refusal(&none), Failure::Fault(_)));
}
