//! Asking for what nodes recorded of a piece of work.

use serde::{Deserialize, Serialize};

use super::{
    bounded::{Bytes, Check, Problem, holds, list},
    call::repeats,
};
use crate::{
    id::{CapabilityId, CorrelationId, InvocationId},
    mesh::key::NodeKey,
};

/// Longest body of an answer, in bytes.
pub const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that the records of one answer have together. The rest is for what is said beside them.
pub const RECORDS_BYTES_MAX: usize = RECORD_BYTES_MAX - 256 * 1024;
/// Most nodes that a question passes.
pub const RECORD_HOPS_MAX: usize = 4;
/// Most records of one answer.
pub const RECORDS_MAX: usize = 16;
/// Most calls that one answer names.
pub const TAKEN_MAX: usize = 256;
/// Most nodes that one answer names whose records are not in it.
pub const ABSENT_MAX: usize = 64;
/// Longest statement of a node's keys, in bytes.
const LINK_BYTES_MAX: usize = 1024;

/// Asks for what a node recorded of a piece of work that the one who asks began there, and for what the
/// nodes recorded that it took calls to for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordWanted {
    /// The piece of work.
    pub correlation_id: CorrelationId,
    /// The nodes that the question passed, the one first that wants to know. None appears twice.
    #[serde(deserialize_with = "list::<RECORD_HOPS_MAX, _, _>")]
    pub hops: Vec<NodeKey>,
    /// Milliseconds from now until the one who asks stops waiting.
    pub deadline_ms: u64,
}

impl Check for RecordWanted {
    fn check(&self) -> Result<(), Problem> {
        holds(!self.hops.is_empty(), "a question comes from a node")?;
        holds(self.hops.len() <= RECORD_HOPS_MAX, "a question passes at most 4 nodes")?;
        holds(!repeats(&self.hops), "a question passes no node twice")
    }
}

/// What one node recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Whose record it is said to be.
    pub node: NodeKey,
    /// The statement of both keys of that node that they belong together, as JSON.
    pub link: Bytes,
    /// A signed bundle, as `meshhost audit export` prints it.
    pub bundle: Bytes,
}

impl NodeRecord {
    /// Bytes that it takes of [`RECORDS_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.link.len().saturating_add(self.bundle.len())
    }
}

/// A call that one node took to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The node that took it there.
    pub by: NodeKey,
    /// The node that answered.
    pub node: NodeKey,
    /// The call.
    pub invocation_id: InvocationId,
    /// What was called.
    pub capability: CapabilityId,
    /// Whether the one that took it there keeps the other one's signed receipt.
    pub receipt: bool,
}

/// Why a record is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// The node was not reached in time.
    Unreachable,
    /// It has none for the one who asked it.
    Nothing,
    /// What it gave does not hold.
    Wrong,
    /// There was no room for it, or the question had gone as far as it goes.
    LeftOut,
}

/// A node whose record is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The node.
    pub node: NodeKey,
    /// Why.
    pub why: Why,
}

/// What nodes recorded of a piece of work: the one first that was asked, and each after one whose calls it
/// answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFound {
    /// The records.
    #[serde(deserialize_with = "list::<RECORDS_MAX, _, _>")]
    pub records: Vec<NodeRecord>,
    /// The calls that these nodes took to others.
    #[serde(deserialize_with = "list::<TAKEN_MAX, _, _>")]
    pub taken: Vec<Taken>,
    /// The nodes whose records are not there.
    #[serde(deserialize_with = "list::<ABSENT_MAX, _, _>")]
    pub absent: Vec<Absent>,
    /// Whether there are more calls or nodes than are named.
    pub cut: bool,
}

impl Check for RecordFound {
    fn check(&self) -> Result<(), Problem> {
        let count = self.records.len();
        holds((1..=RECORDS_MAX).contains(&count), "an answer has 1 to 16 records")?;
        let fits = self.records.iter().all(|record| record.link.len() <= LINK_BYTES_MAX);
        holds(fits, "a statement of keys has at most 1 KiB")?;
        let bytes = self.records.iter().map(NodeRecord::bytes).sum::<usize>();
        holds(bytes <= RECORDS_BYTES_MAX, "records that travel have at most 3.75 MiB")?;
        holds(self.taken.len() <= TAKEN_MAX, "an answer names at most 256 calls")?;
        holds(self.absent.len() <= ABSENT_MAX, "an answer names at most 64 nodes")
    }
}
