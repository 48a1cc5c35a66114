//! What the record says of installs and grants.

use meshhost_core::{
    evidence::{event::EventType, fact::Facts, lifecycle},
    outcome::Refusal,
};

use super::{Installer, candidate::Candidate};
use crate::{entrance::Entrance, registry::Plugin, sys};

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
        let act = sys::new_invocation_id(self.clock.as_ref(), self.entropy.as_ref());
        let stamp = sys::stamp(self.clock.as_ref(), self.entropy.as_ref());
        let subject = entrance.subject().clone();
        let draft = lifecycle::event(&self.host_id, act, subject, stamp, event, facts).map_err(
            |error| Refusal::new(meshhost_core::code::Code::HostFault, error.to_string()),
        )?;
        self.evidence.append(vec![draft]).await.map_err(|error| error.refusal())?;
        Ok(())
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
