//! The machine of one connection, step by step.

use super::*;
use crate::{evidence::sign::Signer, id::Digest};

const NOW: i64 = 1_000_000_000;

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        community: Digest::of(b"community"),
        ticket: None,
        name: "nas".to_owned(),
    }
}

fn welcome() -> Welcome {
    let signer = Signer::from_seed(&[1; 32]);
    let genesis = Genesis {
        name: "home".to_owned(),
        founder: signer.node_key(),
        founder_name: "laptop".to_owned(),
        made_us: 1,
        random: [0; 16],
    };
    Welcome { genesis: Signed::sign(&genesis, &signer).unwrap(), statements: Vec::new() }
}

fn ping(number: u64) -> ControlFrame {
    ControlFrame::Ping(Number { number })
}

fn pong(number: u64) -> Input {
    Input::Frame(ControlFrame::Pong(Number { number }))
}

/// A peer that is open at [`NOW`].
fn open() -> Peer {
    let mut peer = Peer::accept(NOW);
    peer.handle(Input::Frame(ControlFrame::Hello(hello())), NOW);
    peer.handle(Input::Admitted(Box::new(welcome())), NOW);
    assert!(peer.is_open());
    peer
}

#[test]
fn both_sides_greet_and_are_open() {
    let (mut here, said) = Peer::dial(hello(), NOW);
    let mut there = Peer::accept(NOW);
    assert_eq!(said, [Output::Send(ControlFrame::Hello(hello()))]);
    let asked = there.handle(Input::Frame(ControlFrame::Hello(hello())), NOW);
    assert_eq!(asked, [Output::Decide(hello())]);
    assert!(!there.is_open(), "nobody is let in before it was decided");
    let said = there.handle(Input::Admitted(Box::new(welcome())), NOW);
    assert_eq!(said, [Output::Send(ControlFrame::Welcome(welcome())), Output::Opened]);
    let done = here.handle(Input::Frame(ControlFrame::Welcome(welcome())), NOW);
    let Welcome { genesis, statements } = welcome();
    assert_eq!(done, [Output::Genesis(genesis), Output::Learn(statements), Output::Opened]);
}

#[test]
fn a_stranger_hears_one_word_and_no_more() {
    let mut there = Peer::accept(NOW);
    there.handle(Input::Frame(ControlFrame::Hello(hello())), NOW);
    let said = there.handle(Input::NotAdmitted, NOW);
    assert_eq!(said, [Output::Send(ControlFrame::Refused(Refused)), Output::Close(End::Refused)]);
    assert_eq!(there.handle(Input::Frame(ping(1)), NOW), [], "it is over");
    let (mut here, _) = Peer::dial(hello(), NOW);
    let heard = here.handle(Input::Frame(ControlFrame::Refused(Refused)), NOW);
    assert_eq!(heard, [Output::Close(End::RefusedByPeer)]);
}

#[test]
fn nothing_but_the_greeting_is_answered_before_it() {
    for frame in [ping(1), ControlFrame::Statements(Statements { statements: Vec::new() })] {
        let mut there = Peer::accept(NOW);
        assert_eq!(there.handle(Input::Frame(frame), NOW), [Output::Close(End::Misuse)]);
    }
    let mut there = Peer::accept(NOW);
    let other = Hello { protocol: PROTOCOL + 1, ..hello() };
    let heard = there.handle(Input::Frame(ControlFrame::Hello(other)), NOW);
    assert_eq!(heard, [Output::Close(End::Misuse)]);
    let mut deciding = Peer::accept(NOW);
    deciding.handle(Input::Frame(ControlFrame::Hello(hello())), NOW);
    assert_eq!(deciding.handle(Input::Frame(ping(1)), NOW), [Output::Close(End::Misuse)]);
    let mut twice = open();
    let again = twice.handle(Input::Frame(ControlFrame::Hello(hello())), NOW);
    assert_eq!(again, [Output::Close(End::Misuse)]);
}

#[test]
fn who_does_not_greet_in_time_is_cut_off() {
    let mut there = Peer::accept(NOW);
    assert_eq!(there.wake_us(), Some(NOW + GREETING_US));
    assert_eq!(there.handle(Input::Tick, NOW + GREETING_US - 1), []);
    assert_eq!(there.handle(Input::Tick, NOW + GREETING_US), [Output::Close(End::Silent)]);
}

#[test]
fn a_peer_is_asked_only_while_calls_are_in_flight() {
    let mut peer = open();
    assert_eq!(peer.wake_us(), None, "QUIC itself watches an idle connection");
    peer.handle(Input::CallsInFlight(1), NOW);
    assert_eq!(peer.wake_us(), Some(NOW + PROBE_US));
    assert_eq!(peer.handle(Input::Tick, NOW + PROBE_US), [Output::Send(ping(1))]);
    let answered = peer.handle(pong(1), NOW + PROBE_US + 400);
    assert_eq!(answered, [Output::Answered(400)]);
    peer.handle(Input::CallsInFlight(0), NOW + PROBE_US);
    assert_eq!(peer.wake_us(), None);
}

#[test]
fn three_questions_without_an_answer_mean_that_it_is_gone() {
    let mut peer = open();
    peer.handle(Input::CallsInFlight(2), NOW);
    for number in 1..=3 {
        let at = NOW + PROBE_US * i64::try_from(number).unwrap();
        assert_eq!(peer.handle(Input::Tick, at), [Output::Send(ping(number))]);
    }
    assert_eq!(peer.handle(Input::Tick, NOW + 4 * PROBE_US), [Output::Close(End::Silent)]);
}

#[test]
fn a_slow_link_gets_more_time() {
    let mut peer = open();
    peer.handle(Input::CallsInFlight(1), NOW);
    peer.handle(Input::Tick, NOW + PROBE_US);
    peer.handle(pong(1), NOW + PROBE_US + 300_000);
    assert_eq!(peer.wake_us(), Some(NOW + PROBE_US + 1_200_000));
}

#[test]
fn an_answer_to_a_question_that_was_not_asked_is_misuse() {
    let mut peer = open();
    assert_eq!(peer.handle(pong(1), NOW), [Output::Close(End::Misuse)]);
    let mut peer = open();
    peer.ask(NOW);
    peer.ask(NOW + 1);
    assert_eq!(peer.handle(pong(1), NOW + 2), [], "a late answer is one");
    assert_eq!(peer.handle(pong(3), NOW + 3), [Output::Close(End::Misuse)]);
}

#[test]
fn who_floods_is_cut_off_and_who_does_not_is_not() {
    let mut peer = open();
    let mut sent = 0;
    while peer.handle(Input::Frame(ping(1)), NOW) != [Output::Close(End::Misuse)] {
        sent += 1;
        assert!(sent < FRAMES_AT_ONCE, "the flood has no end");
    }
    let mut peer = open();
    for second in 0..100 {
        for _ in 0..FRAMES_PER_SECOND {
            let said = peer.handle(Input::Frame(ping(1)), NOW + second * SECOND_US);
            assert_eq!(said.len(), 1, "second {second}");
        }
    }
    assert!(peer.is_open());
}

#[test]
fn leaving_is_said_once_and_only_to_peers() {
    let mut peer = open();
    assert_eq!(peer.leave(), [Output::Send(ControlFrame::Leaving(Leaving))]);
    assert_eq!(peer.leave(), []);
    assert_eq!(Peer::accept(NOW).leave(), []);
    let mut peer = open();
    let heard = peer.handle(Input::Frame(ControlFrame::Leaving(Leaving)), NOW);
    assert_eq!(heard, [Output::Close(End::Left)]);
}

#[test]
fn a_peer_that_is_watched_is_asked_without_calls_and_missed_when_it_does_not_answer() {
    let mut peer = open();
    peer.handle(Input::Watched(true), NOW);
    assert_eq!(peer.wake_us(), Some(NOW + WATCH_US));
    let mut now_us = NOW;
    for number in 1..=u64::from(PROBES_LOST) {
        assert_eq!(peer.handle(Input::Tick, now_us + WATCH_US - 1), []);
        now_us += WATCH_US;
        assert_eq!(peer.handle(Input::Tick, now_us), [Output::Send(ping(number))]);
    }
    assert_eq!(peer.handle(Input::Tick, now_us + WATCH_US), [Output::Close(End::Silent)]);
    // With calls in flight it is asked as often as ever.
    let mut peer = open();
    peer.handle(Input::Watched(true), NOW);
    peer.handle(Input::CallsInFlight(1), NOW);
    assert_eq!(peer.wake_us(), Some(NOW + PROBE_US));
    peer.handle(Input::CallsInFlight(0), NOW);
    assert_eq!(peer.wake_us(), Some(NOW + WATCH_US));
    peer.handle(Input::Watched(false), NOW);
    assert_eq!(peer.wake_us(), None);
}

#[test]
fn what_a_peer_misses_is_passed_on_when_it_is_one() {
    let node = Signer::from_seed(&[3; 32]).node_key();
    let missed = || Input::Frame(ControlFrame::Missed(Missed { node }));
    assert_eq!(open().handle(missed(), NOW), [Output::Missed(node)]);
    assert_eq!(Peer::accept(NOW).handle(missed(), NOW), [Output::Close(End::Misuse)]);
}
