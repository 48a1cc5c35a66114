//! What a component asks, what the operator agrees to, and what follows from it.
//!
//! [`candidate`] reads bytes once and says what they are; [`consent`] turns the operator's words into
//! grants; [`review`] is what a person is shown; [`assemble`] makes the plugin that calls see; this module
//! commits: compiled code, files, evidence, record, registry, in that order, so that a crash at
//! any point leaves what was there before.

pub mod assemble;
pub(crate) mod candidate;
mod change;
mod consent;
pub(crate) mod data;
mod files;
mod lifecycle;
mod providers;
mod remove;
pub mod review;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
};

use meshhost_core::{
    code::Code,
    evidence::event::EventType,
    grant::{Ceiling, GrantFile},
    id::PluginName,
    outcome::Refusal,
    ports::Clock,
};
use meshhost_runtime::live::Excluded;
use tokio::sync::{Mutex, Semaphore};

use crate::{
    api::{Consent, Reply, Source},
    door::Elsewhere,
    entrance::Entrance,
    install::{assemble::Assembled, candidate::Candidate, data::PluginData},
    lifecycle::Lifecycle,
    node::ready::Readiness,
    registry::{Plugin, Registry},
    store::plugins::{PluginRecord, Plugins},
};

/// Components that are read and inspected at once: with the largest allowed, about a gigabyte.
pub(crate) const READING_MAX: usize = 2;

/// Installs and changes plugins; one change at a time.
#[derive(Debug)]
pub struct Installer {
    /// What calls see.
    pub registry: Arc<Registry>,
    /// Other nodes, which may provide what a component imports.
    pub elsewhere: Arc<OnceLock<Weak<dyn Elsewhere>>>,
    /// What is kept.
    pub plugins: Plugins,
    /// Where changes are written down.
    pub lifecycle: Lifecycle,
    /// Makes components ready.
    pub readiness: Arc<Readiness>,
    /// The most that anything may be granted.
    pub ceiling: Ceiling,
    /// Bytes of a component.
    pub component_bytes: u64,
    /// Components that are read at once; each is wholly in memory.
    pub reading: Arc<Semaphore>,
    /// What no granted folder may reach.
    pub excluded: Arc<[Excluded]>,
    /// Where components, grants and overlays lie.
    pub folders: Folders,
    /// What plugins have stored.
    pub data: PluginData,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Held during each change.
    pub changing: Mutex<()>,
}

/// Folders inside the data directory.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Components by digest.
    pub components: PathBuf,
    /// One grant file a plugin.
    pub grants: PathBuf,
    /// The operator's overlays, one file a plugin, written by hand.
    pub overlays: PathBuf,
}

impl Installer {
    /// What a component is and would ask.
    ///
    /// # Errors
    /// When it is no component, or its manifest is not right.
    pub async fn inspect(
        &self,
        source: &Source,
        name: Option<PluginName>,
    ) -> Result<Reply, Refusal> {
        let candidate = self.read(source, name).await?;
        let grants = GrantFile::empty(candidate.name.clone(), candidate.consent);
        Ok(self.reviewed(&candidate, &grants, Vec::new(), false))
    }

    /// Installs, or says what consent is needed.
    ///
    /// # Errors
    /// When it cannot be installed; the refusal is evidence.
    pub async fn install(
        &self,
        entrance: &Entrance,
        source: &Source,
        name: Option<PluginName>,
        consent: &Consent,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let installed = self.try_install(entrance, source, name, consent).await;
        if let Err(refusal) = &installed {
            self.reject(entrance, refusal).await?;
        }
        installed
    }

    /// Other nodes, when there are any.
    fn elsewhere(&self) -> Option<Arc<dyn Elsewhere>> {
        self.elsewhere.get().and_then(Weak::upgrade).filter(|others| others.exists())
    }

    async fn try_install(
        &self,
        entrance: &Entrance,
        source: &Source,
        name: Option<PluginName>,
        consent: &Consent,
    ) -> Result<Reply, Refusal> {
        let candidate = self.read(source, name).await?;
        let snapshot = self.registry.snapshot();
        if let Some(existing) = snapshot.plugin(&candidate.name) {
            return Err(exists(existing, &candidate));
        }
        candidate.check_names(&snapshot)?;
        candidate.check_fits(&self.ceiling.limits)?;
        providers::check(&candidate, &snapshot, self.elsewhere()).await?;
        let grants = self.agreed(&candidate, None, consent)?;
        let Some(grants) = grants else {
            let nothing = GrantFile::empty(candidate.name.clone(), candidate.consent);
            return Ok(self.reviewed(&candidate, &nothing, Vec::new(), false));
        };
        self.make_ready(&candidate).await?;
        files::write_component(&self.folders.components, &candidate).await?;
        let record = PluginRecord {
            name: candidate.name.clone(),
            current: candidate.version(&grants),
            staged: None,
            previous: None,
            enabled: true,
            installed: u64::try_from(self.clock.now_us()).unwrap_or(0),
        };
        let assembled = self.assemble(record, grants, None)?;
        let facts = lifecycle::installed(&candidate, &assembled.plugin);
        // Said of what was there before it.
        let notes = self.notes(&candidate);
        let event = EventType::PluginInstalled;
        let plugin = self.commit(entrance, event, facts, assembled).await?;
        let mut view = review::plugin_view(&plugin, self.clock.now_us());
        view.notes.extend(notes);
        Ok(Reply::Plugin(Box::new(view)))
    }

    /// Writes evidence, the grant file and the record, then lets calls see the plugin and its grants:
    /// what cannot be written does not come to pass.
    async fn commit(
        &self,
        entrance: &Entrance,
        event: EventType,
        facts: meshhost_core::evidence::fact::Facts,
        Assembled { plugin, next }: Assembled,
    ) -> Result<Arc<Plugin>, Refusal> {
        self.record(entrance, event, facts).await?;
        files::write_grants(&self.folders.grants, &plugin.grants)?;
        self.plugins.save_plugin(&plugin.record).await.map_err(|error| error.refusal())?;
        if let Some(next) = next {
            plugin.live.replace(next);
        }
        plugin.resize_places();
        let snapshot = self.registry.snapshot();
        self.registry.replace(snapshot.with(Arc::clone(&plugin)));
        Ok(plugin)
    }

    /// Makes a component ready that was just read.
    pub(crate) async fn make_ready(&self, candidate: &Candidate) -> Result<(), Refusal> {
        let (digest, links) = (&candidate.inspection.digest, candidate.links());
        self.readiness.ready_from(digest, &links, &candidate.bytes).await.map(drop)
    }

    /// An installed plugin.
    fn installed(&self, name: &PluginName) -> Result<Arc<Plugin>, Refusal> {
        self.registry.snapshot().plugin(name).cloned().ok_or_else(|| {
            let message =
                format!("no plugin {name} is installed; `meshhost plugin list` shows all");
            Refusal::new(Code::NotFound, message)
        })
    }
}

fn exists(existing: &Plugin, candidate: &Candidate) -> Refusal {
    let name = &candidate.name;
    let message = if existing.record.current.component == candidate.inspection.digest {
        format!("{name} is installed already, with these very bytes")
    } else {
        format!(
            "a plugin {name} is installed with other bytes; `meshhost plugin update {name} FILE` \
             replaces it, --name installs beside it"
        )
    };
    Refusal::new(Code::PluginExists, message)
}
