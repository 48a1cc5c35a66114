//! Changes to an installed plugin: grants, versions, serving, preference.

use std::{collections::BTreeSet, sync::Arc};

use meshhost_core::{
    code::Code,
    evidence::event::EventType,
    grant::GrantFile,
    id::{CapabilityId, Digest, PluginName},
    limits::LimitsWanted,
    outcome::Refusal,
    quarantine::Quarantine,
};

use super::{
    Installer, assemble::version_grants, candidate::Candidate, consent, files, lifecycle,
    providers, review::plugin_view,
};
use crate::{
    api::{Consent, Reply, Source},
    entrance::Entrance,
    registry::Plugin,
    store::plugins::{PluginRecord, PluginVersion},
};

impl Installer {
    /// Adds permissions and limits.
    ///
    /// # Errors
    /// When one cannot be granted; then none is.
    pub async fn add_grants(
        &self,
        entrance: &Entrance,
        name: &PluginName,
        permissions: &[String],
        limits: LimitsWanted,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.installed(name)?;
        let mut grants = before.grants.clone();
        for text in permissions {
            self.grant(&mut grants, before.manifest.as_ref(), consent::parse(text)?)?;
        }
        grants.limits = limits.or(grants.limits);
        self.regrant(entrance, EventType::PermissionGranted, &before, grants, permissions).await
    }

    /// Takes permissions away: all, when none is named. Running calls meet it at their next
    /// host call.
    ///
    /// # Errors
    /// When one was not granted; then none is taken.
    pub async fn revoke(
        &self,
        entrance: &Entrance,
        name: &PluginName,
        permissions: &[String],
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.installed(name)?;
        let mut grants = before.grants.clone();
        if permissions.is_empty() {
            grants.entries.clear();
        }
        for text in permissions {
            let permission = consent::parse(text)?.to_string();
            let count = grants.entries.len();
            grants.entries.retain(|entry| entry.permission.to_string() != permission);
            if grants.entries.len() == count {
                let message = format!(
                    "{permission} is not granted to {name}; `meshhost plugin permissions {name}` \
                     lists what is"
                );
                return Err(Refusal::new(Code::NotFound, message));
            }
        }
        self.regrant(entrance, EventType::PermissionRevoked, &before, grants, permissions).await
    }

    async fn regrant(
        &self,
        entrance: &Entrance,
        event: EventType,
        before: &Arc<Plugin>,
        grants: GrantFile,
        permissions: &[String],
    ) -> Result<Reply, Refusal> {
        // The record takes the kind and a digest: the permission itself may hold a path.
        let kinds = permissions
            .iter()
            .map(|text| text.split_once('=').map_or(text.as_str(), |(kind, _)| kind).to_owned())
            .collect();
        let mut record = before.record.clone();
        record.current.grants = grants.to_toml();
        let assembled = self.assemble(record, grants, Some(before))?;
        let facts = lifecycle::of_plugin(&assembled.plugin).texts("kinds", kinds);
        Ok(self.shown(&*self.commit(entrance, event, facts, assembled).await?))
    }

    /// Replaces the version that serves. What asks for more than is granted is staged, and the
    /// old version serves on.
    ///
    /// # Errors
    /// When the bytes are the same, or cannot be installed.
    pub async fn update(
        &self,
        entrance: &Entrance,
        name: &PluginName,
        source: Option<Source>,
        consent: &Consent,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.installed(name)?;
        let source = source.unwrap_or_else(|| Source::BuiltIn(name.to_string()));
        let candidate = self.read(&source, Some(name.clone())).await?;
        if candidate.consent == before.record.current.consent {
            let message = format!("{name} is at this very version already");
            return Err(Refusal::new(Code::PluginExists, message));
        }
        candidate.check_names(&self.registry.snapshot())?;
        candidate.check_fits(&self.ceiling.limits)?;
        providers::check(&candidate, &self.registry.snapshot(), self.elsewhere()).await?;
        let changes = changes(&before, &candidate);
        let spoken = consent.review.is_some() || !consent.permissions.is_empty();
        let grants = self.agreed(&candidate, Some(&before.grants), consent)?;
        let grants = grants.unwrap_or_else(|| before.grants.clone());
        self.make_ready(&candidate).await?;
        files::write_component(&self.folders.components, &candidate).await?;
        let version = candidate.version(&grants);
        if widens(&before, &candidate) && !spoken {
            let mut record = before.record.clone();
            record.staged = Some(version);
            let staged = self.assemble(record, before.grants.clone(), Some(&before))?;
            let facts = lifecycle::installed(&candidate, &staged.plugin);
            self.commit(entrance, EventType::PluginUpdateStaged, facts, staged).await?;
            return Ok(self.reviewed(&candidate, &grants, changes, true));
        }
        self.serve_version(entrance, &before, version, grants, EventType::PluginUpdated).await
    }

    /// Lets a staged update serve.
    ///
    /// # Errors
    /// When nothing is staged, or something else than was shown.
    pub async fn approve(
        &self,
        entrance: &Entrance,
        name: &PluginName,
        digest: Digest,
        consent: &Consent,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.installed(name)?;
        let staged = before.record.staged.clone().filter(|staged| staged.component == digest);
        let Some(staged) = staged else {
            let message = format!("no update of {name} with this digest is staged");
            return Err(Refusal::new(Code::NotFound, message));
        };
        let manifest = self.manifest(name, &staged)?;
        let mut grants = version_grants(name, &staged)?;
        for permission in self.wished(manifest.as_ref(), consent)? {
            self.grant(&mut grants, manifest.as_ref(), permission)?;
        }
        self.serve_version(entrance, &before, staged, grants, EventType::PluginUpdated).await
    }

    /// Goes back to the version before, with the grants that it had.
    ///
    /// # Errors
    /// When there is none.
    pub async fn rollback(&self, entrance: &Entrance, name: &PluginName) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.installed(name)?;
        let Some(previous) = before.record.previous.clone() else {
            let message = format!("{name} has no earlier version");
            return Err(Refusal::new(Code::NoRollback, message));
        };
        let grants = version_grants(name, &previous)?;
        self.serve_version(entrance, &before, previous, grants, EventType::PluginRolledBack).await
    }

    async fn serve_version(
        &self,
        entrance: &Entrance,
        before: &Arc<Plugin>,
        mut version: PluginVersion,
        grants: GrantFile,
        event: EventType,
    ) -> Result<Reply, Refusal> {
        version.grants = grants.to_toml();
        let record = PluginRecord {
            previous: Some(before.record.current.clone()),
            current: version,
            staged: None,
            ..before.record.clone()
        };
        let assembled = self.assemble(record, grants, Some(before))?;
        let facts = lifecycle::of_plugin(&assembled.plugin);
        Ok(self.shown(&*self.commit(entrance, event, facts, assembled).await?))
    }

    /// Lets a plugin serve, or stops it. Enabling ends a quarantine.
    ///
    /// # Errors
    /// When it is not installed.
    pub async fn set_enabled(
        &self,
        entrance: &Entrance,
        name: &PluginName,
        enabled: bool,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.installed(name)?;
        let record = PluginRecord { enabled, ..before.record.clone() };
        let assembled = self.assemble(record, before.grants.clone(), Some(&before))?;
        if enabled {
            let clear = Quarantine::default();
            let saved = self.plugins.save_quarantine(name, &clear).await;
            saved.map_err(|error| error.refusal())?;
            *assembled.plugin.quarantine() = clear;
        }
        let event = if enabled { EventType::PluginEnabled } else { EventType::PluginDisabled };
        let facts = lifecycle::of_plugin(&assembled.plugin);
        Ok(self.shown(&*self.commit(entrance, event, facts, assembled).await?))
    }

    /// Makes a plugin the one that is called when several have a capability.
    ///
    /// # Errors
    /// When it does not have the capability.
    pub async fn prefer(
        &self,
        entrance: &Entrance,
        capability: &CapabilityId,
        name: &PluginName,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let plugin = self.installed(name)?;
        let snapshot = self.registry.snapshot();
        let mut providers = snapshot.providers(capability).iter();
        let Some(served) = providers.find(|served| served.provider.plugin == *name) else {
            let message = format!("{name} does not have {capability}");
            return Err(Refusal::new(Code::CapabilityNotFound, message));
        };
        let id = served.provider.capability.id.clone();
        let facts = lifecycle::of_plugin(&plugin).text("capability", id.to_string());
        self.record(entrance, EventType::ProviderPreferred, facts).await?;
        self.plugins.prefer(&id, name).await.map_err(|error| error.refusal())?;
        self.registry.replace(snapshot.preferring(id, name.clone()));
        Ok(Reply::Done)
    }

    /// One plugin as it is.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn permissions(&self, name: &PluginName) -> Result<Reply, Refusal> {
        Ok(self.shown(&*self.installed(name)?))
    }

    fn shown(&self, plugin: &Plugin) -> Reply {
        Reply::Plugin(Box::new(plugin_view(plugin, self.clock.now_us())))
    }
}

/// Whether a new version asks for something that the old one did not ask for, imports something
/// that needs a permission it did not need, or offers something of higher risk.
fn widens(before: &Plugin, candidate: &Candidate) -> bool {
    changes(before, candidate).iter().any(|change| change.starts_with('+'))
}

/// The difference that a review shows: `+` for more, `-` for less, `~` for other words.
fn changes(before: &Plugin, candidate: &Candidate) -> Vec<String> {
    let asks = |manifest: Option<&meshhost_core::manifest::Manifest>| -> BTreeSet<String> {
        let asks = manifest.map(|manifest| manifest.asks.as_slice()).unwrap_or_default();
        asks.iter().map(|ask| ask.permission.to_string()).collect()
    };
    let old = asks(before.manifest.as_ref());
    let new = asks(candidate.manifest.as_ref().map(|(manifest, _)| manifest));
    let mut changes: Vec<String> =
        new.difference(&old).map(|ask| format!("+ asks for {ask}")).collect();
    changes.extend(old.difference(&new).map(|ask| format!("- asks for {ask}")));
    for capability in &candidate.inspection.capabilities {
        let mut known = before.record.current.capabilities.iter();
        match known.find(|known| known.id == capability.id) {
            None => changes.push(format!("~ offers {}", capability.id)),
            Some(known) if known != capability => {
                changes.push(format!("~ {} has other types or words", capability.id));
            }
            Some(_) => {}
        }
    }
    changes
}
