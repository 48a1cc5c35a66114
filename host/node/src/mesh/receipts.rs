//! Receipts: what this node signs about the calls that it answered to peers, and what peers sign about
//! those that they answered to this node. They follow the answers a moment later, many calls in one, so that no
//! call waits for a signature or its check.
//!
//! A receipt that does not come, because one of the two nodes ended within that moment, comes with the
//! same call asked again.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::{
    id::{Digest, InvocationId},
    mesh::{
        key::NodeKey,
        receipt::{self, AnsweredCall, Receipt},
        signed::Signed,
        wire::{Answer, Bytes, CallFrame, Receipts as Frame},
    },
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{
    link::Link,
    running::Running,
    transport::{Closing, Stream},
};
use crate::store::mesh::ReceiptRow;

/// How long calls are gathered before they are signed for.
const GATHERING: Duration = Duration::from_millis(5);
/// Calls whose receipts are awaited at once; those beyond have none.
const AWAITED_MAX: usize = 4_096;
/// How long a receipt is awaited.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long whoever reads receipts, or ends, waits for those that are on their way.
const SETTLING: Duration = Duration::from_millis(250);

type Key = (NodeKey, InvocationId);

/// Receipts that are to be given, and those that are awaited.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Calls that were answered and not signed for yet, by who called.
    answered: Mutex<HashMap<NodeKey, Vec<AnsweredCall>>>,
    awaited: Mutex<HashMap<Key, Awaited>>,
    /// How many are awaited.
    open: watch::Sender<usize>,
}

/// A call whose receipt is awaited.
#[derive(Debug)]
struct Awaited {
    ended: Digest,
    evidence_ids: Vec<String>,
    since: Instant,
    state: State,
}

/// A receipt and the route of its call may come in either order.
#[derive(Debug)]
enum State {
    /// Neither is here.
    Nothing,
    /// The route is kept.
    Kept,
    /// The receipt is here.
    Here(Arc<Signed<Receipt>>),
}

impl Receipts {
    fn answered(&self) -> MutexGuard<'_, HashMap<NodeKey, Vec<AnsweredCall>>> {
        // Nothing panics while it holds the lock.
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaited(&self) -> MutexGuard<'_, HashMap<Key, Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits the receipt for an answer of `peer`.
    pub(super) fn expect(&self, peer: NodeKey, id: &InvocationId, answer: &Answer) {
        let mut awaited = self.awaited();
        if awaited.len() >= AWAITED_MAX {
            awaited.retain(|_, one| one.since.elapsed() < PATIENCE);
        }
        if awaited.len() < AWAITED_MAX {
            let one = Awaited {
                ended: receipt::digest_of(&answer.ended),
                evidence_ids: answer.evidence_ids.clone(),
                since: Instant::now(),
                state: State::Nothing,
            };
            awaited.insert((peer, id.clone()), one);
        }
    }

    /// The route of a call is kept. Its receipt, when that came before.
    fn route_kept(&self, peer: NodeKey, id: &InvocationId) -> Option<Arc<Signed<Receipt>>> {
        let mut awaited = self.awaited();
        let key = (peer, id.clone());
        match mem::replace(&mut awaited.get_mut(&key)?.state, State::Kept) {
            State::Here(signed) => {
                awaited.remove(&key);
                Some(signed)
            }
            State::Nothing | State::Kept => {
                self.open.send_replace(awaited.len());
                None
            }
        }
    }

    /// Whether one of these calls of `peer` is awaited just so.
    fn awaits(&self, peer: NodeKey, calls: &[AnsweredCall]) -> bool {
        let awaited = self.awaited();
        calls.iter().any(|call| {
            let one = awaited.get(&(peer, call.invocation_id.clone()));
            one.is_some_and(|one| one.is_of(call))
        })
    }

    /// Takes in a receipt that holds. The calls whose routes are kept and that it is to be kept with.
    fn came(
        &self,
        peer: NodeKey,
        receipt: Receipt,
        signed: &Arc<Signed<Receipt>>,
    ) -> Vec<InvocationId> {
        let mut awaited = self.awaited();
        let mut kept = Vec::new();
        for call in receipt.calls {
            let key = (peer, call.invocation_id.clone());
            let Some(one) = awaited.get_mut(&key).filter(|one| one.is_of(&call)) else { continue };
            if matches!(one.state, State::Kept) {
                awaited.remove(&key);
                kept.push(call.invocation_id);
            } else {
                one.state = State::Here(Arc::clone(signed));
            }
        }
        self.open.send_replace(awaited.len());
        kept
    }

    /// Waits a moment for the receipts that are on their way.
    pub(super) async fn settled(&self) {
        self.open.send_replace({
            let mut awaited = self.awaited();
            awaited.retain(|_, one| one.since.elapsed() < SETTLING);
            awaited.len()
        });
        let mut open = self.open.subscribe();
        let _ = tokio::time::timeout(SETTLING, open.wait_for(|open| *open == 0)).await;
    }
}

impl Awaited {
    fn is_of(&self, call: &AnsweredCall) -> bool {
        self.ended == call.ended && self.evidence_ids == call.evidence_ids
    }
}

/// Signs soon for a call of `link`'s peer that was answered.
pub(super) fn give(running: &Arc<Running>, link: &Arc<Link>, call: AnsweredCall) {
    let first = {
        let mut answered = running.receipts.answered();
        let calls = answered.entry(link.peer).or_default();
        calls.push(call);
        calls.len() == 1
    };
    if first {
        let (running, link) = (Arc::clone(running), Arc::clone(link));
        running.tasks.clone().spawn(async move {
            tokio::time::sleep(GATHERING).await;
            send(&running, &link).await;
        });
    }
}

/// Signs for what was answered to the peer so far, and sends that. A peer that is gone asks again.
async fn send(running: &Running, link: &Link) {
    let calls = running.receipts.answered().remove(&link.peer).unwrap_or_default();
    let named = (running.community.own(), link.peer, running.clock.now_us());
    let Some(channel) = link.calls().await else { return };
    for signed in receipt::sign(calls, named, |receipt| running.community.sign(receipt)) {
        let Ok(bytes) = postcard::to_allocvec(&signed) else { continue };
        let Ok(Stream { mut sending, mut receiving }) = channel.open().await else { return };
        let frame = CallFrame::Receipts(Frame { signed: Bytes::from(bytes) });
        if sending.write(&frame).await.is_ok() {
            sending.finish();
            // The peer ends its half when it has taken the receipt in, and need not be told to.
            let _ = tokio::time::timeout(PATIENCE, receiving.ended()).await;
        }
    }
}

/// Takes in a receipt of a peer. What was not awaited is not looked at further, so that the checks of
/// signatures are as many as this node's own calls at most.
pub(super) async fn take(running: &Running, link: &Link, frame: &Frame) {
    let Ok(signed) = postcard::from_bytes::<Signed<Receipt>>(&frame.signed) else {
        link.close(Closing::Protocol);
        return;
    };
    let awaited = |receipt: &Receipt| running.receipts.awaits(link.peer, &receipt.calls);
    if !signed.unchecked().is_ok_and(|receipt| awaited(&receipt)) {
        return;
    }
    let own = running.community.own();
    let Some(receipt) = receipt::open(&signed, &link.peer, &own) else {
        tracing::warn!(peer = %link.peer.short(), "a receipt does not hold");
        return;
    };
    let signed = Arc::new(signed);
    let kept = running.receipts.came(link.peer, receipt, &signed);
    if !kept.is_empty() {
        keep(running, signed, kept).await;
    }
}

async fn keep(running: &Running, signed: Arc<Signed<Receipt>>, calls: Vec<InvocationId>) {
    running.tables.keep_receipt(ReceiptRow { signed, at_us: running.clock.now_us(), calls }).await;
}

/// The route of a call that `peer` answered is kept: so is its receipt, as soon as it is here.
pub(super) async fn route_kept(running: &Running, peer: NodeKey, id: &InvocationId) {
    if let Some(signed) = running.receipts.route_kept(peer, id) {
        keep(running, signed, vec![id.clone()]).await;
    }
}

/// What a receipt says about one of its calls, when it holds.
pub(super) fn about(signed: &Signed<Receipt>, id: &InvocationId) -> Option<Value> {
    let receipt = signed.open().ok()?;
    let call = receipt.calls.iter().find(|call| call.invocation_id == *id)?;
    Some(json!({
        "node": receipt.node,
        "peer": receipt.peer,
        "invocation_id": call.invocation_id,
        "ended": call.ended,
        "evidence_ids": call.evidence_ids,
        "at_us": receipt.at_us,
    }))
}

#[cfg(test)]
mod tests;
