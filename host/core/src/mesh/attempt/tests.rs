//! What follows on what, and that nothing that must not run twice does.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{code::Code, evidence::sign::Signer};

const SECOND_US: i64 = 1_000_000;
/// No chance: the shortest waiting.
const SOONEST: u16 = 0;
const ONCE: (bool, bool) = (false, false);
const IDEMPOTENT: (bool, bool) = (false, true);
const READ_ONLY: (bool, bool) = (true, false);

fn target(seed: u8, (read_only, idempotent): (bool, bool)) -> Target {
    Target { node: Signer::from_seed(&[seed; 32]).node_key(), read_only, idempotent }
}

fn attempt(kinds: &[(bool, bool)], deadline_us: i64) -> (Attempt, Next) {
    let targets = (1..).zip(kinds).map(|(seed, kind)| target(seed, *kind));
    Attempt::new("id".parse().unwrap(), targets, 0, deadline_us)
}

const fn refused(whom: Refused) -> Event {
    Event::Refused { whom, retry_after_ms: None }
}

const fn try_at(target: usize, at_us: i64) -> Next {
    Next::Try { target, at_us }
}

const fn recall_at(target: usize, at_us: i64) -> Next {
    Next::Recall { target, at_us }
}

/// What follows on these events, each at the time for which the step before it was planned.
fn follow(kinds: &[(bool, bool)], events: &[Event]) -> Vec<Next> {
    let (mut attempt, mut next) = attempt(kinds, 3_600 * SECOND_US);
    let mut all = vec![next];
    for event in events {
        let now_us = match next {
            Next::Try { at_us, .. } | Next::Recall { at_us, .. } => at_us,
            Next::Finish(_) => 0,
        };
        next = attempt.after(*event, SOONEST, now_us);
        all.push(next);
    }
    all
}

/// What the targets are, what happens, and what is done: first, and after each event.
type Row<'a> = (&'a [(bool, bool)], &'a [Event], &'a [Next]);

fn check(rows: &[Row<'_>]) {
    for (kinds, events, expected) in rows {
        assert_eq!(follow(kinds, events), *expected, "{kinds:?} {events:?}");
    }
}

const fn end(end: End) -> Next {
    Next::Finish(end)
}

#[test]
fn while_nothing_can_have_run_others_are_asked() {
    use Event::{Answered, Lost, Unreachable};
    let for_now = refused(Refused::ForNow);
    let by_this = refused(Refused::ByThisNode);
    let everywhere = refused(Refused::Everywhere);
    check(&[
        (&[], &[], &[end(End::Unreachable)]),
        (&[ONCE], &[Answered], &[try_at(0, 0), end(End::Answered)]),
        // Nothing was sent: the others, then the same again after a while, three times in all.
        (
            &[ONCE, ONCE],
            &[Unreachable; 3],
            &[try_at(0, 0), try_at(1, 0), try_at(0, 100_000), try_at(1, 100_000)],
        ),
        (
            &[ONCE],
            &[Unreachable; 3],
            &[try_at(0, 0), try_at(0, 100_000), try_at(0, 300_000), end(End::Unreachable)],
        ),
        // Refused: as far as the refusal goes.
        (&[ONCE, ONCE], &[for_now, Answered], &[try_at(0, 0), try_at(1, 0), end(End::Answered)]),
        (&[ONCE], &[for_now, for_now], &[try_at(0, 0), try_at(0, 100_000), try_at(0, 300_000)]),
        (&[ONCE, ONCE], &[by_this, by_this], &[try_at(0, 0), try_at(1, 0), end(End::Refused)]),
        (&[ONCE, ONCE], &[everywhere], &[try_at(0, 0), end(End::Refused)]),
        // What is over stays over.
        (&[ONCE], &[Answered, Lost], &[try_at(0, 0), end(End::Answered), end(End::Answered)]),
    ]);
}

#[test]
fn what_may_have_run_moves_to_no_node_where_a_second_run_does_harm() {
    use Event::{Answered, Lost, Unreachable};
    let for_now = refused(Refused::ForNow);
    let by_this = refused(Refused::ByThisNode);
    let everywhere = refused(Refused::Everywhere);
    check(&[
        // It must not run twice: the same node alone is asked, until it says.
        (
            &[ONCE, ONCE],
            &[Lost, Answered],
            &[try_at(0, 0), recall_at(0, 100_000), end(End::Answered)],
        ),
        (
            &[ONCE, ONCE],
            &[Lost, Unreachable, for_now],
            &[try_at(0, 0), recall_at(0, 100_000), recall_at(0, 300_000), recall_at(0, 700_000)],
        ),
        (
            &[ONCE, ONCE],
            &[Lost, by_this],
            &[try_at(0, 0), recall_at(0, 100_000), end(End::Indeterminate)],
        ),
        (
            &[ONCE, ONCE],
            &[Lost, everywhere],
            &[try_at(0, 0), recall_at(0, 100_000), end(End::Indeterminate)],
        ),
        // A second run does no harm on both.
        (
            &[IDEMPOTENT, IDEMPOTENT],
            &[Lost, Answered],
            &[try_at(0, 0), try_at(1, 0), end(End::Answered)],
        ),
        (&[IDEMPOTENT, ONCE], &[Lost], &[try_at(0, 0), recall_at(0, 100_000)]),
        (&[ONCE, IDEMPOTENT], &[Lost], &[try_at(0, 0), recall_at(0, 100_000)]),
        (
            &[IDEMPOTENT, IDEMPOTENT],
            &[Lost, by_this, by_this],
            &[try_at(0, 0), try_at(1, 0), recall_at(0, 100_000), end(End::Indeterminate)],
        ),
        (
            &[READ_ONLY, READ_ONLY],
            &[Lost, by_this, by_this],
            &[try_at(0, 0), try_at(1, 0), recall_at(0, 100_000), end(End::Refused)],
        ),
    ]);
}

/// What was seen of a run is of that run: no other one follows on it, whether or not it does harm.
#[test]
fn a_call_whose_caller_has_items_is_ended_by_the_node_that_they_came_from() {
    let refused_by_this = refused(Refused::ByThisNode);
    let for_now = refused(Refused::ForNow);
    for kind in [ONCE, IDEMPOTENT, READ_ONLY] {
        for event in [Event::Lost, Event::Unreachable, refused_by_this, for_now] {
            let (mut one, next) = attempt(&[kind, kind], 3_600 * SECOND_US);
            assert_eq!(next, try_at(0, 0));
            one.handed();
            assert_eq!(one.after(event, SOONEST, 0), recall_at(0, 100_000), "{kind:?} {event:?}");
            let mut answered = one.clone();
            assert_eq!(answered.after(Event::Answered, SOONEST, 100_000), end(End::Answered));
            let over = one.after(refused_by_this, SOONEST, 100_000);
            assert_eq!(over, end(End::Indeterminate), "{kind:?} {event:?}");
        }
        let (mut late, _) = attempt(&[kind], SECOND_US);
        late.handed();
        let over = late.after(Event::Deadline { sent: true }, SOONEST, SECOND_US);
        assert_eq!(over, end(End::Indeterminate));
        let (mut well, _) = attempt(&[kind], SECOND_US);
        well.handed();
        assert_eq!(well.after(Event::Answered, SOONEST, 0), end(End::Answered));
    }
    // Also the node that was lost before it is asked no more: it may have run, and otherwise.
    for first in [Event::Unreachable, Event::Lost] {
        let (mut one, _) = attempt(&[READ_ONLY, READ_ONLY], 3_600 * SECOND_US);
        assert_eq!(one.after(first, SOONEST, 0), try_at(1, 0));
        one.handed();
        assert_eq!(one.after(Event::Lost, SOONEST, 0), recall_at(1, 100_000));
        assert_eq!(one.after(Event::Unreachable, SOONEST, 100_000), recall_at(1, 300_000));
    }
}

#[test]
fn at_the_deadline_it_is_over_and_says_whether_it_may_have_acted() {
    let sent = |sent| Event::Deadline { sent };
    check(&[
        (&[ONCE], &[sent(false)], &[try_at(0, 0), end(End::Deadline)]),
        (&[ONCE], &[sent(true)], &[try_at(0, 0), end(End::Indeterminate)]),
        (&[IDEMPOTENT], &[sent(true)], &[try_at(0, 0), end(End::Indeterminate)]),
        (&[READ_ONLY], &[sent(true)], &[try_at(0, 0), end(End::Deadline)]),
        (
            &[ONCE],
            &[Event::Lost, sent(false)],
            &[try_at(0, 0), recall_at(0, 100_000), end(End::Indeterminate)],
        ),
    ]);
}

#[test]
fn a_recorded_result_is_asked_for_a_bounded_number_of_times() {
    let all = follow(&[ONCE, ONCE], &[Event::Lost; 9]);
    let recalls = all.iter().filter(|next| matches!(next, Next::Recall { target: 0, .. })).count();
    assert_eq!(recalls, usize::try_from(RECALLS_MAX).unwrap());
    assert_eq!(all.last(), Some(&Next::Finish(End::Indeterminate)));
}

#[test]
fn nothing_begins_that_cannot_begin_before_the_deadline() {
    let (mut short, _) = attempt(&[ONCE], 100_000);
    assert_eq!(short.after(Event::Unreachable, 0, 0), Next::Finish(End::Unreachable));
    let (mut late, _) = attempt(&[ONCE, ONCE], 100_000);
    assert_eq!(late.after(Event::Unreachable, 0, 100_000), Next::Finish(End::Deadline));
    assert_eq!(attempt(&[ONCE], 0).1, Next::Finish(End::Deadline), "it was over before it began");
    let (mut told, _) = attempt(&[ONCE, ONCE], 10 * SECOND_US);
    let later = Event::Refused { whom: Refused::ForNow, retry_after_ms: Some(20_000) };
    assert_eq!(told.after(later, 0, 0), try_at(1, 0));
    assert_eq!(told.after(Event::Unreachable, 0, 0), try_at(1, 100_000), "the other is too late");
}

#[test]
fn waiting_is_spread_by_chance_and_no_shorter_than_a_node_asks() {
    for (chance, retry_after_ms, at_us) in [
        (0, None, 100_000),
        (500, None, 150_000),
        (1_000, None, 200_000),
        (u16::MAX, None, 200_000),
        (0, Some(5_000), 5_000_000),
        (0, Some(u64::MAX), i64::MAX),
    ] {
        let (mut one, _) = attempt(&[ONCE], i64::MAX);
        let next = one.after(Event::Refused { whom: Refused::ForNow, retry_after_ms }, chance, 0);
        let expected =
            if at_us == i64::MAX { Next::Finish(End::Refused) } else { try_at(0, at_us) };
        assert_eq!(next, expected);
    }
}

#[test]
fn targets_are_bounded_and_named() {
    let (one, _) = attempt(&[ONCE; 20], SECOND_US);
    assert!(one.node(TARGETS_MAX - 1).is_some() && one.node(TARGETS_MAX).is_none());
    assert_eq!((one.invocation_id().as_str(), one.deadline_us()), ("id", SECOND_US));
}

#[test]
fn refusals_say_whom_else_to_ask() {
    assert_eq!(Refused::of(Code::Busy), Refused::ForNow);
    assert_eq!(Refused::of(Code::PolicyBlocked), Refused::ByThisNode, "others may share it");
    assert_eq!(Refused::of(Code::CapabilityNotFound), Refused::ByThisNode);
    assert_eq!(Refused::of(Code::InputInvalid), Refused::Everywhere);
    assert_eq!(Refused::of(Code::CallerConflict), Refused::Everywhere);
}

/// A node that runs no id twice, and a network that may deliver what seemed lost much later.
#[derive(Debug, Default)]
struct Network {
    ran: BTreeSet<usize>,
    late: BTreeSet<usize>,
}

impl Network {
    /// What becomes of a call that is sent to a node.
    fn send(&mut self, target: usize, fate: u8) -> Event {
        match fate {
            0 => Event::Unreachable,
            1 => refused(Refused::ForNow),
            2 => refused(Refused::ByThisNode),
            3 => refused(Refused::Everywhere),
            4 => Event::Lost,
            5 => {
                self.late.insert(target);
                Event::Lost
            }
            6 => {
                self.ran.insert(target);
                Event::Lost
            }
            _ => {
                self.ran.insert(target);
                Event::Answered
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the network does, a call that must not run twice does not, every call ends by its
    /// deadline, and no end says that nothing ran when something may have.
    #[test]
    fn nothing_that_must_not_runs_twice(
        kinds in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..5),
        fates in proptest::collection::vec((0_u8..8, 0_u16..1_001, 0_i64..2), 60),
        deadline_s in 0_i64..120,
        deliver in any::<bool>(),
    ) {
        let deadline_us = deadline_s * SECOND_US;
        let (mut one, mut next) = attempt(&kinds, deadline_us);
        let (mut network, mut now_us) = (Network::default(), 0);
        let mut fates = fates.into_iter();
        let end = loop {
            let (target, at_us) = match next {
                Next::Finish(end) => break end,
                Next::Try { target, at_us } | Next::Recall { target, at_us } => (target, at_us),
            };
            prop_assert!(at_us >= now_us && at_us < deadline_us);
            now_us = at_us;
            // It ends long before the fates do.
            let (fate, chance, seconds) = fates.next().unwrap();
            let event = network.send(target, fate);
            now_us += seconds * SECOND_US;
            if now_us >= deadline_us && event != Event::Lost {
                let event = Event::Deadline { sent: !matches!(event, Event::Unreachable) };
                let next = one.after(event, chance, deadline_us);
                let Next::Finish(end) = next else { panic!("it goes on: {next:?}") };
                break end;
            }
            next = one.after(event, chance, now_us);
        };
        if deliver {
            network.ran.append(&mut network.late);
        }
        let acted: Vec<_> = network.ran.iter().map(|place| kinds[*place]).collect();
        let repeatable = |(read_only, idempotent): &(bool, bool)| *read_only || *idempotent;
        prop_assert!(acted.len() <= 1 || acted.iter().all(repeatable), "{acted:?}");
        if matches!(end, End::Refused | End::Unreachable | End::Deadline) {
            prop_assert!(acted.iter().all(|(read_only, _)| *read_only), "{end:?} {acted:?}");
        }
    }
}
