//! The peers that are connected now, and when those that are not are dialled again.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::mesh::{key::NodeKey, peer::Side};
use tokio::{sync::watch, time::Instant};

use super::{link::Link, transport::Closing};

/// How long one waits before a peer is dialled again: after the first try, and at most.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_MOST: Duration = Duration::from_secs(30);
/// How long a peer that refused this node is left alone.
const REFUSED: Duration = Duration::from_secs(30);
/// How long a connection has to last for the next one to be made as soon as it is gone: two that end each
/// other's would do so without rest.
const SETTLED: Duration = Duration::from_secs(10);

/// How many peers a node watches.
pub(super) const WATCHED: usize = 2;

/// The connected peers.
#[derive(Debug)]
pub(super) struct Links {
    own: NodeKey,
    table: Mutex<Table>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    live: BTreeMap<NodeKey, Arc<Link>>,
    tries: BTreeMap<NodeKey, Try>,
}

impl Table {
    fn is_live(&self, peer: &NodeKey) -> bool {
        self.live.get(peer).is_some_and(|link| !link.has_ended())
    }
}

/// The last try to reach a peer.
#[derive(Debug, Clone, Copy)]
struct Try {
    next: Instant,
    wait: Duration,
    dialling: bool,
    /// Whether something about it was new while it was dialled.
    hurried: bool,
    refused: bool,
}

impl Links {
    /// No peers yet.
    pub(super) fn new(own: NodeKey) -> Self {
        Self { own, table: Mutex::default(), changes: watch::Sender::new(0) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts changes of who is connected.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Lists a peer. `false` when there is another connection with it that stays: of two that the
    /// two sides made at the same time, the one that the lower key made. What the same side made
    /// later replaces what it made before, which is dead then.
    pub(super) fn add(&self, link: &Arc<Link>) -> bool {
        let mut table = self.table();
        if let Some(other) = table.live.get(&link.peer).filter(|it| !it.has_ended()).cloned() {
            let made_by_lower = (link.side == Side::Dialled) == (self.own < link.peer);
            if link.side != other.side && !made_by_lower {
                return false;
            }
            link.take_place_of(&other);
            other.close(Closing::Duplicate);
        }
        table.live.insert(link.peer, Arc::clone(link));
        match table.tries.get_mut(&link.peer) {
            // How long it lasts decides when it is made again.
            Some(again) if again.dialling => again.refused = false,
            _ => drop(table.tries.remove(&link.peer)),
        }
        drop(table);
        self.touch();
        true
    }

    /// A peer is gone; another connection with it stays.
    pub(super) fn remove(&self, link: &Arc<Link>) {
        let mut table = self.table();
        if table.live.get(&link.peer).is_some_and(|live| Arc::ptr_eq(live, link)) {
            table.live.remove(&link.peer);
            drop(table);
            self.touch();
        }
    }

    /// A connected peer.
    pub(super) fn find(&self, peer: &NodeKey) -> Option<Arc<Link>> {
        self.table().live.get(peer).filter(|link| !link.has_ended()).cloned()
    }

    /// All connected peers.
    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.table().live.values().filter(|link| !link.has_ended()).cloned().collect()
    }

    /// Whether this node watches a peer: each does so with the next two by key of those that it is
    /// connected with, so that somebody misses a node soon without everybody asking it all the time.
    pub(super) fn watches(&self, peer: &NodeKey) -> bool {
        let table = self.table();
        let after = (Bound::Excluded(self.own), Bound::Unbounded);
        let next = table.live.range(after).chain(&table.live);
        let live = next.filter(|(_, link)| !link.has_ended()).map(|(key, _)| key);
        live.take(WATCHED).any(|key| key == peer)
    }

    /// Whether a peer is to be dialled now; if so, it counts as being dialled until [`Self::dialled`].
    pub(super) fn take_turn(&self, peer: &NodeKey, now: Instant) -> bool {
        let mut table = self.table();
        if *peer == self.own || table.is_live(peer) {
            return false;
        }
        let first =
            Try { next: now, wait: AGAIN_FIRST, dialling: false, hurried: false, refused: false };
        let again = table.tries.entry(*peer).or_insert(first);
        if again.dialling || again.next > now {
            return false;
        }
        again.dialling = true;
        true
    }

    /// A dialled connection has ended after so long, or was never made.
    pub(super) fn dialled(&self, peer: &NodeKey, lasted: Duration, now: Instant) {
        if let Some(again) = self.table().tries.get_mut(peer) {
            again.dialling = false;
            if lasted >= SETTLED {
                again.wait = AGAIN_FIRST;
            }
            if std::mem::take(&mut again.hurried) {
                *again = Try { next: now, wait: AGAIN_FIRST, ..*again };
            } else {
                again.next = now + if again.refused { REFUSED } else { again.wait };
                again.wait = (again.wait * 2).min(AGAIN_MOST);
            }
        }
        self.touch();
    }

    /// Something about a peer has changed: whoever waits looks again.
    pub(super) fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// A peer does not let this node in.
    pub(super) fn refused(&self, peer: NodeKey) {
        if let Some(again) = self.table().tries.get_mut(&peer) {
            again.refused = true;
        }
    }

    /// Whether a peer did not let this node in when it was asked last.
    pub(super) fn was_refused(&self, peer: &NodeKey) -> bool {
        self.table().tries.get(peer).is_some_and(|again| again.refused)
    }

    /// Dials a peer at once when its turn comes next, or when the try of now has failed: something about
    /// it is new.
    pub(super) fn hurry(&self, peer: &NodeKey) {
        match self.table().tries.get_mut(peer) {
            Some(again) if again.dialling => again.hurried = true,
            Some(again) => *again = Try { next: Instant::now(), wait: AGAIN_FIRST, ..*again },
            None => {}
        }
    }

    /// Whether it is still to be seen if a peer can be reached: nobody has tried, or somebody does.
    pub(super) fn is_open_question(&self, peer: &NodeKey) -> bool {
        let table = self.table();
        match table.live.get(peer).filter(|link| !link.has_ended()) {
            Some(link) => !link.has_calls(),
            None => table
                .tries
                .get(peer)
                .is_none_or(|again| again.dialling && again.wait == AGAIN_FIRST),
        }
    }

    /// When the next peer is to be dialled.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        let table = self.table();
        let due = table.tries.iter().filter(|(peer, it)| !it.dialling && !table.is_live(peer));
        due.map(|(_, again)| again.next).min()
    }
}

#[cfg(test)]
mod tests {
    use meshhost_core::evidence::sign::Signer;

    use super::*;

    #[test]
    fn what_is_new_while_a_peer_is_dialled_makes_it_dialled_again_at_once() {
        let key = |seed| Signer::from_seed(&[seed; 32]).node_key();
        let (links, peer, now) = (Links::new(key(1)), key(2), Instant::now());
        assert!(links.take_turn(&peer, now));
        links.dialled(&peer, Duration::ZERO, now);
        assert!(!links.take_turn(&peer, now), "it rests after a failure");
        assert!(links.take_turn(&peer, now + AGAIN_FIRST));
        links.hurry(&peer);
        assert!(!links.take_turn(&peer, now + AGAIN_MOST), "it is being dialled");
        links.dialled(&peer, Duration::ZERO, now);
        assert!(links.take_turn(&peer, now), "what was new came meanwhile");
        links.dialled(&peer, Duration::ZERO, now);
        assert!(!links.take_turn(&peer, now), "once");
    }
}
