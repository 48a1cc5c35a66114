//! The end of a call that ran: what its evidence says, also when nobody waits for it any more.

use std::sync::{Arc, Weak};

use meshhost_core::{
    code::Code,
    evidence::{
        call::{Commitment, End, ended},
        canonical,
        event::{Context, Draft, Reason},
    },
    limits::Usage,
    outcome::{Outcome, OutcomeKind, Refusal},
};
use meshhost_runtime::execute::Executed;

use super::{Door, Opened};

/// A started call whose end is not written yet. Dropping it (the caller went away, the future
/// was dropped) writes that end from a task of its own.
#[derive(Debug)]
pub(crate) struct UnfinishedCall {
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    door: Weak<Door>,
    context: Arc<Context>,
    cancels: bool,
}

impl UnfinishedCall {
    /// From here on the end of the call is written, whatever happens.
    ///
    /// `cancels` says that a caller who goes away ends the call without a trace: it changes nothing,
    /// and its guest ends with it.
    pub(crate) fn new(door: &Door, opened: &Opened, cancels: bool) -> Self {
        let (door, context) = (Weak::clone(&door.this), Arc::clone(&opened.context));
        Self { waiting: Some(Waiting { door, context, cancels }) }
    }

    /// The guest ended by itself; its end is written by the caller.
    pub(crate) fn finished(mut self) {
        self.waiting = None;
    }
}

impl Drop for UnfinishedCall {
    fn drop(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        // A call runs inside of a method of its door, so the door is there.
        let Some(door) = waiting.door.upgrade() else { return };
        let draft = waiting.draft(&door);
        let evidence = door.evidence.clone();
        door.unfinished.spawn(async move {
            if evidence.append(vec![draft]).await.is_err() {
                tracing::error!("the end of a cancelled call could not be written");
            }
        });
    }
}

impl Waiting {
    /// What is written of a call whose guest said nothing any more.
    fn draft(&self, door: &Door) -> Draft {
        // Without a word from the guest it is unknown how far a writing call came.
        let (outcome, code) = if self.cancels {
            (OutcomeKind::Failure, Code::Cancelled)
        } else {
            (OutcomeKind::Indeterminate, Code::Indeterminate)
        };
        let end = End {
            outcome,
            reason: Some(Reason::new(code)),
            usage: Usage::default(),
            output: None,
            output_valid: true,
            denied: &[],
            models: &[],
            guest_text_bytes: 0,
        };
        ended(&self.context, door.stamp(), end)
    }
}

/// The event that ends a call, and what its caller is told.
pub(crate) fn end_draft(door: &Door, opened: &Opened, executed: &Executed) -> Draft {
    let stamp = door.stamp();
    let output = match &executed.outcome {
        Outcome::Success(value) => canonical::to_commit(value).ok(),
        _ => None,
    };
    let refusal = executed.outcome.refusal();
    let end = End {
        outcome: executed.outcome.kind(),
        reason: refusal.map(reason),
        usage: executed.usage,
        output: output.map(|text| Commitment::new(&stamp.salt, &text)),
        output_valid: refusal.is_none_or(|refusal| refusal.code != Code::OutputInvalid),
        denied: &executed.denied,
        models: &executed.models,
        guest_text_bytes: refusal.map_or(0, guest_text_bytes),
    };
    ended(&opened.context, stamp, end)
}

/// Codes whose message or details carry the guest's own words.
fn guest_text_bytes(refusal: &Refusal) -> u64 {
    let details = refusal.details.as_ref().map_or(0, |details| details.to_string().len());
    match refusal.code {
        Code::PluginFailure | Code::Trap => u64::try_from(details).unwrap_or(u64::MAX),
        _ => 0,
    }
}

/// A refusal as evidence says it.
pub(crate) fn reason(refusal: &Refusal) -> Reason {
    let invariant_id = refusal
        .details
        .as_ref()
        .filter(|_| refusal.code == Code::InvariantFailed)
        .and_then(|details| details.get("invariant"))
        .and_then(|id| id.as_str())
        .map(str::to_owned);
    Reason { invariant_id, retry_after_ms: refusal.retry_after_ms, ..Reason::new(refusal.code) }
}
