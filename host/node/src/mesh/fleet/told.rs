//! What is known of every node's record while they are asked: each by what it said itself, or by
//! what others handed on of it.

use meshhost_core::mesh::{
    handed::Sifted,
    key::NodeKey,
    wire::{Absent, Taken, Why},
};
use serde_json::Value;

/// What there is of one node's record.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// Its events.
    Events(Vec<Value>),
    /// What was given as its record does not hold.
    Wrong(String),
    /// There was no room for it, or nobody asked so far.
    LeftOut,
    /// It was not reached.
    Unreachable,
    /// It has nothing for the one who asked.
    Nothing,
}

impl Told {
    /// The word in the document.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Events(_) => "verified",
            Self::Wrong(_) => "wrong",
            Self::LeftOut => "left-out",
            Self::Unreachable => "unreachable",
            Self::Nothing => "nothing",
        }
    }

    /// Of two answers about one node the lower one counts: events before everything else, and what is
    /// wrong or missing before the word that there is nothing.
    const fn rank(&self) -> u8 {
        match self {
            Self::Events(_) => 0,
            Self::Wrong(_) => 1,
            Self::LeftOut => 2,
            Self::Unreachable => 3,
            Self::Nothing => 4,
        }
    }
}

impl From<Why> for Told {
    fn from(why: Why) -> Self {
        match why {
            Why::Unreachable => Self::Unreachable,
            Why::Nothing => Self::Nothing,
            Why::Wrong => Self::Wrong("what it gave does not hold".to_owned()),
            Why::LeftOut => Self::LeftOut,
        }
    }
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) key: NodeKey,
    pub(super) told: Told,
    /// The node that told it, when that was another.
    pub(super) through: Option<NodeKey>,
}

/// Everything that was told.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    /// This node first.
    pub(super) nodes: Vec<Node>,
    /// Calls that one node took to another.
    pub(super) taken: Vec<Taken>,
    /// Whether there are more of them than are known.
    pub(super) cut: bool,
}

impl Fleet {
    /// A node, and what it said itself.
    pub(super) fn add(&mut self, name: String, key: NodeKey, told: Told) {
        self.nodes.push(Node { name, key, told, through: None });
    }

    /// What `through` says of a node, which may be itself. Of an unknown node nothing is kept.
    pub(super) fn hear(&mut self, key: NodeKey, told: Told, through: NodeKey) {
        let node = self.nodes.iter_mut().find(|node| node.key == key);
        if let Some(node) = node.filter(|node| told.rank() < node.told.rank()) {
            node.told = told;
            node.through = (key != through).then_some(through);
        }
    }

    /// Takes in what `asked` gave.
    pub(super) fn take_in(&mut self, asked: NodeKey, sifted: Sifted) {
        for held in sifted.held {
            self.hear(held.record.node, Told::Events(held.events), asked);
        }
        for (key, problem) in sifted.wrong {
            self.hear(key, Told::Wrong(problem.to_string()), asked);
        }
        for Absent { node, why } in sifted.absent {
            self.hear(node, why.into(), asked);
        }
        self.taken.extend(sifted.taken);
        self.cut |= sifted.cut;
    }

    /// The name of a node, or its key.
    pub(super) fn name(&self, key: &NodeKey) -> String {
        let node = self.nodes.iter().find(|node| node.key == *key);
        node.map_or_else(|| key.to_string(), |node| node.name.clone())
    }

    /// The calls that one node took to another whose record does not show them.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Taken> {
        self.taken.iter().filter(|call| {
            let node = self.nodes.iter().find(|node| node.key == call.node);
            let Some(Told::Events(events)) = node.map(|node| &node.told) else { return true };
            let id = call.invocation_id.as_str();
            !events.iter().any(|event| event["invocation_id"] == id)
        })
    }
}

#[cfg(test)]
mod tests {
    use meshhost_core::{
        evidence::sign::Signer,
        mesh::{
            handed::{Held, RecordProblem},
            wire::{Bytes, NodeRecord},
        },
    };
    use serde_json::json;

    use super::*;

    fn key(seed: u8) -> NodeKey {
        Signer::from_seed(&[seed; 32]).node_key()
    }

    fn held(seed: u8, invocation: &str) -> Held {
        let (link, bundle) = (Bytes::default(), Bytes::default());
        let record = NodeRecord { node: key(seed), link, bundle };
        Held { record, events: vec![json!({ "invocation_id": invocation })] }
    }

    fn fleet() -> Fleet {
        let mut fleet = Fleet::default();
        fleet.add("laptop".to_owned(), key(1), Told::Nothing);
        fleet.add("gpubox".to_owned(), key(2), Told::Nothing);
        fleet.add("nas".to_owned(), key(3), Told::Nothing);
        let (by, node) = (key(2), key(3));
        let (invocation_id, capability) = ("inner".parse().unwrap(), "a.b".parse().unwrap());
        fleet.taken.push(Taken { by, node, invocation_id, capability, receipt: true });
        fleet
    }

    #[test]
    fn what_another_hands_on_counts_before_the_word_that_there_is_nothing() {
        let mut fleet = fleet();
        let absent = vec![Absent { node: key(3), why: Why::Unreachable }];
        fleet.take_in(key(2), Sifted { absent, ..Sifted::default() });
        assert_eq!(
            (&fleet.nodes[2].told, fleet.nodes[2].through),
            (&Told::Unreachable, Some(key(2)))
        );
        assert_eq!(fleet.missing().count(), 1);
        let wrong = vec![(key(3), RecordProblem::OtherKey), (key(9), RecordProblem::OtherKey)];
        fleet.take_in(key(2), Sifted { wrong, ..Sifted::default() });
        assert_eq!(fleet.nodes[2].told.word(), "wrong");
        let both = vec![held(2, "outer"), held(3, "inner")];
        fleet.take_in(key(2), Sifted { held: both, ..Sifted::default() });
        let through = fleet.nodes.iter().map(|node| (node.told.word(), node.through));
        let wanted = [("nothing", None), ("verified", None), ("verified", Some(key(2)))];
        assert_eq!(through.collect::<Vec<_>>(), wanted);
        assert_eq!(fleet.missing().count(), 0);
    }

    #[test]
    fn a_call_to_a_node_that_nobody_knows_is_missing() {
        let mut fleet = fleet();
        fleet.taken[0].node = key(9);
        assert_eq!(fleet.missing().map(|call| call.node).collect::<Vec<_>>(), [key(9)]);
        assert_eq!(fleet.name(&key(9)), key(9).to_string());
        assert_eq!(fleet.name(&key(3)), "nas");
    }
}
