//! Checks a whole store while its rows go by, and names the first event that is wrong.
//!
//! Feed [`Verifier::event`] with every row in the order of sequence and [`Verifier::head`] with the
//! stored head of every correlation, then ask [`Verifier::finish`]. Memory is bounded by the number
//! of correlations and signed heads. For each row the record is held against its one spelling, byte
//! by byte, both hashes are computed anew, and every derived column and stored subtree is compared.
//! A row that is not sound is looked at a second time, slowly, to say what is wrong with it.
//!
//! Who opened a correlation and how many calls were started in it stands in its events alone. When
//! they are purged, the stored owner cannot be compared any more, and the stored number only with
//! how many events are gone.

use serde::Deserialize;

use super::{
    chain::Head,
    event::EventType,
    hash::Hash,
    merkle::{Tree, leaf_of},
    purge::Tombstone,
    sign::{PublicKey, SignedHead, StatementError},
};
use crate::{code::Code, id::HostId};

pub use chains::StoredHead;
use chains::{Chains, Link};
use row::Buffers;
pub use row::Row;

mod chains;
mod row;
mod single_pass;

/// What no check on the machine itself can show, in plain words, to be printed with every report.
pub const OUTSIDE_ONLY: &str = "whoever controls this machine and its evidence key can rewrite the \
    whole record and sign it again, or take away its end together with the signed heads; only a \
    signed head that somebody else kept shows that (compare it with `meshhost audit head`). \
    Times are those of this machine's clock, and what was never recorded cannot be found";

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The sequence goes on behind it, or a head covers it.
    #[error("it is missing")]
    Missing,
    /// It comes a second time or too late.
    #[error("it stands out of order")]
    Order,
    /// The text is not an event of this format.
    #[error("its record cannot be read as an event")]
    Unreadable,
    /// The text is not the canonical one.
    #[error("its record is not spelt as it was written")]
    Spelling,
    /// A column says something else than the record.
    #[error("its column `{0}` differs from its record")]
    Column(&'static str),
    /// The record is of another host.
    #[error("its record names another host")]
    Host,
    /// The payload is not the one that was committed to.
    #[error("its payload differs from the commitment to it")]
    Payload,
    /// A field that the protocol does not hash differs from its copy in the payload.
    #[error(
        "subject, denial, error, sequence or another field differs from its copy in the payload"
    )]
    Copy,
    /// The content hash is not that of the record.
    #[error("its content hash is not that of its record")]
    ContentHash,
    /// It does not follow the event before it in its correlation.
    #[error("it does not continue the chain of its correlation")]
    Chain,
    /// A leaf of a purged correlation stands between events that are still there.
    #[error("it was taken away without its whole correlation")]
    PartialPurge,
    /// A tombstone does not say what was taken away.
    #[error("it is a tombstone that does not fit what was purged")]
    Tombstone,
    /// Events are purged and no tombstone says so.
    #[error("it was purged without a tombstone")]
    NoTombstone,
    /// The stored head of a correlation is not its last event.
    #[error("the stored head of its correlation differs")]
    CorrelationHead,
    /// The stored owner of a correlation is not who opened it.
    #[error("the stored owner of its correlation is not who opened it")]
    CorrelationOwner,
    /// The stored number of calls of a correlation is not that of the calls started in it.
    #[error("the stored number of calls of its correlation differs")]
    CorrelationStarts,
    /// The stored subtrees are not those that the event's leaf completes.
    #[error("its stored part of the tree differs")]
    Tree,
    /// A signed head is not genuine.
    #[error("the signed head is not genuine: {0}")]
    SignedHead(StatementError),
    /// The tree at a signed head is another than the signed one.
    #[error(
        "the record up to event {signed} is not the one that was signed, although each event fits \
         the one before it: an event from here on was rewritten"
    )]
    Rewritten {
        /// The sequence of the signed head.
        signed: u64,
    },
}

/// The first thing that is wrong in a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {sequence}: {wrong}")]
pub struct Broken {
    /// The event; for [`Wrong::Rewritten`] the first that may be meant.
    pub sequence: u64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

impl Broken {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::EvidenceBroken
    }
}

/// What was found in a store that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Events that are there.
    pub events: u64,
    /// Events that were purged, each covered by a tombstone.
    pub purged: u64,
    /// Correlations, purged ones included.
    pub correlations: u64,
    /// Correlations of which events were purged. Who opened them went with the events, so that the
    /// stored owner is not compared, and the stored number of calls only with a bound.
    pub purged_correlations: u64,
    /// The last sequence.
    pub sequence: u64,
    /// The root of the tree (store head of version 2).
    pub root: Hash,
    /// The store head of version 1.
    pub head_v1: Hash,
    /// The last event that a signed head covers; later ones could be taken away unnoticed.
    pub signed_through: u64,
}

/// The machine. Make one for each run.
#[derive(Debug, Clone)]
pub struct Verifier {
    host_id: HostId,
    signed: std::vec::IntoIter<SignedHead>,
    next_signed: Option<SignedHead>,
    signed_through: u64,
    tree: Tree,
    events: u64,
    chains: Chains,
    buffers: Buffers,
}

impl Verifier {
    /// A machine for the store of `host_id`, with the heads that `key` signed: those of the
    /// node's own file, and any that were kept elsewhere.
    ///
    /// # Errors
    /// [`Wrong::SignedHead`] when one of them is not genuine.
    pub fn new(
        host_id: HostId,
        mut signed: Vec<SignedHead>,
        key: &PublicKey,
    ) -> Result<Self, Broken> {
        for head in &signed {
            head.verify(&host_id, key).map_err(|error| Broken {
                sequence: head.sequence,
                wrong: Wrong::SignedHead(error),
            })?;
        }
        signed.sort_by_key(|head| head.sequence);
        let mut signed = signed.into_iter();
        let next_signed = signed.next();
        let mut verifier = Self {
            host_id,
            signed,
            next_signed,
            signed_through: 0,
            tree: Tree::new(),
            events: 0,
            chains: Chains::default(),
            buffers: Buffers::default(),
        };
        verifier.check_signed()?;
        Ok(verifier)
    }

    /// Checks the next row.
    ///
    /// # Errors
    /// [`Broken`] names the first event that is wrong; the machine has then done its work.
    pub fn event(&mut self, row: &Row<'_>) -> Result<(), Broken> {
        self.in_order(row.sequence)?;
        let at = |wrong| Broken { sequence: row.sequence, wrong };
        let leaf = match row.json {
            Some(json) => self.written(row, json),
            None => self.purged(row),
        };
        self.append(leaf.map_err(at)?, row.subtrees).map_err(at)?;
        self.check_signed()
    }

    /// Compares the stored head of a correlation. What is wrong with it, [`Self::finish`] says:
    /// the smallest event is named, in whatever order the heads come.
    pub fn head(&mut self, stored: &StoredHead<'_>) {
        self.chains.head(stored);
    }

    /// Ends the check.
    ///
    /// # Errors
    /// As [`Verifier::event`].
    pub fn finish(mut self) -> Result<Report, Broken> {
        let sequence = self.tree.size();
        if self.next_signed.is_some() {
            return Err(Broken { sequence: sequence + 1, wrong: Wrong::Missing });
        }
        if let Some(first) = self.chains.without_tombstone() {
            return Err(Broken { sequence: first, wrong: Wrong::NoTombstone });
        }
        if let Some((sequence, wrong)) = self.chains.finish(sequence) {
            return Err(Broken { sequence, wrong });
        }
        Ok(Report {
            events: self.events,
            purged: sequence - self.events,
            correlations: u64::try_from(self.chains.count()).unwrap_or(u64::MAX),
            purged_correlations: u64::try_from(self.chains.purged_count()).unwrap_or(u64::MAX),
            sequence,
            root: self.tree.root(),
            head_v1: self.chains.head_v1(),
            signed_through: self.signed_through,
        })
    }

    /// The last sequence that was checked.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.tree.size()
    }

    /// Checks an event that is there; its leaf.
    fn written(&mut self, row: &Row<'_>, json: &str) -> Result<Hash, Wrong> {
        let host_id = self.host_id.as_str();
        let sound = match single_pass::check(row, json, host_id, &mut self.buffers) {
            Some(sound) => sound,
            None => row::check(row, json, host_id, &mut self.buffers)?,
        };
        let hash = sound.hash;
        let link = Link {
            head: Head { sequence: row.sequence, hash },
            prev_hash: sound.prev_hash,
            starts: row.event_type == EventType::ExecutionStarted.as_str(),
        };
        self.chains.event(row.correlation_id, link, || row::subject_id(sound.subject))?;
        if row.event_type == EventType::EvidencePurged.as_str() {
            self.tombstone(sound.payload)?;
        }
        self.events += 1;
        Ok(leaf_of(row.correlation_id, &hash))
    }

    /// Checks what is left of a purged event; its leaf.
    fn purged(&mut self, row: &Row<'_>) -> Result<Hash, Wrong> {
        for (name, text) in [
            ("event_type", row.event_type),
            ("invocation_id", row.invocation_id),
            ("capability_id", row.capability_id),
        ] {
            if !text.is_empty() {
                return Err(Wrong::Column(name));
            }
        }
        let hash = row.content_hash.parse().map_err(|_| Wrong::Column("content_hash"))?;
        let leaf = leaf_of(row.correlation_id, &hash);
        self.chains.purged(row.correlation_id, row.sequence, leaf)?;
        Ok(leaf)
    }

    fn in_order(&self, sequence: u64) -> Result<(), Broken> {
        let expected = self.tree.size() + 1;
        match sequence.cmp(&expected) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => {
                Err(Broken { sequence: expected, wrong: Wrong::Missing })
            }
            std::cmp::Ordering::Less => Err(Broken { sequence, wrong: Wrong::Order }),
        }
    }

    /// Appends the leaf and compares the stored subtrees that it completes.
    fn append(&mut self, leaf: Hash, stored: &[u8]) -> Result<(), Wrong> {
        let mut left = Some(stored);
        self.tree.append(leaf, |_, hash| {
            left = left.and_then(|stored| stored.strip_prefix(hash.as_bytes()));
        });
        if left == Some(&[]) { Ok(()) } else { Err(Wrong::Tree) }
    }

    /// Compares the tree with every signed head of its size.
    fn check_signed(&mut self) -> Result<(), Broken> {
        while let Some(head) = self.next_signed.take_if(|head| head.sequence == self.tree.size()) {
            if head.root != self.tree.root() {
                let wrong = Wrong::Rewritten { signed: head.sequence };
                return Err(Broken { sequence: self.signed_through + 1, wrong });
            }
            self.signed_through = head.sequence;
            self.next_signed = self.signed.next();
        }
        Ok(())
    }

    fn tombstone(&mut self, payload: &str) -> Result<(), Wrong> {
        #[derive(Deserialize)]
        struct Payload {
            purged: Tombstone,
        }
        let payload: Payload = serde_json::from_str(payload).map_err(|_| Wrong::Tombstone)?;
        self.chains.tombstone(payload.purged)
    }
}

#[cfg(test)]
mod tests;
