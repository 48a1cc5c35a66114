//! Where peers may be found.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use meshhost_core::mesh::{key::NodeKey, ticket::ADDRESSES_MAX};

use crate::store::mesh::{MeshTables, PeerRow};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where peers were seen, kept for the next start.
#[derive(Debug)]
pub(super) struct Addresses {
    tables: MeshTables,
    known: Mutex<BTreeMap<NodeKey, PeerRow>>,
    /// Where a member was heard on the local network, the last one of each. It is not kept: where it is
    /// reached is.
    heard: Mutex<BTreeMap<NodeKey, SocketAddr>>,
}

impl Addresses {
    /// What was kept.
    pub(super) fn new(tables: MeshTables, rows: Vec<PeerRow>) -> Self {
        let known = rows.into_iter().map(|row| (row.peer, row)).collect();
        Self { tables, known: Mutex::new(known), heard: Mutex::default() }
    }

    /// Where a peer may be, the best first.
    pub(super) fn of(&self, peer: &NodeKey) -> Vec<SocketAddr> {
        let mut all: Vec<_> = lock(&self.heard).get(peer).copied().into_iter().collect();
        if let Some(row) = lock(&self.known).get(peer) {
            let known = row.addresses.iter().filter(|known| !all.contains(known));
            all.extend(known.copied().collect::<Vec<_>>());
        }
        all
    }

    /// A member was heard there. It takes the place of nothing that is known: anybody who was a member
    /// once can say it.
    pub(super) fn hear(&self, peer: NodeKey, address: SocketAddr) {
        lock(&self.heard).insert(peer, address);
    }

    /// Notes where a peer is or says to be; the first is the best.
    pub(super) async fn note(&self, peer: NodeKey, addresses: &[SocketAddr], seen_us: i64) {
        let row = {
            let mut known = lock(&self.known);
            let row = known.entry(peer).or_insert_with(|| PeerRow {
                peer,
                addresses: Vec::new(),
                seen_us: 0,
            });
            let mut all = addresses.to_vec();
            all.extend(row.addresses.iter().filter(|old| !addresses.contains(old)));
            all.truncate(ADDRESSES_MAX);
            if all == row.addresses && seen_us <= row.seen_us {
                return;
            }
            *row = PeerRow { peer, addresses: all, seen_us: row.seen_us.max(seen_us) };
            row.clone()
        };
        if let Err(error) = self.tables.save_peer(&row).await {
            tracing::debug!("where a peer is was not kept: {error}");
        }
    }
}
