//! The network between the nodes, and time. Nothing here waits: the next thing that happens is taken
//! from a queue, so that a seed does the same each time.

use std::collections::{BTreeMap, BTreeSet};

use meshhost_core::{
    config::{MeshConfig, RoutingStrategy},
    id::InvocationId,
    mesh::{
        key::NodeKey,
        membership::MemberStatement,
        record::{NodeRecord, Offer},
        signed::Signed,
    },
};

use crate::{
    call::{Answer, Call},
    chance::Chance,
    node::{self, Node, Ran, SECRET},
};

pub(crate) const SECOND_US: i64 = 1_000_000;
/// Until when things go wrong.
pub(crate) const TROUBLE_US: i64 = 60 * SECOND_US;
/// When it is over.
const END_US: i64 = 105 * SECOND_US;

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
    pub(crate) connections: BTreeMap<(usize, usize), u64>,
    pub(crate) connected: u64,
    /// One-way, until a time.
    pub(crate) cuts: BTreeMap<(usize, usize), i64>,
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

    pub(crate) fn in_trouble(&self) -> bool {
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

    /// With whom a node shares its secret.
    pub(crate) fn secret_with(&self, node: usize) -> NodeKey {
        self.nodes[(node + 1) % self.nodes.len()].key
    }

    /// The door of a node: no id runs twice, and what ran answers with what was recorded.
    pub(crate) fn serve(
        &mut self,
        node: usize,
        asks: node::Waits,
        id: InvocationId,
        capability: usize,
    ) {
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
