//! The events that one call leaves, in the protocol's order. The order shows in the record which
//! gate decided, so it is fixed here and nowhere else:
//!
//! | what happens | events |
//! |---|---|
//! | a gate before safety refuses | `execution_denied` |
//! | disabled or in quarantine | `execution_skipped` |
//! | budget spent | `budget_exceeded`, `execution_denied` |
//! | approval needed | `approval_requested`, `execution_denied` |
//! | the safety gate refuses | `safety_assessment_started`, `safety_assessment_completed`, `safety_guardrail_triggered`, `safety_action_blocked`, `execution_denied` |
//! | all gates agree | the assessment pair and `safety_action_approved` where the gate is on, then `execution_started` |
//! | it ends | `execution_completed`, `_failed`, `_indeterminate`, or `_denied` for a strict output schema |

use std::sync::Arc;

use super::{
    event::{Context, Draft, EventType, Reason, Salt, Stamp},
    fact::{Facts, LIST_ENTRIES_MAX},
    hash::Hash,
};
use crate::{
    capability::Risk,
    code::Code,
    id::{Digest, PluginName},
    invocation::{EntranceKind, Subject},
    limits::Usage,
    model_use::ModelUse,
    outcome::{DeniedAccess, OutcomeKind},
};

/// Stands for content that stays out of the record: whoever has the content and the salt of the
/// event's payload can show that it was this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    /// SHA-256 over the salt and the canonical text.
    pub hash: Hash,
    /// Bytes of the canonical text.
    pub bytes: u64,
}

impl Commitment {
    /// Commits to `canonical` (see [`super::canonical::to_commit`]) under the event's salt.
    #[must_use]
    pub fn new(salt: &Salt, canonical: &str) -> Self {
        let hash = Hash::of_parts(&[salt.as_bytes(), canonical.as_bytes()]);
        Self { hash, bytes: u64::try_from(canonical.len()).unwrap_or(u64::MAX) }
    }

    fn facts(self) -> Facts {
        Facts::new().count("bytes", self.bytes).sha256("commitment", self.hash)
    }
}

/// The plugin that runs, or would have run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name on this node.
    pub plugin: PluginName,
    /// The component's bytes.
    pub component: Digest,
    /// The manifest that consent was given for, when there is one.
    pub manifest: Option<Digest>,
    /// The effective grants.
    pub grants: Digest,
}

/// Where a call comes from and what would serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which way it came in.
    pub entrance: EntranceKind,
    /// 1 for a call from outside; one more for each plugin in between.
    pub depth: u32,
    /// Who called the peer that calls, as that peer says; of a peer's call alone.
    pub asserted_caller: Option<Subject>,
    /// The plugin, when one was resolved.
    pub provider: Option<Provider>,
    /// The input, committed under the salt of the event that ends the decision
    /// (`execution_started`, `_denied` or `_skipped`).
    pub input: Option<Commitment>,
}

/// What the safety gate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The level.
    pub level: Risk,
    /// The score in thousandths, 0 to 1000.
    pub score: u16,
    /// The guardrail that fired.
    pub guardrail: Option<String>,
}

/// What the gates decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It runs.
    Run,
    /// It does not run, and why.
    Denied(Reason),
    /// It does not run: disabled or in quarantine.
    Skipped(Reason),
}

/// The events of a decision. The last one is the decision itself and takes `stamp`, whose salt
/// also covers the input; `next_stamp` gives a fresh stamp for each event before it.
/// `assessment` is present exactly when the call reached the safety gate and that gate is on.
#[must_use]
pub fn decided(
    context: &Arc<Context>,
    origin: &Origin,
    decision: Decision,
    assessment: Option<&Assessment>,
    stamp: Stamp,
    mut next_stamp: impl FnMut() -> Stamp,
) -> Vec<Draft> {
    let mut events = Vec::with_capacity(5);
    let mut note = |event_type, facts| {
        events.push(Draft::new(context, next_stamp(), event_type, facts));
    };
    if let Some(assessment) = assessment {
        let blocked =
            matches!(&decision, Decision::Denied(reason) if reason.code == Code::SafetyBlocked);
        note(EventType::SafetyAssessmentStarted, Facts::new());
        note(EventType::SafetyAssessmentCompleted, assessed(assessment).flag("approved", !blocked));
        if blocked {
            note(EventType::SafetyGuardrailTriggered, assessed(assessment));
            note(EventType::SafetyActionBlocked, assessed(assessment));
        } else {
            note(EventType::SafetyActionApproved, assessed(assessment));
        }
    }
    match &decision {
        Decision::Denied(reason) if reason.code == Code::BudgetExceeded => {
            note(EventType::BudgetExceeded, Facts::new());
        }
        Decision::Denied(reason) if reason.code == Code::ApprovalRequired => {
            note(EventType::ApprovalRequested, Facts::new());
        }
        _ => {}
    }
    events.push(decision_event(context, stamp, origin, decision));
    events
}

fn decision_event(
    context: &Arc<Context>,
    stamp: Stamp,
    origin: &Origin,
    decision: Decision,
) -> Draft {
    let facts = origin_facts(origin);
    let draft = |event_type| Draft::new(context, stamp, event_type, facts);
    match decision {
        Decision::Run => draft(EventType::ExecutionStarted),
        Decision::Denied(reason) => Draft {
            outcome: Some(OutcomeKind::Denied),
            denial: Some(reason),
            ..draft(EventType::ExecutionDenied)
        },
        Decision::Skipped(reason) => Draft {
            outcome: Some(OutcomeKind::Skipped),
            denial: Some(reason),
            ..draft(EventType::ExecutionSkipped)
        },
    }
}

/// How a call that ran ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End<'a> {
    /// How.
    pub outcome: OutcomeKind,
    /// Why, unless it succeeded.
    pub reason: Option<Reason>,
    /// What it used.
    pub usage: Usage,
    /// The output, committed under the salt of this event.
    pub output: Option<Commitment>,
    /// `false` when the output does not fit its schema and the capability only warns.
    pub output_valid: bool,
    /// What was denied during the call.
    pub denied: &'a [DeniedAccess],
    /// The models that ran for it.
    pub models: &'a [ModelUse],
    /// Bytes of the guest's own error, trap or panic text, none of which is recorded.
    pub guest_text_bytes: u64,
}

/// The event that ends a started call.
#[must_use]
pub fn ended(context: &Arc<Context>, stamp: Stamp, end: End<'_>) -> Draft {
    let mut facts = usage_facts(&end.usage);
    if !end.denied.is_empty() {
        let entries = end.denied.iter().take(LIST_ENTRIES_MAX);
        let entries = entries.map(|access| denied_facts(access, &stamp.salt)).collect();
        facts = facts.objects("denied", entries).count("denied_count", count(end.denied.len()));
    }
    if !end.models.is_empty() {
        let entries = end.models.iter().take(LIST_ENTRIES_MAX).map(model_facts).collect();
        facts = facts.objects("models", entries);
    }
    if let Some(output) = end.output {
        facts = facts.object("output", output.facts());
    }
    if !end.output_valid {
        facts = facts.flag("output_schema_valid", false);
    }
    if end.guest_text_bytes > 0 {
        facts = facts.count("guest_text_bytes", end.guest_text_bytes);
    }
    let event_type = match end.outcome {
        OutcomeKind::Success => EventType::ExecutionCompleted,
        OutcomeKind::Failure => EventType::ExecutionFailed,
        OutcomeKind::Denied => EventType::ExecutionDenied,
        OutcomeKind::Skipped => EventType::ExecutionSkipped,
        OutcomeKind::Indeterminate => EventType::ExecutionIndeterminate,
    };
    let refused = matches!(end.outcome, OutcomeKind::Denied | OutcomeKind::Skipped);
    let (denial, error) = if refused { (end.reason, None) } else { (None, end.reason) };
    let outcome = Some(end.outcome);
    Draft { outcome, denial, error, ..Draft::new(context, stamp, event_type, facts) }
}

fn assessed(assessment: &Assessment) -> Facts {
    let level = match assessment.level {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
        Risk::Critical => "critical",
    };
    let score = assessment.score.min(1_000);
    Facts::new()
        .optional_text("guardrail", assessment.guardrail.as_deref())
        .text("level", level)
        .text("score", format!("{}.{:03}", score / 1_000, score % 1_000))
}

fn origin_facts(origin: &Origin) -> Facts {
    let entrance = match origin.entrance {
        EntranceKind::CommandLine => "command_line",
        EntranceKind::Socket => "socket",
        EntranceKind::Component => "component",
        EntranceKind::Peer => "peer",
    };
    let mut facts = Facts::new().count("depth", u64::from(origin.depth)).text("entrance", entrance);
    if let Some(caller) = &origin.asserted_caller {
        facts = facts.object("asserted_caller", asserted_facts(caller));
    }
    if let Some(input) = origin.input {
        facts = facts.object("input", input.facts());
    }
    if let Some(provider) = &origin.provider {
        let manifest = provider.manifest.as_ref().map(Digest::to_string);
        let provider = Facts::new()
            .digest("component", &provider.component)
            .digest("grants", &provider.grants)
            .optional_text("manifest", manifest.as_deref())
            .text("plugin", provider.plugin.as_str().to_owned());
        facts = facts.object("provider", provider);
    }
    facts
}

/// Whatever it claims, this node has not verified it.
fn asserted_facts(caller: &Subject) -> Facts {
    Facts::new()
        .text("id", caller.id.clone())
        .text("type", caller.kind.clone())
        .flag("verified", false)
}

fn usage_facts(usage: &Usage) -> Facts {
    Facts::new()
        .count("fuel", usage.fuel)
        .count("host_calls", usage.host_calls)
        .count("log_bytes", usage.log_bytes)
        .count("memory_bytes", usage.memory_bytes)
        .count("output_bytes", usage.output_bytes)
        .count("wall_us", usage.wall_us)
}

/// Names of engines and providers are the host's words.
fn model_facts(used: &ModelUse) -> Facts {
    Facts::new()
        .count("batch_max", used.batch_max.into())
        .text("engine", used.engine.to_string())
        .digest("model", &used.model)
        .text("provider", used.provider.to_string())
        .count("queue_us", used.queue_us)
        .count("run_us", used.run_us)
        .count("runs", used.runs)
}

/// Function and kind of permission are the host's words. What the guest tried to reach is the
/// guest's (a path or host name could carry a secret out), so only a commitment to it stands.
fn denied_facts(access: &DeniedAccess, salt: &Salt) -> Facts {
    let permission = access.permission.as_deref();
    let kind = permission.map(|text| text.split_once('=').map_or(text, |(kind, _)| kind));
    let parts = [salt.as_bytes().as_slice(), permission.unwrap_or_default().as_bytes(), b"\0"];
    let target = [parts[0], parts[1], parts[2], access.target.as_bytes()];
    Facts::new()
        .text("function", access.function.clone())
        .optional_text("permission", kind)
        .sha256("target_commitment", Hash::of_parts(&target))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
