//! The node's side: lets calls in, hands them to the worker, and brings the answers back. What
//! happens when is decided by [`state::State`]; here are the waiting and the port.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    inference::{
        Description, FILE_BYTES_MAX, Inference, InferenceCaller, InferenceError,
        InferenceErrorCode, RunReport, TEXTS_MAX, Tensor, TextTask,
    },
    ports::Clock,
};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use crate::{
    library,
    message::{EngineChoice, Hello, TextRows},
    process::{Event, Events, Input},
    quota::Asks,
    schedule::BatchKey,
    settings::{Engines, Program, Provider, Settings},
    store::{Models, StoredModel},
    text::floats,
};

mod file;
mod list;
mod model;
mod run;
mod state;

pub use list::{LoadedModel, WorkerState};
use state::{Answer, Asked, State};

/// How often running calls are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often an idle worker is looked at.
const IDLE_TICK: Duration = Duration::from_secs(5);

/// The models of a node. Dropping it ends the worker.
#[derive(Debug)]
pub struct Serving {
    shared: Arc<Shared>,
    upkeep: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    models: Arc<dyn Models>,
    clock: Arc<dyn Clock>,
    /// The engine that is used, once it was chosen.
    engine: Mutex<Option<EngineChoice>>,
    state: Mutex<State>,
    /// Something runs that has to be looked at in time.
    work: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    /// Models as the settings say. No process is started until a model is needed. Must be called
    /// within a Tokio runtime.
    #[must_use]
    pub fn new(settings: Settings, models: Arc<dyn Models>, clock: Arc<dyn Clock>) -> Self {
        let settings = Arc::new(settings);
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let events = Arc::new(Listener(Weak::clone(shared)));
            let state = Mutex::new(State::new(Arc::clone(&settings), events));
            Shared { settings, models, clock, engine: Mutex::default(), state, work: Notify::new() }
        });
        let upkeep = tokio::spawn(upkeep(Arc::downgrade(&shared)));
        Self { shared, upkeep }
    }

    /// The models that are loaded, in the order of their digests.
    #[must_use]
    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.shared.lock().loaded()
    }

    /// What runs the models' nodes.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.shared.settings.provider
    }

    /// The worker.
    #[must_use]
    pub fn worker(&self) -> WorkerState {
        self.shared.lock().worker()
    }

    /// Unloads a model that was removed or changed, and forgets that it could not be loaded. Calls
    /// that run on it end first; calls that wait for it are `not-found`.
    pub fn forget(&self, model: &Digest) {
        self.shared.lock().forget(model);
    }

    fn enter(&self, caller: &InferenceCaller, asks: Asks) -> Result<Entered<'_>, InferenceError> {
        let now_us = self.shared.clock.now_us();
        self.shared.lock().quotas.enter(caller, asks, now_us)?;
        Ok(Entered { shared: &self.shared, caller: caller.clone() })
    }

    async fn find(&self, model: &Digest) -> Result<StoredModel, InferenceError> {
        self.shared.models.find(model).await.ok_or_else(|| {
            InferenceError::new(InferenceErrorCode::NotFound, "there is no such model here")
        })
    }

    /// The description of a model; loads it when nobody did.
    async fn description(&self, stored: &StoredModel) -> Result<Arc<Description>, InferenceError> {
        let asked = self.shared.lock().describe(stored, Instant::now())?;
        self.shared.work.notify_one();
        match asked {
            Asked::Known(description) => Ok(description),
            Asked::Loading(answer) => answer.await.unwrap_or_else(|_| Err(stopped())),
        }
    }

    /// Queues a call and waits for its answer. Dropping the future takes it back.
    async fn call(
        &self,
        caller: &InferenceCaller,
        stored: &StoredModel,
        input: Input,
        batch: Option<(BatchKey, u32)>,
        bytes: u64,
    ) -> Result<Answer, InferenceError> {
        let quota = caller.quota.tensor_bytes;
        if bytes > quota.min(self.shared.settings.shared_bytes) {
            return Err(too_large("the inputs take", bytes, quota));
        }
        let (id, answer) = {
            let (sender, answer) = oneshot::channel();
            let call = state::NewCall { plugin: &caller.plugin, input, batch, bytes, sender };
            (self.shared.lock().submit(stored, call, Instant::now())?, answer)
        };
        self.shared.work.notify_one();
        let _taken_back = TakeBack { shared: &self.shared, id };
        let answer = answer.await.unwrap_or_else(|_| Err(stopped()))?;
        let bytes = answer.outputs.iter().map(|tensor| tensor.elements().cost_bytes()).sum();
        if bytes > quota {
            return Err(too_large("the outputs take", bytes, quota));
        }
        Ok(answer)
    }

    async fn rows(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        rows: TextRows,
        wanted: fn(&TextTask) -> bool,
    ) -> Result<(Vec<Vec<f32>>, RunReport), InferenceError> {
        let _entered = self.enter(caller, Asks::Run)?;
        let count = u32::try_from(rows.len()).ok().filter(|_| rows.len() <= TEXTS_MAX);
        let count = count.filter(|count| *count > 0).ok_or_else(|| {
            let message = format!("a call takes 1 to {TEXTS_MAX} texts");
            InferenceError::new(InferenceErrorCode::InvalidArgument, &message)
        })?;
        let stored = self.find(model).await?;
        if !stored.text.as_ref().is_some_and(|text| wanted(&text.usage.task)) {
            let message = "the model was not added for this task";
            return Err(InferenceError::new(InferenceErrorCode::InvalidArgument, message));
        }
        self.description(&stored).await?;
        let length = |(text, other): &(String, Option<String>)| {
            text.len() + other.as_ref().map_or(0, String::len)
        };
        let bytes: usize = rows.iter().map(length).sum();
        let batch = Some((BatchKey::Texts, count));
        let answer = self.call(caller, &stored, Input::Texts(rows), batch, bytes as u64).await?;
        let vectors = answer.outputs.first().map(vectors).transpose()?.unwrap_or_default();
        if vectors.len() != usize::try_from(count).unwrap_or(0) {
            let message = "the model did not give a row for each text";
            return Err(InferenceError::new(InferenceErrorCode::Failed, message));
        }
        Ok((vectors, answer.report))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.upkeep.abort();
        self.shared.lock().stop();
    }
}

#[async_trait]
impl Inference for Serving {
    async fn describe(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
    ) -> Result<Arc<Description>, InferenceError> {
        let _entered = self.enter(caller, Asks::Description)?;
        let stored = self.find(model).await?;
        self.description(&stored).await
    }

    async fn run(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
    ) -> Result<(Vec<Tensor>, RunReport), InferenceError> {
        let _entered = self.enter(caller, Asks::Run)?;
        let stored = self.find(model).await?;
        let description = self.description(&stored).await?;
        let bytes = inputs.iter().map(|tensor| tensor.elements().cost_bytes()).sum();
        if bytes > caller.quota.tensor_bytes {
            return Err(too_large("the inputs take", bytes, caller.quota.tensor_bytes));
        }
        description.check_inputs(&inputs)?;
        description.check_outputs(&outputs)?;
        let mut values = description.inputs.iter().chain(&description.outputs);
        let batched = values.all(|info| info.shape.first() == Some(&None));
        let batch = if batched { BatchKey::of(&inputs, &outputs) } else { None };
        let input = Input::Tensors { inputs, outputs };
        let answer = self.call(caller, &stored, input, batch, bytes).await?;
        Ok((answer.outputs, answer.report))
    }

    async fn embed(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        texts: Vec<String>,
    ) -> Result<(Vec<Vec<f32>>, RunReport), InferenceError> {
        let rows = texts.into_iter().map(|text| (text, None)).collect();
        self.rows(caller, model, rows, |task| matches!(task, TextTask::Embed { .. })).await
    }

    async fn rerank(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        query: String,
        passages: Vec<String>,
    ) -> Result<(Vec<f32>, RunReport), InferenceError> {
        let rows = passages.into_iter().map(|passage| (query.clone(), Some(passage))).collect();
        let wanted = |task: &TextTask| matches!(task, TextTask::Rerank);
        let (rows, report) = self.rows(caller, model, rows, wanted).await?;
        Ok((rows.into_iter().flatten().collect(), report))
    }

    async fn file(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        name: &str,
    ) -> Result<Vec<u8>, InferenceError> {
        let _entered = self.enter(caller, Asks::Description)?;
        let stored = self.find(model).await?;
        let file = stored.files.into_iter().find(|file| file.name == name).ok_or_else(|| {
            InferenceError::new(InferenceErrorCode::NotFound, "the model has no such file")
        })?;
        let most = FILE_BYTES_MAX.min(caller.quota.tensor_bytes);
        if file.bytes > most {
            return Err(too_large("the file takes", file.bytes, most));
        }
        file::read(file).await
    }
}

/// The rows of a tensor of two dimensions.
fn vectors(tensor: &Tensor) -> Result<Vec<Vec<f32>>, InferenceError> {
    let width = tensor.shape().get(1).and_then(|width| usize::try_from(*width).ok()).unwrap_or(1);
    Ok(floats(tensor)?.chunks(width.max(1)).map(<[f32]>::to_vec).collect())
}

fn too_large(what: &str, bytes: u64, most: u64) -> InferenceError {
    let message = format!("{what} {bytes} bytes, and a call may use {most}");
    InferenceError::new(InferenceErrorCode::TooLarge, &message)
}

fn stopped() -> InferenceError {
    InferenceError::new(InferenceErrorCode::Unavailable, "the node is stopping")
}

/// A call that was let in; leaves when it is dropped.
#[derive(Debug)]
struct Entered<'a> {
    shared: &'a Shared,
    caller: InferenceCaller,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.shared.lock().quotas.leave(&self.caller.plugin);
    }
}

/// Takes a call back when its caller goes away. Harmless after its answer.
#[derive(Debug)]
struct TakeBack<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for TakeBack<'_> {
    fn drop(&mut self) {
        self.shared.lock().cancel(self.id, Instant::now());
    }
}

/// Looks after what has to happen in time, as long as there is something.
async fn upkeep(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let now_us = strong.clock.now_us();
        let busy = strong.lock().maintain(Instant::now(), now_us);
        let tick = match busy {
            state::Busy::Running => TICK,
            state::Busy::Idle | state::Busy::Absent => IDLE_TICK,
        };
        if busy == state::Busy::Running {
            drop(strong);
            tokio::time::sleep(tick).await;
        } else {
            // The permit of an earlier notice may be here still: then it looks once more.
            let _ = tokio::time::timeout(tick, strong.work.notified()).await;
        }
    }
}

/// Brings what the worker's threads say to the state.
#[derive(Debug)]
struct Listener(Weak<Shared>);

impl Events for Listener {
    fn hello(&self) -> Result<(Program, Hello), InferenceError> {
        let shared = self.0.upgrade().ok_or_else(stopped)?;
        let settings = &shared.settings;
        let mut found = shared.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match &*found {
            Some(engine) => engine.clone(),
            None => choose(settings)?,
        };
        *found = Some(engine.clone());
        let hello = Hello {
            engine,
            provider: settings.provider,
            threads: settings.threads,
            memory_bytes: settings.memory_bytes,
            shared_bytes: settings.shared_bytes,
            output_bytes: settings.output_bytes,
            parent: rustix::process::getpid().as_raw_nonzero().get(),
        };
        Ok((settings.program.clone(), hello))
    }

    fn event(&self, generation: u64, event: Event) {
        if let Some(shared) = self.0.upgrade() {
            let now_us = shared.clock.now_us();
            shared.lock().event(generation, event, Instant::now(), now_us);
        }
    }

    fn ended(&self, generation: u64, reason: &str) {
        if let Some(shared) = self.0.upgrade() {
            shared.lock().ended(generation, reason, Instant::now());
        }
    }
}

/// The engine that the settings allow and that can be used here.
fn choose(settings: &Settings) -> Result<EngineChoice, InferenceError> {
    if settings.engines == Engines::Embedded {
        return embedded(settings);
    }
    let probed = library::probe_all(&settings.program, &settings.libraries, settings.provider);
    for refused in &probed {
        if let Err(error) = &refused.result {
            tracing::info!(library = %refused.library.display(), %error, "not used");
        }
    }
    let usable = probed.into_iter().find(|probed| probed.result.is_ok());
    match usable {
        Some(usable) => Ok(EngineChoice::OnnxRuntime { library: usable.library }),
        None if settings.engines == Engines::Any => embedded(settings),
        None => Err(no_library(settings.provider)),
    }
}

fn embedded(settings: &Settings) -> Result<EngineChoice, InferenceError> {
    if settings.provider == Provider::Cpu {
        return Ok(EngineChoice::Embedded);
    }
    Err(no_library(settings.provider))
}

fn no_library(provider: Provider) -> InferenceError {
    let message = format!(
        "no usable library of ONNX Runtime was found on this node for `{provider}`: \
         `meshhost runtime list` says why"
    );
    InferenceError::new(InferenceErrorCode::Unavailable, &message)
}
