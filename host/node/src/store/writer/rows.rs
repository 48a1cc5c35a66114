//! What one group changes in the database: the rows as they go into the journal and, from there
//! or from memory, into the tables.

use std::collections::{HashMap, HashSet};

use meshhost_core::{
    evidence::{
        chain::{Head, Sealed},
        hash::Hash,
        merkle::Node,
    },
    id::{CorrelationId, InvocationId},
};
use serde::{Deserialize, Serialize};

use crate::store::{error::StoreError, journal::Span, results::KeptResult};

/// Bytes that a row is counted with beside its texts, for the bound on what waits.
const ROW_BYTES: usize = 256;

/// The rows of one group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rows {
    pub(super) events: Vec<EventRow>,
    pub(super) heads: Vec<HeadRow>,
    /// Calls that started, each with the sequence of its start.
    pub(super) started: Vec<(String, u64)>,
    pub(super) ended: Vec<String>,
    /// Calls started by a caller on a day, all in all.
    pub(super) days: Vec<(String, i64, u64)>,
    /// Mandates and the calls that used them.
    pub(super) mandates: Vec<(String, String)>,
    pub(super) results: Vec<ResultRow>,
    /// Correlations whose events go.
    pub(super) purged: Vec<String>,
}

/// A row of `events`, with its row of `tree`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventRow {
    pub(super) sequence: u64,
    pub(super) correlation_id: String,
    pub(super) invocation_id: String,
    pub(super) event_type: String,
    pub(super) capability_id: String,
    pub(super) content_hash: [u8; 32],
    pub(super) json: String,
    /// The subtrees that its leaf completes, its leaf first.
    pub(super) subtrees: Vec<u8>,
}

/// A row of `correlation_heads`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HeadRow {
    pub(super) correlation_id: String,
    pub(super) owner: String,
    pub(super) content_hash: [u8; 32],
    pub(super) sequence: u64,
    pub(super) starts: u64,
}

/// A row of `invocation_results`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ResultRow {
    pub(super) invocation_id: String,
    pub(super) subject_id: String,
    pub(super) input_commitment: String,
    pub(super) result: String,
    pub(super) expires_us: i64,
}

impl Rows {
    /// An event with the subtrees that its leaf completes.
    pub(super) fn event(&mut self, event: Sealed, completed: &[(Node, Hash)]) {
        self.events.push(EventRow {
            sequence: event.sequence,
            correlation_id: event.correlation_id.as_str().to_owned(),
            invocation_id: event.invocation_id.as_str().to_owned(),
            event_type: event.event_type.as_str().to_owned(),
            capability_id: event.capability_id.as_str().to_owned(),
            content_hash: *event.content_hash.as_bytes(),
            json: event.json,
            subtrees: completed.iter().flat_map(|(_, hash)| *hash.as_bytes()).collect(),
        });
    }

    pub(super) fn head(&mut self, id: &CorrelationId, head: Head, owner: &str, starts: u64) {
        self.heads.push(HeadRow {
            correlation_id: id.as_str().to_owned(),
            owner: owner.to_owned(),
            content_hash: *head.hash.as_bytes(),
            sequence: head.sequence,
            starts,
        });
    }

    pub(super) fn started(&mut self, invocation: &InvocationId, sequence: u64) {
        self.started.push((invocation.as_str().to_owned(), sequence));
    }

    pub(super) fn ended(&mut self, invocation: &InvocationId) {
        self.ended.push(invocation.as_str().to_owned());
    }

    pub(super) fn day(&mut self, subject_id: &str, day: i64, starts: u64) {
        self.days.push((subject_id.to_owned(), day, starts));
    }

    pub(super) fn mandate(&mut self, mandate_id: &str, invocation: &InvocationId) {
        self.mandates.push((mandate_id.to_owned(), invocation.as_str().to_owned()));
    }

    pub(super) fn result(&mut self, kept: &KeptResult) {
        self.results.push(ResultRow {
            invocation_id: kept.invocation_id.as_str().to_owned(),
            subject_id: kept.subject_id.clone(),
            input_commitment: kept.input_commitment.clone(),
            result: kept.result.clone(),
            expires_us: kept.expires_us,
        });
    }

    pub(super) fn purged(&mut self, correlation: &CorrelationId) {
        self.purged.push(correlation.as_str().to_owned());
    }

    /// The sequences that the group holds; `None` when it has no event.
    pub(super) fn span(&self) -> Option<Span> {
        let (first, last) = (self.events.first()?, self.events.last()?);
        Some(Span { first: first.sequence, last: last.sequence })
    }

    /// About how many bytes they take in memory.
    pub(super) fn bytes(&self) -> usize {
        let events = self.events.iter().map(|event| event.json.len() + ROW_BYTES);
        let results = self.results.iter().map(|result| result.result.len() + ROW_BYTES);
        events.chain(results).sum::<usize>() + self.heads.len() * ROW_BYTES
    }

    /// As the journal keeps them.
    pub(super) fn encode(&self, out: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        postcard::to_extend(self, out).map_err(|source| StoreError::Fault {
            operation: "write a group down for the journal",
            source: Box::new(source),
        })
    }

    /// From a frame of the journal.
    ///
    /// # Errors
    /// When the payload is not what [`Self::encode`] makes.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, StoreError> {
        postcard::from_bytes(payload).map_err(|_| StoreError::Damaged { what: "the journal" })
    }
}

/// What several groups change together: of what each of them sets anew, only the last counts.
#[derive(Debug, Default)]
pub(super) struct Merged<'a> {
    pub(super) heads: Vec<&'a HeadRow>,
    pub(super) started: Vec<&'a (String, u64)>,
    pub(super) ended: Vec<&'a str>,
    pub(super) days: Vec<(&'a str, i64, u64)>,
}

impl<'a> Merged<'a> {
    pub(super) fn of(groups: impl Iterator<Item = &'a Rows> + Clone) -> Self {
        let heads = groups.clone().flat_map(|rows| &rows.heads);
        let heads: HashMap<&str, &HeadRow> =
            heads.map(|head| (head.correlation_id.as_str(), head)).collect();
        let days = groups.clone().flat_map(|rows| &rows.days);
        let days: HashMap<(&str, i64), u64> =
            days.map(|(subject_id, day, starts)| ((subject_id.as_str(), *day), *starts)).collect();
        let started: HashSet<&str> =
            groups.clone().flat_map(|rows| &rows.started).map(|(id, _)| id.as_str()).collect();
        let ended: HashSet<&str> =
            groups.clone().flat_map(|rows| &rows.ended).map(String::as_str).collect();
        let mut heads: Vec<_> = heads.into_values().collect();
        // In the order of the table's key the same pages are touched one after the other.
        heads.sort_unstable_by(|one, other| one.correlation_id.cmp(&other.correlation_id));
        Self {
            heads,
            started: groups
                .flat_map(|rows| &rows.started)
                .filter(|(id, _)| !ended.contains(id.as_str()))
                .collect(),
            ended: ended.iter().copied().filter(|id| !started.contains(id)).collect(),
            days: days.into_iter().map(|((id, day), starts)| (id, day, starts)).collect(),
        }
    }
}
