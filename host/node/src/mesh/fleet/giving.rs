//! Giving a peer what was recorded of a piece of work that it began here: by this node, and by those that
//! this node took calls to on its behalf. Each of them decides for itself what it gives, and signs it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use meshhost_core::{
    code::Code,
    mesh::{
        handed::{self, Gathering, Held},
        key::NodeKey,
        wire::{CallFrame, Declined, RECORD_HOPS_MAX, RecordWanted, Taken, Why},
    },
    outcome::Refusal,
};

use super::{
    PATIENCE,
    asking::{Heard, ask},
    own_record, taken,
};
use crate::{
    mesh::{link::Link, running::Running},
    store::mesh::RouteRow,
};

/// Nodes that one question is passed on to.
const ASKED_MAX: usize = 8;

/// The answer to a peer that asks.
pub(in crate::mesh) async fn give(
    running: &Arc<Running>,
    link: &Link,
    wanted: RecordWanted,
) -> CallFrame {
    match gather(running, link, &wanted).await {
        Some(gathering) => CallFrame::RecordFound(gathering.into_found()),
        None => {
            let message = "this node has no record of that for the one who asks, or one that is too \
                           long to travel";
            let refusal = Refusal::new(Code::NotFound, message);
            CallFrame::Declined(Declined { refusal: refusal.into() })
        }
    }
}

async fn gather(running: &Arc<Running>, link: &Link, wanted: &RecordWanted) -> Option<Gathering> {
    let passed_members = wanted.hops.iter().all(|hop| running.community.member(hop).is_some());
    let own = running.community.own();
    if wanted.hops.last() != Some(&link.peer) || wanted.hops.contains(&own) || !passed_members {
        return None;
    }
    let owner = running.audit.owner(&wanted.correlation_id).await.ok()??;
    if owner != format!("peer:{}", link.peer) {
        return None;
    }
    let record = own_record(&running.audit, own, &wanted.correlation_id).await.ok()?;
    let mut gathering = Gathering::of(record.clone())?;
    let events = handed::events_of(&record, &wanted.correlation_id).ok()?;
    let own_record = Arc::new(Held { record, events });
    let calls = on_behalf(running, link, wanted).await;
    for call in &calls {
        gathering.took(call.clone());
    }
    // The nodes that the question has passed have their own records.
    let nodes: BTreeSet<_> = calls.iter().map(|call| call.node).collect();
    let nodes: Vec<_> = nodes.into_iter().filter(|it| !wanted.hops.contains(it)).collect();
    pass_on(running, (&nodes, &own_record), wanted, &mut gathering).await;
    Some(gathering)
}

/// The calls of this piece of work that this node took to others for the peer that asks.
async fn on_behalf(running: &Running, link: &Link, wanted: &RecordWanted) -> Vec<Taken> {
    let own = running.community.own();
    running.receipts.settled().await;
    let rows = running.tables.routes_of(&wanted.correlation_id).await.unwrap_or_default();
    let for_peer = |row: &&RouteRow| row.on_behalf_of == Some(link.peer);
    rows.iter().filter(for_peer).filter_map(|row| taken(row, own)).collect()
}

/// Asks the nodes all at once, in less time than this node has itself.
async fn pass_on(
    running: &Arc<Running>,
    (nodes, own_record): (&[NodeKey], &Arc<Held>),
    wanted: &RecordWanted,
    gathering: &mut Gathering,
) {
    let (asked, rest) = match wanted.hops.len() < RECORD_HOPS_MAX {
        true => nodes.split_at(nodes.len().min(ASKED_MAX)),
        false => (&[][..], nodes),
    };
    for node in rest {
        gathering.lacks(*node, Why::LeftOut);
    }
    let patience = Duration::from_millis(wanted.deadline_ms).min(PATIENCE) * 3 / 4;
    let mut further = wanted.clone();
    further.hops.push(running.community.own());
    further.deadline_ms = u64::try_from(patience.as_millis()).unwrap_or_default();
    let answers = asked.iter().map(|node| {
        let (link, further) = (running.links.find(node), further.clone());
        let above = Some(Arc::clone(own_record));
        async move {
            match link {
                Some(link) => ask(running, &link, further, above).await,
                None => Heard::Unreachable,
            }
        }
    });
    for (node, heard) in asked.iter().zip(join_all(answers).await) {
        match heard {
            Heard::Given(sifted, _room) => gathering.take_in(sifted),
            Heard::Nothing => gathering.lacks(*node, Why::Nothing),
            Heard::Unreachable => gathering.lacks(*node, Why::Unreachable),
            Heard::Wrong(_) => gathering.lacks(*node, Why::Wrong),
        }
    }
}
