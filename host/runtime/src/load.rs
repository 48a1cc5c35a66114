//! Makes an installed component ready to be called: code from the cache, linked once.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    os::fd::AsRawFd,
    sync::{Arc, OnceLock},
};

use meshhost_core::{
    capability::ExportPath,
    code::Code,
    id::Digest,
    index::SearchIndex,
    inference::Inference,
    link::Link,
    ports::{Clock, Entropy, Invoker, KeyValueStore, ModelNames},
};
use serde_json::Value;
use tokio::sync::watch;
use wasmtime::component::{
    Component, ComponentExportIndex, InstancePre, Linker,
    types::{ComponentFunc, ComponentItem},
};

use crate::{
    aside,
    cache::CodeCache,
    convert::{self, ConvertError, InputRules, command_input},
    engine::{self, EngineKind, Places},
    file_pool::FilePool,
    imports, inspect,
    state::{HostState, Shared, escape_into},
};

/// Characters kept of wasmtime's message, which may quote names from the component.
const MESSAGE_CHARS_MAX: usize = 500;

/// What the node gives the runtime.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Key-value stores.
    pub key_values: Arc<dyn KeyValueStore>,
    /// Documents to search in.
    pub index: Arc<dyn SearchIndex>,
    /// The door, for components that call others.
    pub invoker: Arc<dyn Invoker>,
    /// The names of the node's models.
    pub model_names: Arc<dyn ModelNames>,
    /// The models themselves.
    pub inference: Arc<dyn Inference>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
}

/// Sizes of the runtime.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeConfig {
    /// Calls that run at once on this node; a component with several memories counts as several.
    pub instances: u32,
    /// Threads for file work.
    pub file_threads: u32,
}

/// Why a component could not be made ready.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// unknown-import, component-too-large or host-fault.
    pub code: Code,
    /// What happened.
    pub message: String,
}

impl LoadError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The engines, their linkers and the pools: one per process.
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
    pub(crate) places: Places,
    /// Whether the actors must end.
    pub(crate) closing: watch::Sender<bool>,
    plain: Linked,
    /// Made when the first component that needs it is loaded.
    concurrent: OnceLock<Linked>,
}

/// One engine, with what the host gives its components.
pub(crate) struct Linked {
    pub(crate) engine: wasmtime::Engine,
    linker: Linker<HostState>,
    kind: EngineKind,
    fingerprint: [u8; 32],
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").field("places", &self.places).finish_non_exhaustive()
    }
}

/// A component that is ready to be called.
pub struct Loaded {
    digest: Digest,
    pub(crate) prepared: InstancePre<HostState>,
    /// The engine that runs it.
    pub(crate) kind: EngineKind,
    /// How many places of the pool an instance takes.
    pub(crate) places: u32,
    functions: HashMap<ExportPath, Function>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loaded").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// One exported function.
#[derive(Debug)]
pub(crate) struct Function {
    /// Where an instance has it.
    pub(crate) index: ComponentExportIndex,
    /// Its type, with the host's resources put in.
    pub(crate) ty: ComponentFunc,
    /// Whether it is the `run` of `wasi:cli/run`, whose input and output are a command's.
    pub(crate) is_command: bool,
}

impl Loaded {
    /// Which component it is.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether `input` fits an exported function, as far as that shows before anything runs.
    ///
    /// # Errors
    /// Where it does not, and what is expected there.
    pub fn check_input(
        &self,
        export: &ExportPath,
        input: &Value,
        rules: &InputRules,
    ) -> Result<(), ConvertError> {
        match self.functions.get(export) {
            Some(function) if function.is_command => command_input(input).map(|_| ()),
            Some(function) => aside::convert(aside::is_large_input(input), || {
                convert::check(input, &function.ty, rules)
            }),
            None => {
                Err(ConvertError::new(Code::HostFault, "the component lost an exported function"))
            }
        }
    }

    pub(crate) fn function(&self, path: &ExportPath) -> Option<&Function> {
        self.functions.get(path)
    }
}

impl Runtime {
    /// Makes the first engine and its linker.
    ///
    /// # Errors
    /// When the machine cannot reserve the pool.
    pub fn new(config: RuntimeConfig, ports: Ports) -> Result<Arc<Self>, LoadError> {
        let engine = engine::serving(EngineKind::Plain, config.instances);
        Self::with_engine(engine.map_err(|error| fault(&error))?, config, ports)
    }

    /// A runtime on wasmtime's pool as it is without tuning, to show what the tuning is worth.
    ///
    /// # Errors
    /// When the machine cannot reserve the pool.
    #[cfg(feature = "bench")]
    pub fn with_stock_pool(config: RuntimeConfig, ports: Ports) -> Result<Arc<Self>, LoadError> {
        Self::with_engine(engine::stock().map_err(|error| fault(&error))?, config, ports)
    }

    fn with_engine(
        engine: wasmtime::Engine,
        config: RuntimeConfig,
        ports: Ports,
    ) -> Result<Arc<Self>, LoadError> {
        let files = FilePool::new(config.file_threads);
        Ok(Arc::new(Self {
            plain: Linked::new(EngineKind::Plain, engine)?,
            concurrent: OnceLock::new(),
            shared: Arc::new(Shared { ports, files }),
            places: Places::new(config.instances),
            closing: watch::Sender::new(false),
        }))
    }

    /// Loads from the cache and links, to the host and by `links` to other plugins, for whichever engine the code was compiled. `Ok(None)` means that the
    /// code must be compiled (again) first.
    ///
    /// # Errors
    /// When the component cannot be linked (an unknown import, a wrong type) or has more memories,
    /// tables or elements than an instance may have. When the second engine cannot be made.
    pub fn load(
        &self,
        component: &Digest,
        links: &[Link],
        cache: &CodeCache,
    ) -> Result<Option<Arc<Loaded>>, LoadError> {
        for kind in [EngineKind::Plain, EngineKind::Concurrent] {
            let fingerprint = self.fingerprint(kind).map_err(|error| fault(&error))?;
            let file = match cache.open(component, &fingerprint) {
                Ok(file) => file,
                Err(miss) => {
                    tracing::debug!(%component, %miss, ?kind, "no code in the cache");
                    continue;
                }
            };
            let linked = self.linked(kind)?;
            match map_code(&linked.engine, &file) {
                Ok(code) => return linked.prepare(*component, links, &code).map(Some),
                // The code is what this engine's settings made of it: only the pool can refuse it,
                // and compiling again would not change that. The error counts, and quotes nothing.
                Err(error) => {
                    let mut message = "the component does not fit into an instance: ".to_owned();
                    escape_into(&format!("{error:#}"), MESSAGE_CHARS_MAX, &mut message);
                    return Err(LoadError::new(Code::ComponentTooLarge, message));
                }
            }
        }
        Ok(None)
    }

    /// The engine of this kind, made if need be.
    pub(crate) fn linked(&self, kind: EngineKind) -> Result<&Linked, LoadError> {
        match (kind, self.concurrent.get()) {
            (EngineKind::Plain, _) => Ok(&self.plain),
            (EngineKind::Concurrent, Some(linked)) => Ok(linked),
            (EngineKind::Concurrent, None) => {
                // It has no pool, so the number of places is nothing to it.
                let engine = engine::serving(kind, 0).map_err(|error| fault(&error))?;
                let linked = Linked::new(kind, engine)?;
                // Two threads may come here; the second one's is dropped.
                Ok(self.concurrent.get_or_init(|| linked))
            }
        }
    }

    /// What code for this engine is stored under. Does not make the second engine for good.
    fn fingerprint(&self, kind: EngineKind) -> wasmtime::Result<[u8; 32]> {
        match (kind, self.concurrent.get()) {
            (EngineKind::Plain, _) => Ok(self.plain.fingerprint),
            (EngineKind::Concurrent, Some(linked)) => Ok(linked.fingerprint),
            (EngineKind::Concurrent, None) => {
                Ok(engine::code_fingerprint(&engine::compiling(kind)?))
            }
        }
    }

    /// Whether a component that needs the second engine was loaded.
    #[cfg(test)]
    pub(crate) fn has_second_engine(&self) -> bool {
        self.concurrent.get().is_some()
    }

    /// How often the pool had no slot for a call that held its place. Anything but 0 is a defect.
    #[must_use]
    pub fn pool_exhausted(&self) -> u64 {
        self.places.pool_exhausted()
    }

    /// How many more plain calls could begin now, and how many run at most at once.
    #[must_use]
    pub fn slots(&self) -> (u32, u32) {
        self.places.counts()
    }
}

impl Linked {
    fn new(kind: EngineKind, engine: wasmtime::Engine) -> Result<Self, LoadError> {
        let mut linker = Linker::new(&engine);
        imports::link_all(&mut linker, kind).map_err(|error| fault(&error))?;
        Ok(Self { fingerprint: engine::code_fingerprint(&engine), engine, linker, kind })
    }

    /// What the host gives, and these functions of other plugins.
    fn linker(&self, links: &[Link]) -> wasmtime::Result<Cow<'_, Linker<HostState>>> {
        if links.is_empty() {
            return Ok(Cow::Borrowed(&self.linker));
        }
        let mut linker = self.linker.clone();
        imports::link_plugins(&mut linker, links)?;
        Ok(Cow::Owned(linker))
    }

    pub(crate) fn prepare(
        &self,
        digest: Digest,
        links: &[Link],
        component: &Component,
    ) -> Result<Arc<Loaded>, LoadError> {
        let places = engine::places_of(component).ok_or_else(|| {
            let message = "the component has more memories or tables than an instance may have";
            LoadError::new(Code::ComponentTooLarge, message)
        })?;
        let linker = self.linker(links).map_err(|error| fault(&error))?;
        let prepared = linker.instantiate_pre(component).map_err(|error| {
            let mut message = "the component cannot be linked: ".to_owned();
            escape_into(&format!("{error:#}"), MESSAGE_CHARS_MAX, &mut message);
            LoadError::new(Code::UnknownImport, message)
        })?;
        let functions = self.functions(&linker, component).map_err(|error| fault(&error))?;
        Ok(Arc::new(Loaded { digest, prepared, kind: self.kind, places, functions }))
    }

    /// Every exported function, with its type as the linked instance has it.
    fn functions(
        &self,
        linker: &Linker<HostState>,
        component: &Component,
    ) -> wasmtime::Result<HashMap<ExportPath, Function>> {
        let mut functions = HashMap::new();
        let world = linker.substituted_component_type(component)?;
        let mut add = |interface: Option<&str>, name: &str, ty: ComponentFunc| {
            let instance = interface.and_then(|name| component.get_export_index(None, name));
            if interface.is_some() && instance.is_none() {
                return;
            }
            let Some(index) = component.get_export_index(instance.as_ref(), name) else { return };
            let is_command = name == "run" && interface.is_some_and(inspect::is_run);
            let path =
                ExportPath { interface: interface.map(str::to_owned), function: name.to_owned() };
            functions.insert(path, Function { index, ty, is_command });
        };
        for (name, export) in world.exports(&self.engine) {
            match export.ty {
                ComponentItem::ComponentFunc(ty) => add(None, name, ty),
                ComponentItem::ComponentInstance(instance) => {
                    for (function, export) in instance.exports(&self.engine) {
                        if let ComponentItem::ComponentFunc(ty) = export.ty {
                            add(Some(name), function, ty);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(functions)
    }
}

/// Maps the code of `file`, which [`CodeCache::open`] has just checked.
#[expect(unsafe_code, reason = "loading machine code: the one place, behind the cache's checks")]
fn map_code(engine: &wasmtime::Engine, file: &File) -> wasmtime::Result<Component> {
    // The name of the open descriptor, so that no path is followed a second time.
    let path = format!("/dev/fd/{}", file.as_raw_fd());
    // SAFETY: `deserialize_file` asks for bytes that this version of wasmtime made and that never
    // change while they are mapped. The bytes authenticated under the node's key, which only
    // `CodeCache::put` uses, on what the compiling child made with this engine's settings. The
    // file belongs to this user alone, has one name, and is replaced by renaming, never written
    // again; the node's own user is trusted.
    unsafe { Component::deserialize_file(engine, path) }
}

fn fault(error: &wasmtime::Error) -> LoadError {
    LoadError::new(
        Code::HostFault,
        format!("the WebAssembly engine could not be set up: {error:#}"),
    )
}
