//! What one node gave of a piece of work: its own record, and those of the nodes that it took calls to.
//!
//! Nothing is believed because of who handed it on. A record holds by itself: it is signed with a key of which
//! the node's own key says that it is its own, and nothing of it is withheld. And it belongs there: it
//! begins with a call of a node whose record is there, and that one shows the call that caused it.

use serde_json::Value;

use super::{
    key::NodeKey,
    wire::{
        ABSENT_MAX, Absent, NodeRecord, RECORDS_BYTES_MAX, RECORDS_MAX, RecordFound, TAKEN_MAX,
        Taken, Why,
    },
};
use crate::{
    code::Code,
    evidence::{
        bundle::verify_bundle,
        sign::{KeyLink, PublicKey},
    },
    id::CorrelationId,
    json::{self, Bounds, JsonError},
};

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    /// It is no JSON within the bounds.
    #[error("its bundle cannot be read: {0}")]
    Json(#[source] JsonError),
    /// A check of the bundle fails; the text says which.
    #[error("{0}")]
    Broken(String),
    /// It is about something else.
    #[error("its bundle is of another piece of work")]
    OtherWork,
    /// What is withheld could have been changed unseen.
    #[error("an event does not commit to who called and why")]
    Withheld,
    /// Nothing says that it is the node's.
    #[error("the key that signed it is not that of the node that it is said to be of")]
    OtherKey,
    /// The first record is not that of the node that was asked.
    #[error("the node that was asked gave no record of its own")]
    NotItsOwn,
    /// There is one of this node already, or there may be none.
    #[error("it is of a node that there can be no record of here")]
    Unexpected,
    /// Nothing that is there caused it.
    #[error("no call in the other records caused it")]
    Uncaused,
}

impl RecordProblem {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::EvidenceBroken
    }
}

/// A record that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// It, as it came.
    pub record: NodeRecord,
    /// Its events.
    pub events: Vec<Value>,
}

/// The events of a record that holds by itself, and is about this piece of work.
///
/// # Errors
/// [`RecordProblem`] says what does not hold.
pub fn events_of(
    record: &NodeRecord,
    correlation: &CorrelationId,
) -> Result<Vec<Value>, RecordProblem> {
    let mut bundle = json::parse(&record.bundle, Bounds::CALL).map_err(RecordProblem::Json)?;
    let mut report = verify_bundle(&bundle);
    if let Some(problem) = report.checks.iter_mut().find_map(|check| check.problem.take()) {
        return Err(RecordProblem::Broken(problem));
    }
    if report.withheld > 0 {
        return Err(RecordProblem::Withheld);
    }
    check_key(record, &bundle)?;
    let events = bundle.get_mut("events").map(Value::take);
    let Some(Value::Array(events)) = events else { return Err(RecordProblem::OtherWork) };
    let about =
        |event: &Value| text(event, "/correlation/correlation_id") == Some(correlation.as_str());
    if events.is_empty() || !events.iter().all(about) {
        return Err(RecordProblem::OtherWork);
    }
    // The hash of an event leaves these out: only their copies in its payload are signed.
    let commits = |event: &Value| {
        ["correlation", "subject", "sequence"]
            .iter()
            .all(|name| event.pointer("/payload/bound").is_some_and(|it| it.get(name).is_some()))
    };
    if !events.iter().all(commits) {
        return Err(RecordProblem::Withheld);
    }
    Ok(events)
}

/// The node's own key says that the key which signed the bundle is its own, and that one says it too.
fn check_key(record: &NodeRecord, bundle: &Value) -> Result<(), RecordProblem> {
    let vouched = || {
        let link = json::parse(&record.link, Bounds::SMALL).ok()?;
        let link: KeyLink = serde_json::from_value(link).ok()?;
        let host_id = text(bundle, "/host_id")?.parse().ok()?;
        let (evidence, node) = link.verify(&host_id).ok()?;
        let signed = PublicKey::from_base64(text(bundle, "/public_key")?).ok()?;
        let claimed = PublicKey::from_bytes(record.node.as_bytes()).ok()?;
        (evidence == signed && node == claimed).then_some(())
    };
    vouched().ok_or(RecordProblem::OtherKey)
}

/// What a node gave, sifted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sifted {
    /// The records that hold, in order: that of the node first that was asked.
    pub held: Vec<Held>,
    /// The others: whose they are said to be, and what is wrong.
    pub wrong: Vec<(NodeKey, RecordProblem)>,
    /// The calls that these nodes took to others, as the node that was asked says.
    pub taken: Vec<Taken>,
    /// The nodes whose records are not there, as it says.
    pub absent: Vec<Absent>,
    /// Whether there is more that it does not name.
    pub cut: bool,
}

/// What is known when an answer is sifted.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The node that was asked.
    pub node: &'a NodeKey,
    /// The piece of work.
    pub correlation: &'a CorrelationId,
    /// The record of the node that asks for another one: it has to show what caused the rest. None when the
    /// node asks for itself.
    pub above: Option<&'a Held>,
}

/// Sifts what a node gave. `may_be` says of which other nodes there may be a record.
#[must_use]
pub fn sift(found: RecordFound, asked: Asked<'_>, may_be: impl Fn(&NodeKey) -> bool) -> Sifted {
    let mut sifted = Sifted { cut: found.cut, ..Sifted::default() };
    for record in found.records {
        let first = sifted.held.is_empty();
        match belonging(&record, asked, &sifted.held, &may_be) {
            Ok(events) => sifted.held.push(Held { record, events }),
            Err(problem) if first => {
                // Whose own record does not hold is not believed about others.
                return Sifted { wrong: vec![(*asked.node, problem)], ..Sifted::default() };
            }
            Err(problem) => sifted.wrong.push((record.node, problem)),
        }
    }
    let is_held = |node: &NodeKey| sifted.held.iter().any(|held| held.record.node == *node);
    sifted.taken = found.taken.into_iter().filter(|call| is_held(&call.by)).collect();
    sifted.absent =
        found.absent.into_iter().filter(|it| may_be(&it.node) && !is_held(&it.node)).collect();
    sifted
}

/// The events of a record that holds and belongs after those that are `held`.
fn belonging(
    record: &NodeRecord,
    asked: Asked<'_>,
    held: &[Held],
    may_be: impl Fn(&NodeKey) -> bool,
) -> Result<Vec<Value>, RecordProblem> {
    if held.is_empty() && record.node != *asked.node {
        return Err(RecordProblem::NotItsOwn);
    }
    let twice = held.iter().any(|other| other.record.node == record.node);
    if !held.is_empty() && (twice || !may_be(&record.node)) {
        return Err(RecordProblem::Unexpected);
    }
    let events = events_of(record, asked.correlation)?;
    let for_itself = held.is_empty() && asked.above.is_none();
    if for_itself || is_caused(&events, held.iter().chain(asked.above)) {
        Ok(events)
    } else {
        Err(RecordProblem::Uncaused)
    }
}

/// Whether the first call of a record was made by a node whose record is there, and that one shows the
/// call that caused it.
fn is_caused<'a>(events: &[Value], mut held: impl Iterator<Item = &'a Held>) -> bool {
    let first = events.first();
    let caller = first.and_then(|event| text(event, "/subject/id")?.strip_prefix("peer:"));
    let cause = first.and_then(|event| text(event, "/correlation/causation_id"));
    let (Some(caller), Some(cause)) = (caller, cause) else { return false };
    let shows = |event: &Value| text(event, "/invocation_id") == Some(cause);
    held.any(|above| above.record.node.to_string() == caller && above.events.iter().any(shows))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// An answer while it is put together: it never becomes more than what travels.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathering {
    found: RecordFound,
    bytes: usize,
}

impl Gathering {
    /// Begins with the record of this node; `None` when that alone is too long.
    #[must_use]
    pub fn of(own: NodeRecord) -> Option<Self> {
        let bytes = own.bytes();
        let (taken, absent) = (Vec::new(), Vec::new());
        let found = RecordFound { records: vec![own], taken, absent, cut: false };
        (bytes <= RECORDS_BYTES_MAX).then_some(Self { found, bytes })
    }

    /// A call that a node of these records took to another.
    pub fn took(&mut self, call: Taken) {
        if self.found.taken.len() < TAKEN_MAX {
            self.found.taken.push(call);
        } else {
            self.found.cut = true;
        }
    }

    /// A node whose record is not there. The first reason stays.
    pub fn lacks(&mut self, node: NodeKey, why: Why) {
        if self.found.absent.iter().any(|absent| absent.node == node) || self.has(&node) {
            return;
        }
        if self.found.absent.len() < ABSENT_MAX {
            self.found.absent.push(Absent { node, why });
        } else {
            self.found.cut = true;
        }
    }

    /// Takes in what another node gave: what has room, in order, so that whose calls a record answers
    /// always stands before it.
    pub fn take_in(&mut self, sifted: Sifted) {
        let mut room = true;
        for Held { record, .. } in sifted.held {
            if self.has(&record.node) {
                continue;
            }
            let bytes = self.bytes.saturating_add(record.bytes());
            room = room && bytes <= RECORDS_BYTES_MAX && self.found.records.len() < RECORDS_MAX;
            if room {
                self.bytes = bytes;
                self.found.records.push(record);
            } else {
                self.lacks(record.node, Why::LeftOut);
            }
        }
        for call in sifted.taken {
            self.took(call);
        }
        for (node, _) in sifted.wrong {
            self.lacks(node, Why::Wrong);
        }
        for absent in sifted.absent {
            self.lacks(absent.node, absent.why);
        }
        self.found.cut |= sifted.cut;
    }

    fn has(&self, node: &NodeKey) -> bool {
        self.found.records.iter().any(|record| record.node == *node)
    }

    /// The answer.
    #[must_use]
    pub fn into_found(self) -> RecordFound {
        let mut found = self.found;
        // Somebody else's answer may have brought what was missing in an earlier one.
        let records = &found.records;
        found.absent.retain(|absent| !records.iter().any(|record| record.node == absent.node));
        found
    }
}

#[cfg(test)]
mod tests;
