//! `wasi:config`: the granted environment variables, by another door. Without grants the store is
//! empty.

use wasmtime::component::Linker;

use self::bindings::wasi::config::store::{self, Error};
use super::{Imports, View};
use crate::state::HostState;

#[expect(clippy::error_impl_error, reason = "the interface calls its error that")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-config",
        world: "wasi:config/imports",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:config`.
///
/// # Errors
/// When the name is linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Imports>(linker, View::of)
}

impl store::Host for View<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        let rules = self.context.rules();
        let found = rules.grants.environment.iter().find(|(name, _)| *name == key);
        Ok(Ok(found.map(|(_, value)| value.clone())))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        Ok(Ok(self.context.rules().grants.environment.clone()))
    }
}
