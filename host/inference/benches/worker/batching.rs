//! What batching gives callers at once.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use meshhost_core::{
    id::Digest,
    inference::{Inference as _, Tensor},
};
use tokio::runtime::Runtime;

use crate::{
    Files,
    node::{Node, caller},
    report::{Row, Times, per_second, rate, ratio, shown},
    tokens,
};

/// Callers at once.
const CALLERS: usize = 16;
/// Calls of each of them in one turn.
const CALLS: usize = 6;
/// Turns of each way.
const TURNS: usize = 5;
/// How many times as many calls batching has to give.
const RATE_MIN: f64 = 2.0;
/// How many times as long as a lone call the slowest hundredth may take.
const SLOWEST_MAX: f64 = 2.0;

const HOW: &str = "MiniLM, one text of 16 tokens a call; the ways take turns";

/// With one thread, and with as many as the machine has processors, which is what a node takes when
/// nobody says otherwise.
pub(crate) fn measure(runtime: &Runtime, files: &Files) -> Vec<Row> {
    let all = thread::available_parallelism().map_or(1, |all| all.get().try_into().unwrap());
    let mut counts = vec![1, all];
    counts.dedup();
    counts.into_iter().flat_map(|threads| with_threads(runtime, files, threads)).collect()
}

fn with_threads(runtime: &Runtime, files: &Files, threads: u32) -> Vec<Row> {
    runtime.block_on(async {
        let apart = Way::new(&files.minilm, 1, threads).await;
        let together = Way::new(&files.minilm, 16, threads).await;
        let (mut lone, mut single, mut batched) =
            (Taken::default(), Taken::default(), Taken::default());
        for _ in 0..TURNS {
            together.calls(1, CALLS * 3, &mut lone).await;
            apart.calls(CALLERS, CALLS, &mut single).await;
            together.calls(CALLERS, CALLS, &mut batched).await;
        }
        rows(threads, &lone, &single, &batched)
    })
}

fn rows(threads: u32, lone: &Taken, single: &Taken, batched: &Taken) -> Vec<Row> {
    let named = |what: &str| format!("{what}, {threads} threads");
    let times = batched.rate() / single.rate();
    let slowest = ratio(batched.times.p99(), lone.times.p99());
    vec![
        Row::shown(named("one caller"), lone.times.text()).by(HOW),
        Row::shown(named("16 callers, each run by itself"), single.text()),
        Row::must(
            named("16 callers, batches of up to 16"),
            format!("{}, {times:.2} times", batched.text()),
            "≥ 2 times",
            times >= RATE_MIN,
        ),
        Row::must(
            named("16 callers in batches, 99th percentile"),
            format!("{}, {slowest:.2} times", shown(batched.times.p99())),
            "≤ 2 times one caller's",
            slowest <= SLOWEST_MAX,
        ),
    ]
}

/// What calls took, one by one and all of them.
#[derive(Default)]
struct Taken {
    times: Times,
    all: Duration,
}

impl Taken {
    fn rate(&self) -> f64 {
        rate(self.times.count(), self.all)
    }

    fn text(&self) -> String {
        format!("{}, {}", per_second(self.rate()), self.times.text())
    }
}

/// A node that puts so many rows into a batch.
struct Way {
    node: Node,
    model: Digest,
    inputs: Vec<Tensor>,
}

impl Way {
    async fn new(path: &Path, batch_rows: u32, threads: u32) -> Self {
        let node = Node::start(|settings| settings.threads = threads).unwrap();
        let model = node.add_file(path, batch_rows, None);
        let way = Self { node, model, inputs: tokens(1, 16) };
        // The first run of a shape makes what the later ones use.
        way.calls(CALLERS, 2, &mut Taken::default()).await;
        way
    }

    /// So many callers with so many calls each, one after the other.
    async fn calls(&self, callers: usize, calls: usize, taken: &mut Taken) {
        let since = Instant::now();
        let each = (0..callers).map(|_| self.caller(calls));
        for times in futures::future::join_all(each).await {
            taken.times.extend(times);
        }
        taken.all += since.elapsed();
    }

    async fn caller(&self, calls: usize) -> Times {
        let mut times = Times::default();
        for _ in 0..calls {
            let inputs = self.inputs.clone();
            let since = Instant::now();
            self.node.serving.run(&caller("bench"), &self.model, inputs, vec![]).await.unwrap();
            times.push(since.elapsed());
        }
        times
    }
}
