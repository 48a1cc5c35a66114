//! Which peers and capabilities rest after failures: a pure machine, time passed in, from a clock
//! that does not go back.
//!
//! | fails | rests | then |
//! |---|---|---|
//! | a peer, once | 30 s, twice as long each time in a row, up to 8 times | one call as a probe |
//! | more than half of a capability's last 100 calls on a peer | 60 s | one call as a probe |
//!
//! A probe that succeeds ends the rest; one that fails begins the next. Calls that began before the
//! rest say nothing about it, however they end.

mod health;

use std::collections::BTreeMap;

use serde::Serialize;

use health::Window;
pub use health::{CALLS_COUNTED, Health};

use super::key::NodeKey;
use crate::id::CapabilityId;

/// The first rest of a peer, in microseconds.
pub const PEER_REST_US: u64 = 30_000_000;
/// How often the rest of a peer doubles: 8 times the first is the longest.
const DOUBLINGS_MAX: u32 = 3;
/// The rest of a capability, in microseconds.
pub const CAPABILITY_REST_US: u64 = 60_000_000;
/// Share of a capability's calls that succeed, in thousandths, below which it rests.
const SUCCESS_MIN: u32 = 500;
/// Most peers, and most capabilities of all peers, that are told apart; the one that was used
/// longest ago is forgotten first.
pub const PEERS_MAX: usize = 256;
/// See [`PEERS_MAX`].
pub const CAPABILITIES_MAX: usize = 4_096;

/// How something stands, as the router sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Standing {
    /// Calls pass.
    #[default]
    Well,
    /// It rested: the next call passes as a probe.
    ProbeDue,
    /// A probe is on its way; others wait for its end.
    Probing,
    /// It rests.
    Resting {
        /// For so long, in microseconds.
        for_us: u64,
    },
}

impl Standing {
    /// Whether a call may pass.
    #[must_use]
    pub const fn admits(self) -> bool {
        matches!(self, Self::Well | Self::ProbeDue)
    }
}

/// A call that passed. It is reported once it has ended, by [`Breakers::report`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe that is not reported keeps others out until its deadline"]
pub struct Pass {
    peer: NodeKey,
    capability: String,
    peer_probe: Option<u64>,
    capability_probe: Option<u64>,
}

impl Pass {
    /// Whether it is a probe.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.peer_probe.is_some() || self.capability_probe.is_some()
    }
}

/// How a call ended, for the breakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The capability answered.
    Answered {
        /// Whether it did its work. The caller's own mistakes are none of its failures.
        well: bool,
        /// Microseconds from sending to the answer.
        took_us: u64,
    },
    /// The peer refused before the capability began: it is there.
    Refused,
    /// The peer could not be reached, or was lost.
    Unreachable,
    /// The caller gave up: says nothing.
    GivenUp,
}

/// A rest, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Rest {
    /// Rests in a row; 0: calls pass.
    rests: u32,
    until_us: i64,
    /// The probe on its way, and when it has ended for certain.
    probe: Option<(u64, i64)>,
}

impl Rest {
    fn standing(&self, now_us: i64) -> Standing {
        if self.rests == 0 {
            return Standing::Well;
        }
        let for_us = u64::try_from(self.until_us.saturating_sub(now_us)).unwrap_or(0);
        if for_us > 0 {
            return Standing::Resting { for_us };
        }
        match self.probe {
            Some((_, ends_us)) if now_us < ends_us => Standing::Probing,
            _ => Standing::ProbeDue,
        }
    }

    fn begin(&mut self, rest_us: u64, now_us: i64) {
        self.rests = self.rests.saturating_add(1);
        self.until_us = now_us.saturating_add(i64::try_from(rest_us).unwrap_or(i64::MAX));
        self.probe = None;
    }

    /// Whether what this call says counts: every call while all is well, else the probe alone.
    fn heeds(&self, probe: Option<u64>) -> bool {
        self.rests == 0 || (probe.is_some() && probe == self.probe.map(|(number, _)| number))
    }
}

#[derive(Debug, Clone, Default)]
struct Peer {
    rest: Rest,
    used_us: i64,
}

#[derive(Debug, Clone, Default)]
struct Capability {
    rest: Rest,
    window: Window,
    used_us: i64,
}

/// The breakers of one node.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    peers: BTreeMap<NodeKey, Peer>,
    /// By peer and folded id.
    capabilities: BTreeMap<(NodeKey, String), Capability>,
    probes: u64,
}

impl Breakers {
    /// How a capability of a peer stands, by the worse of both. Takes no probe.
    #[must_use]
    pub fn standing(&self, peer: &NodeKey, capability: &CapabilityId, now_us: i64) -> Standing {
        self.standing_of(*peer, capability.folded(), now_us)
    }

    fn standing_of(&self, peer: NodeKey, capability: String, now_us: i64) -> Standing {
        let of_peer = self.peers.get(&peer).map(|known| known.rest.standing(now_us));
        let known = self.capabilities.get(&(peer, capability));
        let of_capability = known.map(|known| known.rest.standing(now_us));
        let (one, other) = (of_peer.unwrap_or_default(), of_capability.unwrap_or_default());
        match (one, other) {
            (Standing::Resting { for_us: one }, Standing::Resting { for_us: other }) => {
                Standing::Resting { for_us: one.max(other) }
            }
            (resting @ Standing::Resting { .. }, _) | (_, resting @ Standing::Resting { .. }) => {
                resting
            }
            (Standing::Probing, _) | (_, Standing::Probing) => Standing::Probing,
            (Standing::ProbeDue, _) | (_, Standing::ProbeDue) => Standing::ProbeDue,
            (Standing::Well, Standing::Well) => Standing::Well,
        }
    }

    /// How a capability of a peer has done so far.
    #[must_use]
    pub fn health(&self, peer: &NodeKey, capability: &CapabilityId) -> Health {
        let known = self.capabilities.get(&(*peer, capability.folded()));
        known.map(|known| known.window.health()).unwrap_or_default()
    }

    /// Lets a call pass that ends by `deadline_us` whatever happens. After a rest it is the probe,
    /// and exactly one passes.
    ///
    /// # Errors
    /// How it stands, when nothing passes.
    pub fn admit(
        &mut self,
        peer: &NodeKey,
        capability: &CapabilityId,
        now_us: i64,
        deadline_us: i64,
    ) -> Result<Pass, Standing> {
        let folded = capability.folded();
        let standing = self.standing_of(*peer, folded.clone(), now_us);
        if !standing.admits() {
            return Err(standing);
        }
        let number = self.probes.wrapping_add(1);
        self.probes = number;
        let take = |rest: &mut Rest| {
            (rest.rests > 0).then(|| {
                rest.probe = Some((number, deadline_us));
                number
            })
        };
        let key = (*peer, folded);
        let peer_probe = self.peers.get_mut(peer).and_then(|known| take(&mut known.rest));
        let capability_probe =
            self.capabilities.get_mut(&key).and_then(|known| take(&mut known.rest));
        Ok(Pass { peer: *peer, capability: key.1, peer_probe, capability_probe })
    }

    /// A call that passed has ended.
    pub fn report(&mut self, pass: Pass, report: Report, now_us: i64) {
        self.report_peer(&pass, report, now_us);
        self.report_capability(pass, report, now_us);
    }

    fn report_peer(&mut self, pass: &Pass, report: Report, now_us: i64) {
        if report == Report::Unreachable {
            self.make_room(&pass.peer, None);
            self.peers.entry(pass.peer).or_default();
        }
        let Some(peer) = self.peers.get_mut(&pass.peer) else { return };
        peer.used_us = now_us;
        if !peer.rest.heeds(pass.peer_probe) {
            return;
        }
        match report {
            Report::Answered { .. } | Report::Refused => {
                self.peers.remove(&pass.peer);
            }
            Report::Unreachable => {
                let doublings = peer.rest.rests.min(DOUBLINGS_MAX);
                peer.rest.begin(PEER_REST_US << doublings, now_us);
            }
            Report::GivenUp => peer.rest.probe = None,
        }
    }

    fn report_capability(&mut self, pass: Pass, report: Report, now_us: i64) {
        let key = (pass.peer, pass.capability);
        if matches!(report, Report::Answered { .. }) {
            self.make_room(&key.0, Some(&key.1));
            self.capabilities.entry(key.clone()).or_default();
        }
        let Some(known) = self.capabilities.get_mut(&key) else { return };
        known.used_us = now_us;
        if !known.rest.heeds(pass.capability_probe) {
            return;
        }
        let Report::Answered { well, took_us } = report else {
            known.rest.probe = None;
            return;
        };
        if pass.capability_probe.is_some() && well {
            *known = Capability { used_us: now_us, ..Capability::default() };
        }
        known.window.count(well, took_us);
        let too_bad = known.window.full_share().is_some_and(|share| share < SUCCESS_MIN);
        if too_bad || (pass.capability_probe.is_some() && !well) {
            known.rest.begin(CAPABILITY_REST_US, now_us);
        }
    }

    /// A peer was reached by other means than a call: it rests no more.
    pub fn reached(&mut self, peer: &NodeKey) {
        self.peers.remove(peer);
    }

    fn make_room(&mut self, peer: &NodeKey, capability: Option<&str>) {
        match capability {
            None => {
                if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(peer) {
                    let oldest = self.peers.iter().min_by_key(|(_, known)| known.used_us);
                    if let Some(key) = oldest.map(|(key, _)| *key) {
                        self.peers.remove(&key);
                    }
                }
            }
            Some(folded) => {
                let key = (*peer, folded.to_owned());
                if self.capabilities.len() >= CAPABILITIES_MAX
                    && !self.capabilities.contains_key(&key)
                {
                    let oldest = self.capabilities.iter().min_by_key(|(_, known)| known.used_us);
                    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                        self.capabilities.remove(&key);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
