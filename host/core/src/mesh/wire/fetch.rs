//! What goes between nodes besides calls: blobs, how a capability is called, and receipts.

use serde::{Deserialize, Serialize};

use super::{
    answer::CallRefusal,
    bounded::{Bytes, Check, Problem, holds, list},
    call::is_range,
};
use crate::{
    function_type::TEXT_BYTES_MAX,
    id::{CapabilityId, Digest, InvocationId},
    mesh::blob::{ChainingValue, GROUP_BYTES, GROUPS_MAX},
};

/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024 * 1024 - 4;
/// Longest details when something is declined, in bytes.
const DETAILS_BYTES_MAX: usize = 64 * 1024;

/// Asks for a blob, or for the rest of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobWanted {
    /// Which.
    pub digest: Digest,
    /// The call, between these two nodes, that the blob is for.
    pub invocation_id: Option<InvocationId>,
    /// The first group that is still missing; groups of 256 KiB, counted from 0.
    pub from_group: u64,
}

impl Check for BlobWanted {}

/// The blob is there; its groups follow from the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobFound {
    /// Bytes of the whole blob.
    pub length: u64,
    /// What each group is checked with; none for a blob of one group, which its digest checks.
    #[serde(deserialize_with = "list::<GROUPS_MAX, _, _>")]
    pub values: Vec<ChainingValue>,
}

impl Check for BlobFound {
    fn check(&self) -> Result<(), Problem> {
        holds(self.values.len() <= GROUPS_MAX, "a blob has at most 65,536 groups")
    }
}

/// One group of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobGroup {
    /// Its bytes: 256 KiB, the last one's fewer.
    pub bytes: Bytes,
}

impl Check for BlobGroup {
    fn check(&self) -> Result<(), Problem> {
        holds(self.bytes.len() <= GROUP_BYTES, "a group has at most 256 KiB")
    }
}

/// Asks how a capability is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// Which.
    pub capability: CapabilityId,
    /// A version range; it is one when this was decoded.
    pub version: Option<String>,
}

impl Check for Describe {
    fn check(&self) -> Result<(), Problem> {
        let version = self.version.as_ref().is_none_or(|text| is_range(text));
        holds(version, "the version range is none")
    }
}

/// Everything that a caller needs to know about a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// One JSON object, as `meshhost capabilities --json` prints them.
    pub json: Bytes,
}

impl Check for Described {
    fn check(&self) -> Result<(), Problem> {
        holds(self.json.len() <= DESCRIPTION_BYTES_MAX, "a description has at most 1 MiB")
    }
}

/// Asks for the type of a capability, so that values can travel in binary form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeWanted {
    /// Its hash, as the offer says it.
    pub type_hash: Digest,
}

impl Check for TypeWanted {}

/// The type of a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeFound {
    /// Its text, whose BLAKE3 is what was asked for.
    pub text: Bytes,
}

impl Check for TypeFound {
    fn check(&self) -> Result<(), Problem> {
        holds(self.text.len() <= TEXT_BYTES_MAX, "the text of a type has at most 256 KiB")
    }
}

/// There is no such blob or capability, or none for this peer: it is told the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// Why.
    pub refusal: CallRefusal,
}

impl Check for Declined {
    fn check(&self) -> Result<(), Problem> {
        self.refusal.check()?;
        let details = self.refusal.details.as_ref().map_or(0, |details| details.len());
        holds(details <= DETAILS_BYTES_MAX, "details here have at most 64 KiB")
    }
}

/// A receipt for calls that the sender has answered on this connection a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// The signed [`Receipt`](crate::mesh::receipt::Receipt).
    pub signed: Bytes,
}

impl Check for Receipts {}
