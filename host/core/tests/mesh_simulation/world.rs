//! The network between the nodes, and time. Nothing here waits: the next thing that happens is taken
//! from a queue, so that a seed does the same each time.

use std::collections::{BTreeMap, BTreeSet};

use meshhost_core::{
    config::{MeshConfig, RoutingStrategy},
    id::InvocationId,
    mesh::{
        catalogue::{Learned, PeerHas},
        membership::MemberStatement,
        record::{NodeRecord, Offer},
        signed::Signed,
    },
};

use crate::{
    call::{Answer, Call},
    chance::Chance,
    node::{self, Link, Node, Ran, SECRET, says},
};

pub(crate) const SECOND_US: i64 = 1_000_000;
/// Until when things go wrong.
pub(crate) const TROUBLE_US: i64 = 60 * SECOND_US;
/// Until when nodes say how they are; the rest is for what is on its way.
const TALK_US: i64 = 95 * SECOND_US;
/// When it is over.
const END_US: i64 = 105 * SECOND_US;
/// How often a node says how it is.
const PUBLISH_US: i64 = 20 * SECOND_US;

#[derive(Debug, Clone)]
pub(crate) enum Message {
    Statements(Vec<Signed<MemberStatement>>),
    Records(Vec<Signed<NodeRecord>>),
    Offer(Box<Signed<Offer>>),
    Invoke { call: usize, step: u32, id: InvocationId, capability: usize },
    Reply { call: usize, step: u32, answer: Answer },
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Deliver { from: usize, to: usize, connection: u64, message: Message },
    Tick { node: usize },
    Connect { one: usize, other: usize },
    Notice { node: usize, peer: usize, connection: u64 },
    Ended { node: usize, life: u64, id: InvocationId },
    Begin { node: usize },
    Step { call: usize, step: u32 },
    Silence { call: usize, step: u32 },
    Deadline { call: usize },
    Crash { node: usize },
    Restart { node: usize },
    Cut { from: usize, to: usize, until_us: i64 },
    Jump { node: usize },
    Revoke { node: usize },
    Heal,
}

/// An effect of an invocation: on which node, of which capability.
pub(crate) type Effect = (usize, usize);

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) now_us: i64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) calls: Vec<Call>,
    pub(crate) effects: BTreeMap<InvocationId, Vec<Effect>>,
    pub(crate) policy: MeshConfig,
    pub(crate) revoked: Option<usize>,
    queue: BTreeMap<(i64, u64), Event>,
    queued: u64,
    connections: BTreeMap<(usize, usize), u64>,
    connected: u64,
    /// One-way, until a time.
    cuts: BTreeMap<(usize, usize), i64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let nodes = node::community(3 + chance.below(3));
        let strategy = [
            RoutingStrategy::First,
            RoutingStrategy::RoundRobin,
            RoutingStrategy::LeastLoaded,
            RoutingStrategy::Scored,
        ][chance.below(4)];
        let mut world = Self {
            chance,
            now_us: 0,
            nodes,
            calls: Vec::new(),
            effects: BTreeMap::new(),
            policy: MeshConfig { strategy, ..MeshConfig::DEFAULT },
            revoked: None,
            queue: BTreeMap::new(),
            queued: 0,
            connections: BTreeMap::new(),
            connected: 0,
            cuts: BTreeMap::new(),
        };
        world.plan();
        world
    }

    /// What goes wrong, and when.
    fn plan(&mut self) {
        let count = self.nodes.len();
        for node in 0..count {
            self.later(0, Event::Tick { node });
            for other in node + 1..count {
                self.later(0, Event::Connect { one: node, other });
            }
        }
        for _ in 0..24 {
            let (node, other) = (self.chance.below(count), self.chance.below(count));
            let at_us = SECOND_US + self.chance.time(TROUBLE_US - SECOND_US);
            self.later(at_us, Event::Begin { node });
            let at_us = self.chance.time(TROUBLE_US);
            match self.chance.below(12) {
                0..3 => {
                    let restart_us = at_us + self.chance.time(5 * SECOND_US);
                    self.later(at_us, Event::Crash { node });
                    self.later(restart_us, Event::Restart { node });
                }
                3..6 if node != other => {
                    let until_us = at_us + self.chance.time(10 * SECOND_US);
                    self.later(at_us, Event::Cut { from: node, to: other, until_us });
                }
                6 => self.later(at_us, Event::Jump { node }),
                _ => {}
            }
        }
        if self.chance.happens(250) {
            let at_us = self.chance.time(TROUBLE_US);
            self.later(at_us, Event::Revoke { node: count - 1 });
        }
        self.later(TROUBLE_US, Event::Heal);
    }

    /// Something happens after a while.
    pub(crate) fn later(&mut self, after_us: i64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now_us + after_us, self.queued), event);
    }

    pub(crate) fn run(&mut self) {
        while let Some(((at_us, _), event)) = self.queue.pop_first() {
            if at_us > END_US {
                break;
            }
            self.now_us = at_us;
            self.happen(event);
        }
    }

    fn in_trouble(&self) -> bool {
        self.now_us < TROUBLE_US
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, connection, message } => {
                self.deliver(from, to, connection, message);
            }
            Event::Tick { node } => self.tick(node),
            Event::Connect { one, other } => self.connect(one, other),
            Event::Notice { node, peer, connection } => self.notice(node, peer, connection),
            Event::Ended { node, life, id } => self.ended(node, life, &id),
            Event::Begin { node } => self.begin(node),
            Event::Step { call, step } => self.step(call, step),
            Event::Silence { call, step } => self.silence(call, step),
            Event::Deadline { call } => self.deadline(call),
            Event::Crash { node } => self.crash(node),
            Event::Restart { node } => {
                self.nodes[node].restart();
            }
            Event::Cut { from, to, until_us } => {
                let until = self.cuts.entry((from, to)).or_insert(until_us);
                *until = until_us.max(*until);
                self.interrupt(from, to);
            }
            Event::Jump { node } => {
                let jump_us = self.chance.time(7_200 * SECOND_US) - 3_600 * SECOND_US;
                self.nodes[node].clock_us += jump_us;
            }
            Event::Revoke { node } => self.revoke(node),
            Event::Heal => {
                self.cuts.clear();
                for node in 0..self.nodes.len() {
                    if !self.nodes[node].up {
                        self.nodes[node].restart();
                    }
                }
            }
        }
    }

    fn passes(&self, from: usize, to: usize) -> bool {
        let cut = self.cuts.get(&(from, to)).is_some_and(|until_us| self.now_us < *until_us);
        self.nodes[from].up && self.nodes[to].up && !cut
    }

    /// Two nodes connect when both ways are open and each takes the other for a member.
    fn connect(&mut self, one: usize, other: usize) {
        let again_us = 100_000 + self.chance.time(500_000);
        self.later(again_us, Event::Connect { one, other });
        let keys = [one, other].map(|node| self.nodes[node].key);
        let known = self.nodes[one].is_member(&keys[1]) && self.nodes[other].is_member(&keys[0]);
        let open = self.passes(one, other) && self.passes(other, one);
        if !known || !open || self.connections.contains_key(&(one, other)) {
            return;
        }
        self.connected += 1;
        let connection = self.connected;
        self.connections.insert((one, other), connection);
        for (node, peer, key) in [(one, other, keys[1]), (other, one, keys[0])] {
            self.forget_link(node, peer);
            let own = &mut self.nodes[node];
            own.catalogue.connected(&key);
            own.breakers.reached(&key);
            let link = Link { connection, has: PeerHas::default(), told: 0, offered: false };
            own.links.insert(peer, link);
            self.talk(node);
        }
    }

    /// The connection of two nodes breaks; each notices after a while.
    fn interrupt(&mut self, one: usize, other: usize) {
        let pair = (one.min(other), one.max(other));
        let Some(connection) = self.connections.remove(&pair) else { return };
        for (node, peer) in [(one, other), (other, one)] {
            let after_us = self.chance.time(SECOND_US);
            self.later(after_us, Event::Notice { node, peer, connection });
        }
    }

    fn notice(&mut self, node: usize, peer: usize, connection: u64) {
        let link = self.nodes[node].links.get(&peer);
        if link.is_some_and(|link| link.connection == connection) {
            self.forget_link(node, peer);
        }
    }

    fn forget_link(&mut self, node: usize, peer: usize) {
        if self.nodes[node].links.remove(&peer).is_some() {
            self.lost_with(node, peer);
        }
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node].crash();
        for peer in 0..self.nodes.len() {
            if peer != node {
                self.interrupt(node, peer);
            }
        }
        self.abandon(node);
    }

    fn revoke(&mut self, node: usize) {
        if !self.nodes[0].up {
            return;
        }
        let statement = says(&self.nodes[0].membership, node, None, 2);
        self.revoked = Some(node);
        self.learn_statements(0, vec![statement]);
        self.talk(0);
    }

    fn learn_statements(&mut self, node: usize, statements: Vec<Signed<MemberStatement>>) {
        let own = &mut self.nodes[node];
        let (learnt, refused) = own.membership.learn(statements);
        assert_eq!(refused, None, "nobody here says what it may not");
        if learnt == 0 {
            return;
        }
        own.told += 1;
        for peer in 0..self.nodes.len() {
            let key = self.nodes[peer].key;
            if !self.nodes[node].is_member(&key) {
                self.nodes[node].catalogue.revoked(&key);
                self.interrupt(node, peer);
            }
        }
    }

    /// Sends something over the connection that the node believes it has.
    pub(crate) fn send(&mut self, from: usize, to: usize, message: Message) -> bool {
        let Some(link) = self.nodes[from].links.get(&to) else { return false };
        let connection = link.connection;
        let open = self.connections.get(&(from.min(to), from.max(to))) == Some(&connection);
        let breaks = self.in_trouble() && self.chance.happens(15);
        // What was lost breaks the connection, and may come late all the same.
        if breaks {
            self.interrupt(from, to);
        }
        if (!open || breaks) && self.chance.happens(500) {
            return true;
        }
        let copies = if self.in_trouble() && self.chance.happens(30) { 2 } else { 1 };
        for _ in 0..copies {
            let slow_us = if breaks { 20 * SECOND_US } else { 200_000 };
            let after_us = 1_000 + self.chance.time(slow_us);
            self.later(after_us, Event::Deliver { from, to, connection, message: message.clone() });
        }
        true
    }

    fn deliver(&mut self, from: usize, to: usize, connection: u64, message: Message) {
        if !self.passes(from, to) {
            self.interrupt(from, to);
            return;
        }
        let current = self.nodes[to].links.get(&from).map(|link| link.connection);
        let key = self.nodes[from].key;
        let now_us = self.now_us + self.nodes[to].clock_us;
        let node = &mut self.nodes[to];
        match message {
            // It may have been read already when the connection broke, and no stream is read twice.
            Message::Invoke { call, step, id, capability } => {
                if node.read.insert((connection, call, step)) {
                    self.serve(to, (from, call, step), id, capability);
                }
            }
            _ if current != Some(connection) => {}
            Message::Statements(statements) => self.learn_statements(to, statements),
            Message::Records(records) => {
                let Some(mut link) = node.links.remove(&from) else { return };
                let mut outdone = false;
                for record in records {
                    let Node { catalogue, membership, .. } = node;
                    let learned = catalogue.learn_record(record, &mut link.has, membership, now_us);
                    outdone |= learned == Ok(Learned::OwnOutdone);
                }
                node.links.insert(from, link);
                if outdone {
                    node.publish(self.now_us);
                }
            }
            Message::Offer(offer) => {
                let _ = node.catalogue.learn_offer(&offer, &key, &node.membership);
            }
            Message::Reply { call, step, answer } => self.reply(call, step, answer),
        }
    }

    fn tick(&mut self, node: usize) {
        self.later(SECOND_US, Event::Tick { node });
        if self.nodes[node].up && self.now_us < TALK_US {
            let due = self.now_us % PUBLISH_US < SECOND_US;
            if due || self.nodes[node].catalogue.own().is_none() {
                self.nodes[node].publish(self.now_us);
            }
        }
        if self.nodes[node].up {
            self.talk(node);
        }
    }

    /// A node tells its peers what they do not know.
    fn talk(&mut self, node: usize) {
        let peers: Vec<_> = self.nodes[node].links.keys().copied().collect();
        let secret_with = self.secret_with(node);
        for peer in peers {
            let (key, now_us) = (self.nodes[peer].key, self.now_us);
            let own = &mut self.nodes[node];
            let Some(mut link) = own.links.remove(&peer) else { continue };
            let mut messages = Vec::new();
            if link.told != own.told {
                link.told = own.told;
                messages.push(Message::Statements(own.membership.statements().cloned().collect()));
            }
            let news = own.catalogue.news_for(&mut link.has, &own.membership);
            if !news.is_empty() {
                messages.push(Message::Records(news));
            }
            if !link.offered
                && let Some(offer) = own.offer_to(key, secret_with, now_us)
            {
                link.offered = true;
                let signed = Signed::sign(&offer, &own.signer).unwrap();
                messages.push(Message::Offer(Box::new(signed)));
            }
            own.links.insert(peer, link);
            for message in messages {
                self.send(node, peer, message);
            }
        }
    }

    /// With whom a node shares its secret.
    pub(crate) fn secret_with(&self, node: usize) -> meshhost_core::mesh::key::NodeKey {
        self.nodes[(node + 1) % self.nodes.len()].key
    }

    /// The door of a node: no id runs twice, and what ran answers with what was recorded.
    fn serve(&mut self, node: usize, asks: node::Waits, id: InvocationId, capability: usize) {
        let (from, call, step) = asks;
        let key = self.nodes[from].key;
        let own = &mut self.nodes[node];
        let answer = match own.table.get(&id) {
            _ if !own.is_member(&key) => Some(Answer::ByThisNode),
            Some(Ran::Done) => Some(Answer::Done),
            Some(Ran::Interrupted) => Some(Answer::Interrupted),
            Some(Ran::Started) => {
                own.waiting.entry(id).or_default().push(asks);
                None
            }
            None if self.chance.happens(100) => Some(Answer::Busy),
            None if self.chance.happens(30) => Some(Answer::ByThisNode),
            None => {
                own.table.insert(id.clone(), Ran::Started);
                own.waiting.entry(id.clone()).or_default().push(asks);
                self.effects.entry(id.clone()).or_default().push((node, capability));
                let life = own.life;
                let after_us = self.chance.time(3 * SECOND_US);
                self.later(after_us, Event::Ended { node, life, id });
                None
            }
        };
        if let Some(answer) = answer {
            self.send(node, from, Message::Reply { call, step, answer });
        }
    }

    fn ended(&mut self, node: usize, life: u64, id: &InvocationId) {
        let own = &mut self.nodes[node];
        if own.life != life {
            return;
        }
        own.table.insert(id.clone(), Ran::Done);
        for (from, call, step) in own.waiting.remove(id).unwrap_or_default() {
            self.send(node, from, Message::Reply { call, step, answer: Answer::Done });
        }
    }

    /// What is wrong with what the nodes know of each other, in the end.
    pub(crate) fn disagreement(&self) -> Option<String> {
        let members: BTreeSet<_> =
            (0..self.nodes.len()).filter(|node| Some(*node) != self.revoked).collect();
        for node in &members {
            let own = &self.nodes[*node];
            let known: BTreeMap<_, _> = own
                .catalogue
                .nodes(&own.membership)
                .map(|known| (known.record.node, (known.record.version, known.offered().len())))
                .collect();
            let expected: BTreeMap<_, _> = members
                .iter()
                .filter(|other| *other != node)
                .map(|other| {
                    let said = &self.nodes[*other];
                    let version = said.catalogue.own().map_or(0, |record| record.version);
                    let secret = usize::from(self.secret_with(*other) == own.key);
                    (said.key, (version, node::CAPABILITIES.len() + secret))
                })
                .collect();
            if known != expected {
                return Some(format!("node {node} knows {known:?}, and true is {expected:?}"));
            }
        }
        None
    }

    /// A node that was told of a secret that is not shared with it.
    pub(crate) fn leak(&self) -> Option<String> {
        let all =
            (0..self.nodes.len()).flat_map(|from| (0..self.nodes.len()).map(move |to| (from, to)));
        let told = |(from, to): &(usize, usize)| {
            let (own, said) = (&self.nodes[*to], &self.nodes[*from]);
            let secret = SECRET.parse().unwrap();
            let mut nodes = own.catalogue.nodes(&own.membership);
            let known = nodes.find(|known| known.record.node == said.key);
            known.is_some_and(|known| known.providers(&secret).next().is_some())
                && self.secret_with(*from) != own.key
        };
        all.into_iter().find(told).map(|(from, to)| format!("{to} knows the secret of {from}"))
    }
}
