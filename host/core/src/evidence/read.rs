//! Reading back the context of a stored event, to write another event of the same call: at start,
//! every call that was started and has no end gets `execution_indeterminate`.

use serde::Deserialize;

use super::event::{Context, Correlation, Environment};
use crate::{
    code::Code,
    id::{CapabilityId, CorrelationId, HostId, InvocationId},
    invocation::Subject,
};

/// The text is not a stored event of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored event cannot be read; `meshhost audit verify` says what is wrong with it")]
pub struct NotAnEvent;

impl NotAnEvent {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::EvidenceBroken
    }
}

/// What all events of the call that `json` belongs to share.
///
/// # Errors
/// [`NotAnEvent`] when the text was not written by [`super::chain`].
pub fn context(json: &str) -> Result<Context, NotAnEvent> {
    let stored: Stored = serde_json::from_str(json).map_err(|_| NotAnEvent)?;
    let correlation = stored.correlation;
    Ok(Context {
        host_id: stored.host_id,
        invocation_id: stored.invocation_id,
        capability_id: stored.capability_id,
        capability_version: stored.capability_version.map(Into::into),
        correlation: Correlation {
            correlation_id: correlation.correlation_id,
            causation_id: correlation.causation_id,
            parent_correlation_id: correlation.parent_correlation_id,
            trace_id: correlation.trace_id,
            environment: correlation.environment,
        },
        subject: stored.subject,
    })
}

#[derive(Deserialize)]
struct Stored {
    host_id: HostId,
    invocation_id: InvocationId,
    capability_id: CapabilityId,
    capability_version: Option<String>,
    correlation: StoredCorrelation,
    subject: Subject,
}

#[derive(Deserialize)]
struct StoredCorrelation {
    correlation_id: CorrelationId,
    causation_id: Option<InvocationId>,
    parent_correlation_id: Option<CorrelationId>,
    trace_id: Option<InvocationId>,
    environment: Environment,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evidence::{
        call::{End, ended},
        chain::Sealer,
        fixture::{Store, stamp},
    };
    use crate::{limits::Usage, outcome::OutcomeKind};

    #[test]
    fn a_call_goes_on_with_the_context_of_its_first_event() {
        for event in Store::of(30).events {
            let read = Arc::new(context(&event.json).unwrap());
            assert_eq!(read.invocation_id, event.invocation_id);
            let end = End {
                outcome: OutcomeKind::Indeterminate,
                reason: None,
                usage: Usage::default(),
                output: None,
                output_valid: true,
                denied: &[],
                models: &[],
                guest_text_bytes: 0,
            };
            let mut group = Sealer::default().group();
            let sealed = group.seal(&ended(&read, stamp(1), end), None).unwrap();
            let (before, after): (serde_json::Value, serde_json::Value) = (
                serde_json::from_str(&event.json).unwrap(),
                serde_json::from_str(&sealed.json).unwrap(),
            );
            for name in ["host_id", "capability_version", "correlation", "subject"] {
                assert_eq!(before[name], after[name], "{name}");
            }
            assert_eq!(after["event_type"], "execution_indeterminate");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for bad in ["", "{}", "null", r#"{"host_id": ""}"#] {
            assert_eq!(context(bad).unwrap_err(), NotAnEvent);
        }
    }
}
