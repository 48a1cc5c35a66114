//! What is loaded, for people.

use std::sync::Arc;

use meshhost_core::id::Digest;

use super::state::{State, Worker};
use crate::settings::Provider;

/// A model that is loaded or being loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedModel {
    /// Which one.
    pub digest: Digest,
    /// The engine and its version.
    pub engine: Arc<str>,
    /// What runs its nodes.
    pub provider: Provider,
    /// Sessions, those that are being loaded included.
    pub sessions: usize,
    /// Bytes of its file, once for each session.
    pub bytes: u64,
    /// Calls that it answered since it was first loaded.
    pub runs: u64,
    /// Runs that go on.
    pub running: usize,
    /// Calls that wait for it.
    pub waiting: usize,
}

/// The worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    /// There is none: no model is needed, or it could not be started, for this reason.
    Absent(Option<String>),
    /// It is starting.
    Starting,
    /// It runs.
    Running {
        /// Its process.
        process: i32,
        /// The engine and its version.
        engine: Arc<str>,
    },
}

impl State {
    pub(super) fn loaded(&self) -> Vec<LoadedModel> {
        let engine = self.engine();
        let mut loaded: Vec<LoadedModel> = self
            .models
            .iter()
            .filter(|(_, model)| !model.slots.is_empty())
            .map(|(digest, model)| LoadedModel {
                digest: *digest,
                engine: Arc::clone(&engine),
                provider: self.settings.provider,
                sessions: model.slots.len(),
                bytes: model.loaded_bytes(),
                runs: model.runs,
                running: model.slots.iter().filter(|slot| slot.is_running()).count(),
                waiting: self.schedule.waiting(digest),
            })
            .collect();
        loaded.sort_by_key(|model| model.digest);
        loaded
    }

    pub(super) fn worker(&self) -> WorkerState {
        match &self.worker {
            Worker::Absent { reason, .. } => WorkerState::Absent(reason.clone()),
            Worker::Starting(_) => WorkerState::Starting,
            Worker::Ready { process, engine } => match process.id() {
                Some(process) => WorkerState::Running { process, engine: Arc::clone(engine) },
                None => WorkerState::Starting,
            },
        }
    }
}
