//! What the worker costs and what batching gives, beside the engine in this very process:
//! `cargo bench -p meshhost-inference`, which `cargo xtask bench inference` runs first. Needs what
//! `cargo xtask models` fetches. `MESHHOST_TEST_PROVIDER=cuda` measures both sides on a graphics
//! card.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

mod batching;
mod beside;
#[path = "../../../../tests/bench/machine.rs"]
mod machine;
#[path = "../../tests/support/node.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod node;
#[path = "../../tests/support/onnx.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod onnx;
#[path = "../../../../tests/bench/report.rs"]
mod report;
mod restart;

use std::path::PathBuf;

use meshhost_core::inference::{ElementType, Elements, Tensor};
use meshhost_inference::Provider;
use node::Node;
use report::{Figure, Row};
use tokio::runtime::Runtime;

/// The files that are measured with.
#[derive(Debug)]
pub(crate) struct Files {
    library: PathBuf,
    detector: PathBuf,
    minilm: PathBuf,
}

impl Files {
    fn find() -> Option<Self> {
        Some(Self {
            library: onnx::library()?,
            detector: onnx::real_model("ppocr/det.onnx")?,
            minilm: onnx::real_model("minilm/model.onnx")?,
        })
    }
}

/// Measures one figure.
type Measure = fn(&Runtime, &Files) -> Vec<Row>;

const FIGURES: [(&str, Measure); 3] = [
    ("inference: one run", beside::measure),
    ("inference: batches", batching::measure),
    ("inference: a worker's end", restart::measure),
];

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let Some(files) = Files::find() else {
        println!("skipped: no models or no ONNX Runtime here, run cargo xtask models");
        return;
    };
    let provider = onnx::provider();
    if !matches!(provider, Provider::Cpu | Provider::Cuda) {
        println!("skipped: {provider} is not measured, cpu and cuda are");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (name, measure) in FIGURES {
        if !json {
            println!("\n{}, models on {provider}", machine::description());
        }
        let figure = Figure::new(name, Ok(measure(&runtime, &files)));
        println!("{}", if json { figure.json() } else { figure.text() });
    }
}

/// A node whose sessions have one thread. Must be called within a Tokio runtime.
fn node() -> Node {
    Node::start(|_| {}).unwrap()
}

/// So many texts of so many tokens, as MiniLM takes them.
fn tokens(texts: u32, each: u32) -> Vec<Tensor> {
    let numbers = |name: &str, value: i64| {
        let bytes = (0..texts * each).flat_map(|_| value.to_le_bytes()).collect();
        let (elements, shape) = (Elements::Bytes(bytes), vec![texts, each]);
        Tensor::new(name.into(), ElementType::Int64, shape, elements, 1 << 20).unwrap()
    };
    vec![numbers("input_ids", 2023), numbers("attention_mask", 1), numbers("token_type_ids", 0)]
}
