//! Which nodes a call could run on, in the order in which they are asked, and why the others could
//! not. The same facts give the same answer.
//!
//! Deliberately absent: the gates. Whether the caller may call at all is decided where the call
//! enters, and everything else where it runs.

mod order;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    breaker::{Health, Standing},
    catalogue::{KnownNode, LOAD_AGE_US_MAX},
    key::NodeKey,
    record::{Load, NodeRecord, NodeState, OfferState, Offered},
};
use crate::{
    config::{MeshConfig, RoutingStrategy},
    gates::Wanted,
    id::{Digest, PluginName},
};

/// A node that the caller names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin<'a> {
    /// By its name, which only one may have.
    Name(&'a str),
    /// By its key.
    Key(NodeKey),
}

/// What is to be called, and what its caller says of where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The capability, in which version, of which type, from which plugin.
    pub wanted: Wanted<'a>,
    /// On this node and no other.
    pub node: Option<Pin<'a>>,
    /// Rather on nodes with this name or role.
    pub prefer: Option<&'a str>,
}

/// This node.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    /// What it says of itself, with its load of now.
    pub record: &'a NodeRecord,
    /// Its own providers of the capability, the one that is called first at the beginning.
    pub providers: &'a [Offered],
    /// How the capability has done here.
    pub health: Health,
}

/// The way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether there is a connection.
    pub connected: bool,
    /// Microseconds to the peer and back, where measured.
    pub round_trip_us: Option<u64>,
    /// Calls of this node that the peer has not answered.
    pub in_flight: u32,
    /// What the breakers say of the capability there.
    pub standing: Standing,
    /// How the capability has done there.
    pub health: Health,
}

/// Everything that the choice depends on besides the request and the other nodes.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The operator's rules.
    pub policy: &'a MeshConfig,
    /// This node.
    pub here: Here<'a>,
    /// The ways to peers; to one that is not here there is none.
    pub links: &'a BTreeMap<NodeKey, Link>,
    /// One more for each call: whose turn it is.
    pub turn: u64,
    /// Now, of the clock by which the catalogue was told.
    pub now_us: i64,
}

/// Why a node stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The caller named it.
    Named,
    /// The caller prefers it.
    Preferred,
    /// It is this node, and not busy.
    LocalFirst,
    /// Its name.
    First,
    /// Its turn.
    InTurn,
    /// Its load.
    LeastLoaded,
    /// Its score.
    Scored,
}

/// A node that the call could run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The node.
    pub node: NodeKey,
    /// What it calls itself.
    pub name: String,
    /// Whether it is this node.
    pub local: bool,
    /// The plugin that would run there.
    pub plugin: PluginName,
    /// The version that would run there.
    pub version: semver::Version,
    /// The type that it has there.
    #[serde(skip)]
    pub type_hash: Option<Digest>,
    /// Why it stands where it stands.
    pub why: Why,
    /// How busy it is, in thousandths, where known.
    pub busy: Option<u32>,
    /// Whether the models that it needs are loaded there; `None` when it needs none.
    pub models_loaded: Option<bool>,
    /// Its score, for [`RoutingStrategy::Scored`], in microseconds; less is better.
    pub score: Option<i64>,
    /// Whether the call would be the probe after a rest.
    pub probe: bool,
    /// Whether calls change nothing there.
    pub read_only: bool,
    /// Whether a call that runs twice does no more there than one that runs once.
    pub idempotent: bool,
}

/// Why a call cannot run on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// The caller named another node.
    AnotherNode,
    /// The caller named it by a name that several have.
    AmbiguousName,
    /// It offers no such capability to this node.
    NotOffered,
    /// It has it from other plugins than the one that is named.
    AnotherPlugin,
    /// It has it in another version.
    AnotherVersion {
        /// This one.
        has: semver::Version,
    },
    /// It has it with another type.
    AnotherType,
    /// The plugin there is switched off.
    Disabled,
    /// The plugin there rests.
    Quarantined,
    /// It takes no more calls.
    Draining,
    /// It has stopped.
    Left,
    /// Its WebAssembly engine is too old.
    Engine {
        /// The engine's version.
        has: semver::Version,
    },
    /// There is no connection to it.
    NotConnected,
    /// It failed before and rests.
    Resting {
        /// For so long, in microseconds.
        for_us: u64,
    },
    /// It failed before, and another call tries whether it is well again.
    Probing,
}

/// A node that the call cannot run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The node.
    pub node: NodeKey,
    /// What it calls itself.
    pub name: String,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// Where a call could run. At most [`super::catalogue::NODES_MAX`] nodes in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// What ordered the candidates.
    pub strategy: RoutingStrategy,
    /// The nodes to ask, the first one first.
    pub candidates: Vec<Candidate>,
    /// Those that have the capability, or were named, and cannot run it, by key.
    pub left_out: Vec<LeftOut>,
}

/// One node with everything that is known of it for this call.
#[derive(Debug, Clone, Copy)]
struct Node<'a> {
    record: &'a NodeRecord,
    local: bool,
    load: Load,
    link: Link,
}

/// Chooses among this node and the others, which the catalogue knows.
#[must_use]
pub fn route<'a>(
    request: &Request<'_>,
    situation: &Situation<'a>,
    others: impl Iterator<Item = KnownNode<'a>>,
) -> Route {
    let others: Vec<_> = others.collect();
    let here = situation.here;
    let records = others.iter().map(|known| known.record).chain([here.record]);
    let ambiguous = match request.node {
        Some(Pin::Name(name)) => {
            let same = |one: &&NodeRecord| one.name == name && one.state != NodeState::Left;
            records.filter(same).count() > 1
        }
        Some(Pin::Key(_)) | None => false,
    };
    let mut choice =
        Choice { request, situation, ambiguous, ranked: Vec::new(), left_out: Vec::new() };
    // This node is always there: nothing lies between.
    let link = Link { connected: true, health: here.health, ..Link::default() };
    let own = Node { record: here.record, local: true, load: here.record.load, link };
    choice.look_at(own, here.providers.iter());
    for known in &others {
        let fresh = known.age_us(situation.now_us) <= LOAD_AGE_US_MAX;
        let load = if fresh { known.record.load } else { Load::default() };
        let link = situation.links.get(&known.record.node).copied().unwrap_or_default();
        let node = Node { record: known.record, local: false, load, link };
        choice.look_at(node, known.providers(request.wanted.capability));
    }
    choice.done()
}

/// A choice in the making.
struct Choice<'a> {
    request: &'a Request<'a>,
    situation: &'a Situation<'a>,
    ambiguous: bool,
    ranked: Vec<order::Ranked>,
    left_out: Vec<LeftOut>,
}

impl Choice<'_> {
    fn look_at<'p>(&mut self, node: Node<'_>, providers: impl Iterator<Item = &'p Offered>) {
        let named = self.names(node.record);
        let mut providers = providers.peekable();
        // Nodes that never had it are many and say nothing.
        if providers.peek().is_none() && named != Some(true) {
            return;
        }
        let found = match named {
            Some(false) => Err(Reason::AnotherNode),
            _ if self.ambiguous => Err(Reason::AmbiguousName),
            _ => self.provider(providers).and_then(|provider| {
                self.serves(&node, provider)?;
                Ok(provider)
            }),
        };
        match found {
            Ok(provider) => {
                self.ranked.push(order::rank(self.request, self.situation, &node, provider));
            }
            Err(reason) => {
                let NodeRecord { node, name, .. } = node.record;
                self.left_out.push(LeftOut { node: *node, name: name.clone(), reason });
            }
        }
    }

    /// Whether the caller names this node; `None` when it names none.
    fn names(&self, record: &NodeRecord) -> Option<bool> {
        self.request.node.map(|pin| match pin {
            Pin::Name(name) => record.name == name,
            Pin::Key(key) => record.node == key,
        })
    }

    /// The provider that the node would choose: [`crate::gates::resolve`] chooses alike there.
    fn provider<'p>(
        &self,
        providers: impl Iterator<Item = &'p Offered>,
    ) -> Result<&'p Offered, Reason> {
        let wanted = self.request.wanted;
        let mut reason = Reason::NotOffered;
        for one in providers {
            if wanted.plugin.is_some_and(|plugin| *plugin != one.plugin) {
                if reason == Reason::NotOffered {
                    reason = Reason::AnotherPlugin;
                }
            } else if wanted.version.is_some_and(|range| !range.matches(&one.version)) {
                if matches!(reason, Reason::NotOffered | Reason::AnotherPlugin) {
                    reason = Reason::AnotherVersion { has: one.version.clone() };
                }
            } else if wanted.type_hash.is_some() && wanted.type_hash != one.type_hash.as_ref() {
                reason = Reason::AnotherType;
            } else {
                return Ok(one);
            }
        }
        Err(reason)
    }

    /// Whether the node would take a call of this provider now.
    fn serves(&self, node: &Node<'_>, provider: &Offered) -> Result<(), Reason> {
        match node.record.state {
            NodeState::Serving => {}
            NodeState::Draining => return Err(Reason::Draining),
            NodeState::Left => return Err(Reason::Left),
        }
        match provider.state {
            OfferState::Serving => {}
            OfferState::Disabled => return Err(Reason::Disabled),
            OfferState::Quarantined => return Err(Reason::Quarantined),
        }
        let engine = &node.record.engine;
        if self.situation.policy.engine_floor.as_ref().is_some_and(|floor| engine < floor) {
            return Err(Reason::Engine { has: engine.clone() });
        }
        if !node.link.connected {
            return Err(Reason::NotConnected);
        }
        match node.link.standing {
            Standing::Well | Standing::ProbeDue => Ok(()),
            Standing::Probing => Err(Reason::Probing),
            Standing::Resting { for_us } => Err(Reason::Resting { for_us }),
        }
    }

    fn done(mut self) -> Route {
        self.left_out.sort_by_key(|left| left.node);
        let strategy = self.situation.policy.strategy;
        let candidates = order::ordered(self.ranked, strategy, self.situation.turn);
        Route { strategy, candidates, left_out: self.left_out }
    }
}

#[cfg(test)]
mod tests;
