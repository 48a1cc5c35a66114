//! What a caller wants appended, from the queue to its answer.

use meshhost_core::{evidence::event::Draft, id::CorrelationId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{AppendError, Appended, KeptResult, StartCondition, group, memory::Memory};

/// One caller's wish.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) drafts: Vec<Draft>,
    pub(super) start: Option<StartCondition>,
    pub(super) result: Option<KeptResult>,
    /// The node has just made the id of the correlation: nobody can have used it before.
    pub(super) new_correlation: bool,
    /// The correlation whose events go when these are written.
    pub(super) purge: Option<CorrelationId>,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Request {
    /// Answers that nothing of it was written. A call whose end cannot be written runs no longer:
    /// nobody shall wait for it.
    pub(super) fn refuse(self, memory: &mut Memory, error: AppendError) {
        for draft in self.drafts.iter().filter(|draft| group::ends(draft)) {
            memory.running.remove(&draft.context.invocation_id);
        }
        // A caller that is gone does not need the answer.
        let _ = self.answer.send(Err(error));
    }
}
