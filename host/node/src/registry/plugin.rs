//! One installed plugin as calls see it.

use std::sync::{Arc, Mutex, PoisonError};

use meshhost_core::{
    code::Code,
    evidence::call,
    gates::ServingState,
    grant::{Effective, GrantFile},
    id::Digest,
    manifest::{CapabilityRules, Manifest},
    outcome::{Outcome, Refusal},
    quarantine::Quarantine,
};
use meshhost_runtime::{execute::TrapPhase, live::LiveGrants, load::Loaded};
use tokio::sync::OnceCell;

use super::Served;
use crate::{door::places::Places, node::ready::Readiness, store::plugins::PluginRecord};

/// One installed plugin.
#[derive(Debug)]
pub struct Plugin {
    /// What is kept of it.
    pub record: PluginRecord,
    /// Its manifest with the operator's overlay.
    pub manifest: Option<Manifest>,
    /// What the operator granted.
    pub grants: GrantFile,
    /// What is left of that after manifest and ceiling, with the limits.
    pub effective: Effective,
    /// Digest of the effective grants, for evidence.
    pub grants_digest: Digest,
    /// What it may do, live.
    pub live: Arc<LiveGrants>,
    /// Guest names of granted folders that are no longer what was granted.
    pub suspended: Vec<String>,
    /// Places for its calls.
    pub places: Arc<Places>,
    rules: Vec<CapabilityRules>,
    quarantine: Arc<Mutex<Quarantine>>,
    readiness: Arc<Readiness>,
    ready: OnceCell<Arc<Loaded>>,
}

/// What a plugin is made of.
#[derive(Debug)]
pub struct Parts {
    /// What is kept of it.
    pub record: PluginRecord,
    /// Its manifest with the operator's overlay.
    pub manifest: Option<Manifest>,
    /// What the manifest says of each capability, in the record's order.
    pub rules: Vec<CapabilityRules>,
    /// What the operator granted.
    pub grants: GrantFile,
    /// What is left of that, with the limits.
    pub effective: Effective,
    /// What it may do, live.
    pub live: Arc<LiveGrants>,
    /// Folders that are no longer what was granted.
    pub suspended: Vec<String>,
    /// How often it trapped.
    pub quarantine: Arc<Mutex<Quarantine>>,
    /// Makes it ready when it is first called.
    pub readiness: Arc<Readiness>,
}

impl Plugin {
    /// A plugin of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let limits = &parts.effective.limits;
        let places = Arc::new(Places::new(limits.concurrency, limits.waiting));
        let written: Vec<String> =
            parts.effective.permissions.iter().map(ToString::to_string).collect();
        let grants_digest = Digest::of(written.join("\n").as_bytes());
        Arc::new(Self {
            record: parts.record,
            manifest: parts.manifest,
            grants: parts.grants,
            effective: parts.effective,
            grants_digest,
            live: parts.live,
            suspended: parts.suspended,
            places,
            rules: parts.rules,
            quarantine: parts.quarantine,
            readiness: parts.readiness,
            ready: OnceCell::new(),
        })
    }

    /// Its capabilities, ready for the gates.
    #[must_use]
    pub fn serve(self: &Arc<Self>) -> Vec<Arc<Served>> {
        let capabilities = self.record.current.capabilities.iter();
        let rules = self.rules.iter().cloned().map(Some).chain(std::iter::repeat(None));
        capabilities
            .zip(rules)
            .map(|(capability, rules)| {
                let capability = Arc::new(capability.clone());
                Arc::new(Served::new(self, capability, rules.unwrap_or_default()))
            })
            .collect()
    }

    /// Whether it serves a call of `caller` now. Passing after a rest takes the probe.
    #[must_use]
    pub fn state(&self, caller: &str, now_us: i64) -> ServingState {
        if !self.record.enabled {
            return ServingState::Disabled;
        }
        if !self.suspended.is_empty() {
            return ServingState::Suspended;
        }
        match self.quarantine().admit(caller, now_us) {
            Some(retry_after_ms) => ServingState::Quarantined { retry_after_ms },
            None => ServingState::Serving,
        }
    }

    /// How often it trapped.
    pub fn quarantine(&self) -> std::sync::MutexGuard<'_, Quarantine> {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared count of traps, for the plugin's next version in the registry.
    #[must_use]
    pub fn shared_quarantine(&self) -> Arc<Mutex<Quarantine>> {
        Arc::clone(&self.quarantine)
    }

    /// The component, made ready when this is the first call.
    ///
    /// # Errors
    /// When its bytes are gone, or it cannot be compiled or linked.
    pub async fn ready(&self) -> Result<Arc<Loaded>, Refusal> {
        let component = &self.record.current.component;
        self.ready.get_or_try_init(|| self.readiness.ready(component)).await.cloned()
    }

    /// The component, when it was made ready.
    #[must_use]
    pub fn loaded(&self) -> Option<&Arc<Loaded>> {
        self.ready.get()
    }

    /// Counts a trap, or its absence, towards quarantine. What changed is returned to be kept.
    pub fn judge(
        &self,
        caller: &str,
        trapped: Option<TrapPhase>,
        outcome: &Outcome,
        now_us: i64,
    ) -> Option<Quarantine> {
        let mut quarantine = self.quarantine();
        if trapped.is_none() && quarantine.is_clear() {
            return None;
        }
        match (trapped, outcome) {
            (Some(phase), _) => {
                quarantine.trapped(caller, phase == TrapPhase::Start, now_us);
            }
            (None, Outcome::Success(_)) => {
                quarantine.succeeded(caller);
            }
            (None, outcome) => match outcome.refusal().map(|refusal| refusal.code) {
                // The plugin's own error is an answer like any other.
                Some(Code::PluginFailure) => {
                    quarantine.succeeded(caller);
                }
                _ => quarantine.probe_ended(caller),
            },
        }
        Some(quarantine.clone())
    }

    /// The plugin as evidence names it.
    #[must_use]
    pub fn evidence_provider(&self) -> call::Provider {
        call::Provider {
            plugin: self.record.name.clone(),
            component: self.record.current.component,
            manifest: self.record.current.manifest_digest,
            grants: self.grants_digest,
        }
    }
}
