//! What the writer knows without asking the disk. All of it can be read again.

use std::{borrow::Borrow, collections::HashMap, hash::Hash as MapKey, mem};

use meshhost_core::{
    evidence::{chain::Sealer, hash::Hash},
    id::CorrelationId,
};

use super::{Running, seen::Seen};

/// Correlations whose chain is remembered, at least; at most twice as many.
const CORRELATIONS: usize = 8_192;
/// Counts of callers and days that are remembered, at least; at most twice as many.
const DAYS: usize = 1_024;

/// The chain of one correlation as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The subject that opened it.
    pub(super) owner: String,
    /// The content hash of its last event.
    pub(super) hash: Hash,
    /// Calls started in it.
    pub(super) starts: u64,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// `None` until it is read, and after a failure.
    sealer: Option<Sealer>,
    pub(super) chains: Recent<CorrelationId, Chain>,
    pub(super) days: Recent<(String, i64), u64>,
    pub(super) running: Running,
    pub(super) seen: Seen,
    /// The last sequence whose head is signed.
    pub(super) signed: u64,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            sealer: None,
            chains: Recent::new(CORRELATIONS),
            days: Recent::new(DAYS),
            running: Running::new(),
            seen: Seen::default(),
            signed: 0,
        }
    }

    pub(super) const fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    pub(super) const fn sealer_mut(&mut self) -> Option<&mut Sealer> {
        self.sealer.as_mut()
    }

    pub(super) fn resume(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    /// Forgets what a failed commit may have left wrong. Calls that run go on running.
    pub(super) fn forget(&mut self) {
        self.sealer = None;
        self.chains = Recent::new(CORRELATIONS);
        self.days = Recent::new(DAYS);
    }

    pub(super) fn starts_in(&self, correlation: &CorrelationId) -> u64 {
        self.chains.peek(correlation).map_or(0, |chain| chain.starts)
    }

    pub(super) fn starts_on(&self, subject_id: &str, day: i64) -> u64 {
        self.days.peek(&(subject_id.to_owned(), day)).copied().unwrap_or(0)
    }
}

/// Days since 1970-01-01.
pub(super) const fn day_of(micros: i64) -> i64 {
    micros.div_euclid(86_400_000_000)
}

/// A map of the entries used last: two halves, of which the older is dropped when the younger is
/// full. Between `half` and twice `half` entries, each operation in constant time.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: MapKey + Eq, V> Recent<K, V> {
    pub(super) fn new(half: usize) -> Self {
        Self { half, young: HashMap::new(), old: HashMap::new() }
    }

    pub(super) fn peek<Q: MapKey + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_used_last_are_remembered_and_no_more() {
        let mut recent = Recent::new(10);
        for number in 0..1_000 {
            recent.insert(number, number);
            recent.insert(0, number);
            assert!(recent.young.len() + recent.old.len() <= 20);
        }
        assert_eq!(recent.peek(&0), Some(&999));
        assert!((991..1_000).all(|number| recent.peek(&number) == Some(&number)));
        assert_eq!(recent.peek(&500), None);
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        assert_eq!(day_of(0), 0);
        assert_eq!(day_of(86_399_999_999), 0);
        assert_eq!(day_of(86_400_000_000), 1);
        assert_eq!(day_of(-1), -1);
    }
}
