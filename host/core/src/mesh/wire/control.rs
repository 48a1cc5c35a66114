//! The frames by which two nodes get to know each other and stay in touch.

use serde::{Deserialize, Serialize};

use super::bounded::{Bytes, Check, Problem, Secret, holds, list};
use crate::{
    id::Digest,
    mesh::{
        key::NodeKey,
        membership::{Genesis, MemberStatement, is_name},
        signed::{Signed, Statement},
    },
};

/// Most statements in one frame; who has more sends more frames.
pub(super) const STATEMENTS_MAX: usize = 512;
/// Most records in one frame; who has more sends more frames.
pub(super) const RECORDS_MAX: usize = 256;
/// Bytes of records with which a frame counts as full when it is made.
const FULL_BYTES: usize = 512 * 1024;
/// Longest record, in bytes.
const RECORD_BYTES_MAX: usize = 160 * 1024;
/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// What the side that dialled says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol that it speaks, from 1 on.
    pub protocol: u16,
    /// The community that it belongs to or wants to join.
    pub community: Digest,
    /// The secret of its ticket, when it wants to join.
    pub ticket: Option<Secret>,
    /// What it is called.
    pub name: String,
}

impl Check for Hello {
    fn check(&self) -> Result<(), Problem> {
        holds(self.protocol > 0, "versions of the protocol count from 1")?;
        holds(is_name(&self.name), "the name is no name of a node")
    }
}

/// What a member is told first: how the community began, and who belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// How it began.
    pub genesis: Signed<Genesis>,
    /// Some of what was said since; [`Statements`] follow with the rest.
    #[serde(deserialize_with = "list::<STATEMENTS_MAX, _, _>")]
    pub statements: Vec<Signed<MemberStatement>>,
}

impl Check for Welcome {
    fn check(&self) -> Result<(), Problem> {
        check_signed(&self.genesis)?;
        check_statements(&self.statements)
    }
}

/// No reason is given: a stranger learns nothing, not even that it knows the right community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused;

impl Check for Refused {}

/// What members said of each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statements {
    /// At most 512; whether they hold is for [`crate::mesh::membership::Membership`] to find.
    #[serde(deserialize_with = "list::<STATEMENTS_MAX, _, _>")]
    pub statements: Vec<Signed<MemberStatement>>,
}

impl Check for Statements {
    fn check(&self) -> Result<(), Problem> {
        check_statements(&self.statements)
    }
}

impl Statements {
    /// Any number of statements as frames that are not too long.
    #[must_use]
    pub fn frames(statements: &[Signed<MemberStatement>]) -> Vec<Self> {
        let frames = statements.chunks(STATEMENTS_MAX);
        frames.map(|some| Self { statements: some.to_vec() }).collect()
    }
}

/// What nodes say of themselves, their own and relayed ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// At most 256 signed records of at most 160 KiB each, as their nodes wrote them.
    #[serde(deserialize_with = "list::<RECORDS_MAX, _, _>")]
    pub records: Vec<Bytes>,
}

impl Check for Records {
    fn check(&self) -> Result<(), Problem> {
        holds(self.records.len() <= RECORDS_MAX, "a frame has at most 256 records")?;
        let fits = self.records.iter().all(|record| record.len() <= RECORD_BYTES_MAX);
        holds(fits, "a record has at most 160 KiB")
    }
}

impl Records {
    /// Any number of records in few frames.
    #[must_use]
    pub fn frames(records: impl IntoIterator<Item = Bytes>) -> Vec<Self> {
        let (mut frames, mut bytes) = (Vec::<Self>::new(), 0);
        for record in records {
            bytes += record.len();
            match frames.last_mut() {
                Some(last) if last.records.len() < RECORDS_MAX && bytes <= FULL_BYTES => {
                    last.records.push(record);
                }
                _ => {
                    bytes = record.len();
                    frames.push(Self { records: vec![record] });
                }
            }
        }
        frames
    }
}

/// The number of a ping, and of the pong that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// Another one for each ping of a connection.
    pub number: u64,
}

impl Check for Number {}

/// A node that does not answer the sender any more. Whoever hears it asks that node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Which.
    pub node: NodeKey,
}

impl Check for Missed {}

/// The last frame of a side that closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving;

impl Check for Leaving {}

fn check_signed<T: Statement>(signed: &Signed<T>) -> Result<(), Problem> {
    holds(signed.size() <= T::BYTES_MAX + SIGNATURE_BYTES, "a statement is too long")
}

fn check_statements(statements: &[Signed<MemberStatement>]) -> Result<(), Problem> {
    holds(statements.len() <= STATEMENTS_MAX, "a frame has at most 512 statements")?;
    statements.iter().try_for_each(check_signed)
}
