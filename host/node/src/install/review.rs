//! What a person is shown: of a component before it is installed, and of a plugin after.

use meshhost_core::{
    grant::{GrantFile, effective, needs_choice},
    manifest::{CapabilityRules, Manifest},
    permission::Permission,
};
use serde_json::Value;

use super::{Installer, candidate::Candidate};
use crate::{
    api::{AskView, CapabilityView, PluginView, Reply, Review},
    node::calls::shell_word,
    registry::{Plugin, Served, Snapshot},
    sys,
};

impl Installer {
    /// The review of a component under these grants.
    pub(super) fn reviewed(
        &self,
        candidate: &Candidate,
        grants: &GrantFile,
        changes: Vec<String>,
        updates: bool,
    ) -> Reply {
        let manifest = candidate.manifest.as_ref().map(|(manifest, _)| manifest);
        let environment = &sys::environment;
        let effective = effective(manifest, grants, &self.ceiling, environment);
        let asks = manifest.map(|manifest| self.asks(manifest, &effective.permissions));
        let asks = asks.unwrap_or_default();
        let version = candidate.version(grants);
        Reply::Review(Box::new(Review {
            name: candidate.name.clone(),
            version: version.version.to_string(),
            description: manifest.map(|manifest| manifest.description.clone()).unwrap_or_default(),
            component: candidate.inspection.digest,
            review: candidate.consent,
            size_bytes: candidate.inspection.size_bytes,
            has_manifest: manifest.is_some(),
            consent_command: consent_command(candidate, &asks, updates),
            asks,
            can_reach: version.can_reach,
            limits: effective.limits,
            capabilities: self.offered(candidate),
            notes: self.notes(candidate),
            changes,
            inspection: serde_json::to_value(&candidate.inspection).unwrap_or(Value::Null),
        }))
    }

    fn asks(&self, manifest: &Manifest, granted: &[Permission]) -> Vec<AskView> {
        let home = sys::home_folder().unwrap_or_default().display().to_string();
        let choices = needs_choice(manifest, &self.ceiling, &home);
        ask_views(manifest, granted, &choices)
    }

    fn offered(&self, candidate: &Candidate) -> Vec<CapabilityView> {
        let snapshot = self.registry.snapshot();
        let rules = candidate.rules.iter().cloned().map(Some).chain(std::iter::repeat(None));
        let offered = candidate.inspection.capabilities.iter().zip(rules);
        offered
            .map(|(capability, rules)| {
                let rules = rules.unwrap_or_default();
                let first = snapshot.providers(&capability.id).is_empty();
                view(capability, &rules, candidate.name.clone(), rules.risk().word(), first)
            })
            .collect()
    }

    /// What a person should know of it before and after it is installed.
    pub(super) fn notes(&self, candidate: &Candidate) -> Vec<String> {
        let snapshot = self.registry.snapshot();
        let mut notes = Vec::new();
        for capability in &candidate.inspection.capabilities {
            let first = snapshot.providers(&capability.id).first();
            if let Some(first) = first.filter(|first| first.provider.plugin != candidate.name) {
                notes.push(format!(
                    "{} is provided by {} already, which stays the default; `meshhost plugin prefer \
                     {} {}` changes that",
                    capability.id, first.provider.plugin, capability.id, candidate.name
                ));
            }
        }
        if candidate.manifest.is_none() && !candidate.can_reach().is_empty() {
            notes.push(
                "it has no manifest: it asks for nothing and gets nothing; grant by hand what it \
                 shall use"
                    .to_owned(),
            );
        }
        notes
    }
}

fn ask_views(
    manifest: &Manifest,
    granted: &[Permission],
    choices: &[Option<&'static str>],
) -> Vec<AskView> {
    let choices = choices.iter().copied().chain(std::iter::repeat(None));
    let asks = manifest.asks.iter().zip(choices);
    asks.map(|(ask, choice)| {
        let covered = |permission: &Permission| permission.covers(&ask.permission);
        let part: Vec<String> = granted
            .iter()
            .filter(|permission| ask.permission.covers(permission) && !covered(permission))
            .map(ToString::to_string)
            .collect();
        let choice = match part.as_slice() {
            [] => choice.map(str::to_owned),
            part => Some(format!("granted in part: {}", part.join(", "))),
        };
        AskView {
            permission: ask.permission.to_string(),
            reason: ask.reason.clone(),
            optional: ask.optional,
            granted: granted.iter().any(covered),
            needs_choice: choice,
        }
    })
    .collect()
}

/// The command that consents to all that is asked.
fn consent_command(candidate: &Candidate, asks: &[AskView], updates: bool) -> String {
    let mut command = if updates {
        let Candidate { name, inspection, .. } = candidate;
        format!("meshhost plugin update {name} --approve --digest {}", inspection.digest)
    } else {
        format!("meshhost plugin install {}", shell_word(&candidate.word))
    };
    let asks = asks.iter().filter(|ask| !ask.granted);
    let asks: Vec<&AskView> = asks.collect();
    if asks.iter().any(|ask| ask.needs_choice.is_none()) {
        command.push_str(" --yes");
    }
    for ask in asks.iter().filter(|ask| ask.needs_choice.is_some() && !ask.optional) {
        let folder = ask.permission.starts_with("fs:") && !ask.permission.contains('=');
        let text =
            if folder { format!("{}=FOLDER", ask.permission) } else { ask.permission.clone() };
        command.push_str(&format!(" --grant {}", shell_word(&text)));
    }
    command
}

/// One installed plugin.
#[must_use]
pub fn plugin_view(plugin: &Plugin, now_us: i64) -> PluginView {
    let record = &plugin.record;
    let granted = &plugin.effective.permissions;
    let asks = plugin.manifest.as_ref().map(|manifest| ask_views(manifest, granted, &[]));
    let mut notes: Vec<String> = plugin
        .suspended
        .iter()
        .map(|folder| format!("the folder granted as {folder} is another one now; grant it again"))
        .collect();
    notes.extend(
        plugin
            .effective
            .refused
            .iter()
            .map(|refused| format!("{} is not effective: {}", refused.permission, refused.reason)),
    );
    PluginView {
        name: record.name.clone(),
        version: record.current.version.to_string(),
        component: record.current.component,
        state: state_word(plugin, now_us).to_owned(),
        staged: record.staged.as_ref().map(|version| version.component),
        asks: asks.unwrap_or_default(),
        grants: plugin.grants.entries.iter().map(|entry| entry.permission.to_string()).collect(),
        effective: granted.iter().map(ToString::to_string).collect(),
        limits: plugin.effective.limits,
        capabilities: record.current.capabilities.iter().map(|one| one.id.clone()).collect(),
        notes,
    }
}

fn state_word(plugin: &Plugin, now_us: i64) -> &'static str {
    if !plugin.record.enabled {
        "disabled"
    } else if !plugin.suspended.is_empty() {
        "suspended"
    } else if plugin.quarantine().rests(now_us) {
        "quarantined"
    } else {
        "serving"
    }
}

/// All capabilities of a snapshot.
#[must_use]
pub fn capability_views(snapshot: &Snapshot) -> Vec<CapabilityView> {
    let mut views = Vec::new();
    for plugin in snapshot.plugins() {
        for served in plugin.serve() {
            let id = &served.provider.capability.id;
            let first = snapshot.providers(id).first();
            let preferred =
                first.is_some_and(|first| first.provider.plugin == served.provider.plugin);
            views.push(served_view(&served, preferred));
        }
    }
    views.sort_by(|one, other| one.id.cmp(&other.id).then(one.plugin.cmp(&other.plugin)));
    views
}

fn served_view(served: &Served, preferred: bool) -> CapabilityView {
    let Served { provider, rules, .. } = served;
    let plugin = provider.plugin.clone();
    view(&provider.capability, rules, plugin, provider.risk.word(), preferred)
}

fn view(
    capability: &meshhost_core::capability::Capability,
    rules: &CapabilityRules,
    plugin: meshhost_core::id::PluginName,
    risk: &str,
    preferred: bool,
) -> CapabilityView {
    CapabilityView {
        id: capability.id.clone(),
        long_id: capability.long_id.clone(),
        version: capability.version.to_string(),
        plugin,
        preferred,
        description: capability.description.clone(),
        risk: risk.to_owned(),
        read_only: rules.read_only,
        destructive: rules.destructive,
        idempotent: rules.idempotent,
        path_parameters: rules.path_parameters.clone(),
        input_schema: capability.input_schema.clone(),
        output_schema: capability.output_schema.clone(),
    }
}
