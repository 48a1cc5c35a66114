//! Runs one permitted call in a fresh instance.
//!
//! The store is made for the call and thrown away after it, however it ended; only a stateful
//! plugin's [`crate::actor`] keeps it for the next call, when this one returned. [`run`] drives it
//! under its deadline; [`ending`] is the only module that interprets a trap.

#[cfg(feature = "bench")]
pub mod bare;
mod deadline;
mod ending;
mod passing;
mod received;
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
    model_use::ModelUse,
    outcome::{DeniedAccess, Outcome, Refusal},
    permit::Permit,
    ports::BlobStore,
};
use tokio::sync::OwnedSemaphorePermit;

pub use self::passing::{BATCH_MAX, ItemSender};
pub(crate) use self::run::Room;
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
    /// Who wants what the function streams as it comes. The answer is the whole all the same.
    pub items: Option<ItemSender>,
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
    /// The models that ran for it.
    pub models: Vec<ModelUse>,
    /// Log lines within the limit.
    pub log: Vec<String>,
    /// Whether the guest trapped or ran into a limit of its own (counts towards quarantine), and
    /// whether already at start.
    pub trapped: Option<TrapPhase>,
    /// Whether the end of the call cost a stateful plugin what earlier calls had left in it.
    pub state_lost: bool,
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
pub(crate) struct Request {
    pub(crate) invocation: Arc<Invocation>,
    /// What the store keeps of the invocation: all of it, or all but the input.
    pub(crate) parent: Arc<Invocation>,
    pub(crate) plugin: PluginName,
    pub(crate) capability: Arc<Capability>,
    pub(crate) limits: Limits,
    pub(crate) execution: Execution,
}

impl Executed {
    /// A failure of the host itself, after the call was started.
    #[must_use]
    pub fn host_fault(message: &str) -> Self {
        Self::of(Outcome::Failure(Refusal::new(Code::HostFault, message)))
    }

    /// An outcome of a call that has used and left nothing, as far as is known.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            usage: Usage::default(),
            denied: Vec::new(),
            models: Vec::new(),
            log: Vec::new(),
            trapped: None,
            state_lost: false,
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
            parent: Arc::clone(permit.invocation()),
            plugin: permit.plugin().clone(),
            capability: Arc::clone(permit.capability()),
            limits: *permit.limits(),
            execution,
        };
        self.perform(request).await
    }

    async fn perform(&self, request: Request) -> Executed {
        let (executed, room) = self.perform_in(None, request).await;
        drop(room);
        executed
    }

    /// Runs the call in `room`, or in a fresh store, and gives the store back when it may serve
    /// another call.
    pub(crate) async fn perform_in(
        &self,
        room: Option<Room>,
        request: Request,
    ) -> (Executed, Option<Room>) {
        let started = Instant::now();
        let deadline = Deadline::after(started, request.limits.deadline_ms);
        let nested = request.invocation.depth > 1;
        let loaded = Arc::clone(&request.execution.loaded);
        let run = match Run::new(self, request, started, deadline) {
            Ok(run) => run,
            Err(refusal) => return (Executed::of(Outcome::Denied(refusal)), room),
        };
        let had_state = room.is_some();
        let room = match room {
            Some(mut room) => {
                run.enter(&mut room);
                room
            }
            None => match self.take_places(&loaded, nested, deadline).await {
                Ok(places) => run.fresh_room(places),
                Err(refusal) => return (Executed::of(Outcome::Denied(refusal)), None),
            },
        };
        let performed = run.perform(room).await;
        if performed.pool_exhausted {
            self.places.note_pool_exhausted();
        }
        let state_lost = had_state && performed.room.is_none();
        (Executed { state_lost, ..performed.executed }, performed.room)
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
