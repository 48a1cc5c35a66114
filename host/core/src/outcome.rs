//! How a call ended: the five outcomes, and the result that a caller gets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    code::Code,
    id::{CapabilityId, CorrelationId, InvocationId},
    invocation::Invocation,
    limits::Usage,
    model_use::ModelUse,
};

/// The word for the end of a call, as it stands in evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The plugin answered.
    Success,
    /// The plugin ran and failed: its own error, a trap, a limit, the deadline, a host fault.
    Failure,
    /// Nothing ran: a gate refused, evidence could not be written, or no place was free.
    Denied,
    /// Nothing ran: disabled or in quarantine.
    Skipped,
    /// An effect may have happened and its end is unknown.
    Indeterminate,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The plugin's answer in JSON.
    Success(Value),
    /// The plugin ran and failed.
    Failure(Refusal),
    /// Nothing ran.
    Denied(Refusal),
    /// Nothing ran: disabled or in quarantine.
    Skipped(Refusal),
    /// An effect may have happened.
    Indeterminate(Refusal),
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Success(_) => OutcomeKind::Success,
            Self::Failure(_) => OutcomeKind::Failure,
            Self::Denied(_) => OutcomeKind::Denied,
            Self::Skipped(_) => OutcomeKind::Skipped,
            Self::Indeterminate(_) => OutcomeKind::Indeterminate,
        }
    }

    /// The refusal, unless it succeeded.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Success(_) => None,
            Self::Failure(refusal)
            | Self::Denied(refusal)
            | Self::Skipped(refusal)
            | Self::Indeterminate(refusal) => Some(refusal),
        }
    }

    /// The refusal, to be told in other words.
    pub const fn refusal_mut(&mut self) -> Option<&mut Refusal> {
        match self {
            Self::Success(_) => None,
            Self::Failure(refusal)
            | Self::Denied(refusal)
            | Self::Skipped(refusal)
            | Self::Indeterminate(refusal) => Some(refusal),
        }
    }
}

/// Why a call did not succeed. The message names no host path, address or secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind of error.
    pub code: Code,
    /// What happened, to what, and what to do.
    pub message: String,
    /// Structured facts: the plugin's own error data, the invariant's id, the retry time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Milliseconds after which trying again makes sense, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal with a code and a message.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None, retry_after_ms: None }
    }

    /// With structured facts.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

/// Something that the plugin tried and was not granted, once per call and permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeniedAccess {
    /// The permission that would have allowed it, in the grammar of [`crate::permission`], when
    /// one exists: `fs:ro=/home/me/notes`, `net=https://api.example.org`. The caller's own
    /// words, never a resolved host path or address.
    pub permission: Option<String>,
    /// The interface and function that was called, `wasi:filesystem/types#open-at`.
    pub function: String,
    /// What it was about, bounded and escaped: a guest path, a host name, a variable.
    pub target: String,
}

/// What a caller gets back.
#[derive(Debug, Clone, PartialEq)]
pub struct CallResult {
    /// The call.
    pub invocation_id: InvocationId,
    /// The resolved id, else the requested one.
    pub capability_id: CapabilityId,
    /// The version that ran, when one was resolved.
    pub capability_version: Option<String>,
    /// The plugin that ran, when one was resolved.
    pub plugin: Option<String>,
    /// The name of the node that ran it, when it was another than this.
    pub node: Option<String>,
    /// The group of calls.
    pub correlation_id: CorrelationId,
    /// How it ended.
    pub outcome: Outcome,
    /// The events written for this call.
    pub evidence_ids: Vec<String>,
    /// RFC 3339, UTC, six decimals.
    pub started_at: String,
    /// RFC 3339, UTC, six decimals.
    pub completed_at: String,
    /// The recorded result of an earlier call with the same id.
    pub replayed: bool,
    /// What it used.
    pub usage: Usage,
    /// What was denied during the call.
    pub denied: Vec<DeniedAccess>,
    /// The models that ran for it.
    pub models: Vec<ModelUse>,
    /// Log lines of the plugin, bounded by the log limit; never part of evidence.
    pub log: Vec<String>,
}

impl CallResult {
    /// The end of a call of which nothing but the outcome is known, at this time.
    #[must_use]
    pub fn bare(invocation: &Invocation, outcome: Outcome, at: String) -> Self {
        Self {
            invocation_id: invocation.invocation_id.clone(),
            capability_id: invocation.capability.clone(),
            capability_version: None,
            plugin: None,
            node: None,
            correlation_id: invocation.correlation_id.clone(),
            outcome,
            evidence_ids: Vec::new(),
            started_at: at.clone(),
            completed_at: at,
            replayed: false,
            usage: Usage::default(),
            denied: Vec::new(),
            models: Vec::new(),
            log: Vec::new(),
        }
    }
}
