//! What other nodes recorded of a piece of work that began here: each gives a signed bundle of its own
//! events, which is checked as that of any stranger, and they are put into one order.
//!
//! A node gives its record of a piece of work to the peer whose call began it there, and to no other.

use std::time::Duration;

use meshhost_core::{
    code::Code,
    evidence::{
        bundle::verify_bundle,
        fleet::{Part, calls, merge, time},
        time::Timestamp,
    },
    id::CorrelationId,
    json::{self, Bounds},
    mesh::wire::{Bytes, CallFrame, Declined, RECORD_BYTES_MAX, RecordFound, RecordWanted},
    outcome::Refusal,
};
use serde_json::{Value, json};

use super::{CONNECTING, Mesh, link::Link, running::Running, transport::Stream};
use crate::store::mesh::RouteRow;

/// How long a node may take to give its record.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of records that are taken in altogether.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What was heard from one node.
#[derive(Debug)]
enum Heard {
    /// Its events, and how many bytes they are.
    Events(Vec<Value>, usize),
    /// It has nothing for this node.
    Nothing,
    /// It is not there.
    Unreachable,
    /// What it gave does not hold.
    Wrong(String),
}

impl Heard {
    const fn word(&self) -> &'static str {
        match self {
            Self::Events(..) => "verified",
            Self::Nothing => "nothing",
            Self::Unreachable => "unreachable",
            Self::Wrong(_) => "wrong",
        }
    }
}

/// What this node recorded of a piece of work, for the peer that began it here.
pub(super) async fn record(running: &Running, link: &Link, wanted: &RecordWanted) -> CallFrame {
    let own = format!("peer:{}", link.peer);
    let owner = running.audit.owner(&wanted.correlation_id).await.ok().flatten();
    let found = match owner {
        Some(owner) if owner == own => running.audit.export(&wanted.correlation_id).await.ok(),
        _ => None,
    };
    match found.filter(|bundle| bundle.len() < RECORD_BYTES_MAX - 4) {
        Some(bundle) => {
            CallFrame::RecordFound(RecordFound { bundle: Bytes::from(bundle.into_bytes()) })
        }
        None => {
            let message = "this node has no record of that for the one who asks, or one that is too \
                           long to travel";
            let refusal = Refusal::new(Code::NotFound, message);
            CallFrame::Declined(Declined { refusal: refusal.into() })
        }
    }
}

async fn ask(link: &Link, correlation: &CorrelationId) -> Heard {
    let asked = async {
        let calls = link.calls().await?;
        let Stream { mut sending, mut receiving } = calls.open().await.ok()?;
        let wanted = RecordWanted { correlation_id: correlation.clone() };
        sending.write(&CallFrame::RecordWanted(wanted)).await.ok()?;
        sending.finish();
        receiving.read::<CallFrame>().await.ok()?
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Some(CallFrame::RecordFound(found))) => checked(&found.bundle, correlation),
        Ok(Some(CallFrame::Declined(_))) => Heard::Nothing,
        Ok(Some(_)) => Heard::Wrong("it answers with another frame".to_owned()),
        Ok(None) | Err(_) => Heard::Unreachable,
    }
}

/// The events of a bundle that holds and is about this piece of work.
fn checked(bundle: &[u8], correlation: &CorrelationId) -> Heard {
    let parsed = match json::parse(bundle, Bounds::CALL) {
        Ok(parsed) => parsed,
        Err(error) => return Heard::Wrong(format!("its bundle cannot be read: {error}")),
    };
    let report = verify_bundle(&parsed);
    if let Some(problem) = report.checks.into_iter().find_map(|check| check.problem) {
        return Heard::Wrong(problem);
    }
    let Value::Object(mut parsed) = parsed else { return Heard::Nothing };
    let Some(Value::Array(events)) = parsed.remove("events") else { return Heard::Nothing };
    let about = |event: &Value| {
        event.pointer("/correlation/correlation_id").and_then(Value::as_str)
            == Some(correlation.as_str())
    };
    if !events.iter().all(about) {
        return Heard::Wrong("its bundle is of another piece of work".to_owned());
    }
    Heard::Events(events, bundle.len())
}

impl Mesh {
    /// A piece of work as all nodes recorded it that can be asked.
    ///
    /// # Errors
    /// When this node's own record cannot be read.
    pub async fn fleet(&self, correlation: &CorrelationId) -> Result<Value, Refusal> {
        let own = match self.audit.export(correlation).await {
            Ok(bundle) => checked(bundle.as_bytes(), correlation),
            Err(error) if error.refusal().code == Code::NotFound => Heard::Nothing,
            Err(error) => return Err(error.refusal()),
        };
        let routes = self.means.tables.routes_of(correlation).await;
        let routes = routes.map_err(|error| error.refusal())?;
        let mut heard = Vec::new();
        if self.state().community.is_some() {
            let (community, _) = self.community()?;
            heard.push((community.name().to_owned(), self.own.to_string(), own));
            heard.extend(self.others(correlation).await?);
        } else {
            heard.push(("this node".to_owned(), self.own.to_string(), own));
        }
        Ok(document(correlation, heard, &routes))
    }

    async fn others(
        &self,
        correlation: &CorrelationId,
    ) -> Result<Vec<(String, String, Heard)>, Refusal> {
        let (community, _) = self.community()?;
        let running = self.running().await?;
        running.settled(CONNECTING).await;
        let members: Vec<_> = community.membership(|it| {
            it.members().iter().map(|(key, member)| (*key, member.name.clone())).collect()
        });
        let (mut heard, mut bytes) = (Vec::new(), 0);
        for (key, name) in members.into_iter().filter(|(key, _)| *key != self.own) {
            let answer = match running.links.find(&key) {
                Some(_) if bytes > ALL_BYTES_MAX => {
                    Heard::Wrong("the other nodes' records are as many as are taken in".to_owned())
                }
                Some(link) => ask(&link, correlation).await,
                None => Heard::Unreachable,
            };
            if let Heard::Events(_, length) = &answer {
                bytes += length;
            }
            heard.push((name, key.to_string(), answer));
        }
        Ok(heard)
    }
}

/// Everything in one document.
fn document(
    correlation: &CorrelationId,
    heard: Vec<(String, String, Heard)>,
    routes: &[RouteRow],
) -> Value {
    let mut nodes = Vec::new();
    let mut parts = Vec::new();
    let mut keys = Vec::new();
    for (name, key, heard) in heard {
        let problem = match &heard {
            Heard::Wrong(problem) => Some(problem.clone()),
            _ => None,
        };
        let word = heard.word();
        let events = match heard {
            Heard::Events(events, _) => events,
            _ => Vec::new(),
        };
        nodes.push(json!({
            "node": name, "key": key, "record": word, "events": events.len(), "problem": problem,
        }));
        parts.push(Part { node: name, events });
        keys.push(key);
    }
    let missing = missing(routes, &parts, &keys);
    json!({
        "correlation_id": correlation,
        "nodes": nodes,
        "events": events(&parts),
        "calls": waterfall(&parts),
        "missing": missing,
    })
}

/// Calls that another node answered, whose events it does not show.
fn missing(routes: &[RouteRow], parts: &[Part], keys: &[String]) -> Vec<Value> {
    let lacks = |row: &&RouteRow| {
        let Some(key) = row.ran_on.map(|key| key.to_string()) else { return false };
        let part = keys.iter().position(|it| *it == key).and_then(|it| parts.get(it));
        let id = row.invocation_id.as_str();
        !part.is_some_and(|part| part.events.iter().any(|event| event["invocation_id"] == id))
    };
    let lacking = routes.iter().filter(lacks);
    lacking
        .map(|row| {
            let key = row.ran_on.map(|key| key.to_string()).unwrap_or_default();
            let part = keys.iter().position(|it| *it == key).and_then(|it| parts.get(it));
            json!({
                "invocation_id": row.invocation_id,
                "capability_id": row.capability,
                "node": part.map_or(key, |part| part.node.clone()),
                "receipt": row.receipt.is_some(),
            })
        })
        .collect()
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

#[cfg(test)]
mod tests;
