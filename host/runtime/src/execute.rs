//! Runs one permitted call in a fresh instance.
//!
//! The store is made for the call and thrown away after it, however it ended. [`run`] drives it
//! under its deadline; [`ending`] is the only module that interprets a trap.

pub mod bare;
mod deadline;
mod ending;
mod run;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use meshhost_core::{
    capability::Capability,
    code::Code,
    id::PluginName,
    invocation::Invocation,
    limits::{Limits, Usage},
    outcome::{DeniedAccess, Outcome, Refusal},
    permit::Permit,
    ports::BlobStore,
};
use tokio::sync::OwnedSemaphorePermit;

use self::{deadline::Deadline, run::Run};
use crate::{
    live::LiveGrants,
    load::{Loaded, Runtime},
};

/// What a call needs besides its permit.
#[derive(Debug)]
pub struct Execution {
    /// The component.
    pub loaded: Arc<Loaded>,
    /// The plugin's grants, live.
    pub grants: Arc<LiveGrants>,
    /// The blobs of the call: what it makes lives as long as it, unless the node keeps it.
    pub blobs: Arc<dyn BlobStore>,
    /// Standard input, arguments: only for `<plugin>.run`; taken from the input when absent.
    pub command: Option<CommandInput>,
}

/// What a command (`wasi:cli/run`) gets.
#[derive(Debug, Clone, Default)]
pub struct CommandInput {
    /// Arguments after the program's name.
    pub arguments: Vec<String>,
    /// Standard input, whole.
    pub stdin: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Executed {
    /// Success, failure or indeterminate; denied when nothing of the guest ran.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What was denied, once per permission.
    pub denied: Vec<DeniedAccess>,
    /// Log lines within the limit.
    pub log: Vec<String>,
    /// Whether the guest trapped or ran into a limit of its own (counts towards quarantine), and
    /// whether already at start.
    pub trapped: Option<TrapPhase>,
}

/// When a trap happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapPhase {
    /// Before the exported function was entered.
    Start,
    /// In the exported function.
    Call,
}

/// One decided call with everything that it needs, owned.
#[derive(Debug)]
struct Request {
    invocation: Arc<Invocation>,
    plugin: PluginName,
    capability: Arc<Capability>,
    limits: Limits,
    execution: Execution,
}

impl Executed {
    /// A failure of the host itself, after the call was started.
    #[must_use]
    pub fn host_fault(message: &str) -> Self {
        Self::of(Outcome::Failure(Refusal::new(Code::HostFault, message)))
    }

    /// An outcome of a call that has used and left nothing.
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            usage: Usage::default(),
            denied: Vec::new(),
            log: Vec::new(),
            trapped: None,
        }
    }
}

impl Runtime {
    /// Runs the permitted call. Dropping the future cancels the guest; its store is thrown away.
    ///
    /// The deadline begins here. Must be awaited on a tokio runtime with a timer.
    pub async fn execute(&self, permit: &Permit, execution: Execution) -> Executed {
        let request = Request {
            invocation: Arc::clone(permit.invocation()),
            plugin: permit.plugin().clone(),
            capability: Arc::clone(permit.capability()),
            limits: *permit.limits(),
            execution,
        };
        self.perform(request).await
    }

    async fn perform(&self, request: Request) -> Executed {
        let started = Instant::now();
        let deadline = Deadline::after(started, request.limits.deadline_ms);
        let nested = request.invocation.depth > 1;
        let places = match self.take_places(&request.execution.loaded, nested, deadline).await {
            Ok(places) => places,
            Err(refusal) => return Executed::of(Outcome::Denied(refusal)),
        };
        let run = match Run::new(self, request, started, deadline) {
            Ok(run) => run,
            Err(refusal) => return Executed::of(Outcome::Denied(refusal)),
        };
        let executed = run.perform(places).await;
        if executed.pool_exhausted {
            self.places.note_pool_exhausted();
        }
        executed.executed
    }

    /// Takes the places before the pool. A nested call never waits for them: those that it would
    /// wait for may be held by its own chain.
    async fn take_places(
        &self,
        loaded: &Loaded,
        nested: bool,
        deadline: Deadline,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy = |what: &str| {
            Refusal::new(Code::Busy, format!("the node runs as many calls as it may{what}"))
        };
        if let Ok(places) = self.places.try_take(loaded.places) {
            return Ok(places);
        }
        if nested {
            return Err(busy(", and a call of a plugin does not wait for a place"));
        }
        let waited = deadline.bound(self.places.wait(loaded.places)).await;
        let ended = || busy(", and no place became free before the deadline");
        waited.map_err(|_| ended())?.map_err(|_| ended())
    }
}
