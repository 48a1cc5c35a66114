//! The host functions, one module an interface. Each has a view over the store's state and a
//! `link` function. Everything is linked once; what is not granted is denied by the state.

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::state::{Call, CallRecord, HostState, Shared};

/// What the host functions keep for one call between two of theirs.
#[derive(Debug)]
pub(crate) struct ImportState {}

impl ImportState {
    /// The state at the start of a call.
    pub(crate) const fn new(_: &Arc<Call>, _: &Arc<CallRecord>, _: &Arc<Shared>) -> Self {
        Self {}
    }
}

/// Links every interface that the host has.
///
/// # Errors
/// When two modules define the same name: a defect of this crate.
pub(crate) fn link_all(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let _ = linker;
    Ok(())
}
