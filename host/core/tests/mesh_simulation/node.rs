//! One node: what it keeps over a crash, and what it does not.

use std::collections::{BTreeMap, BTreeSet};

use meshhost_core::{
    evidence::sign::Signer,
    id::InvocationId,
    mesh::{
        breaker::Breakers,
        catalogue::{Catalogue, PeerHas},
        key::NodeKey,
        membership::{Genesis, Level, MemberStatement, Membership},
        record::{
            Load, NodeRecord, NodeState, Offer, OfferState, Offered, ResourceClass, offered_to,
        },
        share::{Share, SharedWith, shared_with},
        signed::Signed,
    },
};

/// What every node has: whether it is read-only, and whether it is idempotent.
pub(crate) const CAPABILITIES: [(&str, bool, bool); 3] =
    [("demo.once", false, false), ("demo.again", false, true), ("demo.read", true, false)];
/// What every node has and shares with one other alone.
pub(crate) const SECRET: &str = "demo.secret";

/// What became of an invocation on the node that runs it; survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    Started,
    Done,
    /// The node stopped in the middle, and says so.
    Interrupted,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: u64,
    pub(crate) has: PeerHas,
    /// The state of the membership that the peer was told.
    pub(crate) told: u64,
    /// Whether the peer was made an offer.
    pub(crate) offered: bool,
}

/// Who waits for an invocation: the node, its call, and the step of it.
pub(crate) type Waits = (usize, usize, u32);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) signer: Signer,
    pub(crate) key: NodeKey,
    place: usize,
    // What it keeps.
    pub(crate) membership: Membership,
    /// How often it was told of the membership.
    pub(crate) told: u64,
    pub(crate) table: BTreeMap<InvocationId, Ran>,
    // What it does not keep.
    pub(crate) up: bool,
    pub(crate) life: u64,
    pub(crate) catalogue: Catalogue,
    pub(crate) breakers: Breakers,
    pub(crate) links: BTreeMap<usize, Link>,
    pub(crate) waiting: BTreeMap<InvocationId, Vec<Waits>>,
    /// The streams that it has read: the connection, the call, and the step of it.
    pub(crate) read: BTreeSet<(u64, usize, u32)>,
    /// How far its clock is off.
    pub(crate) clock_us: i64,
}

fn signer(place: usize) -> Signer {
    Signer::from_seed(&[u8::try_from(place).unwrap() + 1; 32])
}

fn name(place: usize) -> String {
    format!("node-{place}")
}

/// A community of as many nodes, which all know that they are members.
pub(crate) fn community(count: usize) -> Vec<Node> {
    let founder = signer(0);
    let genesis = Genesis {
        name: "simulated".to_owned(),
        founder: founder.node_key(),
        founder_name: name(0),
        made_us: 0,
        random: [0; 16],
    };
    let mut membership = Membership::new(Signed::sign(&genesis, &founder).unwrap()).unwrap();
    for place in 1..count {
        membership.learn([says(&membership, place, Some(Level::Member), 1)]);
    }
    (0..count).map(|place| Node::new(place, membership.clone())).collect()
}

/// What the founder says of another.
pub(crate) fn says(
    membership: &Membership,
    place: usize,
    level: Option<Level>,
    version: u64,
) -> Signed<MemberStatement> {
    let said = MemberStatement {
        community: membership.community(),
        member: signer(place).node_key(),
        name: name(place),
        level,
        version,
        issued_us: 0,
        issuer: signer(0).node_key(),
    };
    Signed::sign(&said, &signer(0)).unwrap()
}

impl Node {
    fn new(place: usize, membership: Membership) -> Self {
        let signer = signer(place);
        let key = signer.node_key();
        Self {
            signer,
            key,
            place,
            membership,
            told: 0,
            table: BTreeMap::new(),
            up: true,
            life: 0,
            catalogue: Catalogue::new(key),
            breakers: Breakers::default(),
            links: BTreeMap::new(),
            waiting: BTreeMap::new(),
            read: BTreeSet::new(),
            clock_us: 0,
        }
    }

    pub(crate) fn is_member(&self, key: &NodeKey) -> bool {
        self.membership.member(key).is_some()
    }

    /// It stops without a word.
    pub(crate) fn crash(&mut self) {
        self.up = false;
        self.life += 1;
        self.catalogue = Catalogue::new(self.key);
        self.breakers = Breakers::default();
        self.links.clear();
        self.waiting.clear();
    }

    /// It comes back, and says of what it was doing that it was interrupted.
    pub(crate) fn restart(&mut self) {
        self.up = true;
        for ran in self.table.values_mut() {
            if *ran == Ran::Started {
                *ran = Ran::Interrupted;
            }
        }
    }

    pub(crate) fn record(&mut self, now_us: i64) -> NodeRecord {
        let now_us = now_us + self.clock_us;
        NodeRecord {
            community: self.membership.community(),
            node: self.key,
            name: name(self.place),
            roles: Vec::new(),
            addresses: Vec::new(),
            version: self.catalogue.next_version(now_us),
            issued_us: now_us,
            engine: semver::Version::new(48, 0, 0),
            program: semver::Version::new(0, 1, 0),
            state: NodeState::Serving,
            load: Load { slots_free: 8, slots: 8, cpu: Some(100), gpu: None },
            models: Vec::new(),
        }
    }

    /// It says anew how it is.
    pub(crate) fn publish(&mut self, now_us: i64) {
        let record = self.record(now_us);
        let signed = Signed::sign(&record, &self.signer).unwrap();
        self.catalogue.publish(signed, now_us + self.clock_us).unwrap();
    }

    /// What it offers to a member; nothing to a stranger.
    pub(crate) fn offer_to(
        &mut self,
        peer: NodeKey,
        secret_with: NodeKey,
        now_us: i64,
    ) -> Option<Offer> {
        let shares = CAPABILITIES.map(|(id, ..)| (id, SharedWith::Level(Level::Member)));
        let shares = shares.into_iter().chain([(SECRET, SharedWith::Peer(secret_with))]);
        let shares: Vec<_> = shares
            .map(|(capability, with)| Share { capability: capability.to_owned(), with })
            .collect();
        let patterns = shared_with(&shares, &peer, self.membership.member(&peer)?);
        let everything: Vec<_> =
            CAPABILITIES.into_iter().chain([(SECRET, false, false)]).map(offered).collect();
        Some(Offer {
            community: self.membership.community(),
            node: self.key,
            peer,
            version: self.catalogue.next_version(now_us + self.clock_us),
            issued_us: now_us + self.clock_us,
            capabilities: offered_to(&everything, &patterns),
        })
    }
}

fn offered((id, read_only, idempotent): (&str, bool, bool)) -> Offered {
    Offered {
        id: id.parse().unwrap(),
        long_id: id.parse().unwrap(),
        version: semver::Version::new(1, 0, 0),
        type_hash: None,
        plugin: "demo".parse().unwrap(),
        class: ResourceClass::Cpu,
        state: OfferState::Serving,
        read_only,
        idempotent,
        models_loaded: None,
    }
}
