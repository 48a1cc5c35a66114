//! How long callers wait for an answer after the worker was killed.

use std::time::{Duration, Instant};

use meshhost_core::{
    id::Digest,
    inference::{Inference as _, Tensor},
};
use tokio::runtime::Runtime;

use crate::{
    Files,
    node::{Node, caller, floats},
    onnx,
    report::{Row, Times, shown},
    tokens,
};

/// How often each model's worker is killed.
const KILLS: usize = 5;
/// How long the next answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);

const HOW: &str = "from kill -9 of the worker to the answer of a call, which loads the model again; \
                   a fresh node each time, since a later start in a row waits on purpose";

pub(crate) fn measure(runtime: &Runtime, files: &Files) -> Vec<Row> {
    runtime.block_on(async {
        let x = vec![floats("x", &[], 1.0)];
        let tiny = |node: &Node| node.add(&onnx::identity(onnx::FLOAT, &[]));
        let minilm = |node: &Node| node.add_file(&files.minilm, 1, None);
        vec![
            row("a tiny model", killed(tiny, &x).await),
            row("MiniLM, 90 MB", killed(minilm, &tokens(1, 16)).await).by(HOW),
        ]
    })
}

fn row(what: &str, times: Times) -> Row {
    let most = times.percentile(100);
    let reached = format!("{}, most {}", shown(times.median()), shown(most));
    Row::must(what, reached, "≤ 1 s", most <= ANSWER_MAX)
}

async fn killed(add: impl Fn(&Node) -> Digest, inputs: &[Tensor]) -> Times {
    let mut times = Times::default();
    for _ in 0..KILLS {
        let node = crate::node();
        let model = add(&node);
        assert!(run(&node, &model, inputs).await, "the first call is answered");
        node.kill();
        let since = Instant::now();
        // A call that reaches the worker before its end is noticed fails with it.
        while !run(&node, &model, inputs).await {
            tokio::task::yield_now().await;
        }
        times.push(since.elapsed());
    }
    times
}

/// Whether a call was answered.
async fn run(node: &Node, model: &Digest, inputs: &[Tensor]) -> bool {
    node.serving.run(&caller("bench"), model, inputs.to_vec(), vec![]).await.is_ok()
}
