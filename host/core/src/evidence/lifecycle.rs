//! What happens to the node itself: installs, grants, configuration, keys. Key events stand in
//! the correlation `host-identity-<host_id>` (reserved by the protocol), the others in
//! `host-lifecycle-<host_id>`.

use std::sync::Arc;

use super::{
    event::{Context, Correlation, Draft, EventType, Stamp},
    fact::Facts,
};
use crate::{
    id::{CorrelationId, HostId, IdError, InvocationId},
    invocation::Subject,
};

/// The capability under which the node's own acts stand, since every event names one.
pub const CAPABILITY: &str = "dev.meshhost.node";

/// The correlation of a node's key events.
///
/// # Errors
/// Never for a [`HostId`], whose length leaves room; the type of ids cannot say so.
pub fn identity_correlation(host_id: &HostId) -> Result<CorrelationId, IdError> {
    format!("host-identity-{host_id}").parse()
}

/// The correlation of a node's other events.
///
/// # Errors
/// As [`identity_correlation`].
pub fn lifecycle_correlation(host_id: &HostId) -> Result<CorrelationId, IdError> {
    format!("host-lifecycle-{host_id}").parse()
}

/// An event of the node itself. `act` names the act that it belongs to (one install leaves
/// several events), `subject` who did it.
///
/// # Errors
/// As [`identity_correlation`].
pub fn event(
    host_id: &HostId,
    act: InvocationId,
    subject: Subject,
    stamp: Stamp,
    event_type: EventType,
    facts: Facts,
) -> Result<Draft, IdError> {
    let correlation_id = match event_type {
        EventType::KeyGenerated | EventType::KeyRotated | EventType::KeyRevoked => {
            identity_correlation(host_id)?
        }
        _ => lifecycle_correlation(host_id)?,
    };
    let context = Arc::new(Context {
        host_id: host_id.clone(),
        invocation_id: act,
        capability_id: CAPABILITY.parse()?,
        capability_version: None,
        correlation: Correlation::new(correlation_id),
        subject,
    });
    Ok(Draft::new(&context, stamp, event_type, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::fixture::{stamp, subject};

    #[test]
    fn keys_stand_apart_from_the_other_events_of_the_node() {
        // The longest host id still names its correlations.
        let host_id: HostId = "h".repeat(crate::id::HOST_ID_BYTES_MAX).parse().unwrap();
        for &event_type in EventType::ALL {
            let act = "act".parse().unwrap();
            let draft =
                event(&host_id, act, subject(), stamp(1), event_type, Facts::new()).unwrap();
            let correlation = draft.context.correlation.correlation_id.as_str();
            let family =
                if event_type.as_str().starts_with("key_") { "identity" } else { "lifecycle" };
            assert_eq!(correlation, format!("host-{family}-{host_id}"));
        }
    }
}
