//! Asking another node for its record of a piece of work, and for those of the nodes that it took calls to.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    mesh::{
        handed::{self, Asked, Held, Sifted},
        key::NodeKey,
        wire::{CallFrame, RecordFound, RecordWanted},
    },
    outcome::Refusal,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    blocking,
    mesh::{link::Link, running::Running, transport::Stream},
};

/// Bytes of records from which on they are checked on a thread of their own.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// What was heard from one node.
#[derive(Debug)]
pub(super) enum Heard {
    /// What it gave, sifted, and the room that it takes as long as it is held.
    Given(Sifted, OwnedSemaphorePermit),
    /// It has nothing for this node.
    Nothing,
    /// It is not there, or did not answer in time.
    Unreachable,
    /// What it gave does not hold.
    Wrong(String),
}

/// Asks one node, and waits no longer than the question says. `above` is this node's own record when it
/// asks for another one.
pub(super) async fn ask(
    running: &Arc<Running>,
    link: &Link,
    wanted: RecordWanted,
    above: Option<Arc<Held>>,
) -> Heard {
    let patience = Duration::from_millis(wanted.deadline_ms);
    let frame = CallFrame::RecordWanted(wanted.clone());
    let asked = async {
        let calls = link.calls().await?;
        let Stream { mut sending, mut receiving } = calls.open().await.ok()?;
        sending.write(&frame).await.ok()?;
        sending.finish();
        receiving.read_into::<CallFrame>(&running.records).await.ok()?
    };
    match tokio::time::timeout(patience, asked).await {
        Ok(Some((CallFrame::RecordFound(found), room))) => {
            match sifted(running, (link.peer, wanted, above), found).await {
                Ok(sifted) => Heard::Given(sifted, room),
                Err(refusal) => Heard::Wrong(refusal.message),
            }
        }
        Ok(Some((CallFrame::Declined(_), _))) => Heard::Nothing,
        Ok(Some(_)) => Heard::Wrong("it answers with another frame".to_owned()),
        Ok(None) | Err(_) => Heard::Unreachable,
    }
}

/// Checks every record of an answer: of members alone, and of no node that the question has passed.
async fn sifted(
    running: &Arc<Running>,
    (node, wanted, above): (NodeKey, RecordWanted, Option<Arc<Held>>),
    found: RecordFound,
) -> Result<Sifted, Refusal> {
    let small = found.records.iter().map(|it| it.bytes()).sum::<usize>() <= AT_ONCE_BYTES;
    let community = Arc::clone(&running.community);
    let sift = move || {
        let may_be =
            |node: &NodeKey| !wanted.hops.contains(node) && community.member(node).is_some();
        let (correlation, above) = (&wanted.correlation_id, above.as_deref());
        Ok(handed::sift(found, Asked { node: &node, correlation, above }, may_be))
    };
    blocking::unless_small(small, sift).await
}
