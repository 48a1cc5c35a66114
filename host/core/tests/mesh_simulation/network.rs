//! Connections between the nodes, and what goes over them.

use meshhost_core::mesh::{
    catalogue::{Learned, PeerHas},
    membership::MemberStatement,
    record::Said,
    signed::Signed,
};

use crate::{
    node::{Link, Node, says},
    world::{Event, Message, SECOND_US, World},
};

/// Until when nodes say how they are; the rest is for what is on its way.
const TALK_US: i64 = 95 * SECOND_US;
/// How often a node says how it is.
const PUBLISH_US: i64 = 20 * SECOND_US;

impl World {
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        let cut = self.cuts.get(&(from, to)).is_some_and(|until_us| self.now_us < *until_us);
        self.nodes[from].up && self.nodes[to].up && !cut
    }

    /// Two nodes connect when both ways are open and each takes the other for a member.
    pub(crate) fn connect(&mut self, one: usize, other: usize) {
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
    pub(crate) fn interrupt(&mut self, one: usize, other: usize) {
        let pair = (one.min(other), one.max(other));
        let Some(connection) = self.connections.remove(&pair) else { return };
        for (node, peer) in [(one, other), (other, one)] {
            let after_us = self.chance.time(SECOND_US);
            self.later(after_us, Event::Notice { node, peer, connection });
        }
    }

    pub(crate) fn notice(&mut self, node: usize, peer: usize, connection: u64) {
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

    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].crash();
        for peer in 0..self.nodes.len() {
            if peer != node {
                self.interrupt(node, peer);
            }
        }
        self.abandon(node);
    }

    pub(crate) fn revoke(&mut self, node: usize) {
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

    pub(crate) fn deliver(&mut self, from: usize, to: usize, connection: u64, message: Message) {
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
                    let said = (&key, Said::Record(record));
                    let times = (now_us, self.now_us);
                    let learned = catalogue.hear(said, &mut link.has, membership, times);
                    outdone |= learned == Ok(Learned::OwnOutdone);
                }
                node.links.insert(from, link);
                if outdone {
                    node.publish(self.now_us);
                }
            }
            Message::Offer(offer) => {
                let (said, times) = ((&key, Said::Offer(*offer)), (now_us, self.now_us));
                let mut has = PeerHas::default();
                let _ = node.catalogue.hear(said, &mut has, &node.membership, times);
            }
            Message::Reply { call, step, answer } => self.reply(call, step, answer),
        }
    }

    pub(crate) fn tick(&mut self, node: usize) {
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
    pub(crate) fn talk(&mut self, node: usize) {
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
}
