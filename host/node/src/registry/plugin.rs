//! One installed plugin as calls see it.

use std::sync::{Arc, Mutex, PoisonError};

use meshhost_core::{
    code::Code,
    evidence::call,
    gates::ServingState,
    grant::{Effective, GrantFile},
    id::Digest,
    limits::Limits,
    manifest::{CapabilityRules, Manifest},
    outcome::{Outcome, Refusal},
    quarantine::Quarantine,
};
use meshhost_runtime::{
    actor::Actor,
    execute::TrapPhase,
    live::LiveGrants,
    load::{Loaded, Runtime},
};
use tokio::sync::OnceCell;

use super::{Served, State};
use crate::{
    door::places::Places,
    node::ready::Readiness,
    store::plugins::{PluginRecord, PluginVersion},
};

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
    /// Its actor, when it is stateful.
    pub state: Option<Arc<State>>,
    /// Calls of it that run at once.
    concurrency: u32,
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
    /// The places of the version that it replaces: its running calls hold them, so that no change
    /// lets more calls run than either version allows.
    pub places: Option<Arc<Places>>,
    /// The state of the version that it replaces, when it goes on; see [`Plugin::state_for`].
    pub state: Option<Arc<State>>,
    /// Makes it ready when it is first called.
    pub readiness: Arc<Readiness>,
}

impl Plugin {
    /// A plugin of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let limits = &parts.effective.limits;
        let stateful = parts.manifest.as_ref().is_some_and(|manifest| manifest.stateful);
        // An actor runs one call at a time.
        let concurrency = if stateful { 1 } else { limits.concurrency };
        let places =
            parts.places.unwrap_or_else(|| Arc::new(Places::new(concurrency, limits.waiting)));
        let state = stateful.then(|| parts.state.unwrap_or_default());
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
            concurrency,
            state,
            rules: parts.rules,
            quarantine: parts.quarantine,
            readiness: parts.readiness,
            ready: OnceCell::new(),
        })
    }

    /// Makes the places that it has from the version before as many as it allows. Before it serves
    /// they are as that version left them.
    pub fn resize_places(&self) {
        self.places.resize(self.concurrency, self.effective.limits.waiting);
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

    /// Its state, for the version that replaces it: it goes on when the plugin serves on with the
    /// same component under the same limits.
    #[must_use]
    pub fn state_for(&self, next: &PluginRecord, limits: &Limits) -> Option<Arc<State>> {
        let goes_on = self.record.enabled
            && next.enabled
            && self.record.current.component == next.current.component
            && self.effective.limits == *limits;
        self.state.clone().filter(|_| goes_on)
    }

    /// Its actor, when it is stateful, started by its first call.
    #[must_use]
    pub fn actor(&self, runtime: &Arc<Runtime>, loaded: Arc<Loaded>) -> Option<Actor> {
        let start = || runtime.start_actor(loaded, self.effective.limits, Arc::clone(&self.live));
        self.state.as_ref().map(|state| state.actor(start))
    }

    /// The component, made ready when this is the first call.
    ///
    /// # Errors
    /// When its bytes are gone, or it cannot be compiled or linked.
    pub async fn ready(&self) -> Result<Arc<Loaded>, Refusal> {
        let PluginVersion { component, links, .. } = &self.record.current;
        self.ready.get_or_try_init(|| self.readiness.ready(component, links)).await.cloned()
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
