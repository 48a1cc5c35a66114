//! Runs a component without installing it: a plugin of this one call, with no grants, through the
//! same door.

use std::sync::{Arc, Mutex};

use meshhost_core::{
    code::Code,
    grant::{GrantFile, effective},
    id::CapabilityId,
    outcome::Refusal,
    quarantine::Quarantine,
};
use meshhost_runtime::live::LiveGrants;

use super::{Node, calls};
use crate::{
    api::{CallReply, CallRequest, Source},
    entrance::Entrance,
    install::candidate::Candidate,
    registry::{Parts, Plugin, Snapshot},
    store::plugins::PluginRecord,
    sys,
};

impl Node {
    /// Runs one function of a component that is not installed.
    pub(super) async fn run(
        &self,
        entrance: &Entrance,
        source: &Source,
        capability: Option<String>,
        call: CallRequest,
    ) -> Result<CallReply, Refusal> {
        let candidate = self.installer.read(source, None).await?;
        candidate.check_names(&Snapshot::default())?;
        candidate.check_fits(&self.config.ceiling.limits)?;
        let id = chosen(&candidate, capability.as_deref())?;
        self.installer.make_ready(&candidate).await?;
        let plugin = self.passing(&candidate)?;
        let snapshot = Arc::new(Snapshot::new([plugin], Default::default()));
        let call = CallRequest { capability: id, plugin: None, ..call };
        calls::call_in(&self.door, &self.store.blobs, entrance, (call, None), snapshot).await
    }

    /// A plugin that exists for one call. It asks for whatever it asks for and gets nothing.
    fn passing(&self, candidate: &Candidate) -> Result<Arc<Plugin>, Refusal> {
        let grants = GrantFile::empty(candidate.name.clone(), candidate.consent);
        let manifest = candidate.manifest.as_ref().map(|(manifest, _)| manifest.clone());
        let ceiling = &self.config.ceiling;
        let mut effective = effective(manifest.as_ref(), &grants, ceiling, &sys::environment);
        // What a command prints is its answer, not a thing that it reaches.
        effective.grants.stdout_bytes = effective.limits.output_bytes;
        let excluded = Arc::clone(&self.installer.excluded);
        let (live, suspended) = LiveGrants::open(&effective.grants, excluded);
        let record = PluginRecord {
            name: candidate.name.clone(),
            current: candidate.version(&grants),
            staged: None,
            previous: None,
            enabled: true,
            installed: 0,
        };
        Ok(Plugin::new(Parts {
            record,
            manifest,
            rules: candidate.rules.clone(),
            grants,
            effective,
            live,
            suspended,
            places: None,
            quarantine: Arc::new(Mutex::new(Quarantine::default())),
            state: None,
            readiness: Arc::clone(&self.installer.readiness),
        }))
    }
}

/// The function that is meant: the one that is named, the command, or the only one.
fn chosen(candidate: &Candidate, named: Option<&str>) -> Result<CapabilityId, Refusal> {
    let capabilities = &candidate.inspection.capabilities;
    let list = || {
        let ids: Vec<_> = capabilities.iter().map(|one| one.id.as_str()).collect();
        ids.join(", ")
    };
    if let Some(named) = named {
        let ending = format!(".{}", named.replace('-', "_"));
        let mut found = capabilities.iter().filter(|one| {
            let id = one.id.folded();
            id == named.replace('-', "_") || id.ends_with(&ending)
        });
        return found.next().map(|one| one.id.clone()).ok_or_else(|| {
            let message = format!("the component has no {named}; it has {}", list());
            Refusal::new(Code::CapabilityNotFound, message)
        });
    }
    let command = capabilities.iter().find(|one| {
        let interface = one.export.interface.as_deref();
        interface.is_some_and(|interface| interface.starts_with("wasi:cli/run"))
    });
    match (command, capabilities.as_slice()) {
        (Some(command), _) => Ok(command.id.clone()),
        (None, [only]) => Ok(only.id.clone()),
        (None, []) => Err(Refusal::new(
            Code::CapabilityNotFound,
            "the component exports no function that can be called",
        )),
        (None, _) => Err(Refusal::new(
            Code::UsageError,
            format!("the component has several functions; name one: {}", list()),
        )),
    }
}
