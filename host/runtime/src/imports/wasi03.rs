//! Interfaces of WASI 0.3, for the second engine alone: the same state, grants, limits and denials
//! as those of 0.2 beside it, behind another interface. Files, requests and sockets of 0.3 are not
//! provided: a plugin uses those of 0.2, which the second engine has as well.

mod cli;
mod clocks;
mod random;

use wasmtime::component::Linker;

use crate::state::HostState;

/// Links what there is of WASI 0.3.
///
/// # Errors
/// When the names are linked already, or on an engine without concurrency.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    clocks::link(linker)?;
    random::link(linker)?;
    cli::link(linker)
}
