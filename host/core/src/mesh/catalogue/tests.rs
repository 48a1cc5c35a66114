//! What is known does not depend on the order in which it was heard, and nothing false gets in.

use proptest::prelude::*;

use super::*;
use crate::{
    evidence::sign::Signer,
    mesh::{
        checks::{CHECK_EVERY_US, CHECKS_AT_ONCE},
        membership::{Genesis, Level, MemberStatement},
        record::{CAPABILITIES_MAX, Load, NodeState, OfferState, ResourceClass},
        signed::SignedError,
    },
};

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

fn key(seed: u8) -> NodeKey {
    signer(seed).node_key()
}

/// Node 1 is the founder; 2 to 5 are members.
fn membership() -> Membership {
    let genesis = Genesis {
        name: "home".to_owned(),
        founder: key(1),
        founder_name: "one".to_owned(),
        made_us: 1,
        random: [0; 16],
    };
    let mut membership = Membership::new(Signed::sign(&genesis, &signer(1)).unwrap()).unwrap();
    for seed in 2..=5 {
        membership.learn([says(&membership, seed, Some(Level::Member), 1)]);
    }
    membership
}

fn says(
    membership: &Membership,
    member: u8,
    level: Option<Level>,
    version: u64,
) -> Signed<MemberStatement> {
    let said = MemberStatement {
        community: membership.community(),
        member: key(member),
        name: format!("node-{member}"),
        level,
        version,
        issued_us: 1,
        issuer: key(1),
    };
    Signed::sign(&said, &signer(1)).unwrap()
}

fn record(seed: u8, version: u64) -> NodeRecord {
    NodeRecord {
        community: membership().community(),
        node: key(seed),
        name: format!("node-{seed}"),
        roles: vec!["storage".to_owned()],
        addresses: vec!["127.0.0.1:7081".parse().unwrap()],
        version,
        issued_us: 1,
        engine: semver::Version::new(48, 0, 0),
        program: semver::Version::new(0, 1, 0),
        state: NodeState::Serving,
        load: Load { slots_free: 4, slots: 8, cpu: Some(100), gpu: None },
        models: Vec::new(),
    }
}

fn signed(record: &NodeRecord) -> Signed<NodeRecord> {
    let seed = (1..=9).find(|seed| key(*seed) == record.node).unwrap();
    Signed::sign(record, &signer(seed)).unwrap()
}

fn offered(id: &str, long_id: &str) -> Offered {
    Offered {
        id: id.parse().unwrap(),
        long_id: long_id.parse().unwrap(),
        version: semver::Version::new(0, 1, 0),
        type_hash: None,
        plugin: "plugin".parse().unwrap(),
        class: ResourceClass::Cpu,
        state: OfferState::Serving,
        read_only: false,
        idempotent: false,
        models_loaded: None,
    }
}

fn offer(seed: u8, peer: u8, version: u64) -> Offer {
    Offer {
        community: membership().community(),
        node: key(seed),
        peer: key(peer),
        version,
        issued_us: 1,
        capabilities: vec![offered("git.log", "git.repository.log")],
    }
}

fn signed_offer(offer: &Offer) -> Signed<Offer> {
    let seed = (1..=9).find(|seed| key(*seed) == offer.node).unwrap();
    Signed::sign(offer, &signer(seed)).unwrap()
}

/// What the catalogue of node 1 says of another.
fn version(catalogue: &Catalogue, membership: &Membership, seed: u8) -> Option<u64> {
    let mut nodes = catalogue.nodes(membership);
    nodes.find(|node| node.record.node == key(seed)).map(|node| node.record.version)
}

#[test]
fn the_last_version_holds_in_whichever_order_it_comes() {
    let (membership, mut has) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    let mut learn = |version, now_us| {
        catalogue.learn_record(signed(&record(2, version)), &mut has, &membership, now_us)
    };
    assert_eq!(learn(5, 10), Ok(Learned::New));
    assert_eq!(learn(5, 20), Ok(Learned::Known));
    assert_eq!(learn(4, 30), Ok(Learned::Known));
    assert_eq!(version(&catalogue, &membership, 2), Some(5));
    let node = catalogue.nodes(&membership).next().unwrap();
    assert_eq!((node.heard_us, node.age_us(25), node.age_us(-5)), (10, 15, 0));
}

#[test]
fn what_is_forged_foreign_or_from_a_stranger_is_refused_with_the_reason() {
    let membership = membership();
    let mut catalogue = Catalogue::new(key(1));
    let mut learn = |signed| {
        let mut has = PeerHas::default();
        catalogue.learn_record(signed, &mut has, &membership, 0)
    };
    let forged = Signed::sign(&record(2, 1), &signer(3)).unwrap();
    assert_eq!(learn(forged), Err(RecordError::Signed(SignedError::Signature)));
    let foreign = NodeRecord { community: Digest::of(b"x"), ..record(2, 1) };
    assert_eq!(learn(signed(&foreign)), Err(RecordError::Community));
    assert_eq!(learn(signed(&record(9, 1))), Err(RecordError::Stranger));
    let many = |count: usize| vec!["role".to_owned(); count];
    for (wrong, what) in [
        (NodeRecord { name: "a b".to_owned(), ..record(2, 1) }, "names"),
        (NodeRecord { roles: many(9), ..record(2, 1) }, "roles"),
        (NodeRecord { roles: vec![String::new()], ..record(2, 1) }, "roles"),
        (
            NodeRecord { addresses: vec!["[::1]:1".parse().unwrap(); 9], ..record(2, 1) },
            "addresses",
        ),
        (NodeRecord { models: vec!["m".parse().unwrap(); 65], ..record(2, 1) }, "models"),
    ] {
        assert_eq!(learn(signed(&wrong)), Err(RecordError::Bounds(what)));
    }
    let engine = format!("1.0.0-{}", "a".repeat(100)).parse().unwrap();
    let wrong = NodeRecord { engine, ..record(2, 1) };
    assert_eq!(learn(signed(&wrong)), Err(RecordError::Bounds("versions")));
    let load = Load { slots_free: 2, slots: 1, cpu: None, gpu: None };
    let wrong = NodeRecord { load, ..record(2, 1) };
    assert_eq!(learn(signed(&wrong)), Err(RecordError::Bounds("slots")));
    assert_eq!(catalogue.nodes(&membership).count(), 0);
}

#[test]
fn an_offer_is_taken_from_its_own_node_for_this_node_alone() {
    let membership = membership();
    let mut catalogue = Catalogue::new(key(1));
    let mut learn =
        |offer: &Offer, from| catalogue.learn_offer(&signed_offer(offer), &key(from), &membership);
    assert_eq!(learn(&offer(2, 1, 1), 3), Err(RecordError::Relayed));
    assert_eq!(learn(&offer(2, 3, 1), 2), Err(RecordError::Addressee));
    assert_eq!(learn(&offer(9, 1, 1), 9), Err(RecordError::Stranger));
    let many = |capabilities| Offer { capabilities, ..offer(2, 1, 1) };
    let twice = vec![offered("a.b", "a.b"), offered("a.c", "a-b"), offered("x", "a_b")];
    assert_eq!(learn(&many(twice), 2), Err(RecordError::Bounds("capabilities")));
    let name = |number| format!("a.f{number}");
    let too_many = (0..=CAPABILITIES_MAX).map(|number| offered(&name(number), &name(number)));
    assert_eq!(learn(&many(too_many.collect()), 2), Err(RecordError::Bounds("capabilities")));
    assert_eq!(learn(&offer(2, 1, 7), 2), Ok(Learned::New));
    assert_eq!(learn(&offer(2, 1, 6), 2), Ok(Learned::Known));
}

#[test]
fn providers_are_found_by_both_ids_folded() {
    let (membership, mut has) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    let mut said = offer(2, 1, 1);
    said.capabilities.push(offered("acme.get_it", "acme.get_it"));
    catalogue.learn_offer(&signed_offer(&said), &key(2), &membership).unwrap();
    assert_eq!(catalogue.nodes(&membership).count(), 0, "its record has not come yet");
    catalogue.learn_record(signed(&record(2, 1)), &mut has, &membership, 0).unwrap();
    let node = catalogue.nodes(&membership).next().unwrap();
    let found = |id: &str| node.providers(&id.parse().unwrap()).count();
    assert_eq!((found("git.log"), found("git.repository.log"), found("git.show")), (1, 1, 0));
    assert_eq!((found("acme.get-it"), node.offered().len()), (1, 2));
}

#[test]
fn a_node_that_comes_back_offers_anew_whatever_its_version() {
    let membership = membership();
    let mut catalogue = Catalogue::new(key(1));
    let learn = |catalogue: &mut Catalogue, version| {
        catalogue.learn_offer(&signed_offer(&offer(2, 1, version)), &key(2), &membership)
    };
    assert_eq!(learn(&mut catalogue, 9), Ok(Learned::New));
    catalogue.connected(&key(2));
    assert_eq!(learn(&mut catalogue, 3), Ok(Learned::New), "its clock was set back");
    assert_eq!(learn(&mut catalogue, 2), Ok(Learned::Known));
}

#[test]
fn who_was_revoked_is_not_shown_and_comes_back_with_nothing_older() {
    let (mut membership, mut has) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    catalogue.learn_record(signed(&record(2, 5)), &mut has, &membership, 0).unwrap();
    catalogue.learn_offer(&signed_offer(&offer(2, 1, 1)), &key(2), &membership).unwrap();
    membership.learn([says(&membership, 2, None, 2)]);
    catalogue.revoked(&key(2));
    assert_eq!(version(&catalogue, &membership, 2), None);
    assert!(catalogue.news_for(&mut PeerHas::default(), &membership).is_empty(), "nor passed on");
    let again = catalogue.learn_record(signed(&record(2, 6)), &mut has, &membership, 0);
    assert_eq!(again, Err(RecordError::Stranger));
    membership.learn([says(&membership, 2, Some(Level::Member), 3)]);
    let older = catalogue.learn_record(signed(&record(2, 4)), &mut has, &membership, 0);
    assert_eq!(older, Ok(Learned::Known));
    assert_eq!(version(&catalogue, &membership, 2), Some(5));
    assert_eq!(catalogue.nodes(&membership).next().unwrap().offered().len(), 0);
}

#[test]
fn a_peer_is_sent_what_it_does_not_have_once() {
    let (membership, mut has) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    catalogue.publish(signed(&record(1, 1)), 0).unwrap();
    catalogue.learn_record(signed(&record(2, 1)), &mut has, &membership, 0).unwrap();
    let mut other = PeerHas::default();
    assert_eq!(catalogue.news_for(&mut other, &membership).len(), 2);
    assert!(catalogue.news_for(&mut other, &membership).is_empty());
    assert_eq!(catalogue.news_for(&mut has, &membership), [signed(&record(1, 1))]);
    catalogue.publish(signed(&record(1, 2)), 0).unwrap();
    assert_eq!(catalogue.news_for(&mut other, &membership), [signed(&record(1, 2))]);
    assert_eq!(catalogue.publish(signed(&record(2, 9)), 0), Err(RecordError::NotOwn));
}

#[test]
fn how_busy_a_node_is_comes_from_itself_alone_and_what_else_changes_is_passed_on() {
    let (membership, mut two) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    let mut three = PeerHas::default();
    let mut hears = |record: &NodeRecord| {
        catalogue.learn_record(signed(record), &mut two, &membership, 0).unwrap();
        catalogue.news_for(&mut three, &membership)
    };
    let load = |slots_free| Load { slots_free, ..record(2, 1).load };
    assert_eq!(hears(&record(2, 1)), [signed(&record(2, 1))], "at first all of it is new");
    assert!(hears(&NodeRecord { load: load(1), ..record(2, 2) }).is_empty());
    let draining = NodeRecord { state: NodeState::Draining, load: load(0), ..record(2, 3) };
    assert_eq!(hears(&draining), [signed(&draining)]);
    assert!(hears(&NodeRecord { load: load(2), version: 4, ..draining }).is_empty());
}

#[test]
fn a_node_publishes_what_has_changed_and_else_seldom() {
    let mut catalogue = Catalogue::new(key(1));
    let now = record(1, 1);
    assert!(catalogue.is_due(&now, 0), "it has not said anything");
    catalogue.publish(signed(&now), 0).unwrap();
    let with =
        |slots_free, cpu| NodeRecord { load: Load { slots_free, cpu, ..now.load }, ..now.clone() };
    for (record, at_us, due) in [
        (&now, LOOK_US, false),
        (&now, PUBLISH_US - 1, false),
        (&now, PUBLISH_US, true),
        (&now, -1, true),
        (&with(4, Some(590)), LOOK_US, false),
        (&with(4, Some(601)), LOOK_US, true),
        (&with(0, Some(100)), LOOK_US, true),
        (&NodeRecord { name: "another".to_owned(), ..now.clone() }, LOOK_US, true),
    ] {
        assert_eq!(catalogue.is_due(record, at_us), due, "{record:?} at {at_us}");
    }
}

/// A member that says what it may not, and much of it, and another one that goes on being known.
#[test]
fn thousands_of_false_records_fill_nothing_and_reach_nobody() {
    let (membership, mut hostile) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    catalogue.publish(signed(&record(1, 1)), 0).unwrap();
    catalogue.learn_record(signed(&record(3, 1)), &mut PeerHas::default(), &membership, 0).unwrap();
    let large = Load { slots_free: 9, ..record(2, 1).load };
    for version in 1..=2_000 {
        // Signed by it about another; of no member; of another community; with more than fits; and its own.
        let forged = NodeRecord { node: key(3), ..record(2, version + 1) };
        let forged = Signed::sign(&forged, &signer(2));
        let foreign = NodeRecord { community: Digest::of(b"x"), ..record(2, version) };
        let wrong = [
            forged.unwrap(),
            signed(&record(9, version)),
            signed(&foreign),
            signed(&NodeRecord { load: large, ..record(2, version) }),
        ];
        for one in wrong {
            catalogue.learn_record(one, &mut hostile, &membership, 0).unwrap_err();
        }
        let own = NodeRecord { name: format!("name-{version}"), ..record(2, version) };
        catalogue.learn_record(signed(&own), &mut hostile, &membership, 0).unwrap();
    }
    assert_eq!(catalogue.records.len(), 3, "one of each member that said something");
    assert!(hostile.0.len() <= 3);
    assert_eq!(version(&catalogue, &membership, 3), Some(1), "nobody speaks for another");
    let news = catalogue.news_for(&mut PeerHas::default(), &membership);
    assert_eq!(news.len(), 3, "and of all that a peer is told the last");
}

/// What stands under a later version costs a signature check, and everybody can write that.
#[test]
fn of_what_one_peer_sends_so_many_signatures_are_checked_and_no_more() {
    let membership = membership();
    let mut catalogue = Catalogue::new(key(1));
    let (mut hostile, mut honest) = (PeerHas::default(), PeerHas::default());
    let forged = |version| {
        let record = NodeRecord { node: key(3), ..record(2, version) };
        Said::Record(Signed::sign(&record, &signer(2)).unwrap())
    };
    let mut hear = |from: u8, said: Said, steady_us| {
        let has = if from == 2 { &mut hostile } else { &mut honest };
        catalogue.hear((&key(from), said), has, &membership, (0, steady_us))
    };
    let newer = Said::Record(signed(&record(3, 9)));
    assert_eq!(hear(3, newer.clone(), 0), Ok(Learned::New));
    let wrong = Err(RecordError::Signed(SignedError::Signature));
    // What is known, and what is older, is not looked at any closer and counts for nothing.
    for _ in 0..CHECKS_AT_ONCE {
        assert_eq!(hear(2, newer.clone(), 0), Ok(Learned::Known));
        assert_eq!(hear(2, forged(8), 0), Ok(Learned::Known));
    }
    let checked = 10..10 + u64::from(2 * CHECKS_AT_ONCE);
    let checked = checked.filter(|version| hear(2, forged(*version), 0) == wrong);
    assert_eq!(checked.count(), usize::try_from(CHECKS_AT_ONCE).unwrap());
    let own = |seed, version| Said::Record(signed(&record(seed, version)));
    assert_eq!(hear(2, own(2, 1), 0), Err(RecordError::Pace));
    let offer = Said::Offer(signed_offer(&offer(2, 1, 1)));
    assert_eq!(hear(2, offer.clone(), 0), Err(RecordError::Pace));
    assert_eq!(hear(3, own(3, 10), 0), Ok(Learned::New), "another peer is heard");
    let later_us = i64::from(CHECK_EVERY_US);
    assert_eq!(hear(2, own(2, 1), later_us), Ok(Learned::New), "and this one when it has rested");
    assert_eq!(hear(2, offer, later_us), Err(RecordError::Pace));
}

#[test]
fn a_node_that_forgot_its_version_learns_it_from_others() {
    let (membership, mut has) = (membership(), PeerHas::default());
    let mut catalogue = Catalogue::new(key(1));
    assert_eq!(catalogue.next_version(7), 7);
    catalogue.publish(signed(&record(1, 7)), 7).unwrap();
    assert_eq!(catalogue.next_version(3), 8, "its clock was set back");
    let heard = catalogue.learn_record(signed(&record(1, 20)), &mut has, &membership, 8);
    assert_eq!(heard, Ok(Learned::OwnOutdone));
    assert_eq!(catalogue.own().unwrap().version, 7, "others do not publish for it");
    assert_eq!(catalogue.next_version(8), 21);
}

#[test]
fn the_largest_record_and_offer_have_room() {
    let text = |count: usize, at: usize| format!("{at:03}{}", "x".repeat(count - 3));
    let long = NodeRecord {
        name: text(64, 0),
        roles: (0..8).map(|at| text(64, at)).collect(),
        addresses: vec!["[2001:db8::1]:65535".parse().unwrap(); 8],
        models: (0..64).map(|at| text(64, at).parse().unwrap()).collect(),
        version: u64::MAX,
        ..record(2, 1)
    };
    assert!(long.check().is_ok() && Signed::sign(&long, &signer(2)).is_ok());
    let one =
        |at| Offered { type_hash: Some(Digest::of(b"t")), ..offered(&text(32, at), &text(40, at)) };
    let capabilities = (0..CAPABILITIES_MAX).map(one).collect();
    let large = Offer { capabilities, ..offer(2, 1, 1) };
    assert!(large.check().is_ok() && Signed::sign(&large, &signer(2)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Three nodes hear parts of what was said, in any order and more than once; when they have
    /// told each other everything, they know the same.
    #[test]
    fn nodes_that_told_each_other_everything_agree(
        said in proptest::collection::vec((2_u8..6, 1_u64..4, any::<bool>()), 1..10),
        heard in proptest::collection::vec((0_usize..3, any::<prop::sample::Index>()), 0..24),
    ) {
        let membership = membership();
        let records: Vec<_> = said.iter().map(|(seed, version, draining)| {
            let state = if *draining { NodeState::Draining } else { NodeState::Serving };
            signed(&NodeRecord { state, ..record(*seed, *version) })
        }).collect();
        // None of the three says anything itself.
        let mut catalogues = [6, 7, 8].map(|seed| Catalogue::new(key(seed)));
        for (who, which) in heard {
            let one = which.get(&records).clone();
            catalogues[who].learn_record(one, &mut PeerHas::default(), &membership, 0).unwrap();
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 0)] {
            for one in catalogues[from].news_for(&mut PeerHas::default(), &membership) {
                catalogues[to].learn_record(one, &mut PeerHas::default(), &membership, 0).unwrap();
            }
        }
        let known = |catalogue: &Catalogue| {
            catalogue.nodes(&membership).map(|node| node.record.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(known(&catalogues[0]), known(&catalogues[1]));
        prop_assert_eq!(known(&catalogues[1]), known(&catalogues[2]));
    }

    /// Whatever bytes a peer sends, nothing panics and nothing gets in.
    #[test]
    fn no_bytes_are_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(signed) = postcard::from_bytes::<Signed<NodeRecord>>(&bytes) {
            let mut catalogue = Catalogue::new(key(1));
            let learnt = catalogue.learn_record(signed, &mut PeerHas::default(), &membership(), 0);
            prop_assert!(learnt.is_err());
        }
    }
}
