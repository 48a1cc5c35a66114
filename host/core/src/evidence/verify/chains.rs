//! What is known of each correlation while its events go by, and its stored head beside it.

use std::{borrow::Cow, collections::HashMap};

use super::Wrong;
use crate::evidence::{
    chain::Head,
    fact::bounded,
    hash::Hash,
    merkle::head_v1,
    purge::{Purged, Tombstone},
};

/// A stored head of a correlation: the row of that name, as it was found.
#[derive(Debug, Clone, Copy)]
pub struct StoredHead<'a> {
    /// The correlation.
    pub correlation_id: &'a str,
    /// Who opened it.
    pub owner: &'a str,
    /// The content hash of its last event.
    pub content_hash: &'a str,
    /// The sequence of its last event; none when the column holds what is no sequence.
    pub sequence: Option<u64>,
    /// Calls started in it; none when the column holds what is no number of calls.
    pub starts: Option<u64>,
}

/// One event as its chain sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) head: Head,
    pub(super) prev_hash: Option<Hash>,
    /// Whether it starts a call.
    pub(super) starts: bool,
}

/// A correlation that is there, or was purged and has its tombstone.
#[derive(Debug, Clone)]
struct Chain {
    head: Head,
    /// Who opened it, as the record says it; none when that was purged.
    owner: Option<Box<str>>,
    /// Calls started in it by events that were read.
    starts: u64,
    /// Whether its stored head went by.
    compared: bool,
}

/// All correlations of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Chains {
    chains: HashMap<Box<str>, Chain>,
    purged: HashMap<Box<str>, Purged>,
    /// The first event whose stored head differs.
    differing: Option<(u64, Wrong)>,
    /// The furthest sequence that a stored head names.
    named: u64,
}

impl Chains {
    /// How many there are, purged ones included.
    pub(super) fn count(&self) -> usize {
        self.chains.len()
    }

    /// How many of them have events that were purged.
    pub(super) fn purged_count(&self) -> usize {
        self.purged.len()
    }

    /// Takes the next event of a correlation. `subject` says who calls; the first one is asked.
    pub(super) fn event<'a>(
        &mut self,
        correlation: &str,
        link: Link,
        subject: impl FnOnce() -> Result<Cow<'a, str>, Wrong>,
    ) -> Result<(), Wrong> {
        let known = self.chains.get_mut(correlation);
        if link.prev_hash != known.as_ref().map(|chain| chain.head.hash) {
            return Err(Wrong::Chain);
        }
        if let Some(chain) = known {
            chain.head = link.head;
            chain.starts += u64::from(link.starts);
        } else {
            let owner = Some(subject()?.into());
            let starts = u64::from(link.starts);
            let chain = Chain { head: link.head, owner, starts, compared: false };
            self.chains.insert(correlation.into(), chain);
        }
        Ok(())
    }

    /// Takes the leaf of the next purged event of a correlation.
    pub(super) fn purged(
        &mut self,
        correlation: &str,
        sequence: u64,
        leaf: Hash,
    ) -> Result<(), Wrong> {
        let purged = self.purged.entry(correlation.into()).or_default();
        // A chain is there when an event of the correlation was, or a tombstone of an earlier
        // purge; only the latter ends with what is known to be purged.
        let chain = self.chains.get_mut(correlation);
        if chain.as_ref().is_some_and(|chain| chain.head.sequence != purged.last_sequence) {
            return Err(Wrong::PartialPurge);
        }
        purged.add(sequence, leaf);
        if let Some(chain) = chain {
            chain.head.sequence = sequence;
        }
        Ok(())
    }

    /// Takes a tombstone: its correlation goes on from what was purged.
    pub(super) fn tombstone(&mut self, tombstone: Tombstone) -> Result<(), Wrong> {
        let correlation = tombstone.correlation_id.as_str();
        let purged = self.purged.get_mut(correlation);
        let purged = purged.filter(|purged| purged.matches(&tombstone)).ok_or(Wrong::Tombstone)?;
        let chain = self.chains.get(correlation);
        if chain.is_some_and(|chain| chain.head.sequence != purged.last_sequence) {
            return Err(Wrong::Tombstone);
        }
        purged.covered = tombstone.last_sequence;
        let head = Head { sequence: tombstone.last_sequence, hash: tombstone.head_hash };
        let chain = Chain { head, owner: None, starts: 0, compared: false };
        self.chains.insert(tombstone.correlation_id.into(), chain);
        Ok(())
    }

    /// The last purged event of the correlation that has no tombstone, the first such one.
    pub(super) fn without_tombstone(&self) -> Option<u64> {
        let untold = self.purged.values().filter(|purged| purged.covered < purged.last_sequence);
        untold.map(|purged| purged.last_sequence).min()
    }

    /// Compares a stored head; [`Self::finish`] says what was found.
    pub(super) fn head(&mut self, stored: &StoredHead<'_>) {
        let at = stored.sequence.unwrap_or_default();
        self.named = self.named.max(at);
        let Some(chain) = self.chains.get_mut(stored.correlation_id) else {
            self.differs(at, Wrong::CorrelationHead);
            return;
        };
        let purged = self.purged.get(stored.correlation_id).map_or(0, Purged::events);
        let wrong = if chain.compared || !chain.ends_as(stored) {
            Wrong::CorrelationHead
        } else if !chain.was_opened_by(stored.owner) {
            Wrong::CorrelationOwner
        } else if !chain.may_have_started(stored.starts, purged) {
            Wrong::CorrelationStarts
        } else {
            chain.compared = true;
            return;
        };
        chain.compared = true;
        let last = chain.head.sequence;
        self.differs(last, wrong);
    }

    fn differs(&mut self, sequence: u64, wrong: Wrong) {
        if self.differing.as_ref().is_none_or(|(first, _)| sequence < *first) {
            self.differing = Some((sequence, wrong));
        }
    }

    /// What is wrong with the stored heads of a record that ends with event `last`.
    pub(super) fn finish(&mut self, last: u64) -> Option<(u64, Wrong)> {
        // A head beyond the last event means that the end is gone.
        if self.named > last {
            return Some((last + 1, Wrong::Missing));
        }
        let without = self.chains.values().filter(|chain| !chain.compared);
        if let Some(first) = without.map(|chain| chain.head.sequence).min() {
            self.differs(first, Wrong::CorrelationHead);
        }
        self.differing.take()
    }

    /// The store head of version 1.
    pub(super) fn head_v1(&self) -> Hash {
        head_v1(self.chains.iter().map(|(id, chain)| (id.as_ref(), chain.head.hash)))
    }
}

impl Chain {
    fn ends_as(&self, stored: &StoredHead<'_>) -> bool {
        stored.sequence == Some(self.head.sequence)
            && stored.content_hash.parse() == Ok(self.head.hash)
    }

    /// Whether `stored` is who opened it, as far as that is still in the record.
    fn was_opened_by(&self, stored: &str) -> bool {
        self.owner.as_deref().is_none_or(|owner| bounded(Cow::Borrowed(stored)) == owner)
    }

    /// Whether `stored` can be the number of calls that were started: exactly those that were
    /// read, and with `purged` events that are gone at most one call for each of them.
    fn may_have_started(&self, stored: Option<u64>, purged: u64) -> bool {
        let beyond = stored.and_then(|stored| stored.checked_sub(self.starts));
        beyond.is_some_and(|beyond| beyond <= purged)
    }
}
