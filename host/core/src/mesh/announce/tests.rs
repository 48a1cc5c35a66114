//! A member knows who announces, and nobody else learns anything.

use proptest::prelude::*;

use super::*;
use crate::evidence::sign::Signer;

const NOW_US: i64 = 1_800_000_000_000_000;

fn key(seed: u8) -> NodeKey {
    Signer::from_seed(&[seed; 32]).node_key()
}

fn tags(community: u8) -> Tags {
    let signer = Signer::from_seed(&[1; 32]);
    let genesis = Genesis {
        name: "home".to_owned(),
        founder: signer.node_key(),
        founder_name: "one".to_owned(),
        made_us: 1,
        random: [community; 16],
    };
    Tags::new(&Signed::sign(&genesis, &signer).unwrap())
}

fn address(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 7), port)
}

/// Which of nodes 1 to 5 says this, as one hears it at this time.
fn whose(said: &Announcement, from: Ipv4Addr, now_us: i64) -> Option<NodeKey> {
    tags(0).whose(said, from, (1..=5).map(key), now_us)
}

#[test]
fn an_announcement_is_these_bytes() {
    let bytes = tags(0).announce(&key(2), address(7081), NOW_US).to_bytes();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, "6d6861310c1bf6f871022548ca49a32144e452c5a91b");
}

#[test]
fn a_member_knows_who_says_it_while_their_clocks_differ_by_a_slot() {
    let said = tags(0).announce(&key(2), address(7081), NOW_US);
    for away in [-SLOT_US, 0, SLOT_US] {
        assert_eq!(whose(&said, *address(0).ip(), NOW_US + away), Some(key(2)));
    }
    for away in [-2 * SLOT_US, 2 * SLOT_US] {
        assert_eq!(whose(&said, *address(0).ip(), NOW_US + away), None);
    }
    assert_eq!(tags(0).whose(&said, *address(0).ip(), [key(1), key(3)], NOW_US), None);
}

#[test]
fn what_was_heard_is_of_no_use_from_another_address_or_for_another_port() {
    let said = tags(0).announce(&key(2), address(7081), NOW_US);
    assert_eq!(whose(&said, Ipv4Addr::new(192, 168, 1, 8), NOW_US), None);
    let elsewhere = Announcement { port: 7082, ..said };
    assert_eq!(whose(&elsewhere, *address(0).ip(), NOW_US), None);
}

#[test]
fn another_community_cannot_tell_who_says_it_and_neither_can_a_later_slot_be_told() {
    let said = |node, now_us| tags(0).announce(&key(node), address(7081), now_us).to_bytes();
    let theirs = tags(1).announce(&key(2), address(7081), NOW_US);
    assert_eq!(whose(&theirs, *address(0).ip(), NOW_US), None);
    assert_ne!(said(2, NOW_US), said(2, NOW_US + SLOT_US));
    assert_ne!(said(2, NOW_US), said(3, NOW_US));
    assert_eq!(said(2, NOW_US), said(2, NOW_US), "the same bytes within a slot");
    assert_eq!(format!("{:?}", tags(0)), "Tags", "the secret is not printed");
}

#[test]
fn what_is_longer_shorter_or_of_another_version_is_no_announcement() {
    let bytes = tags(0).announce(&key(2), address(7081), NOW_US).to_bytes();
    let mut version = bytes;
    version[3] = b'2';
    let no_port = [&bytes[..20], &[0, 0]].concat();
    let longer = [&bytes[..], &[0]].concat();
    for wrong in [&bytes[1..], &bytes[..21], &longer, &version, &no_port, &[]] {
        assert_eq!(Announcement::from_bytes(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_network_has_the_addresses_that_share_its_bits() {
    let lan = |address: [u8; 4], mask: [u8; 4]| Lan { address: address.into(), mask: mask.into() };
    let home = lan([192, 168, 1, 7], [255, 255, 255, 0]);
    assert!(home.has([192, 168, 1, 200].into()) && !home.has([192, 168, 2, 7].into()));
    let alone = lan([10, 0, 0, 1], [255; 4]);
    assert!(alone.has([10, 0, 0, 1].into()) && !alone.has([10, 0, 0, 2].into()));
}

proptest! {
    #[test]
    fn any_announcement_comes_back(
        node in 1..=5_u8, ip in any::<u32>(), port in 1..=u16::MAX, now_us in any::<i64>(),
    ) {
        let address = SocketAddrV4::new(ip.into(), port);
        let said = tags(0).announce(&key(node), address, now_us);
        let read = Announcement::from_bytes(&said.to_bytes());
        prop_assert_eq!(read, Some(said));
        prop_assert_eq!(whose(&said, ip.into(), now_us), Some(key(node)));
    }

    #[test]
    fn any_bytes_have_one_form(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let headed = [&HEAD[..], &bytes].concat();
        for bytes in [bytes, headed] {
            if let Some(said) = Announcement::from_bytes(&bytes) {
                prop_assert_eq!(&said.to_bytes()[..], &bytes[..]);
                prop_assert_eq!(whose(&said, Ipv4Addr::LOCALHOST, NOW_US), None);
            }
        }
    }
}
