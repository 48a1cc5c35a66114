//! A model that somebody asked for, and its sessions.

use std::{sync::Arc, time::Instant};

use meshhost_core::inference::{
    Description, InferenceError, NAME_BYTES_MAX, RANK_MAX, TENSORS_MAX,
};
use tokio::sync::oneshot;

use crate::{
    message::{self, ModelSource, TextSource},
    store::StoredModel,
};

/// Who waits for a model's description.
pub(super) type Waiter = oneshot::Sender<Result<Arc<Description>, InferenceError>>;

/// A model that somebody asked for.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) stored: StoredModel,
    pub(super) slots: Vec<Slot>,
    pub(super) description: Option<Arc<Description>>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) used: Instant,
    pub(super) runs: u64,
    /// How often in a row the worker ended while it loaded or ran this model.
    pub(super) crashes: u32,
    /// Why it could not be loaded, and when that was.
    pub(super) failed: Option<(Instant, InferenceError)>,
    /// A batch came back in another shape: its calls run alone from then on.
    pub(super) alone: bool,
    /// It was loaded when the worker ended.
    pub(super) warm: bool,
}

/// One session of a model in the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u32,
    pub(super) phase: Phase,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Loading { id: u64, since: Instant },
    Idle,
    Running { id: u64 },
}

impl Slot {
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    pub(super) const fn is_loading(&self) -> bool {
        matches!(self.phase, Phase::Loading { .. })
    }
}

impl Model {
    pub(super) const fn new(stored: StoredModel, now: Instant) -> Self {
        Self {
            stored,
            slots: Vec::new(),
            description: None,
            waiters: Vec::new(),
            used: now,
            runs: 0,
            crashes: 0,
            failed: None,
            alone: false,
            warm: false,
        }
    }

    pub(super) fn loaded_bytes(&self) -> u64 {
        self.stored.bytes.saturating_mul(self.slots.len() as u64)
    }

    /// Whether nothing loads, runs or waits for its description.
    pub(super) fn is_idle(&self) -> bool {
        self.waiters.is_empty() && self.slots.iter().all(|slot| slot.phase == Phase::Idle)
    }

    pub(super) fn idle_slot(&mut self) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.phase == Phase::Idle)
    }

    /// Tells everybody who waits for the description.
    pub(super) fn tell(&mut self, result: &Result<Arc<Description>, InferenceError>) {
        for waiter in self.waiters.drain(..) {
            // Whoever is gone does not need it.
            let _ = waiter.send(result.clone());
        }
    }

    /// Where the worker finds it.
    pub(super) fn source(&self) -> ModelSource {
        let stored = &self.stored;
        let text = stored.text.as_ref().and_then(|model| {
            let file = stored.files.iter().find(|file| file.name == model.tokenizer)?;
            Some(TextSource {
                tokenizer: file.path.clone(),
                digest: file.digest,
                bytes: file.bytes,
                model: model.clone(),
            })
        });
        ModelSource { path: stored.path.clone(), digest: stored.digest, bytes: stored.bytes, text }
    }

    /// What the worker says of the model, with what the store says.
    pub(super) fn describe(&self, loaded: message::LoadedModel) -> Option<Description> {
        let bounded = [&loaded.inputs, &loaded.outputs].into_iter().all(|values| {
            values.len() <= TENSORS_MAX
                && values
                    .iter()
                    .all(|info| info.name.len() <= NAME_BYTES_MAX && info.shape.len() <= RANK_MAX)
        });
        bounded.then(|| Description {
            digest: self.stored.digest,
            inputs: loaded.inputs,
            outputs: loaded.outputs,
            metadata: loaded.metadata,
            files: self.stored.files.iter().map(|file| file.name.clone()).collect(),
            text: self.stored.text.as_ref().map(|text| text.usage.clone()),
        })
    }
}
