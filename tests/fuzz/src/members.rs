//! What the members of one small community say, which is the same in every run: node 1 is its founder, and 2
//! a member.

use std::{net::Ipv4Addr, sync::LazyLock};

use meshhost_core::{
    evidence::sign::Signer,
    mesh::{
        announce::{Announcement, Lan, SLOT_US, Tags},
        catalogue::{Catalogue, Learned, PeerHas},
        hearing::{Hearing, Now},
        key::NodeKey,
        membership::{Genesis, Level, MemberStatement, Membership},
        record::{ADDRESSES_MAX, CAPABILITIES_MAX, Said},
        signed::Signed,
    },
};

/// When everything is said and heard.
const NOW: Now = Now { clock_us: 1_800_000_000_000_000, steady_us: 0 };
/// The network in which nodes announce themselves.
const LAN: Lan =
    Lan { address: Ipv4Addr::new(192, 168, 1, 1), mask: Ipv4Addr::new(255, 255, 255, 0) };

static MEMBERSHIP: LazyLock<Option<Membership>> = LazyLock::new(membership);

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

fn key(seed: u8) -> NodeKey {
    signer(seed).node_key()
}

fn membership() -> Option<Membership> {
    let genesis = Genesis {
        name: "home".to_owned(),
        founder: key(1),
        founder_name: "one".to_owned(),
        made_us: 1,
        random: [0; 16],
    };
    let mut membership = Membership::new(Signed::sign(&genesis, &signer(1)).ok()?).ok()?;
    let member = MemberStatement {
        community: membership.community(),
        member: key(2),
        name: "two".to_owned(),
        level: Some(Level::Member),
        version: 1,
        issued_us: 1,
        issuer: key(1),
    };
    membership.learn([Signed::sign(&member, &signer(1)).ok()?]);
    Some(membership)
}

/// A record or an offer, as node 1 hears it from node 2.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(said) = Said::from_bytes(bytes) else { return };
    assert_eq!(Said::from_bytes(&said.to_bytes()).as_ref(), Ok(&said));
    let Some(membership) = MEMBERSHIP.as_ref() else { return };
    let mut catalogue = Catalogue::new(key(1));
    let learned = learn(&mut catalogue, &said, membership);
    let again = learn(&mut catalogue, &said, membership);
    let known = catalogue.nodes(membership).next();
    match (&said, learned) {
        (Said::Record(signed), Some(Learned::New)) => {
            assert_eq!(known.map(|known| known.record), signed.open().ok().as_ref());
            assert!(known.is_some_and(|known| known.record.addresses.len() <= ADDRESSES_MAX));
            assert_eq!(again, Some(Learned::Known));
        }
        (Said::Record(signed), Some(Learned::OwnOutdone)) => {
            assert!(signed.open().is_ok_and(|record| record.node == key(1)));
            assert!(known.is_none(), "a node hears nothing of itself");
        }
        (Said::Offer(signed), Some(Learned::New)) => {
            let offer = signed.open().ok();
            assert!(offer.is_some_and(|offer| offer.node == key(2)
                && offer.peer == key(1)
                && offer.capabilities.len() <= CAPABILITIES_MAX));
            assert_eq!(again, Some(Learned::Known));
        }
        (_, learned) => {
            assert!(learned.is_none(), "nothing else is learnt: {learned:?}");
            assert!(again.is_none() && known.is_none());
        }
    }
}

fn learn(catalogue: &mut Catalogue, said: &Said, membership: &Membership) -> Option<Learned> {
    let learned = match said {
        Said::Record(signed) => catalogue.learn_record(
            signed.clone(),
            &mut PeerHas::default(),
            membership,
            NOW.clock_us,
        ),
        Said::Offer(signed) => catalogue.learn_offer(signed, &key(2), membership),
    };
    learned.ok()
}

/// Who speaks, as the four bytes of an IPv4 address, and a datagram, as node 1 hears it.
pub(crate) fn announcement(bytes: &[u8]) {
    let Some((from, datagram)) = bytes.split_first_chunk() else { return };
    let from = Ipv4Addr::from_octets(*from);
    let read = Announcement::from_bytes(datagram);
    if let Some(read) = &read {
        assert_eq!(&read.to_bytes()[..], datagram);
    }
    let Some(membership) = MEMBERSHIP.as_ref() else { return };
    let tags = Tags::new(membership.genesis());
    let mut hearing = Hearing::new(tags.clone(), vec![LAN]);
    let mut hear = || hearing.hear(datagram, from, || vec![key(2)], NOW);
    if let Some(found) = hear() {
        assert!(found.node == key(2) && *found.address.ip() == from && LAN.has(from));
        let says = |away: i64| tags.announce(&key(2), found.address, NOW.clock_us + away);
        assert!([-SLOT_US, 0, SLOT_US].iter().any(|away| Some(says(*away)) == read));
        assert_eq!(hear(), None, "the same is heard twice");
    }
}
