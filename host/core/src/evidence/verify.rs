//! Checks a whole store while its rows go by, and names the first event that is wrong.
//!
//! Feed [`Verifier::event`] with every row in the order of sequence ([`Verifier::purged`] for the
//! leaf of a purged one), then [`Verifier::finish`] with the stored heads of the correlations.
//! Memory is bounded by the number of correlations and signed heads. For each row the record is
//! parsed once, written again and compared byte by byte, both hashes are computed anew, and every
//! derived column is compared.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    chain::Head,
    event::EventType,
    hash::Hash,
    merkle::{Tree, head_v1, leaf_of},
    purge::{Purged, Tombstone},
    sign::{PublicKey, SignedHead, StatementError},
};
use crate::{code::Code, id::HostId};

pub use row::Row;
use row::{Buffers, Stored};

mod row;

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
    heads: HashMap<Box<str>, Head>,
    purged: HashMap<Box<str>, Purged>,
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
            heads: HashMap::new(),
            purged: HashMap::new(),
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
        let stored: Stored<'_> =
            serde_json::from_str(row.json).map_err(|_| at(Wrong::Unreadable))?;
        if let Some(column) = stored.differing_column(row) {
            return Err(at(Wrong::Column(column)));
        }
        if stored.host_id != self.host_id.as_str() {
            return Err(at(Wrong::Host));
        }
        let content_hash = stored.check(row, &mut self.buffers).map_err(at)?;
        let prev = self.heads.get(row.correlation_id).map(|head| head.hash);
        if stored.prev_hash.map(str::parse) != prev.map(Ok) {
            return Err(at(Wrong::Chain));
        }
        let head = Head { sequence: row.sequence, hash: content_hash };
        match self.heads.get_mut(row.correlation_id) {
            Some(last) => *last = head,
            None => {
                self.heads.insert(row.correlation_id.into(), head);
            }
        }
        if row.event_type == EventType::EvidencePurged.as_str() {
            self.tombstone(stored.payload.get()).map_err(at)?;
        }
        self.events += 1;
        self.append(leaf_of(row.correlation_id, &content_hash))
    }

    /// Takes the leaf of a purged event, in the order of sequence with the others.
    ///
    /// # Errors
    /// As [`Verifier::event`].
    pub fn purged(
        &mut self,
        sequence: u64,
        correlation_id: &str,
        leaf: Hash,
    ) -> Result<(), Broken> {
        self.in_order(sequence)?;
        let purged = self.purged.entry(correlation_id.into()).or_default();
        // A head is there when an event of the correlation was, or a tombstone of an earlier
        // purge; only the latter ends with what is known to be purged.
        let head = self.heads.get(correlation_id);
        if head.is_some_and(|head| head.sequence != purged.last_sequence) {
            return Err(Broken { sequence, wrong: Wrong::PartialPurge });
        }
        purged.add(sequence, leaf);
        if let Some(head) = self.heads.get_mut(correlation_id) {
            head.sequence = sequence;
        }
        self.append(leaf)
    }

    /// Ends the check with the stored heads: correlation, sequence, content hash.
    ///
    /// # Errors
    /// As [`Verifier::event`].
    pub fn finish<'a>(
        self,
        stored: impl IntoIterator<Item = (&'a str, u64, Hash)>,
    ) -> Result<Report, Broken> {
        let sequence = self.tree.size();
        let missing = Broken { sequence: sequence + 1, wrong: Wrong::Missing };
        if self.next_signed.is_some() {
            return Err(missing);
        }
        let untold = self.purged.values().filter(|purged| purged.covered < purged.last_sequence);
        if let Some(first) = untold.map(|purged| purged.last_sequence).min() {
            return Err(Broken { sequence: first, wrong: Wrong::NoTombstone });
        }
        let mut differing = None::<u64>;
        let mut count = 0_usize;
        for (correlation, at, hash) in stored {
            count += 1;
            let known = self.heads.get(correlation);
            if known == Some(&Head { sequence: at, hash }) {
                continue;
            }
            // A head beyond the last event means that the end is gone.
            if at > sequence {
                return Err(missing);
            }
            let first = known.map_or(at, |head| head.sequence);
            differing = Some(differing.map_or(first, |other| other.min(first)));
        }
        if let Some(sequence) = differing {
            return Err(Broken { sequence, wrong: Wrong::CorrelationHead });
        }
        if count != self.heads.len() {
            return Err(Broken { sequence, wrong: Wrong::CorrelationHead });
        }
        let heads = self.heads.iter().map(|(correlation, head)| (correlation.as_ref(), head.hash));
        Ok(Report {
            events: self.events,
            purged: sequence - self.events,
            correlations: u64::try_from(self.heads.len()).unwrap_or(u64::MAX),
            sequence,
            root: self.tree.root(),
            head_v1: head_v1(heads),
            signed_through: self.signed_through,
        })
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

    fn append(&mut self, leaf: Hash) -> Result<(), Broken> {
        self.tree.append(leaf, |_, _| {});
        self.check_signed()
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
        let tombstone = payload.purged;
        let purged = self.purged.get_mut(tombstone.correlation_id.as_str());
        let purged = purged.filter(|purged| purged.matches(&tombstone)).ok_or(Wrong::Tombstone)?;
        let head = self.heads.get(tombstone.correlation_id.as_str());
        if head.is_some_and(|head| head.sequence != purged.last_sequence) {
            return Err(Wrong::Tombstone);
        }
        purged.covered = tombstone.last_sequence;
        let head = Head { sequence: tombstone.last_sequence, hash: tombstone.head_hash };
        self.heads.insert(tombstone.correlation_id.into(), head);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
