//! How the composition root makes its parts.

use std::{
    io::ErrorKind,
    sync::{Arc, OnceLock, Weak},
};

use meshhost_core::{
    code::Code,
    config::{CONFIG_BYTES_MAX, NodeConfig},
    outcome::Refusal,
};
use meshhost_inference::Serving;
use meshhost_runtime::{cache::CodeCache, load::Runtime};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{Options, ready::Readiness};
use crate::{
    compiler::Compiler,
    door::{Door, Elsewhere},
    index::Index,
    inference,
    install::{Folders, Installer, READING_MAX, data::PluginData},
    lifecycle::Lifecycle,
    mesh::{self, Mesh, WarmModels},
    models::ModelStore,
    registry::Registry,
    regular_file,
    store::{
        Store,
        directory::{Access, DataDirectory},
        keys::Purpose,
    },
    sys,
};

/// The way of every call. It gets its runtime and the other nodes later: both call it.
pub(super) fn door(
    store: &Store,
    config: &NodeConfig,
    lifecycle: &Lifecycle,
    registry: &Arc<Registry>,
) -> Arc<Door> {
    Arc::new_cyclic(|this| Door {
        this: this.clone(),
        registry: Arc::clone(registry),
        runtime: OnceLock::new(),
        evidence: store.evidence.clone(),
        results: store.results.clone(),
        blobs: store.blobs.clone(),
        plugins: store.plugins.clone(),
        clock: Arc::clone(&lifecycle.clock),
        entropy: Arc::clone(&lifecycle.entropy),
        host_id: lifecycle.host_id.clone(),
        elsewhere: Arc::new(OnceLock::new()),
        risk: config.risk,
        unfinished: TaskTracker::new(),
    })
}

/// The part in a mesh, which the door takes calls to.
pub(super) async fn mesh(
    store: &Store,
    config: &NodeConfig,
    lifecycle: &Lifecycle,
    door: &Arc<Door>,
    models: WarmModels,
    access: Access,
) -> Result<Arc<Mesh>, Refusal> {
    let parts = mesh::Parts {
        door: Arc::downgrade(door),
        lifecycle: lifecycle.clone(),
        access,
        policy: config.mesh.clone(),
        models,
    };
    let mesh = Mesh::open(store, parts).await?;
    let elsewhere: Weak<dyn Elsewhere> = Arc::downgrade(&mesh) as _;
    match door.elsewhere.set(elsewhere) {
        Ok(()) => Ok(mesh),
        Err(_) => Err(Refusal::new(Code::HostFault, "the door has other nodes already")),
    }
}

/// What the node runs with.
pub(super) fn configuration(
    options: &Options,
    directory: &DataDirectory,
) -> Result<NodeConfig, Refusal> {
    let named = options.config.named();
    let path = named.cloned().unwrap_or_else(|| directory.configuration());
    let text = match regular_file::read_text(&path, CONFIG_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            return Ok(NodeConfig::DEFAULT);
        }
        Err(error) => {
            let message = format!("the configuration {} cannot be read: {error}", path.display());
            return Err(Refusal::new(Code::ConfigInvalid, message));
        }
    };
    NodeConfig::parse(&path.display().to_string(), &text).map_err(Refusal::from)
}

/// The models, and what runs them.
pub(super) async fn models(
    store: &Store,
    config: &NodeConfig,
    lifecycle: Lifecycle,
) -> Result<(ModelStore, Arc<Serving>), Refusal> {
    let (directory, config) = (&store.directory, &config.inference);
    let settings = inference::settings(config, &directory.runtimes())?;
    let clock = Arc::clone(&lifecycle.clock);
    let models =
        ModelStore::open(directory.models(), store.models.clone(), lifecycle, config).await?;
    let catalogue = Arc::clone(models.catalogue());
    Ok((models, Arc::new(Serving::new(settings, catalogue, clock))))
}

/// What changes the plugins of the node.
pub(super) fn installer(
    store: &Store,
    config: &NodeConfig,
    lifecycle: Lifecycle,
    readiness: Arc<Readiness>,
    index: Arc<Index>,
    door: &Door,
) -> Result<Installer, Refusal> {
    Ok(Installer {
        registry: Arc::clone(&door.registry),
        elsewhere: Arc::clone(&door.elsewhere),
        plugins: store.plugins.clone(),
        clock: Arc::clone(&lifecycle.clock),
        lifecycle,
        readiness,
        ceiling: config.ceiling,
        component_bytes: config.compile.component_bytes,
        reading: Arc::new(Semaphore::new(READING_MAX)),
        excluded: store.directory.excluded().map_err(|error| error.refusal())?.into(),
        folders: Folders {
            components: store.directory.components(),
            grants: store.directory.grants(),
            overlays: store.directory.overlays(),
        },
        data: PluginData { key_values: store.key_values.clone(), index },
        changing: tokio::sync::Mutex::new(()),
    })
}

/// What makes plugins ready.
pub(super) fn readiness(
    store: &Store,
    config: &NodeConfig,
    runtime: Arc<Runtime>,
) -> Result<Readiness, Refusal> {
    let cache = CodeCache {
        folder: store.directory.code_cache(),
        key: store.keys.derived(Purpose::CodeCache),
    };
    let program = sys::own_program().ok_or_else(|| {
        Refusal::new(Code::HostFault, "the program's own file cannot be found to compile with")
    })?;
    let compiler = Compiler::new(program, config.compile);
    Ok(Readiness::new(runtime, cache, compiler, store.directory.components()))
}
