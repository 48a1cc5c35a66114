//! What a run takes by the worker, and in this process with `ort` alone. The two take turns.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use meshhost_core::{
    id::Digest,
    inference::{ElementType, Elements, Inference as _, Tensor},
};
use meshhost_inference::Provider;
use ort::{
    environment::Environment,
    ep::{CUDA, ExecutionProviderDispatch, cuda::ConvAlgorithmSearch},
    session::{Session, SessionInputValue},
};
use tokio::runtime::Runtime;

use crate::{
    Files,
    machine::Awake,
    node::{Node, caller, floats},
    onnx,
    report::{Row, Times, ratio, shown},
    tokens,
};

/// Turns, and runs of each in one turn, of the smallest model.
const SMALL: (usize, usize) = (20, 200);
/// The same of the larger ones.
const LARGE: (usize, usize) = (20, 4);
/// What the worker's way may add to a tiny run.
const ADDED_MAX: Duration = Duration::from_micros(60);
/// How many times as long a long run may take.
const TIMES_MAX: f64 = 1.05;
/// What counts as a long run.
const LONG: Duration = Duration::from_millis(5);
/// The worker stands back behind the node on the processor by so much.
const WORKERS_NICE: i32 = 5;

const HOW: &str = "in turns; ort's session alone in this process beside the port that the host import \
                   calls, one thread each";
const IN_THE_ENGINE: &str = "what the worker measures around the engine; the rest are the copies and \
                             switches of ours";
const NICE: &str = "the worker runs at this priority, which costs it nothing unless others want the \
                    processor";

pub(crate) fn measure(runtime: &Runtime, files: &Files) -> Vec<Row> {
    let environment = ort::init_from(&files.library).unwrap().build().unwrap();
    runtime.block_on(async {
        let mut rows = tiny(&environment).await;
        for (what, model, inputs) in runs(files) {
            rows.extend(large(&environment, what, &model, inputs).await);
        }
        rows
    })
}

/// What runs for some milliseconds. A graphics card is given more to do besides.
fn runs(files: &Files) -> Vec<(&'static str, Vec<u8>, Vec<Tensor>)> {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let mut runs = vec![
        ("PP-OCR, 320 x 320", read(&files.detector), picture()),
        ("MiniLM, 16 tokens", read(&files.minilm), tokens(1, 16)),
    ];
    if onnx::provider() != Provider::Cpu {
        let products = vec![floats("x", &[256, 2048], 0.5)];
        runs.push(("MiniLM, 32 texts of 128 tokens", read(&files.minilm), tokens(32, 128)));
        runs.push(("400 products, 256 x 2048 x 2048", onnx::products(2048, 400), products));
    }
    runs
}

fn picture() -> Vec<Tensor> {
    vec![floats("x", &[1, 3, 320, 320], 0.5)]
}

async fn tiny(environment: &Environment) -> Vec<Row> {
    let model = onnx::add(4);
    let inputs = vec![floats("a", &[1, 4], 0.5), floats("b", &[1, 4], 0.5)];
    let node = crate::node();
    let digest = node.add(&model);
    let mut pair = Pair::new(environment, &model, node, digest, inputs);
    let awake = {
        let _awake = Awake::new();
        pair.turns(SMALL).await
    };
    let idle = pair.turns(SMALL).await;
    let added = |taken: &Taken| taken.there.median().saturating_sub(taken.here.median());
    let reached = |taken: &Taken| format!("{}, {} more", taken.there.text(), shown(added(taken)));
    vec![
        Row::shown("4 floats in this process, cores awake", awake.here.text()).by(HOW),
        Row::must(
            "4 floats by the worker, cores awake",
            reached(&awake),
            "≤ 60 µs more",
            added(&awake) <= ADDED_MAX,
        ),
        Row::shown("4 floats in this process, cores idle", idle.here.text()),
        Row::shown("4 floats by the worker, cores idle", reached(&idle)),
    ]
}

/// A model that runs for some milliseconds. Cores may sleep: what keeps them awake would take more
/// from a run, at the worker's priority, than waking does.
async fn large(
    environment: &Environment,
    what: &str,
    model: &[u8],
    inputs: Vec<Tensor>,
) -> Vec<Row> {
    let node = crate::node();
    let digest = node.add(model);
    let mut pair = Pair::new(environment, model, node, digest, inputs);
    let taken = pair.turns(LARGE).await;
    let times = |one: &Times| ratio(one.median(), taken.here.median());
    let text = |one: &Times| format!("{}, {:.3} times", one.text(), times(one));
    let (by_the_worker, reached) = (format!("{what} by the worker"), text(&taken.there));
    vec![
        Row::shown(format!("{what} in this process"), taken.here.text()).by(HOW),
        if taken.here.median() > LONG {
            let is_reached = times(&taken.there) <= TIMES_MAX;
            Row::must(by_the_worker, reached, "≤ 1.05 times", is_reached)
        } else {
            Row::shown(by_the_worker, reached)
        },
        Row::shown("  of it in the engine", text(&taken.engine)).by(IN_THE_ENGINE),
        Row::shown(format!("{what} in this process, nice 5"), text(&taken.stood_back)).by(NICE),
    ]
}

/// One model, in this process and by the worker.
struct Pair {
    session: Session,
    node: Node,
    model: Digest,
    inputs: Vec<Tensor>,
}

/// What its runs took.
#[derive(Default)]
struct Taken {
    here: Times,
    /// In this process, at the worker's priority.
    stood_back: Times,
    there: Times,
    /// The part of `there` in the engine.
    engine: Times,
}

impl Pair {
    fn new(
        environment: &Environment,
        model: &[u8],
        node: Node,
        digest: Digest,
        inputs: Vec<Tensor>,
    ) -> Self {
        let builder = Session::builder(environment).unwrap();
        let builder = builder.with_intra_threads(1).unwrap();
        let mut builder = builder.with_execution_providers(providers()).unwrap();
        let session = builder.commit_from_memory(model).unwrap();
        Self { session, node, model: digest, inputs }
    }

    async fn turns(&mut self, (turns, runs): (usize, usize)) -> Taken {
        let mut taken = Taken::default();
        // What is made at the first run of each is made before.
        self.there(&mut Taken::default()).await;
        self.here();
        for _ in 0..turns {
            (0..runs).for_each(|_| taken.here.push(self.here()));
            self.stood_back(runs, &mut taken.stood_back);
            for _ in 0..runs {
                self.there(&mut taken).await;
            }
        }
        taken
    }

    fn here(&mut self) -> Duration {
        let values: Vec<_> = self.inputs.iter().map(|it| (it.name(), value(it))).collect();
        let since = Instant::now();
        let outputs = self.session.run(values).unwrap();
        let took = since.elapsed();
        drop(outputs);
        took
    }

    fn stood_back(&mut self, runs: usize, times: &mut Times) {
        thread::scope(|scope| {
            scope.spawn(|| {
                // Linux gives each thread a priority of its own, which ends with it.
                rustix::process::nice(WORKERS_NICE).unwrap();
                (0..runs).for_each(|_| times.push(self.here()));
            });
        });
    }

    async fn there(&self, taken: &mut Taken) {
        let inputs = self.inputs.clone();
        let caller = caller("bench");
        let since = Instant::now();
        let (_, report) =
            self.node.serving.run(&caller, &self.model, inputs, vec![]).await.unwrap();
        taken.there.push(since.elapsed());
        taken.engine.push(Duration::from_micros(report.run_us));
    }
}

/// What the worker's sessions run on, with its choices.
fn providers() -> Vec<ExecutionProviderDispatch> {
    match onnx::provider() {
        Provider::Cuda => {
            let cuda = CUDA::default().with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic);
            vec![cuda.build().error_on_failure()]
        }
        _ => Vec::new(),
    }
}

/// A tensor as `ort` takes it: 64-bit numbers or fractions of 32 bits.
fn value(tensor: &Tensor) -> SessionInputValue<'static> {
    use ort::value::Tensor;

    let shape: Vec<i64> = tensor.shape().iter().map(|size| i64::from(*size)).collect();
    match (tensor.elements(), tensor.element_type()) {
        (Elements::Texts(texts), _) => {
            Tensor::from_string_array((shape, texts.as_slice())).unwrap().into()
        }
        (Elements::Bytes(bytes), ElementType::Int64) => {
            let numbers: Vec<i64> = numbers(bytes, i64::from_le_bytes);
            Tensor::from_array((shape, numbers)).unwrap().into()
        }
        (Elements::Bytes(bytes), _) => {
            let numbers: Vec<f32> = numbers(bytes, f32::from_le_bytes);
            Tensor::from_array((shape, numbers)).unwrap().into()
        }
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok()).map(number).collect()
}
