//! The gates: pure functions that decide one call on a snapshot, in the order that shows in
//! evidence. The commit of `execution_started`, conditional in the store, closes the races that
//! a snapshot leaves open.
//!
//! | gate | decides |
//! |---|---|
//! | replay | a known invocation id (the store knows; see [`Known`]) |
//! | id, resolution | whether the capability exists, in that version, from that plugin |
//! | enabled | disabled and quarantined plugins are skipped |
//! | mode | whether it can be called that way |
//! | mandate | passes: there are no mandates yet, and none can be presented |
//! | policy | the caller's scope, and its risk ceiling |
//! | invariants | what the manifest promises of the input |
//! | autonomy | budget and approval |
//! | input schema | whether the input fits |
//! | safety | passes: an assessment is recorded, nothing blocks yet |

use std::{fmt::Debug, sync::Arc};

use serde_json::{Value, json};

use crate::{
    capability::{Capability, Risk},
    code::Code,
    id::{CapabilityId, Digest, PluginName},
    invocation::{Invocation, Mode},
    limits::Limits,
    outcome::Refusal,
    permission::{CallRule, covers_id},
    permit::Permit,
};

/// Which gate refused; recorded in evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// The invocation id is known.
    Replay,
    /// The capability is unknown here.
    Resolution,
    /// The plugin does not serve.
    Enabled,
    /// The mode is not offered.
    Mode,
    /// The mandate does not hold.
    Mandate,
    /// The caller may not.
    Policy,
    /// An invariant does not hold.
    Invariants,
    /// Budget or approval.
    Autonomy,
    /// The input does not fit.
    InputSchema,
    /// The assessment blocks.
    Safety,
}

impl Gate {
    /// The word for it in evidence.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Resolution => "resolution",
            Self::Enabled => "enabled",
            Self::Mode => "mode",
            Self::Mandate => "mandate",
            Self::Policy => "policy",
            Self::Invariants => "invariants",
            Self::Autonomy => "autonomy",
            Self::InputSchema => "input_schema",
            Self::Safety => "safety",
        }
    }
}

/// Whether a provider serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServingState {
    /// It serves.
    Serving,
    /// The operator switched it off.
    Disabled,
    /// It trapped too often and rests.
    Quarantined {
        /// Milliseconds until it is tried again.
        retry_after_ms: u64,
    },
    /// A granted folder is no longer the one that was granted.
    Suspended,
}

/// How often a capability may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Calls in one correlation.
    pub calls_per_correlation: Option<u64>,
    /// Calls of one caller on one day (UTC).
    pub calls_per_day: Option<u64>,
}

/// How often a capability was called already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Started calls in this correlation.
    pub in_correlation: u64,
    /// Started calls of this caller today.
    pub today: u64,
}

/// One provider of a capability, as the gates see it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The plugin.
    pub plugin: PluginName,
    /// Its component.
    pub component: Digest,
    /// The capability.
    pub capability: Arc<Capability>,
    /// How it can be called.
    pub modes: Vec<Mode>,
    /// The highest of what the manifest says, what the grants imply and what the operator says.
    pub risk: Risk,
    /// How often it may be called.
    pub budget: Budget,
    /// Whether each call needs an approval.
    pub approval_required: bool,
    /// Its limits, within the ceiling; the deadline already within the capability's timeout.
    pub limits: Limits,
}

/// What changes from call to call: the snapshot that the gates decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether the provider serves.
    pub state: ServingState,
    /// How often it was called.
    pub spent: Spent,
}

/// The checks of an input that need more than core: the component's types and its manifest.
pub trait InputChecks: Debug {
    /// Whether the manifest's invariants hold.
    ///
    /// # Errors
    /// The refusal names the invariant.
    fn invariants(&self, input: &Value) -> Result<(), Refusal>;

    /// Whether the input fits the function's types.
    ///
    /// # Errors
    /// The refusal names the parameter.
    fn schema(&self, input: &Value) -> Result<(), Refusal>;
}

/// What the gates decided.
#[derive(Debug)]
pub enum Decision {
    /// It may run.
    Permit(Box<Permit>),
    /// It may not.
    Denied(Gate, Refusal),
    /// It does not serve.
    Skipped(Gate, Refusal),
}

/// Which provider a call means.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The capability's id, which the providers have.
    pub capability: &'a CapabilityId,
    /// The plugin, when one is named.
    pub plugin: Option<&'a PluginName>,
    /// The versions that will do; none: any.
    pub version: Option<&'a semver::VersionReq>,
    /// The type that it must have; none: any.
    pub type_hash: Option<&'a Digest>,
}

impl<'a> From<&'a Invocation> for Wanted<'a> {
    fn from(invocation: &'a Invocation) -> Self {
        Self {
            capability: &invocation.capability,
            plugin: invocation.plugin.as_ref(),
            version: invocation.version.as_ref(),
            type_hash: invocation.type_hash.as_ref(),
        }
    }
}

/// Gates 1 and 2: which of the providers of a capability (the one that is called first comes
/// first) is meant, by its place.
///
/// # Errors
/// When none has it, or none in that version, of that type or from that plugin.
pub fn resolve<'a>(
    wanted: Wanted<'_>,
    providers: impl Iterator<Item = &'a Provider>,
) -> Result<usize, Refusal> {
    let (mut other_version, mut other_type) = (None, None);
    for (index, provider) in providers.enumerate() {
        let capability = &provider.capability;
        if wanted.plugin.is_some_and(|plugin| *plugin != provider.plugin) {
            continue;
        }
        if wanted.version.is_some_and(|range| !range.matches(&capability.version)) {
            other_version.get_or_insert(capability);
        } else if wanted.type_hash.is_some() && wanted.type_hash != capability.type_hash.as_ref() {
            other_type.get_or_insert(provider);
        } else {
            return Ok(index);
        }
    }
    match (other_type, other_version) {
        (Some(provider), _) => Err(another_type(provider)),
        (None, Some(capability)) => Err(another_version(capability)),
        (None, None) => Err(not_found(wanted.capability)),
    }
}

fn another_version(capability: &Capability) -> Refusal {
    let message = format!(
        "{} is here in version {}, which the asked range does not contain",
        capability.id, capability.version
    );
    Refusal::new(Code::CapabilityVersion, message)
}

fn another_type(provider: &Provider) -> Refusal {
    let message = format!(
        "{} of the plugin {} has another type than the caller was built against; update one of them",
        provider.capability.id, provider.plugin
    );
    Refusal::new(Code::CapabilityType, message)
}

/// What a caller of an unknown capability is told.
#[must_use]
pub fn not_found(capability: &CapabilityId) -> Refusal {
    let message = format!("no plugin here has {capability}; `meshhost capabilities` lists all");
    Refusal::new(Code::CapabilityNotFound, message)
}

/// One gate's question.
type Check<'a> = &'a dyn Fn() -> Result<(), Refusal>;

/// The refusal of gate 0: the store has this id, of another call.
///
/// The store is asked where a call is refused or starts, not before every call.
#[must_use]
pub fn conflict() -> Refusal {
    let message = "this invocation or correlation id was used by another caller or with another \
                   input; use a new id";
    Refusal::new(Code::CallerConflict, message)
}

/// Gates 3 to 10 on the resolved provider.
#[must_use]
pub fn decide(
    invocation: &Arc<Invocation>,
    provider: &Provider,
    facts: Facts,
    checks: &dyn InputChecks,
) -> Decision {
    if let Err(refusal) = enabled(&provider.plugin, facts.state) {
        return Decision::Skipped(Gate::Enabled, refusal);
    }
    let gates: [(Gate, Check<'_>); 6] = [
        (Gate::Mode, &|| mode(invocation, provider)),
        (Gate::Policy, &|| policy(invocation, provider)),
        (Gate::Invariants, &|| checks.invariants(&invocation.input)),
        (Gate::Autonomy, &|| budget(provider, facts.spent)),
        (Gate::Autonomy, &|| approval(provider)),
        (Gate::InputSchema, &|| checks.schema(&invocation.input)),
    ];
    for (gate, check) in gates {
        if let Err(refusal) = check() {
            return Decision::Denied(gate, refusal);
        }
    }
    Decision::Permit(Box::new(permit(invocation, provider)))
}

fn enabled(plugin: &PluginName, state: ServingState) -> Result<(), Refusal> {
    match state {
        ServingState::Serving => Ok(()),
        ServingState::Disabled => Err(Refusal::new(
            Code::CapabilityDisabled,
            format!("{plugin} is disabled; `meshhost plugin enable {plugin}` lets it serve"),
        )),
        ServingState::Suspended => Err(Refusal::new(
            Code::GrantSuspended,
            format!(
                "a folder granted to {plugin} is no longer the one that was granted; look at \
                 `meshhost plugin permissions {plugin}` and grant it again"
            ),
        )),
        ServingState::Quarantined { retry_after_ms } => {
            let message = format!(
                "{plugin} trapped too often in a row and rests for another {} s; \
                 `meshhost plugin enable {plugin}` ends that at once",
                retry_after_ms.div_ceil(1000)
            );
            let mut refusal = Refusal::new(Code::Quarantined, message);
            refusal.retry_after_ms = Some(retry_after_ms);
            Err(refusal)
        }
    }
}

fn mode(invocation: &Invocation, provider: &Provider) -> Result<(), Refusal> {
    if provider.modes.contains(&invocation.mode) {
        return Ok(());
    }
    let message = format!("{} cannot be called in this mode", provider.capability.id);
    Err(Refusal::new(Code::UnsupportedMode, message))
}

/// The part of gate 6 that is decided where a call enters, also when it runs on another node: the
/// caller's scope, and the rules of every plugin in between.
///
/// # Errors
/// [`Code::PolicyBlocked`].
pub fn scope(invocation: &Invocation, capability: &CapabilityId) -> Result<(), Refusal> {
    let capability = capability.as_str();
    let scope = &invocation.scope;
    let covered = scope.capabilities.iter().any(|pattern| covers_id(pattern, capability));
    let passed_on =
        |rules: &Vec<CallRule>| rules.iter().any(|rule| rule.allows(capability, &invocation.input));
    if !covered || !scope.through.iter().all(passed_on) {
        let message = format!("this caller's scope does not contain {capability} with this input");
        return Err(Refusal::new(Code::PolicyBlocked, message));
    }
    Ok(())
}

/// Gate 6: the scope, and the risk ceiling.
fn policy(invocation: &Invocation, provider: &Provider) -> Result<(), Refusal> {
    let capability = &provider.capability.id;
    scope(invocation, capability)?;
    let scope = &invocation.scope;
    if provider.risk > scope.risk_ceiling {
        let message = format!(
            "{capability} has risk {}, above this caller's ceiling {}",
            provider.risk.word(),
            scope.risk_ceiling.word()
        );
        return Err(Refusal::new(Code::PolicyBlocked, message));
    }
    Ok(())
}

fn budget(provider: &Provider, spent: Spent) -> Result<(), Refusal> {
    let Budget { calls_per_correlation, calls_per_day } = provider.budget;
    let used_up = |limit: Option<u64>, count: u64| limit.is_some_and(|limit| count >= limit);
    let (which, limit) = if used_up(calls_per_correlation, spent.in_correlation) {
        ("per correlation", calls_per_correlation)
    } else if used_up(calls_per_day, spent.today) {
        ("per caller and day", calls_per_day)
    } else {
        return Ok(());
    };
    let limit = limit.unwrap_or_default();
    let message =
        format!("the budget of {} for {limit} calls {which} is spent", provider.capability.id);
    Err(Refusal::new(Code::BudgetExceeded, message).with_details(json!({ "limit": limit })))
}

fn approval(provider: &Provider) -> Result<(), Refusal> {
    if !provider.approval_required {
        return Ok(());
    }
    let message = format!(
        "{} needs an approval for each call, and this release has no way to give one",
        provider.capability.id
    );
    Err(Refusal::new(Code::ApprovalRequired, message))
}

fn permit(invocation: &Arc<Invocation>, provider: &Provider) -> Permit {
    let mut limits = provider.limits;
    if let Some(timeout_ms) = invocation.timeout_ms {
        limits.deadline_ms = limits.deadline_ms.min(timeout_ms);
    }
    if let Some(fuel) = invocation.fuel {
        limits.fuel = limits.fuel.min(fuel);
    }
    if let Some(output_bytes) = invocation.output_bytes {
        limits.output_bytes = limits.output_bytes.min(output_bytes);
    }
    Permit {
        invocation: Arc::clone(invocation),
        plugin: provider.plugin.clone(),
        component: provider.component,
        capability: Arc::clone(&provider.capability),
        limits,
    }
}

#[cfg(test)]
mod tests;
