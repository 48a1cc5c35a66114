//! What comes of loads and runs, and of the worker itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meshhost_core::{
    id::Digest,
    inference::{InferenceError, InferenceErrorCode, RunReport, Tensor},
};

use super::{Answer, CRASHES_MAX, Call, State, Worker};
use crate::{
    message,
    process::Event,
    schedule::Job,
    serving::{
        model::{Phase, Slot},
        run::{Part, Run, divide},
    },
};

/// The pause before the second start in a row; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause before a start.
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl State {
    /// Something came from a worker.
    pub(in crate::serving) fn event(
        &mut self,
        generation: u64,
        event: Event,
        now: Instant,
        now_us: i64,
    ) {
        if generation != self.generation {
            return;
        }
        match event {
            Event::Ready { engine } => self.ready(&engine),
            Event::Loaded { id, model } => self.loaded_slot(id, model, now),
            Event::Done { id, run_us, outputs } => self.done(id, run_us, outputs, now, now_us),
            Event::Failed { id, error } => self.failed(id, error, now, now_us),
        }
        self.pump(now);
    }

    fn ready(&mut self, engine: &str) {
        let absent = Worker::Absent { until: None, reason: None };
        self.worker = match std::mem::replace(&mut self.worker, absent) {
            Worker::Starting(process) => Worker::Ready { process, engine: Arc::from(engine) },
            other => other,
        };
    }

    fn loaded_slot(&mut self, id: u64, loaded: message::LoadedModel, now: Instant) {
        let found = self.models.iter_mut().find_map(|(digest, model)| {
            let slot = model.slots.iter_mut().find(|slot| is_loading(slot, id))?;
            slot.phase = Phase::Idle;
            Some(*digest)
        });
        // It may have been forgotten meanwhile.
        let Some(digest) = found else { return };
        let Some(model) = self.models.get_mut(&digest) else { return };
        model.used = now;
        self.deaths = 0;
        match model.describe(loaded) {
            Some(description) => {
                let description = Arc::new(description);
                model.description = Some(Arc::clone(&description));
                model.tell(&Ok(description));
            }
            None => {
                let message = "the model has too many inputs or outputs, or too long names";
                let error = InferenceError::new(InferenceErrorCode::Failed, message);
                self.load_failed(digest, error, now);
            }
        }
    }

    /// A model could not be loaded: everybody who waits for it learns why.
    pub(super) fn load_failed(&mut self, digest: Digest, error: InferenceError, now: Instant) {
        self.unload_model(digest);
        if let Some(model) = self.models.get_mut(&digest) {
            model.warm = false;
            model.failed = Some((now, error.clone()));
            model.tell(&Err(error.clone()));
        }
        for job in self.schedule.remove_model(&digest) {
            self.answer(job.id, Err(error.clone()));
        }
    }

    fn done(&mut self, id: u64, run_us: u64, outputs: Vec<Tensor>, now: Instant, now_us: i64) {
        let Some(run) = self.end_run(id, now) else { return };
        self.deaths = 0;
        for part in &run.parts {
            self.quotas.charge(&part.plugin, run.share(part, run_us), now_us);
        }
        if let Some(model) = self.models.get_mut(&run.model) {
            model.crashes = 0;
            model.runs += run.parts.len() as u64;
        }
        match divide(outputs, &run.parts) {
            Some(divided) => {
                for (part, outputs) in run.parts.iter().zip(divided) {
                    let Some(call) = self.calls.get(&part.call) else { continue };
                    let report = self.report(&run, call, run_us);
                    self.answer(part.call, Ok(Answer { outputs, report }));
                }
            }
            None => {
                if let Some(model) = self.models.get_mut(&run.model) {
                    model.alone = true;
                }
                self.again_alone(&run.parts);
            }
        }
    }

    fn report(&self, run: &Run, call: &Call, run_us: u64) -> RunReport {
        let queued = run.since.saturating_duration_since(call.since);
        RunReport {
            model: run.model,
            engine: self.engine(),
            provider: Arc::from(self.settings.provider.name()),
            queue_us: u64::try_from(queued.as_micros()).unwrap_or(u64::MAX),
            run_us,
            batch: u32::try_from(run.parts.len()).unwrap_or(u32::MAX),
        }
    }

    fn failed(&mut self, id: u64, error: InferenceError, now: Instant, now_us: i64) {
        if id == 0 {
            // The worker ends itself now; this is why.
            self.engine_failure = Some(error.message);
            return;
        }
        if let Some(run) = self.end_run(id, now) {
            self.run_failed(&run, error, now, now_us);
            return;
        }
        let found = self
            .models
            .iter()
            .find(|(_, model)| model.slots.iter().any(|slot| is_loading(slot, id)));
        if let Some(digest) = found.map(|(digest, _)| *digest) {
            self.load_failed(digest, error, now);
        }
    }

    fn run_failed(&mut self, run: &Run, error: InferenceError, now: Instant, now_us: i64) {
        let took = now.saturating_duration_since(run.since).as_micros();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        for part in &run.parts {
            self.quotas.charge(&part.plugin, run.share(part, took), now_us);
        }
        // One call's input must not fail the others.
        if run.parts.len() > 1 && run.cancelled.is_none() {
            self.again_alone(&run.parts);
            return;
        }
        let error = if run.slow {
            let message = format!("the run took longer than {:?}", self.settings.run);
            InferenceError::new(InferenceErrorCode::Failed, &message)
        } else {
            error
        };
        for part in &run.parts {
            self.answer(part.call, Err(error.clone()));
        }
    }

    /// Queues the calls of a batch again, each to run by itself.
    fn again_alone(&mut self, parts: &[Part]) {
        for part in parts.iter().rev() {
            let Some(call) = self.calls.get(&part.call) else { continue };
            let job = Job {
                id: part.call,
                plugin: call.plugin.clone(),
                model: call.model,
                key: None,
                rows: call.rows,
                bytes: 0,
            };
            self.schedule.push_front(job);
        }
    }

    /// Takes a run out and frees its session.
    fn end_run(&mut self, id: u64, now: Instant) -> Option<Run> {
        let run = self.runs.remove(&id)?;
        if let Some(model) = self.models.get_mut(&run.model) {
            model.used = now;
            let slot = model.slots.iter_mut().find(|slot| slot.phase == Phase::Running { id });
            if let Some(slot) = slot {
                slot.phase = Phase::Idle;
            }
        }
        Some(run)
    }

    /// A worker has ended, or never began. What it was doing is answered, the models that it had
    /// are loaded again, and the first start in a row comes at once.
    pub(in crate::serving) fn ended(&mut self, generation: u64, reason: &str, now: Instant) {
        if generation != self.generation {
            return;
        }
        tracing::warn!(reason, "the worker for models has ended");
        self.generation += 1;
        let reason = self.engine_failure.take().unwrap_or_else(|| reason.to_owned());
        let error = InferenceError::new(
            InferenceErrorCode::Unavailable,
            &format!("the process that runs models ended: {reason}; try again"),
        );
        let runs: Vec<Run> = self.runs.drain().map(|(_, run)| run).collect();
        for part in runs.iter().flat_map(|run| &run.parts) {
            self.answer(part.call, Err(error.clone()));
        }
        let crashed = self.lose_sessions();
        self.deaths = self.deaths.saturating_add(1);
        let until = (self.deaths > 1).then(|| now + pause(self.deaths));
        self.worker = Worker::Absent { until, reason: Some(reason) };
        for digest in crashed {
            let message = "the worker ended again and again with this model: it is left alone";
            let error = InferenceError::new(InferenceErrorCode::Failed, message);
            self.load_failed(digest, error, now);
        }
        if until.is_some() {
            self.fail_all(&error);
        } else {
            self.pump(now);
        }
    }

    /// No model is loaded any longer. The ones that did something when the worker ended may be
    /// why; gives those with which it happened too often.
    fn lose_sessions(&mut self) -> Vec<Digest> {
        let mut crashed = Vec::new();
        for (digest, model) in &mut self.models {
            let slots = std::mem::take(&mut model.slots);
            model.warm |= !slots.is_empty();
            if slots.iter().any(|slot| slot.is_loading() || slot.is_running()) {
                model.crashes += 1;
                if model.crashes >= CRASHES_MAX {
                    crashed.push(*digest);
                }
            }
        }
        crashed
    }

    fn fail_all(&mut self, error: &InferenceError) {
        for job in self.schedule.remove_all() {
            self.answer(job.id, Err(error.clone()));
        }
        for model in self.models.values_mut() {
            model.tell(&Err(error.clone()));
        }
    }
}

fn is_loading(slot: &Slot, id: u64) -> bool {
    matches!(slot.phase, Phase::Loading { id: loading, .. } if loading == id)
}

/// How long to wait after so many ends in a row.
fn pause(deaths: u32) -> Duration {
    let doublings = deaths.saturating_sub(2).min(16);
    PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        assert_eq!(pause(2), PAUSE);
        assert_eq!(pause(3), PAUSE * 2);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
