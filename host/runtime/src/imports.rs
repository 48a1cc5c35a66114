//! The host functions, one module an interface. Each has a view over the store's state and a
//! `link` function. Everything is linked once; what is not granted is denied by the state.
//!
//! An import sees its grant as plain values and never the policy that they came from. Every denial
//! goes through [`CallRecord::deny`], so that it is recorded once per call; every effect whose end
//! must be known through [`CallRecord::begin_effect`].

pub(crate) mod blob;
mod cli;
mod clocks;
mod config;
mod filesystem;
mod http;
mod index;
mod inference;
mod invoke;
mod keyvalue;
mod linked;
mod logging;
mod nn;
mod random;
mod sockets;
mod terminals;
mod wasi03;

use std::{sync::Arc, time::Duration};

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use crate::{
    engine::EngineKind,
    live::Rules,
    state::{Call, CallRecord, HostState, Shared},
};

/// What a host function works with besides the guest's resources; cheap to clone into work that
/// runs outside the store.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The facts of the call.
    pub(crate) call: Arc<Call>,
    /// What is counted, logged and denied.
    pub(crate) record: Arc<CallRecord>,
    /// The node's services.
    pub(crate) shared: Arc<Shared>,
}

impl Context {
    /// What the plugin is granted now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.call.grants.rules()
    }

    /// How long the call may still run; zero when its deadline has passed.
    pub(crate) fn remaining(&self) -> Duration {
        let limit = Duration::from_millis(self.call.limits.deadline_ms);
        limit.saturating_sub(self.call.started.elapsed())
    }
}

/// What the host functions keep for one call between two of theirs.
#[derive(Debug)]
pub(crate) struct ImportState {
    context: Context,
    http: http::HttpState,
    insecure: random::InsecureState,
    sockets: sockets::NoSockets,
    stdin: MemoryInputPipe,
}

impl ImportState {
    /// The state at the start of a call.
    pub(crate) fn new(call: &Arc<Call>, record: &Arc<CallRecord>, shared: &Arc<Shared>) -> Self {
        let (call, record, shared) = (Arc::clone(call), Arc::clone(record), Arc::clone(shared));
        let context = Context { call, record, shared };
        Self {
            stdin: cli::standard_input(&context),
            http: http::HttpState::new(&context),
            context,
            insecure: random::InsecureState::default(),
            sockets: sockets::NoSockets::default(),
        }
    }
}

/// The store's state as the host functions see it; each module implements its interface's trait
/// for it.
pub(crate) struct View<'a> {
    /// What the call is and may do.
    pub(crate) context: &'a Context,
    /// What the guest holds.
    pub(crate) table: &'a mut ResourceTable,
    /// The standard input, shared by every stream on it.
    stdin: &'a MemoryInputPipe,
}

impl View<'_> {
    /// The view over a store's state.
    pub(crate) fn of(state: &mut HostState) -> View<'_> {
        let state = state.enter();
        let ImportState { context, stdin, .. } = &state.imports;
        View { context, stdin, table: &mut state.table }
    }
}

/// Names [`View`] for the linker.
pub(crate) struct Imports;

impl HasData for Imports {
    type Data<'a> = View<'a>;
}

/// Links every interface that the host has. Those of WASI 0.3 need what only the second engine
/// has; components on it may use those of 0.2 as well, and most do.
///
/// # Errors
/// When two modules define the same name: a defect of this crate.
pub(crate) fn link_all(linker: &mut Linker<HostState>, kind: EngineKind) -> wasmtime::Result<()> {
    if kind == EngineKind::Concurrent {
        wasi03::link(linker)?;
    }
    link_io(linker)?;
    clocks::link(linker)?;
    random::link(linker)?;
    filesystem::link(linker)?;
    http::link(linker)?;
    sockets::link(linker)?;
    cli::link(linker)?;
    keyvalue::link(linker)?;
    config::link(linker)?;
    logging::link(linker)?;
    blob::link(linker)?;
    index::link(linker)?;
    inference::link(linker)?;
    nn::link(linker)?;
    invoke::link(linker)
}

pub(crate) use linked::link as link_plugins;

/// `wasi:io`: errors, polls and streams over the resources that the other modules make.
fn link_io(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p2::bindings::io;

    struct Table;
    impl HasData for Table {
        type Data<'a> = &'a mut ResourceTable;
    }
    io::error::add_to_linker::<_, Table>(linker, |state| &mut state.enter().table)?;
    io::poll::add_to_linker::<_, Table>(linker, |state| &mut state.enter().table)?;
    io::streams::add_to_linker::<_, Table>(linker, |state| &mut state.enter().table)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
