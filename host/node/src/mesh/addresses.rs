//! Where peers may be found.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use meshhost_core::mesh::{key::NodeKey, ticket::ADDRESSES_MAX};

use crate::store::mesh::{MeshTables, PeerRow};

/// Where peers were seen, kept for the next start.
#[derive(Debug)]
pub(super) struct Addresses {
    tables: MeshTables,
    known: Mutex<BTreeMap<NodeKey, PeerRow>>,
}

impl Addresses {
    /// What was kept.
    pub(super) fn new(tables: MeshTables, rows: Vec<PeerRow>) -> Self {
        let known = rows.into_iter().map(|row| (row.peer, row)).collect();
        Self { tables, known: Mutex::new(known) }
    }

    /// Where a peer may be, the best first.
    pub(super) fn of(&self, peer: &NodeKey) -> Vec<SocketAddr> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(peer).map(|row| row.addresses.clone()).unwrap_or_default()
    }

    /// Notes where a peer is or says to be; the first is the best.
    pub(super) async fn note(&self, peer: NodeKey, addresses: &[SocketAddr], seen_us: i64) {
        let row = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
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
