//! Items of the stream that a function returns, on their way to a caller who wants them as they come.
//!
//! They are handed on in batches through a bounded channel. While it is full the guest's stream waits,
//! so a slow caller slows the guest, within its deadline. What is handed on is kept as well: the answer is
//! the whole, and it alone says that the items count.

use std::task::{Context, Poll, ready};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use crate::convert::Budget;

/// Takes the items of a call in batches of at most [`BATCH_MAX`]. An item is the JSON of one, or, of a
/// stream of bytes, a piece of it as base64 text.
pub type ItemSender = mpsc::Sender<Vec<Value>>;

/// Most items of one batch.
pub const BATCH_MAX: usize = 256;

/// Where the items of one stream go.
pub(super) struct Passing {
    to: PollSender<Vec<Value>>,
    /// What an answer may still have of them; nothing is counted of bytes, whose pieces are longer than
    /// their part of the whole.
    budget: Option<Budget>,
    /// Whether somebody still takes them, and each so far has a place in an answer.
    open: bool,
}

impl Passing {
    pub(super) fn new(to: ItemSender, budget: Option<Budget>) -> Self {
        Self { to: PollSender::new(to), budget, open: true }
    }

    /// Waits until there is room for a batch. When nobody takes items any more there always is.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.open {
            self.open = ready!(self.to.poll_reserve(context)).is_ok();
        }
        Poll::Ready(())
    }

    /// Hands on a batch, for which there is room. What has no place in an answer, because it has no JSON
    /// form or is too much, ends the handing on: the call will end for the same reason.
    pub(super) fn pass(&mut self, batch: Option<Vec<Value>>) {
        if !self.open {
            return;
        }
        let batch = batch.filter(|batch| batch.iter().all(|item| self.fits(item)));
        self.open = match batch {
            // The room stays for the next one.
            Some(batch) if batch.is_empty() => true,
            Some(batch) => self.to.send_item(batch).is_ok(),
            None => false,
        };
    }

    /// Takes an item and its comma from what is left.
    fn fits(&mut self, item: &Value) -> bool {
        self.budget
            .as_mut()
            .is_none_or(|budget| budget.charge_scalar(item).and_then(|()| budget.charge(1)).is_ok())
    }
}
