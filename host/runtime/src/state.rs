//! What the store of one call holds.
//!
//! [`HostState`] is the data of one store: it is made for one call and thrown away with it, except
//! the state of a stateful plugin, which serves one call after the other
//! ([`HostState::begin_call`], [`HostState::end_call`]). What must also be reachable from work that runs outside the store (a stream that the guest reads
//! later, a file job) lives in the [`CallRecord`], shared by an `Arc`.
//!
//! Deliberately absent: policy. A host function sees the plugin's [`LiveGrants`] and nothing of
//! where they came from.

mod fuel;
mod log;
mod record;

use std::{sync::Arc, time::Instant};

use meshhost_core::{
    id::PluginName,
    invocation::Invocation,
    limits::{LimitKind, Limits},
    ports::BlobStore,
};
use wasmtime::component::ResourceTable;

pub(crate) use self::log::escape_into;
pub(crate) use self::record::{BufferCharge, CallRecord};
use crate::{
    execute::CommandInput,
    file_pool::FilePool,
    imports::{self, ImportState},
    limiter::Limiter,
    live::LiveGrants,
    load::Ports,
};

/// Why the host ended a guest call: the typed error inside the trap that it raised. The module
/// that interprets traps finds it by downcasting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// A limit was reached.
    #[error("a limit of the call was reached")]
    Limit(LimitKind),
    /// Something without an error in its interface was not granted (`wasi:random/random`). The
    /// denial itself is in the record.
    #[error("the interface is not granted and has no way to say so")]
    Denied,
    /// Another plugin that it called did not answer, for this reason, and the function has no error
    /// that could say so.
    #[error("{0}")]
    NotAnswered(String),
    /// The guest ended itself (`wasi:cli/exit`) with this code; 0 is success.
    #[error("the command exited")]
    Exit(u8),
}

/// What all calls of the process share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The node's services.
    pub(crate) ports: Ports,
    /// Threads for work on files.
    pub(crate) files: FilePool,
}

/// The facts of one call that do not change while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The decided call; without its input where the store outlives the call.
    pub(crate) invocation: Arc<Invocation>,
    /// The plugin that runs.
    pub(crate) plugin: PluginName,
    /// The limits of this call.
    pub(crate) limits: Limits,
    /// The plugin's grants; each host call looks at them anew.
    pub(crate) grants: Arc<LiveGrants>,
    /// The blobs of this call.
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// Arguments and standard input, for a command.
    pub(crate) command: Option<Arc<CommandInput>>,
    /// When the call began, on the monotonic clock.
    pub(crate) started: Instant,
    /// When the call began: microseconds since 1970. What an ungranted clock shows.
    pub(crate) started_us: i64,
}

/// The data of one store.
pub(crate) struct HostState {
    /// The resources that the guest holds, bounded by the handle limit.
    pub(crate) table: ResourceTable,
    /// What the host functions keep between two calls of theirs.
    pub(crate) imports: ImportState,
    /// Bounds memories, tables and instances.
    pub(crate) limiter: Limiter,
    call: Arc<Call>,
    record: Arc<CallRecord>,
    host_calls: u64,
}

impl HostState {
    /// The state for one call.
    pub(crate) fn new(call: Arc<Call>, shared: &Arc<Shared>) -> Self {
        let record = Arc::new(CallRecord::new(call.limits));
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(call.limits.handles).unwrap_or(usize::MAX));
        Self {
            imports: ImportState::new(&call, &record, shared),
            limiter: Limiter::new(&call.limits, Arc::clone(&record)),
            table,
            call,
            record,
            host_calls: 0,
        }
    }

    /// Begins the next call of a store that outlives its calls. What the guest holds stays, as do
    /// its memories and the record that its open streams write to.
    pub(crate) fn begin_call(&mut self, call: Arc<Call>, shared: &Arc<Shared>) {
        self.record.begin_call();
        self.imports = ImportState::new(&call, &self.record, shared);
        self.call = call;
        self.host_calls = 0;
    }

    /// Ends a call of a store that outlives it: what belonged to the call alone is given back.
    pub(crate) fn end_call(&mut self) {
        imports::blob::end_call(&mut self.table);
    }

    /// What is counted, logged and denied; clone the `Arc` into work outside the store.
    pub(crate) const fn record(&self) -> &Arc<CallRecord> {
        &self.record
    }

    /// How many host calls were made.
    pub(crate) const fn host_calls(&self) -> u64 {
        self.host_calls
    }

    /// Fuel that the caller allows, for calls below as well.
    pub(crate) fn fuel_allowed(&self) -> Option<u64> {
        self.call.invocation.fuel
    }

    /// Counts one host call. Every import enters through the view that it gets of the state, and
    /// the view counts here; wasmtime's call hook cannot, because it also sees the guest's own
    /// memory operations and yields.
    pub(crate) const fn enter(&mut self) -> &mut Self {
        self.host_calls = self.host_calls.saturating_add(1);
        self
    }

    /// Looks at the number of host calls; the store's call hook asks after each.
    ///
    /// # Errors
    /// When there was one too many.
    pub(crate) fn check_host_calls(&self) -> Result<(), Stop> {
        if self.host_calls > self.call.limits.host_calls {
            return Err(self.record.stop(LimitKind::HostCalls));
        }
        Ok(())
    }
}

impl std::fmt::Debug for HostState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HostState").field("call", &self.call).finish_non_exhaustive()
    }
}
