//! Many nodes, a network that loses, delays, repeats and cuts off in one direction, nodes that stop
//! and come back, clocks that jump: and what must hold all the same. Time is a number here, and chance
//! comes from a seed; `MESHHOST_SEEDS` says how many seeds are tried, and `MESHHOST_SEED` the first.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod call;
mod chance;
mod network;
mod node;
mod world;

use std::collections::BTreeSet;

use call::{Answer, Ended};
use meshhost_core::mesh::attempt::End;
use node::{CAPABILITIES, Ran};
use world::World;

/// Seeds without another wish.
const SEEDS: u64 = 200;

/// What the runs were about: a simulation in which nothing goes wrong proves nothing.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    answered: usize,
    recalled: usize,
    interrupted: usize,
    indeterminate: usize,
    nothing_ran: usize,
    abandoned: usize,
    ran_again: usize,
    revoked: usize,
}

#[expect(clippy::disallowed_methods, reason = "a test is set up by its environment")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_the_network_does_no_effect_doubles_and_no_answer_is_lost() {
    let seeds = setting("MESHHOST_SEEDS").unwrap_or(SEEDS);
    let first = setting("MESHHOST_SEED").unwrap_or(0);
    let mut tally = Tally::default();
    for seed in first..first.saturating_add(seeds) {
        let mut world = World::new(seed);
        world.run();
        if let Err(wrong) = check(&world, &mut tally) {
            panic!("{wrong}; MESHHOST_SEED={seed} MESHHOST_SEEDS=1 shows it again");
        }
    }
    println!("{seeds} seeds from {first}: {tally:?}");
    if seeds >= SEEDS {
        let each = [
            tally.answered,
            tally.recalled,
            tally.interrupted,
            tally.indeterminate,
            tally.nothing_ran,
            tally.abandoned,
            tally.ran_again,
            tally.revoked,
        ];
        assert!(each.iter().all(|count| *count > 0), "something never happened: {tally:?}");
    }
}

/// What must hold when it is over.
fn check(world: &World, tally: &mut Tally) -> Result<(), String> {
    for (number, call) in world.calls.iter().enumerate() {
        check_call(world, number, call, tally).map_err(|wrong| format!("call {number} {wrong}"))?;
    }
    tally.revoked += usize::from(world.revoked.is_some());
    world.leak().or_else(|| world.disagreement()).map_or(Ok(()), Err)
}

fn check_call(
    world: &World,
    number: usize,
    call: &call::Call,
    tally: &mut Tally,
) -> Result<(), String> {
    let id = call.attempt.invocation_id();
    let (_, read_only, idempotent) = CAPABILITIES[call.capability];
    let effects = world.effects.get(id).map_or(&[][..], Vec::as_slice);
    let nodes: BTreeSet<_> = effects.iter().map(|(node, _)| node).collect();
    if nodes.len() != effects.len() || (effects.len() > 1 && !read_only && !idempotent) {
        return Err(format!("ran on {effects:?}"));
    }
    tally.calls += 1;
    tally.ran_again += usize::from(effects.len() > 1);
    tally.recalled += usize::from(call.recalls > 0);
    let Some(Ended { end, at_us, answer }) = call.ended else {
        tally.abandoned += usize::from(call.abandoned);
        return if call.abandoned { Ok(()) } else { Err(format!("never ended: {number}")) };
    };
    if at_us > call.deadline_us {
        return Err("ended after its deadline".to_owned());
    }
    match end {
        End::Answered => {
            tally.answered += 1;
            let Some((node, answer)) = answer else { return Err("without answer".to_owned()) };
            let recorded = world.nodes[node].table.get(id);
            tally.interrupted += usize::from(answer == Answer::Interrupted);
            let expected = match answer {
                Answer::Done => Ran::Done,
                Answer::Interrupted => Ran::Interrupted,
                Answer::Busy | Answer::ByThisNode => return Err(format!("ended by {answer:?}")),
            };
            if recorded != Some(&expected) || !nodes.contains(&node) {
                return Err(format!("was answered {answer:?} and is {recorded:?} on {node}"));
            }
        }
        End::Indeterminate => tally.indeterminate += 1,
        End::Refused | End::Unreachable | End::Deadline => {
            tally.nothing_ran += 1;
            if !effects.is_empty() && !read_only {
                return Err(format!("ended as {end:?} and ran on {effects:?}"));
            }
        }
    }
    Ok(())
}
