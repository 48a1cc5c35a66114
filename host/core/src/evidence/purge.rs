//! Purging takes away all events of one correlation and leaves their leaf hashes, so that the
//! tree stays whole, and a tombstone: an `evidence_purged` event that says what was taken. The
//! tombstone is chained, and signed with the next head like every event.

use serde::Deserialize;

use super::{
    fact::Facts,
    hash::{Hash, Hasher},
    merkle::leaf_of,
};

/// What a tombstone says of the correlation that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// The correlation.
    pub correlation_id: String,
    /// How many of its events are gone, over all purges.
    pub events: u64,
    /// The sequence of the first.
    pub first_sequence: u64,
    /// The sequence of the last.
    pub last_sequence: u64,
    /// The content hash of the last; a later event of the correlation continues from it.
    pub head_hash: Hash,
    /// SHA-256 over one line for each event, `sequence leaf-hash`, in order.
    pub leaves: Hash,
}

impl Tombstone {
    /// The tombstone of `correlation_id`, whose events (sequence and leaf hash, in order; those of
    /// earlier purges too) end with `head_hash`; `None` when there are none.
    #[must_use]
    pub fn of(
        correlation_id: &str,
        leaves: impl IntoIterator<Item = (u64, Hash)>,
        head_hash: Hash,
    ) -> Option<Self> {
        let mut purged = Purged::default();
        for (sequence, leaf) in leaves {
            purged.add(sequence, leaf);
        }
        (purged.events > 0).then(|| Self {
            correlation_id: correlation_id.to_owned(),
            events: purged.events,
            first_sequence: purged.first_sequence,
            last_sequence: purged.last_sequence,
            head_hash,
            leaves: purged.leaves(),
        })
    }

    /// The payload of the tombstone's event.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let purged = Facts::new()
            .text("correlation_id", self.correlation_id.clone())
            .count("events", self.events)
            .count("first_sequence", self.first_sequence)
            .sha256("head_hash", self.head_hash)
            .count("last_sequence", self.last_sequence)
            .sha256("leaves", self.leaves);
        Facts::new().object("purged", purged)
    }
}

/// What is known of a purged correlation while its leaves go by.
#[derive(Debug, Clone, Default)]
pub(super) struct Purged {
    events: u64,
    first_sequence: u64,
    pub(super) last_sequence: u64,
    last_leaf: Option<Hash>,
    lines: Hasher,
    /// The last sequence that a tombstone covers.
    pub(super) covered: u64,
}

impl Purged {
    pub(super) fn add(&mut self, sequence: u64, leaf: Hash) {
        if self.events == 0 {
            self.first_sequence = sequence;
        }
        self.events += 1;
        self.last_sequence = sequence;
        self.last_leaf = Some(leaf);
        self.lines.update(format!("{sequence} {leaf}\n").as_bytes());
    }

    /// How many events are gone.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    fn leaves(&self) -> Hash {
        self.lines.clone().finish()
    }

    /// Whether `tombstone` says exactly this.
    pub(super) fn matches(&self, tombstone: &Tombstone) -> bool {
        tombstone.events == self.events
            && tombstone.first_sequence == self.first_sequence
            && tombstone.last_sequence == self.last_sequence
            && tombstone.leaves == self.leaves()
            && self.last_leaf == Some(leaf_of(&tombstone.correlation_id, &tombstone.head_hash))
    }
}
