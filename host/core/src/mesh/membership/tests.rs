//! Who belongs, whatever the order in which it is heard.

use proptest::prelude::*;

use super::*;
use crate::evidence::sign::Signer;

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

fn key(seed: u8) -> NodeKey {
    signer(seed).node_key()
}

fn genesis() -> Signed<Genesis> {
    let said = Genesis {
        name: "home".to_owned(),
        founder: key(1),
        founder_name: "laptop".to_owned(),
        made_us: 1,
        random: [3; 16],
    };
    Signed::sign(&said, &signer(1)).unwrap()
}

fn community() -> Membership {
    Membership::new(genesis()).unwrap()
}

fn says(issuer: u8, member: u8, level: Option<Level>, version: u64) -> Signed<MemberStatement> {
    let said = MemberStatement {
        community: community_id(&genesis()),
        member: key(member),
        name: format!("node-{member}"),
        level,
        version,
        issued_us: 5,
        issuer: key(issuer),
    };
    Signed::sign(&said, &signer(issuer)).unwrap()
}

const MEMBER: Option<Level> = Some(Level::Member);
const TRUSTED: Option<Level> = Some(Level::Trusted);
const ANCHOR: Option<Level> = Some(Level::Anchor);

fn level(membership: &Membership, seed: u8) -> Option<Level> {
    membership.member(&key(seed)).map(|member| member.level)
}

#[test]
fn only_what_would_change_something_is_checked_and_no_more_than_may_be() {
    let mut community = community();
    let heard = || [says(1, 2, MEMBER, 1), says(1, 3, MEMBER, 1), says(1, 4, MEMBER, 1)];
    let mut left = 2;
    let mut may_check = || {
        let may = left > 0;
        left -= 1;
        may
    };
    let refused = Some(MembershipError::Pace);
    assert_eq!(community.learn_within(heard(), &mut may_check), (2, refused));
    assert_eq!([2, 3, 4].map(|seed| level(&community, seed)), [MEMBER, MEMBER, None]);
    left = 1;
    let mut may_check = || std::mem::replace(&mut left, 0) > 0;
    assert_eq!(
        community.learn_within(heard(), &mut may_check),
        (1, None),
        "what is known costs none"
    );
    assert_eq!(level(&community, 4), MEMBER);
    let older = says(1, 2, None, 0);
    assert_eq!(community.learn_within([older], || panic!("it changes nothing")), (0, None));
}

#[test]
fn the_founder_is_the_first_anchor_and_lets_others_in() {
    let mut community = community();
    assert_eq!(level(&community, 1), ANCHOR);
    assert_eq!(level(&community, 2), None);
    assert_eq!(community.learn([says(1, 2, MEMBER, 1)]), (1, None));
    assert_eq!(level(&community, 2), MEMBER);
    assert_eq!(community.learn([says(1, 2, MEMBER, 1)]), (0, None), "nothing new");
    assert_eq!(community.learn([says(1, 2, None, 2)]), (1, None));
    assert_eq!(level(&community, 2), None, "revoked");
    assert_eq!(community.learn([says(1, 2, MEMBER, 1)]).0, 0, "what is older does not come back");
}

#[test]
fn each_level_says_what_it_may_and_no_more() {
    let mut community = community();
    community.learn([says(1, 2, MEMBER, 1), says(1, 3, TRUSTED, 1), says(1, 4, ANCHOR, 1)]);
    let refused = Some(MembershipError::Issuer);
    assert_eq!(community.learn([says(2, 5, MEMBER, 1)]), (0, refused), "a member lets nobody in");
    community.learn([says(3, 5, MEMBER, 1), says(3, 6, TRUSTED, 1)]);
    assert_eq!(level(&community, 5), MEMBER);
    assert_eq!(level(&community, 6), None, "the trusted trust nobody for others");
    community.learn([says(4, 7, TRUSTED, 1), says(4, 5, None, 2)]);
    assert_eq!(level(&community, 7), TRUSTED);
    assert_eq!(level(&community, 5), None, "an anchor revokes");
    community.learn([says(4, 1, None, 9)]);
    assert_eq!(level(&community, 1), ANCHOR, "nobody revokes the founder");
    assert_eq!(community.learn([says(9, 9, ANCHOR, 1)]), (0, refused), "a stranger says nothing");
}

#[test]
fn an_anchor_stands_above_those_it_made_and_below_who_made_it() {
    let mut community = community();
    community.learn([says(1, 2, ANCHOR, 1), says(2, 3, ANCHOR, 1)]);
    assert_eq!(level(&community, 3), ANCHOR);
    assert!(!community.may_say(&key(3), &key(2), None));
    community.learn([says(3, 2, None, 9)]);
    assert_eq!(level(&community, 2), ANCHOR);
    assert!(community.may_say(&key(2), &key(3), None));
    community.learn([says(2, 3, None, 2)]);
    assert_eq!(level(&community, 3), None);
}

#[test]
fn a_node_leaves_by_its_own_word_and_comes_back_by_anothers() {
    let mut community = community();
    community.learn([says(1, 2, MEMBER, 1), says(2, 2, None, 2)]);
    assert_eq!(level(&community, 2), None);
    community.learn([says(1, 2, MEMBER, 3)]);
    assert_eq!(level(&community, 2), MEMBER);
    assert_eq!(community.learn([says(8, 8, None, 1)]).0, 0, "who never came cannot leave");
}

#[test]
fn with_whoever_made_it_revoked_an_anchor_and_all_its_word_are_gone() {
    let mut community = community();
    let heard = [says(1, 2, ANCHOR, 1), says(2, 3, MEMBER, 1), says(1, 2, None, 2)];
    community.learn(heard);
    assert_eq!(level(&community, 2), None);
    assert_eq!(level(&community, 3), None, "its member stands on nobody's word any more");
    community.learn([says(1, 3, MEMBER, 2)]);
    assert_eq!(level(&community, 3), MEMBER);
}

#[test]
fn what_belongs_to_another_community_or_is_forged_is_not_taken() {
    let mut community = community();
    let mut said = says(1, 2, MEMBER, 1).open().unwrap();
    said.community = Digest::of(b"another");
    let other = Signed::sign(&said, &signer(1)).unwrap();
    assert_eq!(community.learn([other]).1, Some(MembershipError::Community));
    said.community = community.community();
    let forged = Signed::sign(&said, &signer(2)).unwrap();
    assert_eq!(community.learn([forged]).1, Some(MembershipError::Signed(SignedError::Signature)));
    said.name = "a b".to_owned();
    let named = Signed::sign(&said, &signer(1)).unwrap();
    assert_eq!(community.learn([named]).1, Some(MembershipError::Name));
}

/// Found by the property below: one node heard that it left and the other its later word about itself.
#[test]
fn nobody_says_of_itself_what_it_is() {
    let said = [says(1, 4, TRUSTED, 1), says(4, 4, MEMBER, 3), says(4, 4, None, 1)];
    let (mut one, mut other) = (community(), community());
    for signed in said.clone() {
        one.learn([signed]);
    }
    for place in [0, 2, 1] {
        other.learn([said[place].clone()]);
    }
    assert_eq!(one.members(), other.members());
    assert!(!one.members().contains_key(&key(4)), "it left");
}

/// Found by the property below: one node had heard a trusted one's word before it heard that another trusted one
/// called it a mere member, the other node after that.
#[test]
fn only_an_anchor_takes_trust_away() {
    let said = [
        says(1, 3, TRUSTED, 1),
        says(1, 4, TRUSTED, 1),
        says(4, 2, MEMBER, 1),
        says(3, 4, MEMBER, 2),
    ];
    let (mut one, mut other) = (community(), community());
    for signed in said.clone() {
        one.learn([signed]);
    }
    for place in [0, 1, 3, 2] {
        other.learn([said[place].clone()]);
    }
    assert_eq!(one.members(), other.members());
    assert_eq!([2, 4].map(|seed| level(&one, seed)), [MEMBER, TRUSTED]);
    assert!(!one.may_say(&key(3), &key(4), MEMBER), "it would mean nothing");
    one.learn([says(1, 4, MEMBER, 3)]);
    assert_eq!([2, 4].map(|seed| level(&one, seed)), [None, MEMBER]);
}

/// Found by the property below: one node had kept what a revoked one had said of the founder, and so heard the
/// founder's own word that it leaves.
#[test]
fn nobody_says_anything_of_the_founder() {
    let mut community = community();
    let before = community.members().clone();
    for said in [says(1, 1, None, 9), says(1, 1, MEMBER, 9)] {
        assert_eq!(community.learn([said]), (0, Some(MembershipError::Issuer)));
    }
    assert_eq!(community.members(), &before);
}

fn statement() -> impl Strategy<Value = (u8, u8, Option<Level>, u64)> {
    let level = prop_oneof![Just(None), Just(MEMBER), Just(TRUSTED), Just(ANCHOR)];
    (1_u8..5, 1_u8..6, level, 1_u64..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nodes that tell each other everything that they kept agree in the end.
    #[test]
    fn nodes_that_heard_the_same_in_another_order_agree(
        said in proptest::collection::vec(statement(), 0..12),
        seed in any::<u64>(),
    ) {
        let said: Vec<_> = said.into_iter().map(|(i, m, l, v)| says(i, m, l, v)).collect();
        let mut shuffled = said.clone();
        let mut state = seed;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (place + 1);
            shuffled.swap(place, other);
        }
        let (mut one, mut other) = (community(), community());
        for signed in said { one.learn([signed]); }
        for signed in shuffled { other.learn([signed]); }
        for _ in 0..12 {
            let (first, second): (Vec<_>, Vec<_>) =
                (one.statements().cloned().collect(), other.statements().cloned().collect());
            one.learn(second);
            other.learn(first);
        }
        prop_assert_eq!(one.members(), other.members());
    }
}
