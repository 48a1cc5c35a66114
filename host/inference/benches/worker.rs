//! What the worker costs and what batching gives, beside the engine in this very process:
//! `cargo bench -p meshhost-inference`. Needs what `cargo xtask models` fetches.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

#[path = "../tests/support/node.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod node;
#[path = "../tests/support/onnx.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod onnx;

use std::time::{Duration, Instant};

use meshhost_core::{
    id::Digest,
    inference::{ElementType, Elements, Inference as _, Tensor},
};
use node::{Node, caller, floats};
use ort::session::Session;

/// Rounds of the small model.
const SMALL: usize = 5_000;
/// Rounds of the large one.
const LARGE: usize = 40;
/// Callers at once.
const CALLERS: usize = 16;
/// Calls of each of them.
const CALLS: usize = 12;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (Some(library), Some(det), Some(minilm)) = (
        onnx::library(),
        onnx::real_model("ppocr/det.onnx"),
        onnx::real_model("minilm/model.onnx"),
    ) else {
        println!("skipped: run cargo xtask models");
        return;
    };
    let environment = ort::init_from(&library).unwrap().build().unwrap();
    let session = |model: &[u8]| {
        let builder = Session::builder(&environment).unwrap();
        let mut builder = builder.with_intra_threads(1).unwrap();
        builder.commit_from_memory(model).unwrap()
    };
    runtime.block_on(async {
        small(&mut session(&onnx::add(4))).await;
        large(&mut session(&std::fs::read(&det).unwrap()), &det).await;
        batching(&minilm).await;
        restart(&minilm).await;
    });
}

fn node() -> Node {
    Node::start(|_| {}).unwrap()
}

/// The middle and the slowest hundredth of what each round took.
fn shown(mut rounds: Vec<Duration>) -> (Duration, Duration) {
    rounds.sort();
    let at = |part: usize| rounds.get(rounds.len() * part / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

fn direct(
    session: &mut Session,
    inputs: &[(&str, Vec<i64>)],
    rounds: usize,
) -> (Duration, Duration) {
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let values: Vec<_> = inputs
            .iter()
            .map(|(name, shape)| {
                let count = usize::try_from(shape.iter().product::<i64>()).unwrap();
                let tensor = ort::value::Tensor::from_array((shape.clone(), vec![0.5_f32; count]));
                (*name, tensor.unwrap())
            })
            .collect();
        let since = Instant::now();
        let outputs = session.run(values).unwrap();
        took.push(since.elapsed());
        drop(outputs);
    }
    shown(took)
}

async fn served(
    node: &Node,
    model: &Digest,
    inputs: &[Tensor],
    rounds: usize,
) -> (Duration, Duration) {
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let inputs = inputs.to_vec();
        let since = Instant::now();
        node.serving.run(&caller("bench"), model, inputs, vec![]).await.unwrap();
        took.push(since.elapsed());
    }
    shown(took)
}

async fn small(session: &mut Session) {
    let shape = vec![1, 4];
    let here = direct(session, &[("a", shape.clone()), ("b", shape)], SMALL);
    let node = node();
    let model = node.add(&onnx::add(4));
    let inputs = [floats("a", &[1, 4], 0.5), floats("b", &[1, 4], 0.5)];
    let there = served(&node, &model, &inputs, SMALL).await;
    println!("4 floats, in process: median {:?}, 99th {:?}", here.0, here.1);
    println!("4 floats, by the worker: median {:?}, 99th {:?}", there.0, there.1);
}

async fn large(session: &mut Session, path: &std::path::Path) {
    let here = direct(session, &[("x", vec![1, 3, 320, 320])], LARGE);
    let node = node();
    let model = node.add_file(path, 1, None);
    let there = served(&node, &model, &[floats("x", &[1, 3, 320, 320], 0.5)], LARGE).await;
    let ratio = there.0.as_secs_f64() / here.0.as_secs_f64();
    println!("PP-OCR 320 x 320, in process: median {:?}, 99th {:?}", here.0, here.1);
    println!(
        "PP-OCR 320 x 320, by the worker: median {:?}, 99th {:?}, {ratio:.3} times",
        there.0, there.1
    );
}

/// One text of 16 tokens, as the model takes it.
fn tokens() -> Vec<Tensor> {
    let numbers = |name: &str, value: i64| {
        let bytes = (0..16).flat_map(|_| value.to_le_bytes()).collect();
        let elements = Elements::Bytes(bytes);
        Tensor::new(name.into(), ElementType::Int64, vec![1, 16], elements, 4096).unwrap()
    };
    vec![numbers("input_ids", 2023), numbers("attention_mask", 1), numbers("token_type_ids", 0)]
}

async fn batching(path: &std::path::Path) {
    for batch_rows in [1, 16] {
        let node = node();
        let model = node.add_file(path, batch_rows, None);
        let wanted: Vec<String> = {
            let description = node.serving.describe(&caller("bench"), &model).await.unwrap();
            description.inputs.iter().map(|input| input.name.clone()).collect()
        };
        let inputs: Vec<Tensor> =
            tokens().into_iter().filter(|it| wanted.iter().any(|name| name == it.name())).collect();
        served(&node, &model, &inputs, 5).await;
        let since = Instant::now();
        let callers = (0..CALLERS).map(|_| served(&node, &model, &inputs, CALLS));
        futures::future::join_all(callers).await;
        let rate = (CALLERS * CALLS) as f64 / since.elapsed().as_secs_f64();
        println!(
            "MiniLM, 16 tokens, {CALLERS} callers, batches of {batch_rows}: {rate:.0} a second"
        );
    }
}

async fn restart(path: &std::path::Path) {
    let node = node();
    let small = node.add(&onnx::identity(onnx::FLOAT, &[]));
    let minilm = node.add_file(path, 1, None);
    node.run(&small, floats("x", &[], 1.0)).await.unwrap();
    for (name, wanted) in [("the small model", false), ("MiniLM, 90 MB", true)] {
        let before = node.process();
        node.kill();
        let since = Instant::now();
        while node.process().is_none_or(|now| Some(now) == before) {
            tokio::task::yield_now().await;
        }
        let started = since.elapsed();
        let model = if wanted { &minilm } else { &small };
        if wanted {
            node.serving.describe(&caller("bench"), model).await.unwrap();
        } else {
            node.run(model, floats("x", &[], 1.0)).await.unwrap();
        }
        println!(
            "kill -9 to the next answer of {name}: {:?} ({started:?} to a new worker)",
            since.elapsed()
        );
    }
}
