//! A node's part in these tests: a store of models, a clock that is set by hand, and the child.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    inference::{
        ElementType, Elements, Inference as _, InferenceCaller, InferenceError, InferenceQuota,
        RunReport, Tensor,
    },
    limits::Limits,
    ports::Clock,
};
use meshhost_inference::{
    Models, Program, Provider, Serving, Settings, StoredFile, StoredModel, TextModel, WorkerState,
};

use crate::onnx;

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn set_us(&self, now_us: i64) {
        self.0.store(now_us, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The models of a test.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<HashMap<Digest, StoredModel>>);

#[async_trait]
impl Models for Store {
    async fn find(&self, model: &Digest) -> Option<StoredModel> {
        self.0.lock().unwrap().get(model).cloned()
    }
}

/// Models, and everything that they need.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) serving: Serving,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<SetClock>,
    folder: tempfile::TempDir,
}

/// The child of these tests.
#[must_use]
pub(crate) fn program() -> Program {
    Program {
        path: PathBuf::from(env!("CARGO_BIN_EXE_inference-child")),
        arguments: Vec::new(),
        environment: environment(),
    }
}

/// What an engine on a graphics card reads of the environment, as a node hands it on.
fn environment() -> Vec<(OsString, OsString)> {
    if onnx::provider() == Provider::Cpu {
        return Vec::new();
    }
    let set = |name: &str| Some((name.into(), onnx::variable(name)?.into()));
    ["LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"].into_iter().filter_map(set).collect()
}

impl Node {
    /// A node; none where the machine has no ONNX Runtime.
    #[must_use]
    pub(crate) fn start(change: impl FnOnce(&mut Settings)) -> Option<Self> {
        let Some(library) = onnx::library() else {
            println!("skipped: no ONNX Runtime here, run cargo xtask models");
            return None;
        };
        let mut settings = Settings::new(program(), vec![library], 1);
        settings.provider = onnx::provider();
        change(&mut settings);
        let (store, clock) = (Arc::new(Store::default()), Arc::new(SetClock::default()));
        let (models, time) = (Arc::clone(&store), Arc::clone(&clock));
        let serving = Serving::new(settings, models, time);
        let folder = tempfile::tempdir().unwrap();
        Some(Self { serving, store, clock, folder })
    }

    /// Adds a model of these bytes, whose calls never run together.
    pub(crate) fn add(&self, bytes: &[u8]) -> Digest {
        self.add_batched(bytes, 1)
    }

    /// Adds a model with so many rows in one batch.
    pub(crate) fn add_batched(&self, bytes: &[u8], batch_rows: u32) -> Digest {
        let digest = Digest::of(bytes);
        let path = self.folder.path().join(digest.to_hex());
        std::fs::write(&path, bytes).unwrap();
        let length = bytes.len() as u64;
        self.put(StoredModel {
            digest,
            path,
            bytes: length,
            files: vec![],
            batch_rows,
            text: None,
        });
        digest
    }

    /// Adds a real model, with one other file where its text part needs it.
    pub(crate) fn add_file(&self, path: &Path, batch_rows: u32, text: Option<TextModel>) -> Digest {
        let content = std::fs::read(path).unwrap();
        let digest = Digest::of(&content);
        let files = text.iter().map(|text| {
            let path = path.with_file_name(&text.tokenizer);
            let content = std::fs::read(&path).unwrap();
            let bytes = content.len() as u64;
            StoredFile { name: text.tokenizer.clone(), path, digest: Digest::of(&content), bytes }
        });
        let files = files.collect();
        let (path, bytes) = (path.to_owned(), content.len() as u64);
        self.put(StoredModel { digest, path, bytes, files, batch_rows, text });
        digest
    }

    pub(crate) fn put(&self, model: StoredModel) {
        self.store.0.lock().unwrap().insert(model.digest, model);
    }

    /// Where a model's file lies.
    #[must_use]
    pub(crate) fn path(&self, model: &Digest) -> PathBuf {
        self.folder.path().join(model.to_hex())
    }

    /// Runs a model with one input `x`, and gives its only output.
    pub(crate) async fn run(
        &self,
        model: &Digest,
        x: Tensor,
    ) -> Result<(Tensor, RunReport), InferenceError> {
        let (mut outputs, report) =
            self.serving.run(&caller("one"), model, vec![x], vec![]).await?;
        assert_eq!(outputs.len(), 1);
        Ok((outputs.remove(0), report))
    }

    /// Waits until so many runs go on.
    pub(crate) async fn running(&self, count: usize) {
        let wait = async {
            while self.serving.loaded().iter().map(|model| model.running).sum::<usize>() != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.unwrap();
    }

    /// The worker's process, when it runs.
    #[must_use]
    pub(crate) fn process(&self) -> Option<i32> {
        match self.serving.worker() {
            WorkerState::Running { process, .. } => Some(process),
            WorkerState::Absent(_) | WorkerState::Starting => None,
        }
    }

    /// Ends the worker the hard way.
    pub(crate) fn kill(&self) {
        let process = self.process().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
}

/// A plugin with the usual quota, but as many runs as it likes.
#[must_use]
pub(crate) fn caller(plugin: &str) -> InferenceCaller {
    let quota =
        InferenceQuota { runs_per_minute: u32::MAX, ..InferenceQuota::of(&Limits::DEFAULT) };
    InferenceCaller { plugin: plugin.parse().unwrap(), quota }
}

/// A model and an input that keep its provider busy for much longer than a call takes to arrive: on
/// any processor of today for more than ten seconds (430 GFLOP), on a graphics card for more than
/// one (550 TFLOP).
#[must_use]
pub(crate) fn long() -> (Vec<u8>, Tensor) {
    let (columns, products, rows) = match onnx::provider() {
        Provider::Cpu => (512, 400, 2048),
        _ => (2048, 8_000, 8192),
    };
    (onnx::products(columns, products), floats("x", &[rows, columns], 1.0))
}

/// A tensor of one value, over and over.
#[must_use]
pub(crate) fn floats(name: &str, shape: &[u32], value: f32) -> Tensor {
    let count: u32 = shape.iter().product();
    let bytes = (0..count).flat_map(|_| value.to_le_bytes()).collect();
    let elements = Elements::Bytes(bytes);
    Tensor::new(name.into(), ElementType::Float32, shape.to_vec(), elements, u64::MAX).unwrap()
}
