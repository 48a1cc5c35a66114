//! The engine with as little around it as it allows, beside which the benchmarks put everything
//! else. It takes a permit like every other way to a component, and answers nothing but whether
//! the call returned.

use std::{sync::Arc, time::Instant};

use meshhost_core::{capability::ExportPath, permit::Permit};
use wasmtime::{AsContextMut, Store, component::Val};

use super::Execution;
use crate::{
    convert::{InputRules, UnknownInput, lower},
    imports::blob::handles::{BlobTable, InputBlobs},
    load::{Loaded, Runtime},
    state::{Call, HostState},
};

/// One permitted call, prepared to be made many times.
pub struct Bare<'a> {
    runtime: &'a Runtime,
    loaded: Arc<Loaded>,
    export: ExportPath,
    call: Arc<Call>,
    arguments: Vec<Val>,
}

impl std::fmt::Debug for Bare<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Bare").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Prepares a call whose arguments name no blob; `None` when they do not fit the function.
    #[must_use]
    pub fn bare(&self, permit: &Permit, execution: Execution) -> Option<Bare<'_>> {
        let Execution { loaded, grants, blobs, command, items: _ } = execution;
        let call = Arc::new(Call {
            invocation: Arc::clone(permit.invocation()),
            plugin: permit.plugin().clone(),
            limits: *permit.limits(),
            grants,
            blobs,
            command: command.map(Arc::new),
            started: Instant::now(),
            started_us: self.shared.ports.clock.now_us(),
        });
        let export = permit.capability().export.clone();
        let function = loaded.function(&export)?;
        let mut store =
            Store::new(loaded.prepared.engine(), HostState::new(Arc::clone(&call), &self.shared));
        let inputs = InputBlobs::default();
        let mut blobs = BlobTable::new(store.as_context_mut(), &inputs);
        let list_bytes = call.limits.list_bytes;
        let rules = InputRules { unknown: UnknownInput::Refuse, list_bytes };
        let arguments = lower(&call.invocation.input, &function.ty, &rules, &mut blobs).ok()?;
        Some(Bare { runtime: self, call, arguments, export, loaded: Arc::clone(&loaded) })
    }
}

impl Bare<'_> {
    /// A fresh store and instance, the call, and the end of both. Says whether it returned.
    pub async fn call(&self) -> bool {
        let state = HostState::new(Arc::clone(&self.call), &self.runtime.shared);
        let mut store = Store::new(self.loaded.prepared.engine(), state);
        let Some(function) = self.loaded.function(&self.export) else { return false };
        if store.set_fuel(u64::MAX).is_err() {
            return false;
        }
        let Ok(instance) = self.loaded.prepared.instantiate_async(&mut store).await else {
            return false;
        };
        let Some(entry) = instance.get_func(&mut store, function.index) else { return false };
        let mut results = vec![Val::Bool(false); function.ty.results().len()];
        entry.call_async(&mut store, &self.arguments, &mut results).await.is_ok()
    }
}
