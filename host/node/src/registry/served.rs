//! One capability of one plugin, ready for the gates.

use std::sync::Arc;

use meshhost_core::{
    capability::{Capability, Risk},
    code::Code,
    gates::{InputChecks, Provider},
    manifest::{CapabilityRules, UnknownInput, check_invariants},
    outcome::Refusal,
};
use meshhost_runtime::convert::{self, InputRules};
use serde_json::{Value, json};

use super::Plugin;

/// One capability of one plugin.
#[derive(Debug)]
pub struct Served {
    /// What the gates see.
    pub provider: Provider,
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// What the manifest says of it, or the default.
    pub rules: CapabilityRules,
}

impl Served {
    /// Makes a capability ready under the plugin's limits and grants.
    #[must_use]
    pub fn new(plugin: &Arc<Plugin>, capability: Arc<Capability>, rules: CapabilityRules) -> Self {
        let mut limits = plugin.effective.limits;
        if let Some(timeout_ms) = rules.timeout_ms {
            limits.deadline_ms = limits.deadline_ms.min(timeout_ms);
        }
        let provider = Provider {
            plugin: plugin.record.name.clone(),
            component: plugin.record.current.component,
            capability,
            modes: rules.modes.clone(),
            risk: risk(&rules, plugin.effective.risk()),
            budget: rules.budget,
            approval_required: rules.needs_approval(),
            limits,
        };
        Self { provider, plugin: Arc::clone(plugin), rules }
    }
}

/// The highest of what the manifest says and what the grants imply. A capability that the
/// manifest calls read-only is not raised by a grant that another capability needs for writing.
fn risk(rules: &CapabilityRules, granted: Risk) -> Risk {
    if rules.read_only { rules.risk() } else { rules.risk().max(granted) }
}

impl InputChecks for Served {
    fn invariants(&self, input: &Value) -> Result<(), Refusal> {
        check_invariants(&self.rules.invariants, input).map_err(|failure| {
            let details = json!({ "invariant": failure.id, "parameter": failure.parameter });
            Refusal::new(Code::InvariantFailed, failure.to_string()).with_details(details)
        })
    }

    fn schema(&self, input: &Value) -> Result<(), Refusal> {
        let Some(loaded) = self.plugin.loaded() else {
            return Err(Refusal::new(Code::HostFault, "the component is not ready"));
        };
        let unknown = match self.rules.unknown_input {
            UnknownInput::Refuse => convert::UnknownInput::Refuse,
            UnknownInput::Ignore => convert::UnknownInput::Ignore,
        };
        let rules = InputRules { unknown, list_bytes: self.provider.limits.list_bytes };
        loaded
            .check_input(&self.provider.capability.export, input, &rules)
            .map_err(|error| Refusal::new(error.code, error.message))
    }
}
