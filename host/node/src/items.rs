//! What a call streams, on its way to a caller who wants it as it comes: over the admin socket, to a
//! peer, or to a command in this process.
//!
//! A bounded channel leads from the guest to the caller. While it is full the guest waits, and nothing
//! else: the call's own future is driven beside what takes the items, so that its deadline passes. No
//! item comes after the call has ended and what was left was taken.

use meshhost_runtime::execute::ItemSender;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Batches that wait for the caller.
const WAITING_BATCHES: usize = 16;

/// Where the items of one call come out.
#[derive(Debug)]
pub struct Coming {
    batches: mpsc::Receiver<Vec<Value>>,
    /// Closed when the call has ended.
    running: Option<oneshot::Receiver<()>>,
}

/// Says by being dropped that the call has ended.
#[derive(Debug)]
pub struct CallRuns(oneshot::Sender<()>);

/// Where the items of a call go in, where they come out, and what is dropped at the call's end. That
/// nobody holds the first any more does not show it: the guest of a stateful plugin works on after its
/// caller was told.
#[must_use]
pub fn channel() -> (ItemSender, CallRuns, Coming) {
    let (to, batches) = mpsc::channel(WAITING_BATCHES);
    let (runs, running) = oneshot::channel();
    (to, CallRuns(runs), Coming { batches, running: Some(running) })
}

impl Coming {
    /// The next items; `None` when the call has ended, or hands nothing on, and all were taken. May be
    /// dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Option<Vec<Value>> {
        if let Some(running) = &mut self.running {
            tokio::select! {
                biased;
                batch = self.batches.recv() => return batch,
                _ = running => {}
            }
            self.running = None;
            self.batches.close();
        }
        // What whoever works on has begun to send is not waited for.
        self.batches.try_recv().ok()
    }
}

impl CallRuns {
    /// The call, at whose end the items end.
    pub async fn until_the_end_of<T>(self, call: impl Future<Output = T>) -> T {
        let ended = call.await;
        drop(self.0);
        ended
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn items_end_with_the_call_although_somebody_could_send_more() {
        let (to, runs, mut coming) = channel();
        to.send(vec![json!(1)]).await.unwrap();
        let call = runs.until_the_end_of(async {
            to.send(vec![json!(2)]).await.unwrap();
            "ended"
        });
        let taking = async {
            let mut all = Vec::new();
            while let Some(batch) = coming.next().await {
                all.extend(batch);
            }
            assert_eq!(coming.next().await, None);
            all
        };
        assert_eq!(tokio::join!(call, taking), ("ended", vec![json!(1), json!(2)]));
        assert!(to.send(vec![json!(3)]).await.is_err(), "whoever works on is not held up");
    }

    #[tokio::test]
    async fn a_call_that_hands_nothing_on_has_no_items() {
        let (to, _runs, mut coming) = channel();
        drop(to);
        assert_eq!(coming.next().await, None);
    }
}
