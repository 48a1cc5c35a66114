//! `wasi:random` 0.3: what 0.2 gives, under its other names.

use wasmtime::component::Linker;
use wasmtime_wasi::{
    p2::bindings::random as earlier,
    p3::bindings::random::{insecure, insecure_seed, random},
};

use crate::{
    imports::{Imports, View, random::Insecure},
    state::HostState,
};

/// Links `wasi:random`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    random::add_to_linker::<_, Imports>(linker, View::of)?;
    insecure_seed::add_to_linker::<_, Imports>(linker, View::of)?;
    insecure::add_to_linker::<_, Insecure<'static>>(linker, Insecure::of)
}

impl random::Host for View<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        earlier::random::Host::get_random_bytes(self, length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        earlier::random::Host::get_random_u64(self)
    }
}

impl insecure_seed::Host for View<'_> {
    fn get_insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        earlier::insecure_seed::Host::insecure_seed(self)
    }
}

impl insecure::Host for Insecure<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        earlier::insecure::Host::get_insecure_random_bytes(self, length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        earlier::insecure::Host::get_insecure_random_u64(self)
    }
}
