//! What this node knows of the others, and what it says of itself: records, offers, which peers rest,
//! and from all of it where a call runs.

mod own;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use meshhost_core::{
    config::MeshConfig,
    gates::Wanted,
    grant::EffectiveGrants,
    id::{CapabilityId, ModelName},
    invocation::Invocation,
    mesh::{
        breaker::{Breakers, Pass, Report, Standing},
        catalogue::{Catalogue, Learned, PeerHas},
        key::NodeKey,
        membership::Membership,
        record::{
            Load, NodeRecord, Offer, OfferState, Offered, RecordError, ResourceClass, Said,
            offered_to,
        },
        route::{Here, Link as Way, Pin, Request, Route, Situation, route},
        share::{covers, reaches},
    },
};
use tokio::sync::watch;

use super::running::Running;
use crate::registry::{Served, Snapshot};
pub(super) use own::keep_telling;
use own::own_record;

/// What this node knows of the others.
#[derive(Debug)]
pub(super) struct Known {
    policy: MeshConfig,
    catalogue: Mutex<Catalogue>,
    breakers: Mutex<Breakers>,
    turn: AtomicU64,
    news: watch::Sender<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one peer has been told.
#[derive(Debug, Default)]
pub(super) struct Told {
    records: PeerHas,
    offered: Option<Vec<Offered>>,
}

impl Known {
    /// Nothing yet.
    pub(super) fn new(own: NodeKey, policy: MeshConfig) -> Self {
        Self {
            policy,
            catalogue: Mutex::new(Catalogue::new(own)),
            breakers: Mutex::default(),
            turn: AtomicU64::new(0),
            news: watch::Sender::new(0),
        }
    }

    /// Counts what is new about this node or another.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// A connection to a peer was made: it offers anew, and rests no more.
    pub(super) fn connected(&self, peer: &NodeKey) {
        lock(&self.catalogue).connected(peer);
        lock(&self.breakers).reached(peer);
    }

    /// What a peer has not been told yet.
    pub(super) fn news_for(&self, running: &Running, peer: &NodeKey, told: &mut Told) -> Vec<Said> {
        let now_us = running.clock.now_us();
        let mut catalogue = lock(&self.catalogue);
        let records = running.community.membership(|membership: &Membership| {
            catalogue.news_for(&mut told.records, membership)
        });
        let mut said: Vec<_> = records.into_iter().map(Said::Record).collect();
        let offered = offer(running, peer);
        if told.offered.as_ref() != Some(&offered) {
            let offer = Offer {
                community: running.community.membership(Membership::community),
                node: running.community.own(),
                peer: *peer,
                version: catalogue.next_version(now_us),
                issued_us: now_us,
                capabilities: offered.clone(),
            };
            said.extend(running.community.sign(&offer).map(Said::Offer));
            told.offered = Some(offered);
        }
        said
    }

    /// Takes in what a peer said.
    ///
    /// # Errors
    /// [`RecordError`]: nothing was taken.
    pub(super) fn learn(
        &self,
        running: &Running,
        (from, said): (&NodeKey, Said),
        told: &mut Told,
    ) -> Result<Option<NodeRecord>, RecordError> {
        let now_us = running.clock.now_us();
        let mut catalogue = lock(&self.catalogue);
        let times = (now_us, running.steady_us());
        let learned = running.community.membership(|membership: &Membership| {
            catalogue.hear((from, said.clone()), &mut told.records, membership, times)
        })?;
        drop(catalogue);
        match (learned, said) {
            (Learned::New, said) => {
                self.tell();
                running.links.touch();
                Ok(match said {
                    Said::Record(signed) => signed.open().ok(),
                    Said::Offer(_) => None,
                })
            }
            (Learned::OwnOutdone, _) => {
                self.publish(running);
                Ok(None)
            }
            (Learned::Known, _) => Ok(None),
        }
    }

    /// Whether a connected peer has said what it offers.
    pub(super) fn has_offer_of(&self, running: &Running, peer: &NodeKey) -> bool {
        let catalogue = lock(&self.catalogue);
        running.community.membership(|membership: &Membership| {
            catalogue
                .nodes(membership)
                .any(|known| known.record.node == *peer && known.has_offered())
        })
    }

    /// What is known of a peer.
    pub(super) fn record(&self, running: &Running, peer: &NodeKey) -> Option<NodeRecord> {
        let catalogue = lock(&self.catalogue);
        if *peer == running.community.own() {
            return catalogue.own().cloned();
        }
        running.community.membership(|membership: &Membership| {
            let mut nodes = catalogue.nodes(membership);
            nodes.find(|known| known.record.node == *peer).map(|known| known.record.clone())
        })
    }

    /// What peers offer to this node: node, name, capability.
    pub(super) fn offered(&self, running: &Running) -> Vec<(NodeKey, Offered)> {
        let catalogue = lock(&self.catalogue);
        running.community.membership(|membership: &Membership| {
            let nodes = catalogue.nodes(membership);
            let offers = nodes.flat_map(|known| {
                let node = known.record.node;
                known.offered().iter().map(move |one| (node, one.clone()))
            });
            offers.collect()
        })
    }

    /// Where a call could run. This node is among the candidates when `here` provides it.
    pub(super) fn route(
        &self,
        running: &Running,
        invocation: &Invocation,
        (node, prefer): (Option<&str>, Option<&str>),
        here: &[Offered],
    ) -> Result<Route, meshhost_core::outcome::Refusal> {
        let pin = node.map(|node| running.community.named(node).map(|(key, _)| Pin::Key(key)));
        let wanted = Wanted::from(invocation);
        let request = Request { wanted, node: pin.transpose()?, prefer };
        let now_us = running.clock.now_us();
        let ways = self.ways(running, invocation);
        let catalogue = lock(&self.catalogue);
        let own;
        let record = match catalogue.own() {
            Some(record) => record,
            None => {
                own = own_record(running, &self.policy, 0, now_us);
                &own
            }
        };
        let here = Here { record, providers: here, health: Default::default() };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let situation = Situation { policy: &self.policy, here, links: &ways, turn, now_us };
        let found = running.community.membership(|membership: &Membership| {
            route(&request, &situation, catalogue.nodes(membership))
        });
        if found.candidates.is_empty() { Err(found.refusal(&request)) } else { Ok(found) }
    }

    /// Whether this node is as busy as to let others work: by its free places of now, and by its
    /// processors when it told of them last.
    pub(super) fn is_busy(&self, running: &Running) -> bool {
        let told = lock(&self.catalogue).own().map(|record| record.load);
        let slots = running.door.upgrade().and_then(|door| Some(door.runtime.get()?.slots()));
        let (Some(told), Some((slots_free, slots))) = (told, slots) else { return false };
        let load = Load { slots_free, slots, ..told };
        load.busy_at_all().is_some_and(|busy| busy >= self.policy.local_first_below)
    }

    /// Whether another node comes before this one for a call that this one can run.
    pub(super) fn is_better(
        &self,
        running: &Running,
        invocation: &Invocation,
        here: &Served,
        prefer: Option<&str>,
    ) -> bool {
        let own = offered(here, &running.models.names());
        let route = self.route(running, invocation, (None, prefer), &[own]);
        route.is_ok_and(|route| route.candidates.first().is_some_and(|first| !first.local))
    }

    fn ways(&self, running: &Running, invocation: &Invocation) -> BTreeMap<NodeKey, Way> {
        let breakers = lock(&self.breakers);
        let capability = &invocation.capability;
        let now_us = running.steady_us();
        let links = running.links.all().into_iter().filter(|link| {
            // A call never comes back to a node that it has passed.
            link.has_calls() && !invocation.hops.contains(&link.peer)
        });
        links
            .map(|link| {
                let way = Way {
                    connected: true,
                    round_trip_us: u64::try_from(link.round_trip().as_micros()).ok(),
                    in_flight: link.calls_in_flight(),
                    standing: breakers.standing(&link.peer, capability, now_us),
                    health: breakers.health(&link.peer, capability),
                };
                (link.peer, way)
            })
            .collect()
    }

    /// Lets a call to a peer pass, unless it rests.
    ///
    /// # Errors
    /// How it stands.
    pub(super) fn admit(
        &self,
        peer: &NodeKey,
        invocation: &Invocation,
        (deadline_us, now_us): (i64, i64),
    ) -> Result<Pass, Standing> {
        lock(&self.breakers).admit(peer, &invocation.capability, now_us, deadline_us)
    }

    /// A call that passed has ended.
    pub(super) fn report(&self, pass: Pass, report: Report, now_us: i64) {
        lock(&self.breakers).report(pass, report, now_us);
    }
}

/// What this node offers to a peer now.
fn offer(running: &Running, peer: &NodeKey) -> Vec<Offered> {
    let Some(door) = running.door.upgrade() else { return Vec::new() };
    let Some(member) = running.community.member(peer) else { return Vec::new() };
    let patterns = running.community.shared_with(peer).unwrap_or_default();
    let snapshot = door.registry.snapshot();
    let wanted = |served: &Served| {
        covers(&patterns, served.provider.capability.id.as_str()) && reaches(&served.rules, &member)
    };
    offered_to(&everything((&snapshot, &running.models.names()), wanted), &patterns)
}

/// Whether a member may know of a capability that is shared with it: unless the manifest of whoever
/// provides it here keeps it back.
pub(super) fn is_open(running: &Running, peer: &NodeKey, capability: &CapabilityId) -> bool {
    let (Some(door), Some(member)) = (running.door.upgrade(), running.community.member(peer))
    else {
        return false;
    };
    let snapshot = door.registry.snapshot();
    snapshot.providers(capability).iter().all(|served| reaches(&served.rules, &member))
}

/// What this node provides of what `wanted` names, the provider that is called first before others.
fn everything(
    (snapshot, loaded): (&Snapshot, &[ModelName]),
    wanted: impl Fn(&Served) -> bool,
) -> Vec<Offered> {
    let mut all = Vec::new();
    for plugin in snapshot.plugins() {
        for served in plugin.serve() {
            let id = &served.provider.capability.id;
            if wanted(&served) {
                let preferred = snapshot.providers(id).first().map(|first| &first.provider.plugin);
                let first = preferred == Some(&served.provider.plugin);
                all.push((id.folded(), !first, offered(&served, loaded)));
            }
        }
    }
    all.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    all.into_iter().map(|(_, _, offered)| offered).collect()
}

/// A capability as others are told of it, while these models are loaded.
fn offered(served: &Served, loaded: &[ModelName]) -> Offered {
    let capability = &served.provider.capability;
    let plugin = &served.plugin;
    // Whether a quarantine holds against a caller is decided when the caller comes.
    let serves = plugin.record.enabled && plugin.suspended.is_empty();
    let state = if serves { OfferState::Serving } else { OfferState::Disabled };
    Offered {
        id: capability.id.clone(),
        long_id: capability.long_id.clone(),
        version: capability.version.clone(),
        type_hash: capability.type_hash,
        plugin: served.provider.plugin.clone(),
        class: class(&plugin.effective.grants),
        state,
        read_only: served.rules.read_only,
        idempotent: served.rules.idempotent,
        models_loaded: models_loaded(&plugin.effective.grants, loaded),
    }
}

/// Whether all models that a plugin may run are loaded; `None` when it may run none.
fn models_loaded(grants: &EffectiveGrants, loaded: &[ModelName]) -> Option<bool> {
    let is_loaded = |name: &String| loaded.iter().any(|model| model.as_str() == name);
    (!grants.models.is_empty()).then(|| grants.models.iter().all(is_loaded))
}

/// What a plugin's calls need most of, by what was granted to it.
fn class(grants: &EffectiveGrants) -> ResourceClass {
    if !grants.models.is_empty() {
        ResourceClass::Inference
    } else if !grants.folders.is_empty() || grants.index_bytes.is_some() {
        ResourceClass::Storage
    } else if !grants.network.is_empty() {
        ResourceClass::Io
    } else {
        ResourceClass::Cpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_of_a_plugin_are_loaded_when_all_that_were_granted_are() {
        let granted = |models: &[&str]| EffectiveGrants {
            models: models.iter().map(|name| (*name).to_owned()).collect(),
            ..EffectiveGrants::default()
        };
        let loaded = ["one", "two"].map(|name| name.parse().unwrap());
        for (models, expected) in [
            (&[][..], None),
            (&["one"], Some(true)),
            (&["two", "one"], Some(true)),
            (&["one", "three"], Some(false)),
        ] {
            assert_eq!(models_loaded(&granted(models), &loaded), expected, "{models:?}");
        }
    }
}
