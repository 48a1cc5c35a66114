//! Writes down what happens to the node itself: installs, grants, models.

use std::sync::Arc;

use meshhost_core::{
    code::Code,
    evidence::{event::EventType, fact::Facts, lifecycle},
    id::HostId,
    outcome::Refusal,
    ports::{Clock, Entropy},
};

use crate::{entrance::Entrance, store::writer::EvidenceWriter, sys};

/// The way of the node's own acts into the record.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    /// The record.
    pub evidence: EvidenceWriter,
    /// This node in evidence.
    pub host_id: HostId,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
}

impl Lifecycle {
    /// Writes one event of the node itself.
    ///
    /// # Errors
    /// When it cannot be written; what it says must not come to pass then.
    pub async fn record(
        &self,
        entrance: &Entrance,
        event: EventType,
        facts: Facts,
    ) -> Result<(), Refusal> {
        let act = sys::new_invocation_id(self.clock.as_ref(), self.entropy.as_ref());
        let stamp = sys::stamp(self.clock.as_ref(), self.entropy.as_ref());
        let subject = entrance.subject().clone();
        let draft = lifecycle::event(&self.host_id, act, subject, stamp, event, facts)
            .map_err(|error| Refusal::new(Code::HostFault, error.to_string()))?;
        self.evidence.append(vec![draft]).await.map_err(|error| error.refusal())?;
        Ok(())
    }
}
