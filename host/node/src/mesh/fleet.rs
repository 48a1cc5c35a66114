//! What other nodes recorded of a piece of work that began here: each gives signed bundles of its own
//! events and of those of the nodes that it took calls to, which are checked as those of any stranger and
//! put into one order.
//!
//! A node gives its record of a piece of work to the peer whose call began it there, and to no other.
//! That peer hands it on to the one whose call began it with it.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use meshhost_core::{
    code::Code,
    evidence::{
        fleet::{Part, calls, merge, time},
        time::Timestamp,
    },
    id::CorrelationId,
    mesh::{
        handed::{self, Sifted},
        key::NodeKey,
        wire::{Bytes, NodeRecord, RecordWanted, Taken},
    },
    outcome::Refusal,
};
use serde_json::{Value, json};

pub(super) use giving::give;

use self::{
    asking::{Heard, ask},
    told::{Fleet, Node, Told},
};
use super::{CONNECTING, Mesh, running::Running};
use crate::store::{audit::Audit, error::StoreError, mesh::RouteRow};

mod asking;
mod giving;
mod told;

/// How long a node may take to give its record.
const PATIENCE: Duration = Duration::from_secs(5);
/// Members that are asked at once.
const ASKED_MAX: usize = 8;
/// Bytes of records that are taken in altogether.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// This node's own record of a piece of work, as others get it.
async fn own_record(
    audit: &Audit,
    own: NodeKey,
    correlation: &CorrelationId,
) -> Result<NodeRecord, StoreError> {
    let bundle = audit.export(correlation).await?;
    let link = audit.key_link().as_bytes().to_vec();
    Ok(NodeRecord { node: own, link: Bytes::from(link), bundle: Bytes::from(bundle.into_bytes()) })
}

/// A call that this node took to another one, when that one answered.
fn taken(row: &RouteRow, own: NodeKey) -> Option<Taken> {
    Some(Taken {
        by: own,
        node: row.ran_on?,
        invocation_id: row.invocation_id.clone(),
        capability: row.capability.parse().ok()?,
        receipt: row.receipt.is_some(),
    })
}

impl Mesh {
    /// A piece of work as all nodes recorded it that can be asked.
    ///
    /// # Errors
    /// When this node's own record cannot be read.
    pub async fn fleet(&self, correlation: &CorrelationId) -> Result<Value, Refusal> {
        let own = match own_record(&self.audit, self.own, correlation).await {
            Ok(record) => match handed::events_of(&record, correlation) {
                Ok(events) => Told::Events(events),
                Err(problem) => Told::Wrong(problem.to_string()),
            },
            Err(error) if error.refusal().code == Code::NotFound => Told::Nothing,
            Err(error) => return Err(error.refusal()),
        };
        self.receipts_settled().await;
        let routes = self.means.tables.routes_of(correlation).await;
        let routes = routes.map_err(|error| error.refusal())?;
        let mut fleet = Fleet::default();
        fleet.taken.extend(routes.iter().filter_map(|row| taken(row, self.own)));
        if self.state().community.is_some() {
            let (community, _) = self.community()?;
            fleet.add(community.name().to_owned(), self.own, own);
            self.ask_others(correlation, &mut fleet).await?;
        } else {
            fleet.add("this node".to_owned(), self.own, own);
        }
        Ok(document(correlation, fleet))
    }

    /// Asks every member for what it recorded, and for what it can get of others: several at once, since
    /// each that is dead is waited for.
    async fn ask_others(
        &self,
        correlation: &CorrelationId,
        fleet: &mut Fleet,
    ) -> Result<(), Refusal> {
        let (community, _) = self.community()?;
        let running = self.running().await?;
        running.settled(CONNECTING).await;
        let members: Vec<_> = community.membership(|it| {
            it.members().iter().map(|(key, member)| (*key, member.name.clone())).collect()
        });
        let others: Vec<_> = members.into_iter().filter(|(key, _)| *key != self.own).collect();
        for (key, name) in &others {
            fleet.add(name.clone(), *key, Told::Nothing);
        }
        let asked = others.iter().map(|(key, _)| self.ask_one(&running, key, correlation));
        let asked: Vec<_> = asked.collect();
        // In the order of the members, so that the same answers make the same document.
        let mut answers = pin!(stream::iter(asked).buffered(ASKED_MAX));
        let mut bytes = 0;
        for (key, _) in &others {
            if bytes > ALL_BYTES_MAX {
                fleet.hear(*key, Told::LeftOut, *key);
                continue;
            }
            match answers.next().await {
                Some(Ok(sifted)) => {
                    bytes += sifted.held.iter().map(|held| held.record.bytes()).sum::<usize>();
                    fleet.take_in(*key, sifted);
                }
                Some(Err(told)) => fleet.hear(*key, told, *key),
                None => {}
            }
        }
        Ok(())
    }

    /// What a member gives, or why it gives nothing.
    async fn ask_one(
        &self,
        running: &Arc<Running>,
        key: &NodeKey,
        correlation: &CorrelationId,
    ) -> Result<Sifted, Told> {
        let wanted = RecordWanted {
            correlation_id: correlation.clone(),
            hops: vec![self.own],
            deadline_ms: u64::try_from(PATIENCE.as_millis()).unwrap_or_default(),
        };
        let link = running.links.find(key).ok_or(Told::Unreachable)?;
        match ask(running, &link, wanted, None).await {
            // An answer that waits for its turn keeps no room from the others.
            Heard::Given(sifted, _room) => Ok(sifted),
            Heard::Nothing => Err(Told::Nothing),
            Heard::Unreachable => Err(Told::Unreachable),
            Heard::Wrong(problem) => Err(Told::Wrong(problem)),
        }
    }
}

/// Everything in one document.
fn document(correlation: &CorrelationId, fleet: Fleet) -> Value {
    let nodes: Vec<_> = fleet.nodes.iter().map(|node| in_document(node, &fleet)).collect();
    let missing: Vec<_> = fleet
        .missing()
        .map(|call| {
            json!({
                "invocation_id": call.invocation_id,
                "capability_id": call.capability,
                "node": fleet.name(&call.node),
                "by": fleet.name(&call.by),
                "receipt": call.receipt,
            })
        })
        .collect();
    let parts = fleet.nodes.into_iter().map(|node| {
        let events = if let Told::Events(events) = node.told { events } else { Vec::new() };
        Part { node: node.name, events }
    });
    let parts: Vec<_> = parts.collect();
    json!({
        "correlation_id": correlation,
        "nodes": nodes,
        "events": events(&parts),
        "calls": waterfall(&parts),
        "missing": missing,
        "cut": fleet.cut,
    })
}

/// One node, and what there is of its record.
fn in_document(node: &Node, fleet: &Fleet) -> Value {
    let (events, problem) = match &node.told {
        Told::Events(events) => (events.len(), None),
        Told::Wrong(problem) => (0, Some(problem)),
        Told::LeftOut | Told::Unreachable | Told::Nothing => (0, None),
    };
    json!({
        "node": node.name,
        "key": node.key.to_string(),
        "record": node.told.word(),
        "through": node.through.map(|key| fleet.name(&key)),
        "events": events,
        "problem": problem,
    })
}

fn events(parts: &[Part]) -> Vec<Value> {
    let ordered = merge(parts).into_iter().filter_map(|place| {
        let part = parts.get(place.part)?;
        let event = part.events.get(place.index)?;
        Some(json!({
            "node": part.node,
            "sequence": event["sequence"],
            "timestamp": event["timestamp"],
            "event_type": event["event_type"],
            "capability_id": event["capability_id"],
            "invocation_id": event["invocation_id"],
            "causation_id": event.pointer("/correlation/causation_id"),
            "outcome": event["outcome"],
            "content_hash": event["content_hash"],
        }))
    });
    ordered.collect()
}

/// The calls with their times from the first one's beginning on, by the clock of the node of each.
fn waterfall(parts: &[Part]) -> Vec<Value> {
    let all = parts.iter().flat_map(|part| part.events.iter());
    let first = all.filter_map(time).min();
    let calls = calls(parts).into_iter().map(|call| {
        let from = |then: Option<Timestamp>, now: Option<Timestamp>| {
            Some(now?.micros().saturating_sub(then?.micros()))
        };
        json!({
            "invocation_id": call.invocation_id,
            "causation_id": call.causation_id,
            "node": call.node,
            "capability_id": call.capability_id,
            "depth": call.depth,
            "began": call.began.map(|it| it.to_string()),
            "offset_us": from(first, call.began),
            "took_us": from(call.began, call.ended),
            "outcome": call.outcome,
        })
    });
    calls.collect()
}
