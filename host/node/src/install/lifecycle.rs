//! What the record says of installs and grants.

use meshhost_core::{
    evidence::{event::EventType, fact::Facts},
    outcome::Refusal,
};

use super::{Installer, candidate::Candidate};
use crate::{entrance::Entrance, registry::Plugin};

/// The facts of an install or update.
pub(super) fn installed(candidate: &Candidate, plugin: &Plugin) -> Facts {
    let imports = candidate.inspection.imports.iter().map(|import| import.name.clone()).collect();
    of_plugin(plugin).texts("imports", imports).count("size_bytes", candidate.inspection.size_bytes)
}

/// The facts that name a plugin and what it may do.
pub(super) fn of_plugin(plugin: &Plugin) -> Facts {
    let version = &plugin.record.current;
    let manifest = version.manifest_digest.map(|digest| digest.to_string());
    Facts::new()
        .digest("component", &version.component)
        .digest("consent", &version.consent)
        .digest("grants", &plugin.grants_digest)
        .optional_text("manifest", manifest.as_deref())
        .text("plugin", plugin.record.name.to_string())
        .text("version", version.version.to_string())
}

impl Installer {
    /// Writes one event of the node itself.
    pub(super) async fn record(
        &self,
        entrance: &Entrance,
        event: EventType,
        facts: Facts,
    ) -> Result<(), Refusal> {
        self.lifecycle.record(entrance, event, facts).await
    }

    /// Writes that an install was refused. The reason stands as a code: the message may hold a
    /// path of the operator.
    pub(super) async fn reject(
        &self,
        entrance: &Entrance,
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        let facts = Facts::new().text("code", refusal.code.number());
        self.record(entrance, EventType::PluginInstallRejected, facts).await
    }
}
