//! The composition root: opens the data directory, makes the parts in the order in which they
//! need each other, and answers requests.

mod audit;
pub(crate) mod calls;
mod configure;
mod models;
mod parts;
pub mod ready;
mod run;
mod status;

use std::{path::PathBuf, sync::Arc};

use meshhost_core::{
    code::Code, config::NodeConfig, id::CapabilityId, outcome::Refusal, ports::Clock,
};
use meshhost_inference::Serving;
use meshhost_runtime::{
    execute::ItemSender,
    load::{Ports, Runtime, RuntimeConfig},
};

use crate::{
    api::{Reply, Request},
    door::{Door, child::ChildEntrance},
    entrance::Entrance,
    index::Index,
    install::{Installer, review},
    lifecycle::Lifecycle,
    mesh::{Mesh, WarmModels},
    models::ModelStore,
    registry::Registry,
    runtimes::RuntimeStore,
    store::{
        Store,
        directory::{Access, DataDirectory},
    },
    sys::{SystemClock, SystemEntropy},
};

/// How a node is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// What it is configured with.
    pub config: Config,
    /// Whether it serves, or works for one command.
    pub access: Access,
}

/// Which file configures a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// This file; a node that serves already has read its own, so nobody is connected to it.
    Given(PathBuf),
    /// The file that the environment names for every node, else `meshhost.toml` in the data
    /// directory, if it exists. A node that serves already has read it.
    Usual(Option<PathBuf>),
}

impl Default for Config {
    fn default() -> Self {
        Self::Usual(None)
    }
}

impl Config {
    /// The file that must be there.
    fn named(&self) -> Option<&PathBuf> {
        match self {
            Self::Given(file) => Some(file),
            Self::Usual(file) => file.as_ref(),
        }
    }
}

/// An open node.
#[derive(Debug)]
pub struct Node {
    store: Store,
    config: NodeConfig,
    /// The file that configures this node, when it is not the one in the data directory.
    configured_by: Option<PathBuf>,
    registry: Arc<Registry>,
    door: Arc<Door>,
    installer: Installer,
    models: ModelStore,
    /// Installs what runs models.
    runtimes: RuntimeStore,
    /// Runs models, in a process that starts when one is needed.
    serving: Arc<Serving>,
    /// Its part in a mesh.
    mesh: Arc<Mesh>,
    lifecycle: Lifecycle,
    clock: Arc<dyn Clock>,
}

impl Node {
    /// Opens the data directory and makes the parts.
    ///
    /// # Errors
    /// When the directory is not right, in use or newer, or the configuration is wrong.
    pub async fn open(options: Options) -> Result<Self, Refusal> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy = Arc::new(SystemEntropy);
        // The lock comes first: everything after it may write.
        let directory = DataDirectory::open(&options.data, options.access)
            .await
            .map_err(|error| error.refusal())?;
        let config = parts::configuration(&options, &directory)?;
        let store = Store::open(directory, &config, Arc::clone(&clock), entropy.clone())
            .await
            .map_err(|error| error.refusal())?;
        let lifecycle = Lifecycle {
            evidence: store.evidence.clone(),
            host_id: store.keys.host_id().clone(),
            clock: Arc::clone(&clock),
            entropy: entropy.clone(),
        };
        let (models, serving) = parts::models(&store, &config, lifecycle.clone()).await?;
        let runtimes = RuntimeStore::open(store.directory.runtimes(), lifecycle.clone()).await?;
        let registry = Arc::new(Registry::default());
        // The door stands before the runtime, which calls it for components that call others.
        let door = parts::door(&store, &config, &lifecycle, &registry);
        let index = Arc::new(Index::new(store.indexes.clone(), config.index_memory_bytes));
        let ports = Ports {
            key_values: Arc::new(store.key_values.clone()),
            index: Arc::clone(&index) as _,
            invoker: Arc::new(ChildEntrance::new(Arc::downgrade(&door))),
            model_names: Arc::clone(models.catalogue()) as _,
            inference: Arc::clone(&serving) as _,
            clock: Arc::clone(&clock),
            entropy: entropy.clone(),
        };
        let sizes =
            RuntimeConfig { instances: config.concurrency, file_threads: config.file_threads };
        let runtime =
            Runtime::new(sizes, ports).map_err(|error| Refusal::new(error.code, error.message))?;
        let readiness = Arc::new(parts::readiness(&store, &config, Arc::clone(&runtime))?);
        if door.runtime.set(runtime).is_err() {
            return Err(Refusal::new(Code::HostFault, "the door has a runtime already"));
        }
        let installer =
            parts::installer(&store, &config, lifecycle.clone(), readiness, index, &door)?;
        let warm =
            WarmModels { catalogue: Arc::clone(models.catalogue()), serving: Arc::clone(&serving) };
        let mesh = parts::mesh(&store, &config, &lifecycle, &door, warm, options.access).await?;
        // Calls see plugins only when everything that they need is there.
        installer.restore().await?;
        let configured_by = options.config.named().cloned();
        Ok(Self {
            store,
            config,
            configured_by,
            registry,
            door,
            installer,
            models,
            runtimes,
            serving,
            mesh,
            lifecycle,
            clock,
        })
    }

    /// Where the admin socket is.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.store.directory.socket()
    }

    /// Answers one request. Dropping the future cancels a call in progress.
    pub async fn handle(&self, entrance: &Entrance, request: Request) -> Reply {
        self.handle_streaming(entrance, request, None).await
    }

    /// The same. What a call streams goes to `items` as it comes, before the reply.
    pub async fn handle_streaming(
        &self,
        entrance: &Entrance,
        request: Request,
        items: Option<ItemSender>,
    ) -> Reply {
        // Calls come often and all else seldom: what is seldom lies in a box of its own, so that
        // a call need not carry room for it.
        let answer = match &request {
            Request::Call(_) | Request::Run { .. } => self.call(entrance, request, items).await,
            _ if !entrance.administers() => {
                Err(Refusal::new(Code::NotAllowed, "this caller may call, and nothing else"))
            }
            Request::PutBlob { .. } | Request::GetBlob { .. } => Box::pin(self.blob(request)).await,
            _ => Box::pin(self.administer(entrance, request)).await,
        };
        answer.unwrap_or_else(Reply::Error)
    }

    async fn call(
        &self,
        entrance: &Entrance,
        request: Request,
        items: Option<ItemSender>,
    ) -> Result<Reply, Refusal> {
        let reply = match request {
            Request::Call(call) => {
                calls::call(&self.door, &self.store.blobs, entrance, (call, items)).await?
            }
            Request::Run { source, capability, call } => {
                Box::pin(self.run(entrance, &source, capability, call)).await?
            }
            _ => return Err(misrouted()),
        };
        Ok(Reply::Call(Box::new(reply)))
    }

    async fn blob(&self, request: Request) -> Result<Reply, Refusal> {
        let blobs = &self.store.blobs;
        match request {
            Request::PutBlob { file } => {
                let (digest, length) =
                    blobs.put_file(&file).await.map_err(|error| error.refusal())?;
                Ok(Reply::Blob { digest, length })
            }
            Request::GetBlob { digest, file } => {
                let length =
                    blobs.get_to_file(&digest, &file).await.map_err(|error| error.refusal())?;
                Ok(Reply::Blob { digest, length })
            }
            _ => Err(misrouted()),
        }
    }

    async fn administer(&self, entrance: &Entrance, request: Request) -> Result<Reply, Refusal> {
        let installer = &self.installer;
        match request {
            Request::Inspect { source, name } => installer.inspect(&source, name).await,
            Request::Install { source, name, consent } => {
                installer.install(entrance, &source, name, &consent).await
            }
            Request::Update { name, source, consent } => {
                installer.update(entrance, &name, source, &consent).await
            }
            Request::Approve { name, digest, consent } => {
                installer.approve(entrance, &name, digest, &consent).await
            }
            Request::Rollback { name } => installer.rollback(entrance, &name).await,
            Request::Enable { name } => installer.set_enabled(entrance, &name, true).await,
            Request::Disable { name } => installer.set_enabled(entrance, &name, false).await,
            Request::Remove { name, data } => installer.remove(entrance, &name, data).await,
            Request::Grant { name, permissions, limits } => {
                installer.add_grants(entrance, &name, &permissions, limits).await
            }
            Request::Revoke { name, permissions } => {
                installer.revoke(entrance, &name, &permissions).await
            }
            Request::Prefer { capability, name } => {
                installer.prefer(entrance, &capability, &name).await
            }
            Request::Plugins => Ok(self.plugins()),
            Request::Permissions { name } => installer.permissions(&name),
            Request::Capabilities => {
                Ok(Reply::Capabilities(review::capability_views(&self.registry.snapshot())))
            }
            Request::Status => self.status().await,
            Request::Describe { capability, node } => {
                self.describe(&capability, node.as_deref()).await
            }
            Request::Mesh(request) => {
                self.mesh.handle(entrance, request).await.map(|it| Reply::Mesh(Box::new(it)))
            }
            request @ (Request::ModelAdd { .. }
            | Request::Models
            | Request::Model { .. }
            | Request::ModelRemove { .. }
            | Request::ModelVerify { .. }
            | Request::ModelsRunning
            | Request::Runtimes
            | Request::RuntimeUse { .. }
            | Request::RuntimeInstall { .. }) => self.models(entrance, request).await,
            request => self.audit(request).await,
        }
    }

    /// How a capability is called that this node does not have.
    async fn describe(&self, id: &CapabilityId, node: Option<&str>) -> Result<Reply, Refusal> {
        let described = self.mesh.describe(id, node).await;
        let view = described.and_then(|view| serde_json::from_value(view).ok());
        Ok(Reply::Capabilities(view.into_iter().collect()))
    }

    /// Starts to take part in the mesh, when the node belongs to a community.
    ///
    /// # Errors
    /// When the address of the mesh cannot be bound.
    pub async fn take_part(&self) -> Result<(), Refusal> {
        self.mesh.serve().await
    }

    fn plugins(&self) -> Reply {
        let now_us = self.clock.now_us();
        let snapshot = self.registry.snapshot();
        Reply::Plugins(snapshot.plugins().map(|one| review::plugin_view(one, now_us)).collect())
    }

    /// Ends: ends the actors, waits for the ends of cancelled calls, signs the head, releases the lock.
    pub async fn close(self) {
        self.mesh.close().await;
        if let Some(runtime) = self.door.runtime.get() {
            runtime.end_actors();
        }
        self.door.unfinished.close();
        self.door.unfinished.wait().await;
        if let Err(error) = self.store.close().await {
            tracing::error!("closing the store: {error}");
        }
    }
}

/// A capability in a version of this range, as `meshhost capabilities --json` prints it, for a peer.
pub(crate) fn review_of(
    door: &Door,
    capability: &CapabilityId,
    range: Option<&str>,
) -> Option<Vec<u8>> {
    let range: Option<semver::VersionReq> = range.map(str::parse).transpose().ok()?;
    let views = review::capability_views(&door.registry.snapshot());
    let wanted = capability.folded();
    let fits = |version: &str| {
        range.as_ref().is_none_or(|range| version.parse().is_ok_and(|it| range.matches(&it)))
    };
    let view = views.into_iter().find(|view| {
        (view.id.folded() == wanted || view.long_id.folded() == wanted) && fits(&view.version)
    })?;
    serde_json::to_vec(&view).ok()
}

fn misrouted() -> Refusal {
    Refusal::new(Code::HostFault, "the request took a wrong turn inside the node")
}

#[cfg(test)]
mod tests;
