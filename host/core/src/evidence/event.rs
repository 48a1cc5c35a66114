//! One event before it has its place in the chain, and the names that it uses.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use super::{
    canonical::write_text,
    fact::{Facts, write_key},
    hash::write_hex,
    time::Timestamp,
};
use crate::{
    code::Code,
    id::{CapabilityId, CorrelationId, HostId, InvocationId},
    invocation::Subject,
    outcome::OutcomeKind,
};

pub(super) use unhashed::{Fragments, Unhashed, write_optional};

mod unhashed;

/// Random bits that make the commitment to a payload unguessable; a fresh one for each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// The salt with these 128 random bits.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        write_hex(&self.0, &mut digits);
        // Only ASCII digits were written, so the fallback is never taken.
        formatter.write_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What an event says. The names of the protocol are used where it reserves one; the
        /// others are reverse-DNS under `dev.meshhost.`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
        }

        impl EventType {
            /// Every event type.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the record.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

event_types! {
    /// The gates let the call through; committed before the guest runs.
    ExecutionStarted = "execution_started";
    /// The plugin answered.
    ExecutionCompleted = "execution_completed";
    /// The plugin ran and failed.
    ExecutionFailed = "execution_failed";
    /// Nothing ran: a gate refused.
    ExecutionDenied = "execution_denied";
    /// Nothing ran: disabled or in quarantine.
    ExecutionSkipped = "execution_skipped";
    /// An effect may have happened and its end is unknown.
    ExecutionIndeterminate = "execution_indeterminate";
    /// The safety gate began.
    SafetyAssessmentStarted = "safety_assessment_started";
    /// The safety gate ended, with level and score.
    SafetyAssessmentCompleted = "safety_assessment_completed";
    /// A guardrail fired.
    SafetyGuardrailTriggered = "safety_guardrail_triggered";
    /// The safety gate refused.
    SafetyActionBlocked = "safety_action_blocked";
    /// The safety gate agreed.
    SafetyActionApproved = "safety_action_approved";
    /// A budget is spent; stands before the denial.
    BudgetExceeded = "budget_exceeded";
    /// An approval is asked for; stands before the denial.
    ApprovalRequested = "approval_requested";
    /// A key of this host was made.
    KeyGenerated = "key_generated";
    /// A key of this host was replaced.
    KeyRotated = "key_rotated";
    /// A key of this host is no longer to be trusted.
    KeyRevoked = "key_revoked";
    /// A plugin was installed.
    PluginInstalled = "host_adapter_installed";
    /// A plugin was refused at install.
    PluginInstallRejected = "host_adapter_install_rejected";
    /// A correlation was purged: its tombstone.
    EvidencePurged = "evidence_purged";
    /// The rule for how long evidence stays was applied.
    RetentionApplied = "retention_policy_applied";
    /// A plugin has a new version.
    PluginUpdated = "dev.meshhost.plugin_updated";
    /// An update asks for more and waits for consent.
    PluginUpdateStaged = "dev.meshhost.plugin_update_staged";
    /// A plugin went back to an earlier version.
    PluginRolledBack = "dev.meshhost.plugin_rolled_back";
    /// A plugin was removed.
    PluginRemoved = "dev.meshhost.plugin_removed";
    /// What a plugin had stored was deleted.
    PluginDataRemoved = "dev.meshhost.plugin_data_removed";
    /// A plugin serves again.
    PluginEnabled = "dev.meshhost.plugin_enabled";
    /// A plugin serves no longer.
    PluginDisabled = "dev.meshhost.plugin_disabled";
    /// A plugin failed too often and rests.
    PluginQuarantined = "dev.meshhost.plugin_quarantined";
    /// A call ended in a way that cost a stateful plugin what earlier calls had left in it.
    PluginStateLost = "dev.meshhost.plugin_state_lost";
    /// Another provider of a capability became the default.
    ProviderPreferred = "dev.meshhost.provider_preferred";
    /// Permissions were granted.
    PermissionGranted = "dev.meshhost.permission_granted";
    /// Permissions were revoked.
    PermissionRevoked = "dev.meshhost.permission_revoked";
    /// A model was added.
    ModelAdded = "dev.meshhost.model_added";
    /// A model was replaced by another of the same name.
    ModelUpdated = "dev.meshhost.model_updated";
    /// A model was removed.
    ModelRemoved = "dev.meshhost.model_removed";
    /// A library that runs models was installed, or replaced another of the same version.
    RuntimeInstalled = "dev.meshhost.runtime_installed";
    /// This node began a community.
    CommunityFounded = "dev.meshhost.community_founded";
    /// This node was let into a community.
    CommunityJoined = "dev.meshhost.community_joined";
    /// This node left its community.
    CommunityLeft = "dev.meshhost.community_left";
    /// This node said what another is in the community: let in, trusted, revoked.
    MemberStated = "dev.meshhost.member_stated";
    /// A ticket was issued, which lets others in.
    TicketIssued = "dev.meshhost.ticket_issued";
    /// A ticket was cancelled.
    TicketCancelled = "dev.meshhost.ticket_cancelled";
    /// A capability was shared with peers.
    CapabilityShared = "dev.meshhost.capability_shared";
    /// A capability is shared no longer.
    CapabilityUnshared = "dev.meshhost.capability_unshared";
    /// The node's configuration changed.
    ConfigurationChanged = "dev.meshhost.configuration_changed";
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Where a node stands between trial and production (`CorrelationContext.environment`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// A developer's machine.
    #[default]
    Dev,
    /// Automated tests.
    Test,
    /// A trial with real data.
    Pilot,
    /// Production.
    Prod,
}

impl Environment {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Pilot => "pilot",
            Self::Prod => "prod",
        }
    }
}

/// Which piece of work a call belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The chain that the event stands in.
    pub correlation_id: CorrelationId,
    /// The call that caused this one.
    pub causation_id: Option<InvocationId>,
    /// The piece of work that this one belongs to.
    pub parent_correlation_id: Option<CorrelationId>,
    /// The trace of the caller (W3C trace context), when it gave one.
    pub trace_id: Option<InvocationId>,
    /// Trial or production.
    pub environment: Environment,
}

impl Correlation {
    /// A correlation with nothing but its id.
    #[must_use]
    pub const fn new(correlation_id: CorrelationId) -> Self {
        Self {
            correlation_id,
            causation_id: None,
            parent_correlation_id: None,
            trace_id: None,
            environment: Environment::Dev,
        }
    }

    fn write(&self, out: &mut String) {
        let id = |id: &Option<InvocationId>, out: &mut String| {
            write_optional(id.as_ref().map(InvocationId::as_str), out);
        };
        out.push('{');
        write_key("causation_id", out);
        id(&self.causation_id, out);
        out.push_str(", ");
        write_key("correlation_id", out);
        write_text(self.correlation_id.as_str(), out);
        out.push_str(", ");
        write_key("environment", out);
        write_text(self.environment.as_str(), out);
        out.push_str(", ");
        write_key("parent_correlation_id", out);
        write_optional(self.parent_correlation_id.as_ref().map(CorrelationId::as_str), out);
        out.push_str(", ");
        write_key("trace_id", out);
        id(&self.trace_id, out);
        out.push('}');
    }
}

/// What all events of one call share.
#[derive(Debug, Clone)]
pub struct Context {
    /// The node that writes.
    pub host_id: HostId,
    /// The call.
    pub invocation_id: InvocationId,
    /// The resolved id, else the requested one.
    pub capability_id: CapabilityId,
    /// The version that was resolved.
    pub capability_version: Option<Arc<str>>,
    /// Which piece of work.
    pub correlation: Correlation,
    /// Who calls.
    pub subject: Subject,
}

/// Why a call was refused or failed, as the record says it: by code, never by a message that
/// could hold a caller's or a guest's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Which kind.
    pub code: Code,
    /// The invariant of the manifest that does not hold.
    pub invariant_id: Option<String>,
    /// Milliseconds after which trying again makes sense.
    pub retry_after_ms: Option<u64>,
}

impl Reason {
    /// A reason with nothing but its code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, invariant_id: None, retry_after_ms: None }
    }

    fn write(&self, out: &mut String) {
        let info = self.code.info();
        let mut details = Facts::new().text("name", info.name).text("number", info.number);
        if let Some(milliseconds) = self.retry_after_ms {
            details = details.count("retry_after_ms", milliseconds);
        }
        let mut reason = Facts::new()
            .text("code", info.denial)
            .object("details", details)
            .text("message", info.title)
            .flag("retryable", info.retryable);
        if let Some(invariant) = &self.invariant_id {
            reason = reason.text("invariant_id", invariant.clone());
        }
        reason.write(out);
    }
}

/// What an event needs from outside: its id, its time and its random bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The event's id, a UUIDv7.
    pub event_id: String,
    /// When.
    pub at: Timestamp,
    /// Fresh random bits.
    pub salt: Salt,
}

/// An event before it has its place in the chain.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What all events of the call share.
    pub context: Arc<Context>,
    /// Id, time and salt.
    pub stamp: Stamp,
    /// What it says.
    pub event_type: EventType,
    /// How the call ended, in the event that ends it.
    pub outcome: Option<OutcomeKind>,
    /// Why it was refused or skipped.
    pub denial: Option<Reason>,
    /// Why it failed.
    pub error: Option<Reason>,
    /// The payload, but for salt and the repeated fields, which sealing adds.
    pub facts: Facts,
}

impl Draft {
    /// An event that neither ends nor refuses a call.
    #[must_use]
    pub fn new(context: &Arc<Context>, stamp: Stamp, event_type: EventType, facts: Facts) -> Self {
        let context = Arc::clone(context);
        Self { context, stamp, event_type, outcome: None, denial: None, error: None, facts }
    }
}

/// The word for an outcome.
#[must_use]
pub const fn outcome_word(outcome: OutcomeKind) -> &'static str {
    match outcome {
        OutcomeKind::Success => "success",
        OutcomeKind::Failure => "failure",
        OutcomeKind::Denied => "denied",
        OutcomeKind::Skipped => "skipped",
        OutcomeKind::Indeterminate => "indeterminate",
    }
}

#[cfg(test)]
mod tests;
