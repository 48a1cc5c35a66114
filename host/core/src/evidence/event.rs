//! One event before it has its place in the chain, and the names that it uses.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use super::{
    canonical::{write_text, write_u64},
    fact::{Facts, bounded, write_key},
    hash::write_hex,
    time::Timestamp,
};
use crate::{
    code::Code,
    id::{CapabilityId, CorrelationId, HostId, InvocationId},
    invocation::Subject,
    outcome::OutcomeKind,
};

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
    /// A plugin serves again.
    PluginEnabled = "dev.meshhost.plugin_enabled";
    /// A plugin serves no longer.
    PluginDisabled = "dev.meshhost.plugin_disabled";
    /// A plugin failed too often and rests.
    PluginQuarantined = "dev.meshhost.plugin_quarantined";
    /// Another provider of a capability became the default.
    ProviderPreferred = "dev.meshhost.provider_preferred";
    /// Permissions were granted.
    PermissionGranted = "dev.meshhost.permission_granted";
    /// Permissions were revoked.
    PermissionRevoked = "dev.meshhost.permission_revoked";
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

/// The canonical text of the fields that the protocol's hash leaves out. Each stands twice in an
/// event: where the protocol wants it, and inside the payload under `bound`, which is hashed.
#[derive(Debug, Clone, Default)]
pub(super) struct Unhashed {
    pub(super) capability_version: String,
    pub(super) correlation: String,
    pub(super) denial: String,
    pub(super) error: String,
    pub(super) sequence: String,
    pub(super) subject: String,
}

/// How much assurance an event claims: the protocol's lowest level, nothing outside the host.
const ASSURANCE: &str = r#"{"level": "S1"}"#;

impl Unhashed {
    /// Writes the fields of `draft`.
    pub(super) fn fill(&mut self, draft: &Draft, sequence: u64) {
        self.clear();
        let context = &draft.context;
        write_optional(context.capability_version.as_deref(), &mut self.capability_version);
        context.correlation.write(&mut self.correlation);
        write_reason(draft.denial.as_ref(), &mut self.denial);
        write_reason(draft.error.as_ref(), &mut self.error);
        write_u64(sequence, &mut self.sequence);
        write_subject(&context.subject, &mut self.subject);
    }

    /// The texts.
    pub(super) fn fragments(&self) -> Fragments<'_> {
        Fragments {
            assurance: ASSURANCE,
            capability_version: &self.capability_version,
            correlation: &self.correlation,
            denial: &self.denial,
            error: &self.error,
            sequence: &self.sequence,
            subject: &self.subject,
        }
    }

    fn clear(&mut self) {
        for part in [
            &mut self.capability_version,
            &mut self.correlation,
            &mut self.denial,
            &mut self.error,
            &mut self.sequence,
            &mut self.subject,
        ] {
            part.clear();
        }
    }
}

/// The texts of [`Unhashed`], or those that stand in a stored event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragments<'a> {
    pub(super) assurance: &'a str,
    pub(super) capability_version: &'a str,
    pub(super) correlation: &'a str,
    pub(super) denial: &'a str,
    pub(super) error: &'a str,
    pub(super) sequence: &'a str,
    pub(super) subject: &'a str,
}

impl Fragments<'_> {
    /// Appends the object that the payload repeats.
    pub(super) fn write_bound(&self, out: &mut String) {
        let parts = [
            ("{\"assurance\": ", self.assurance),
            (", \"capability_version\": ", self.capability_version),
            (", \"correlation\": ", self.correlation),
            (", \"denial\": ", self.denial),
            (", \"error\": ", self.error),
            (", \"redacted\": true, \"sequence\": ", self.sequence),
            (", \"subject\": ", self.subject),
        ];
        for (key, value) in parts {
            out.push_str(key);
            out.push_str(value);
        }
        out.push('}');
    }
}

/// Appends text or null.
pub(super) fn write_optional(text: Option<&str>, out: &mut String) {
    match text {
        Some(text) => write_text(text, out),
        None => out.push_str("null"),
    }
}

fn write_reason(reason: Option<&Reason>, out: &mut String) {
    match reason {
        Some(reason) => reason.write(out),
        None => out.push_str("null"),
    }
}

fn write_subject(subject: &Subject, out: &mut String) {
    out.push('{');
    write_key("id", out);
    write_text(&bounded(subject.id.clone().into()), out);
    out.push_str(", ");
    write_key("type", out);
    write_text(&bounded(subject.kind.clone().into()), out);
    out.push_str(", ");
    write_key("verified", out);
    out.push_str(if subject.verified { "true}" } else { "false}" });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn event_types_are_reserved_names_or_our_own() {
        let names: BTreeSet<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), EventType::ALL.len());
        let families = ["execution_", "safety_", "key_", "host_adapter_", "dev.meshhost."];
        let single = [
            "budget_exceeded",
            "approval_requested",
            "evidence_purged",
            "retention_policy_applied",
        ];
        for name in names {
            let known =
                families.iter().any(|family| name.starts_with(family)) || single.contains(&name);
            assert!(known, "{name} is neither reserved nor under dev.meshhost.");
        }
    }

    #[test]
    fn a_reason_is_written_by_its_code() {
        let reason = Reason {
            code: Code::BudgetExceeded,
            invariant_id: Some("max-size".to_owned()),
            retry_after_ms: Some(1_000),
        };
        let mut out = String::new();
        reason.write(&mut out);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["code"], "budget_exceeded");
        assert_eq!(value["retryable"], true);
        assert_eq!(value["invariant_id"], "max-size");
        assert_eq!(value["details"]["number"], "MH0409");
        assert_eq!(value["details"]["retry_after_ms"], 1_000);
    }
}
