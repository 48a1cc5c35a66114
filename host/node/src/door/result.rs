//! The answer to a call, made in one place from what the door knows of it.

use meshhost_core::{
    evidence::time::Timestamp,
    invocation::Invocation,
    limits::Usage,
    model_use::ModelUse,
    outcome::{CallResult, DeniedAccess, Outcome, Refusal},
};

use crate::{door::Opened, registry::Served};

/// Collects what an answer says.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) opened: &'a Opened,
    pub(crate) served: Option<&'a Served>,
    pub(crate) outcome: Outcome,
    pub(crate) evidence_ids: Vec<String>,
    pub(crate) usage: Usage,
    pub(crate) denied: Vec<DeniedAccess>,
    pub(crate) models: Vec<ModelUse>,
    pub(crate) log: Vec<String>,
}

impl<'a> Answer<'a> {
    /// An answer to a call that never reached an instance.
    pub(crate) const fn refused(
        opened: &'a Opened,
        served: Option<&'a Served>,
        outcome: Outcome,
        evidence_ids: Vec<String>,
    ) -> Self {
        Self {
            opened,
            served,
            outcome,
            evidence_ids,
            usage: Usage {
                fuel: 0,
                wall_us: 0,
                memory_bytes: 0,
                host_calls: 0,
                output_bytes: 0,
                log_bytes: 0,
            },
            denied: Vec::new(),
            models: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The result that the caller gets, completed at `now_us`.
    pub(crate) fn complete(self, now_us: i64) -> CallResult {
        let invocation = &self.opened.invocation;
        let context = &self.opened.context;
        CallResult {
            invocation_id: invocation.invocation_id.clone(),
            capability_id: context.capability_id.clone(),
            capability_version: context.capability_version.as_deref().map(str::to_owned),
            plugin: self.served.map(|served| served.provider.plugin.to_string()),
            node: None,
            correlation_id: invocation.correlation_id.clone(),
            outcome: self.outcome,
            evidence_ids: self.evidence_ids,
            started_at: Timestamp::from_micros(self.opened.started_us).to_string(),
            completed_at: Timestamp::from_micros(now_us).to_string(),
            replayed: false,
            usage: self.usage,
            denied: self.denied,
            models: self.models,
            log: self.log,
        }
    }

    /// A denial of a call that cannot even be written down.
    pub(crate) fn unwritten(invocation: &Invocation, refusal: Refusal, now_us: i64) -> CallResult {
        unwritten(invocation, Outcome::Denied(refusal), now_us)
    }
}

/// The end of a call of which this node writes nothing down.
pub(crate) fn unwritten(invocation: &Invocation, outcome: Outcome, now_us: i64) -> CallResult {
    CallResult::bare(invocation, outcome, Timestamp::from_micros(now_us).to_string())
}
