//! When calls pass, and that of a rest exactly one passes first.

use proptest::prelude::*;

use super::*;
use crate::evidence::sign::Signer;

const SECOND_US: i64 = 1_000_000;
const WELL: Report = Report::Answered { well: true, took_us: 1_000 };
const BADLY: Report = Report::Answered { well: false, took_us: 1_000 };

fn peer(seed: u8) -> NodeKey {
    Signer::from_seed(&[seed; 32]).node_key()
}

fn capability() -> CapabilityId {
    "git.log".parse().unwrap()
}

fn admit(breakers: &mut Breakers, now_us: i64) -> Result<Pass, Standing> {
    breakers.admit(&peer(1), &capability(), now_us, now_us + SECOND_US)
}

fn call(breakers: &mut Breakers, report: Report, now_us: i64) {
    let pass = admit(breakers, now_us).unwrap();
    breakers.report(pass, report, now_us);
}

fn rest_us(breakers: &Breakers, now_us: i64) -> Option<u64> {
    match breakers.standing(&peer(1), &capability(), now_us) {
        Standing::Resting { for_us } => Some(for_us),
        _ => None,
    }
}

#[test]
fn a_peer_that_is_lost_once_rests_longer_each_time_up_to_eight_times() {
    let mut breakers = Breakers::default();
    let mut now_us = 0;
    for expected_s in [30, 60, 120, 240, 240] {
        call(&mut breakers, Report::Unreachable, now_us);
        assert_eq!(rest_us(&breakers, now_us), Some(expected_s * 1_000_000));
        now_us += i64::try_from(expected_s).unwrap() * SECOND_US;
        assert_eq!(breakers.standing(&peer(1), &capability(), now_us), Standing::ProbeDue);
    }
    call(&mut breakers, Report::Refused, now_us);
    assert_eq!(breakers.standing(&peer(1), &capability(), now_us), Standing::Well);
    call(&mut breakers, Report::Unreachable, now_us);
    assert_eq!(rest_us(&breakers, now_us), Some(PEER_REST_US), "it begins anew");
    let other = "a.b".parse().unwrap();
    assert!(breakers.admit(&peer(1), &other, now_us, now_us).is_err(), "all of the peer rests");
    assert!(breakers.admit(&peer(2), &other, now_us, now_us).is_ok());
    breakers.reached(&peer(1));
    assert_eq!(breakers.standing(&peer(1), &capability(), now_us), Standing::Well);
}

#[test]
fn calls_that_were_on_their_way_when_a_peer_was_lost_do_not_lengthen_its_rest() {
    let mut breakers = Breakers::default();
    let calls: Vec<_> = (0..10).map(|_| admit(&mut breakers, 0).unwrap()).collect();
    for pass in calls {
        breakers.report(pass, Report::Unreachable, 5);
    }
    assert_eq!(rest_us(&breakers, 5), Some(PEER_REST_US));
}

#[test]
fn one_probe_passes_until_it_ends_or_its_deadline_is_over() {
    let mut breakers = Breakers::default();
    call(&mut breakers, Report::Unreachable, 0);
    let now_us = 30 * SECOND_US;
    let first = admit(&mut breakers, now_us).unwrap();
    assert!(first.is_probe());
    assert_eq!(admit(&mut breakers, now_us), Err(Standing::Probing));
    let second = admit(&mut breakers, now_us + SECOND_US).unwrap();
    breakers.report(first, Report::Unreachable, now_us + SECOND_US);
    assert_eq!(
        breakers.standing(&peer(1), &capability(), now_us + SECOND_US),
        Standing::Probing,
        "one that was given up for lost says nothing any more"
    );
    breakers.report(second, Report::GivenUp, now_us + SECOND_US);
    let third = admit(&mut breakers, now_us + SECOND_US).unwrap();
    assert!(third.is_probe());
    breakers.report(third, WELL, now_us + SECOND_US);
    assert!(!admit(&mut breakers, now_us + SECOND_US).unwrap().is_probe());
}

#[test]
fn a_capability_that_mostly_fails_rests_and_the_others_of_its_peer_do_not() {
    let mut breakers = Breakers::default();
    for number in 0..CALLS_COUNTED {
        assert_eq!(rest_us(&breakers, 0), None, "after {number}");
        call(&mut breakers, if number % 2 == 0 { WELL } else { BADLY }, 0);
    }
    assert_eq!(breakers.health(&peer(1), &capability()).success, Some(500));
    assert_eq!(rest_us(&breakers, 0), None, "half went well");
    call(&mut breakers, BADLY, 0);
    assert_eq!(rest_us(&breakers, 0), Some(CAPABILITY_REST_US));
    let other = "git.show".parse().unwrap();
    assert_eq!(breakers.standing(&peer(1), &other, 0), Standing::Well);
    let folded = "git.repository.log".parse().unwrap();
    assert_eq!(breakers.standing(&peer(1), &folded, 0), Standing::Well, "the resolved id counts");
    let now_us = 60 * SECOND_US;
    call(&mut breakers, BADLY, now_us);
    assert_eq!(rest_us(&breakers, now_us), Some(CAPABILITY_REST_US), "its probe failed");
    call(&mut breakers, WELL, 2 * now_us);
    assert_eq!(breakers.standing(&peer(1), &capability(), 2 * now_us), Standing::Well);
    call(&mut breakers, BADLY, 2 * now_us);
    assert_eq!(rest_us(&breakers, 2 * now_us), None, "it is counted anew");
}

#[test]
fn health_is_of_the_last_calls() {
    let mut breakers = Breakers::default();
    assert_eq!(breakers.health(&peer(1), &capability()), Health::default());
    for took_us in [5, 1, 9] {
        call(&mut breakers, Report::Answered { well: took_us != 9, took_us }, 0);
    }
    let health = breakers.health(&peer(1), &capability());
    assert_eq!(health, Health { success: Some(666), median_us: Some(5) });
    for _ in 0..CALLS_COUNTED {
        call(&mut breakers, Report::Answered { well: true, took_us: 7 }, 0);
    }
    let health = breakers.health(&peer(1), &capability());
    assert_eq!(health, Health { success: Some(1_000), median_us: Some(7) });
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut breakers = Breakers::default();
    for number in 0..CAPABILITIES_MAX + 10 {
        let id = format!("a.f{number}").parse().unwrap();
        let now_us = i64::try_from(number).unwrap();
        let pass = breakers.admit(&peer(1), &id, now_us, now_us).unwrap();
        breakers.report(pass, WELL, now_us);
    }
    assert_eq!(breakers.capabilities.len(), CAPABILITIES_MAX);
    let first = "a.f0".parse().unwrap();
    assert_eq!(breakers.health(&peer(1), &first), Health::default(), "the oldest is forgotten");
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        Just(WELL),
        Just(BADLY),
        Just(Report::Refused),
        Just(Report::Unreachable),
        Just(Report::GivenUp)
    ]
}

proptest! {
    /// Whatever happens in whichever order, at most one probe is on its way, and a rest ends.
    #[test]
    fn at_most_one_probe_is_on_its_way(
        steps in proptest::collection::vec((0_u8..3, report(), 0_i64..40), 0..200),
    ) {
        let mut breakers = Breakers::default();
        let (mut now_us, mut on_their_way) = (0, Vec::new());
        for (what, report, seconds) in steps {
            match what {
                0 => now_us += seconds * SECOND_US,
                1 => {
                    let deadline_us = now_us + seconds * SECOND_US;
                    let admitted = breakers.admit(&peer(1), &capability(), now_us, deadline_us);
                    if let Ok(pass) = admitted {
                        let live = |(pass, ends_us): &(Pass, i64)| pass.is_probe() && *ends_us > now_us;
                        prop_assert!(!pass.is_probe() || !on_their_way.iter().any(live));
                        on_their_way.push((pass, deadline_us));
                    }
                }
                _ => {
                    if !on_their_way.is_empty() {
                        let which = usize::try_from(seconds).unwrap() % on_their_way.len();
                        let (pass, _) = on_their_way.swap_remove(which);
                        breakers.report(pass, report, now_us);
                    }
                }
            }
        }
        let later = now_us + 300 * SECOND_US;
        prop_assert!(breakers.standing(&peer(1), &capability(), later).admits());
    }
}
