//! What a node makes of what it hears on the local network, where anybody may send anything as often as
//! they like: it looks at so much of it, and a node that it misses is dialled and answered so often.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use super::{
    announce::{Announcement, Lan, Tags},
    key::NodeKey,
    pace::Pace,
};

/// Datagrams that are looked at: as many at once as a community has members, and then 64 a second.
const LOOKS: Pace = Pace::new(256, 1_000_000 / 64);
/// How often one node's announcement leads to it being dialled.
const FINDS: Pace = Pace::new(1, 5_000_000);
/// How often a node that was heard is answered, whichever it is.
const ANSWERS: Pace = Pace::new(1, 5_000_000);

/// What one node hears.
#[derive(Debug)]
pub struct Hearing {
    tags: Tags,
    lans: Vec<Lan>,
    looks: Pace,
    answers: Pace,
    finds: BTreeMap<NodeKey, Pace>,
}

/// A node that is missed and was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub node: NodeKey,
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Whether to announce oneself now, so that it learns of this node as well.
    pub answer: bool,
}

/// The time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Microseconds since 1970.
    pub clock_us: i64,
    /// Microseconds by a clock that never goes back.
    pub steady_us: i64,
}

impl Hearing {
    /// Nothing heard yet, in these networks.
    #[must_use]
    pub const fn new(tags: Tags, lans: Vec<Lan>) -> Self {
        Self { tags, lans, looks: LOOKS, answers: ANSWERS, finds: BTreeMap::new() }
    }

    /// How long until the next datagram is looked at, in microseconds.
    #[must_use]
    pub fn wait_us(&self, now: Now) -> i64 {
        self.looks.wait_us(now.steady_us)
    }

    /// Looks at a datagram. `missed` are the members that are not connected; it is asked for only when
    /// it is needed.
    pub fn hear(
        &mut self,
        bytes: &[u8],
        from: Ipv4Addr,
        missed: impl FnOnce() -> Vec<NodeKey>,
        now: Now,
    ) -> Option<Found> {
        if !self.looks.take(now.steady_us) {
            return None;
        }
        let announcement = Announcement::from_bytes(bytes)?;
        // Nobody is sent to an address elsewhere: a member that lies is believed this far, no further.
        if !self.lans.iter().any(|lan| lan.has(from)) {
            return None;
        }
        let missed = missed();
        let node = self.tags.whose(&announcement, from, missed.iter().copied(), now.clock_us)?;
        self.finds.retain(|node, _| missed.contains(node));
        if !self.finds.entry(node).or_insert(FINDS).take(now.steady_us) {
            return None;
        }
        let address = SocketAddrV4::new(from, announcement.port());
        Some(Found { node, address, answer: self.answers.take(now.steady_us) })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{
        evidence::sign::Signer,
        mesh::{membership::Genesis, signed::Signed},
    };

    const FROM: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 7);
    const SECOND: i64 = 1_000_000;

    fn key(seed: u8) -> NodeKey {
        Signer::from_seed(&[seed; 32]).node_key()
    }

    fn tags() -> Tags {
        let signer = Signer::from_seed(&[1; 32]);
        let genesis = Genesis {
            name: "home".to_owned(),
            founder: signer.node_key(),
            founder_name: "one".to_owned(),
            made_us: 1,
            random: [0; 16],
        };
        Tags::new(&Signed::sign(&genesis, &signer).unwrap())
    }

    fn hearing() -> Hearing {
        let mask = Ipv4Addr::new(255, 255, 255, 0);
        Hearing::new(tags(), vec![Lan { address: Ipv4Addr::new(192, 168, 1, 1), mask }])
    }

    fn at(steady_us: i64) -> Now {
        Now { clock_us: 1_800_000_000_000_000, steady_us }
    }

    fn said(node: u8) -> [u8; crate::mesh::announce::BYTES] {
        let address = SocketAddrV4::new(FROM, 7081);
        tags().announce(&key(node), address, at(0).clock_us).to_bytes()
    }

    #[test]
    fn a_member_that_is_missed_is_found_and_answered_and_then_left_alone_for_a_while() {
        let mut hearing = hearing();
        let mut hear =
            |node, now| hearing.hear(&said(node), FROM, || vec![key(2), key(3)], at(now));
        let address = SocketAddrV4::new(FROM, 7081);
        assert_eq!(hear(2, 0), Some(Found { node: key(2), address, answer: true }));
        assert_eq!(hear(2, SECOND), None, "it was just found");
        let other = hear(3, SECOND).unwrap();
        assert_eq!((other.node, other.answer), (key(3), false), "one answer serves both");
        assert_eq!(hear(4, SECOND), None, "it is not missed");
        assert!(hear(2, 5 * SECOND).is_some_and(|found| found.answer));
    }

    #[test]
    fn what_comes_from_elsewhere_leads_nowhere() {
        let mut hearing = hearing();
        let elsewhere = Ipv4Addr::new(203, 0, 113, 7);
        let address = SocketAddrV4::new(elsewhere, 7081);
        let said = tags().announce(&key(2), address, at(0).clock_us).to_bytes();
        assert_eq!(hearing.hear(&said, elsewhere, || vec![key(2)], at(0)), None);
    }

    #[test]
    fn of_a_flood_so_much_is_looked_at_and_no_more() {
        let mut hearing = hearing();
        let stranger = [&b"mha1"[..], &[7; 18]].concat();
        let looked = Cell::new(0);
        for datagram in 0..100_000_i64 {
            let missed = || {
                looked.set(looked.get() + 1);
                vec![key(2)]
            };
            // All of it within a second.
            assert_eq!(hearing.hear(&stranger, FROM, missed, at(datagram * 10)), None);
        }
        assert_eq!(looked.get(), 256 + 63);
        assert!(hearing.wait_us(at(SECOND - 1)) > 0);
        assert_eq!(hearing.wait_us(at(SECOND)), 0);
        assert!(hearing.hear(&said(2), FROM, || vec![key(2)], at(2 * SECOND)).is_some());
    }

    #[test]
    fn what_is_remembered_of_nodes_is_of_those_that_are_missed() {
        let mut hearing = hearing();
        for node in 2..=9 {
            assert!(hearing.hear(&said(node), FROM, || vec![key(node)], at(0)).is_some());
            assert_eq!(hearing.finds.len(), 1);
        }
    }
}
