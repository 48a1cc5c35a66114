//! What happens when. It knows which models are loaded, which calls wait and run, and what the
//! worker does; time comes in as a value. Whatever changes ends in [`State::pump`], which starts
//! what can be started.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use meshhost_core::{
    id::{Digest, PluginName},
    inference::{Description, InferenceError, InferenceErrorCode, RunReport, Tensor},
};
use tokio::sync::oneshot;

use super::{
    model::{Model, Phase, Slot},
    run::{Part, Run},
};
use crate::{
    process::{Events, Input, Order, Process},
    quota::Quotas,
    schedule::{BatchKey, Job, Room, Schedule},
    settings::Settings,
    store::StoredModel,
};

mod outcome;
mod upkeep;

pub(super) use upkeep::Busy;

/// A model that could not be loaded is not tried again for so long.
const FAILED: Duration = Duration::from_secs(10);
/// A model with which the worker ended so often in a row is not loaded for a while.
const CRASHES_MAX: u32 = 3;
/// How long such a model is left alone.
const CRASHED: Duration = Duration::from_secs(600);

/// The worker, as far as it is.
#[derive(Debug)]
pub(super) enum Worker {
    /// There is none, and before this time none is started.
    Absent { until: Option<Instant>, reason: Option<String> },
    /// It has not said yet that its engine runs.
    Starting(Process),
    /// It loads and runs models.
    Ready { process: Process, engine: Arc<str> },
}

/// A call that waits for its answer.
#[derive(Debug)]
struct Call {
    plugin: PluginName,
    model: Digest,
    input: Arc<Input>,
    rows: u32,
    since: Instant,
    sender: Sender,
}

type Sender = oneshot::Sender<Result<Answer, InferenceError>>;

/// What a call gets.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outputs: Vec<Tensor>,
    pub(super) report: RunReport,
}

/// A call as it comes in.
#[derive(Debug)]
pub(super) struct NewCall<'a> {
    pub(super) plugin: &'a PluginName,
    pub(super) input: Input,
    /// What it must share with others to run together, and its rows.
    pub(super) batch: Option<(BatchKey, u32)>,
    pub(super) bytes: u64,
    pub(super) sender: Sender,
}

/// A description, or where it will come.
#[derive(Debug)]
pub(super) enum Asked {
    Known(Arc<Description>),
    Loading(oneshot::Receiver<Result<Arc<Description>, InferenceError>>),
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Arc<Settings>,
    pub(super) quotas: Quotas,
    pub(super) schedule: Schedule,
    pub(super) models: HashMap<Digest, Model>,
    pub(super) worker: Worker,
    events: Arc<dyn Events>,
    calls: HashMap<u64, Call>,
    runs: HashMap<u64, Run>,
    /// Ids of calls, loads and runs.
    next_id: u64,
    next_slot: u32,
    /// Which worker this is: what an earlier one still says does not count.
    generation: u64,
    /// Workers that ended since one loaded or ran something.
    deaths: u32,
    /// Why the engine of this worker did not start.
    engine_failure: Option<String>,
}

impl State {
    pub(super) fn new(settings: Arc<Settings>, events: Arc<dyn Events>) -> Self {
        Self {
            quotas: Quotas::new(settings.calls),
            settings,
            schedule: Schedule::default(),
            models: HashMap::new(),
            worker: Worker::Absent { until: None, reason: None },
            events,
            calls: HashMap::new(),
            runs: HashMap::new(),
            next_id: 1,
            next_slot: 0,
            generation: 0,
            deaths: 0,
            engine_failure: None,
        }
    }

    /// The engine that runs, and its version.
    pub(super) fn engine(&self) -> Arc<str> {
        match &self.worker {
            Worker::Ready { engine, .. } => Arc::clone(engine),
            Worker::Absent { .. } | Worker::Starting(_) => Arc::from("none"),
        }
    }

    /// The description of a model, or a place to wait for it.
    pub(super) fn describe(
        &mut self,
        stored: &StoredModel,
        now: Instant,
    ) -> Result<Asked, InferenceError> {
        self.check_backing_off(now)?;
        let model = self.model(stored, now)?;
        if let Some(description) = &model.description {
            return Ok(Asked::Known(Arc::clone(description)));
        }
        let (sender, receiver) = oneshot::channel();
        // Callers that went away must not add up.
        model.waiters.retain(|waiter| !waiter.is_closed());
        model.waiters.push(sender);
        self.pump(now);
        Ok(Asked::Loading(receiver))
    }

    /// Queues a call.
    pub(super) fn submit(
        &mut self,
        stored: &StoredModel,
        call: NewCall<'_>,
        now: Instant,
    ) -> Result<u64, InferenceError> {
        self.check_backing_off(now)?;
        let model = self.model(stored, now)?;
        let together = stored.batch_rows > 1 && !model.alone;
        let (key, rows) = call.batch.map_or((None, 1), |(key, rows)| (Some(Arc::new(key)), rows));
        let key = key.filter(|_| together);
        let id = self.id();
        let NewCall { plugin, input, bytes, sender, .. } = call;
        let job = Job { id, plugin: plugin.clone(), model: stored.digest, key, rows, bytes };
        self.schedule.push(job);
        let (plugin, model, input) = (plugin.clone(), stored.digest, Arc::new(input));
        self.calls.insert(id, Call { plugin, model, input, rows, since: now, sender });
        self.pump(now);
        Ok(id)
    }

    /// Takes a call back. A run that nobody waits for any longer is ended early.
    pub(super) fn cancel(&mut self, call: u64, now: Instant) {
        if self.calls.remove(&call).is_none() || self.schedule.remove(call) {
            return;
        }
        let calls = &self.calls;
        let run = self.runs.iter_mut().find(|(_, run)| {
            run.parts.iter().any(|part| part.call == call)
                && run.parts.iter().all(|part| !calls.contains_key(&part.call))
        });
        if let (Some((id, run)), Worker::Ready { process, .. }) = (run, &self.worker) {
            run.cancelled.get_or_insert(now);
            process.tell(Order::Cancel { id: *id });
        }
    }

    /// Unloads a model and forgets what is known of it.
    pub(super) fn forget(&mut self, digest: &Digest) {
        let gone = InferenceError::new(InferenceErrorCode::NotFound, "the model was removed");
        for job in self.schedule.remove_model(digest) {
            self.answer(job.id, Err(gone.clone()));
        }
        if let Some(mut model) = self.models.remove(digest) {
            model.tell(&Err(gone));
            self.unload(&model.slots);
        }
    }

    /// Ends the worker and everything that waits.
    pub(super) fn stop(&mut self) {
        self.generation += 1;
        self.worker = Worker::Absent { until: None, reason: None };
        self.calls.clear();
        self.models.clear();
    }

    /// The entry of a model. A failed load is answered for a while without another try.
    fn model(&mut self, stored: &StoredModel, now: Instant) -> Result<&mut Model, InferenceError> {
        let model =
            self.models.entry(stored.digest).or_insert_with(|| Model::new(stored.clone(), now));
        model.used = now;
        if let Some((since, error)) = &model.failed {
            let pause = if model.crashes >= CRASHES_MAX { CRASHED } else { FAILED };
            if now.saturating_duration_since(*since) < pause {
                return Err(error.clone());
            }
            (model.failed, model.crashes) = (None, 0);
        }
        model.stored.clone_from(stored);
        Ok(model)
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn check_backing_off(&self, now: Instant) -> Result<(), InferenceError> {
        match &self.worker {
            Worker::Absent { until: Some(until), reason } if *until > now => {
                let left = until.saturating_duration_since(now).as_millis();
                let reason = reason.as_deref().unwrap_or("it ended");
                let message = format!("models cannot run: {reason}; next try in {left} ms");
                Err(InferenceError::new(InferenceErrorCode::Unavailable, &message))
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self, call: u64, result: Result<Answer, InferenceError>) {
        if let Some(call) = self.calls.remove(&call) {
            // Whoever is gone does not need it.
            let _ = call.sender.send(result);
        }
    }

    fn tell(&self, order: Order) {
        if let Worker::Ready { process, .. } | Worker::Starting(process) = &self.worker {
            process.tell(order);
        }
    }

    /// Starts what can be started: the worker, loads and runs.
    fn pump(&mut self, now: Instant) {
        match &self.worker {
            Worker::Starting(_) => {}
            Worker::Ready { .. } => {
                self.load(now);
                self.run(now);
            }
            Worker::Absent { .. } => {
                if self.models.values().any(|model| model.warm || !model.waiters.is_empty())
                    || !self.schedule.is_empty()
                {
                    self.start(now);
                }
            }
        }
    }

    fn start(&mut self, now: Instant) {
        self.generation += 1;
        match Process::start(self.generation, Arc::clone(&self.events)) {
            Ok(process) => self.worker = Worker::Starting(process),
            Err(error) => {
                let generation = self.generation;
                self.ended(generation, &error.to_string(), now);
            }
        }
    }

    /// Loads the models that somebody waits for, as far as there is room.
    fn load(&mut self, now: Instant) {
        let queued = self.schedule.models();
        let mut wanted: Vec<Digest> = self
            .models
            .iter()
            .filter(|(digest, model)| {
                model.slots.is_empty()
                    && (model.warm || !model.waiters.is_empty() || queued.contains(*digest))
            })
            .map(|(digest, _)| *digest)
            .collect();
        // What nobody waits for comes last, and with it what ended the worker before.
        wanted.sort_by_key(|digest| {
            self.models.get(digest).map(|model| (model.waiters.is_empty(), model.crashes))
        });
        for digest in wanted {
            self.load_model(digest, now);
        }
    }

    fn load_model(&mut self, digest: Digest, now: Instant) {
        let sessions = self.settings.sessions.max(1);
        let Some(bytes) = self.models.get(&digest).map(|model| model.stored.bytes) else { return };
        let needed = bytes.saturating_mul(u64::from(sessions));
        if needed > self.settings.model_bytes {
            let message = "the model is larger than all loaded models together may be";
            let error = InferenceError::new(InferenceErrorCode::TooLarge, message);
            self.load_failed(digest, error, now);
            return;
        }
        if !self.make_room(digest, needed) {
            return;
        }
        for _ in 0..sessions {
            let id = self.id();
            self.next_slot = self.next_slot.wrapping_add(1);
            let slot = self.next_slot;
            let Some(model) = self.models.get_mut(&digest) else { return };
            let phase = Phase::Loading { id, since: now };
            model.slots.push(Slot { number: slot, phase });
            model.warm = false;
            let source = model.source();
            self.tell(Order::Load { id, slot, source });
        }
    }

    /// Unloads the longest unused models until so many bytes fit. False when those that are needed
    /// fill the room: the load is tried again when one of them is done.
    fn make_room(&mut self, wanted: Digest, needed: u64) -> bool {
        let queued = self.schedule.models();
        loop {
            let loaded: u64 = self.models.values().map(Model::loaded_bytes).sum();
            if loaded.saturating_add(needed) <= self.settings.model_bytes {
                return true;
            }
            let unused = self.models.iter().filter(|(digest, model)| {
                **digest != wanted
                    && !model.slots.is_empty()
                    && model.is_idle()
                    && !queued.contains(*digest)
            });
            let Some(oldest) =
                unused.min_by_key(|(_, model)| model.used).map(|(digest, _)| *digest)
            else {
                return false;
            };
            self.unload_model(oldest);
        }
    }

    fn unload_model(&mut self, digest: Digest) {
        if let Some(model) = self.models.get_mut(&digest) {
            let slots = std::mem::take(&mut model.slots);
            self.unload(&slots);
        }
    }

    fn unload(&self, slots: &[Slot]) {
        for slot in slots {
            self.tell(Order::Unload { slot: slot.number });
        }
    }

    /// Gives every free session what waits for it.
    fn run(&mut self, now: Instant) {
        // A quarter of the shared memory: several batches are on their way at once.
        let bytes = self.settings.shared_bytes / 4;
        loop {
            let models = &self.models;
            let room = |digest: &Digest| {
                let model = models.get(digest)?;
                let free = model.slots.iter().any(|slot| slot.phase == Phase::Idle);
                let rows = if model.alone { 1 } else { model.stored.batch_rows };
                free.then_some(Room { rows, bytes })
            };
            let Some(batch) = self.schedule.next(room) else { return };
            self.dispatch(&batch, now);
        }
    }

    fn dispatch(&mut self, batch: &[Job], now: Instant) {
        let Some(model) = batch.first().map(|job| job.model) else { return };
        let id = self.id();
        let taken = |job: &Job| {
            let call = self.calls.get(&job.id)?;
            let part = Part { call: job.id, plugin: call.plugin.clone(), rows: call.rows };
            Some((part, Arc::clone(&call.input)))
        };
        let (parts, jobs): (Vec<Part>, Vec<Arc<Input>>) = batch.iter().filter_map(taken).unzip();
        let Some(slot) = self.models.get_mut(&model).and_then(Model::idle_slot) else { return };
        slot.phase = Phase::Running { id };
        let slot = slot.number;
        let run = Run { model, parts, since: now, cancelled: None, slow: false };
        self.runs.insert(id, run);
        self.tell(Order::Run { id, slot, jobs });
    }
}

#[cfg(test)]
mod tests;
