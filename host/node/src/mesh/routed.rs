//! One call over the mesh, from the choice of a node to its end: does what the machine of
//! [`meshhost_core::mesh::attempt`] says. The invocation id is the same at every try, so that a node
//! which has it already gives the recorded result instead of running it again.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    code::Code,
    evidence::event::outcome_word,
    invocation::Invocation,
    mesh::{
        attempt::{Attempt, End, Event, Next, Refused, Target},
        breaker::Report,
        key::NodeKey,
        route::Route,
    },
    outcome::{CallResult, Outcome, Refusal},
    ports::Entropy as _,
};
use meshhost_runtime::execute::ItemSender;
use serde::Serialize;

use super::{
    calling::{self, Called, DEADLINE_MS, Lost},
    handing::Handing,
    receipts,
    running::Running,
};
use crate::{door::unwritten, store::mesh::RouteRow, sys::SystemEntropy};

/// How long one waits for a peer to be connected at one try.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long a node that may have run a call may be away before the call ends without its answer, in
/// microseconds: longer than one takes to start again.
const BACK_US: i64 = 30_000_000;
/// How long one waits before a node that is away is looked for again, in microseconds.
const AGAIN_US: i64 = 100_000;

/// Calls the candidates of a route until one has answered, or the end is known. What the call streams
/// goes to `items` as it comes.
pub(super) async fn call(
    running: &Arc<Running>,
    invocation: &Arc<Invocation>,
    route: Route,
    items: Option<&ItemSender>,
) -> CallResult {
    let now_us = running.steady_us();
    let patience_ms = invocation.timeout_ms.unwrap_or(DEADLINE_MS);
    let patience_us = i64::try_from(patience_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    let deadline_us = now_us.saturating_add(patience_us);
    let targets = route.candidates.iter().map(Target::from);
    let id = invocation.invocation_id.clone();
    let (mut attempt, mut next) = Attempt::new(id, targets, now_us, deadline_us);
    let mut told = Told { last: None, handing: Handing::new(items, invocation.output_bytes) };
    let end = loop {
        let (target, at_us, patient) = match next {
            Next::Try { target, at_us } => (target, at_us, false),
            Next::Recall { target, at_us } => (target, at_us, true),
            Next::Finish(end) => break end,
        };
        wait_until(running, at_us).await;
        let Some(node) = attempt.node(target).copied() else { break End::Unreachable };
        let mut event = once(running, invocation, &route, (&node, deadline_us), &mut told).await;
        // A node that may have run it is asked as soon as it is back.
        let back_us = deadline_us.min(running.steady_us().saturating_add(BACK_US));
        while patient && event == Event::Unreachable && running.steady_us() < back_us {
            wait_until(running, running.steady_us().saturating_add(AGAIN_US)).await;
            event = once(running, invocation, &route, (&node, deadline_us), &mut told).await;
        }
        if (patient || running.steady_us() >= deadline_us) && event == Event::Unreachable {
            event = Event::Deadline { sent: false };
        }
        if told.handing.handed() {
            attempt.handed();
        }
        next = attempt.after(event, chance(), running.steady_us());
    };
    let answered = told.last.filter(|_| matches!(end, End::Answered | End::Refused));
    // A call that has passed nodes is made for the last of them.
    let on_behalf_of = invocation.hops.last().copied();
    match answered {
        Some(Last { node, called }) => {
            let ran = Ran { node, values: called.values };
            note(running, route, (Some(ran), on_behalf_of), &called.result).await;
            receipts::route_kept(running, node, &called.result.invocation_id).await;
            called.result
        }
        None => {
            let result = unanswered(running, invocation, &route, end);
            note(running, route, (None, on_behalf_of), &result).await;
            result
        }
    }
}

/// Where a call was answered, and how.
struct Ran {
    node: NodeKey,
    values: &'static str,
}

/// What the caller has been told, or will be.
struct Told<'a> {
    last: Option<Last>,
    handing: Handing<'a>,
}

/// The last answer, and whose it is.
struct Last {
    node: NodeKey,
    called: Called,
}

/// A route as it is kept.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    route: &'a Route,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'static str>,
}

/// Keeps where the call ran and why there, and the peer on whose behalf it was made. A call whose route could not be kept has run all the same:
/// the evidence is where it ran. What is written is made after the call was answered.
async fn note(
    running: &Running,
    route: Route,
    (ran, on_behalf_of): (Option<Ran>, Option<NodeKey>),
    result: &CallResult,
) {
    let (invocation_id, correlation_id) =
        (result.invocation_id.clone(), Some(result.correlation_id.clone()));
    let (capability, outcome) = (result.capability_id.clone(), result.outcome.kind());
    let at_us = running.clock.now_us();
    let row = move || {
        let ran_on = ran.as_ref().map(|ran| ran.node);
        let written = Written { route: &route, values: ran.as_ref().map(|ran| ran.values) };
        RouteRow {
            invocation_id,
            correlation_id,
            at_us,
            capability: capability.to_string(),
            outcome: outcome_word(outcome).to_owned(),
            ran_on,
            words: route.in_words(ran_on.as_ref()),
            route: serde_json::to_string(&written).unwrap_or_default(),
            receipt: None,
            on_behalf_of,
        }
    };
    running.tables.save_route(row).await;
}

/// One try on one node.
async fn once(
    running: &Arc<Running>,
    invocation: &Arc<Invocation>,
    route: &Route,
    (node, deadline_us): (&NodeKey, i64),
    told: &mut Told<'_>,
) -> Event {
    let now_us = running.steady_us();
    let left_us = u64::try_from(deadline_us.saturating_sub(now_us)).unwrap_or(0);
    let left = Duration::from_micros(left_us);
    let Ok(pass) = running.known.admit(node, invocation, (deadline_us, now_us)) else {
        return Event::Unreachable;
    };
    let Some(link) = running.connected(node, CONNECTING.min(left)).await else {
        running.known.report(pass, Report::Unreachable, running.steady_us());
        return Event::Unreachable;
    };
    let name = running.community.member(node).map_or_else(|| node.short(), |member| member.name);
    let timeout_ms = Some((left_us / 1_000).max(1));
    let shorter = Invocation { timeout_ms, ..(**invocation).clone() };
    let candidate = route.candidates.iter().find(|candidate| candidate.node == *node);
    let type_hash = candidate.and_then(|candidate| candidate.type_hash);
    let called = (&shorter, type_hash);
    let asked = calling::call(running, &link, called, &name, &mut told.handing).await;
    let ended_us = running.steady_us();
    let took_us = u64::try_from(ended_us.saturating_sub(now_us)).unwrap_or(0);
    let (event, report) = match asked {
        Err(Lost::NotSent) => (Event::Unreachable, Report::Unreachable),
        Err(Lost::TimedOut) => (Event::Deadline { sent: true }, Report::GivenUp),
        Err(Lost::Sent) => (Event::Lost, Report::Unreachable),
        Ok(called) => {
            let events = answered(&called.result, took_us);
            told.last = Some(Last { node: *node, called });
            events
        }
    };
    running.known.report(pass, report, ended_us);
    event
}

/// What an answer means for other nodes, and for the one that gave it.
fn answered(result: &CallResult, took_us: u64) -> (Event, Report) {
    match &result.outcome {
        Outcome::Denied(refusal) | Outcome::Skipped(refusal) => {
            let whom = Refused::of(refusal.code);
            let retry_after_ms = refusal.retry_after_ms;
            (Event::Refused { whom, retry_after_ms }, Report::Refused)
        }
        Outcome::Failure(refusal) => {
            // The plugin's own answers are no failures of the node.
            let well = refusal.code == Code::PluginFailure;
            (Event::Answered, Report::Answered { well, took_us })
        }
        Outcome::Success(_) | Outcome::Indeterminate(_) => {
            (Event::Answered, Report::Answered { well: true, took_us })
        }
    }
}

/// What a call without an answer is to its caller.
fn unanswered(running: &Running, invocation: &Invocation, route: &Route, end: End) -> CallResult {
    let asked: Vec<_> = route.candidates.iter().map(|one| one.name.as_str()).collect();
    let asked = asked.join(", ");
    let outcome = match end {
        End::Indeterminate => Outcome::Indeterminate(Refusal::new(
            Code::Indeterminate,
            format!(
                "{asked} did not answer, and the call may have run there; the same call with the \
                 same --id gets the recorded result once the node is back"
            ),
        )),
        End::Deadline => Outcome::Denied(Refusal::new(
            Code::LimitDeadline,
            format!("the time was over before {asked} had begun"),
        )),
        End::Unreachable | End::Refused | End::Answered => Outcome::Denied(Refusal::new(
            Code::PeerUnreachable,
            format!("{asked} cannot be reached; nothing ran"),
        )),
    };
    unwritten(invocation, outcome, running.clock.now_us())
}

async fn wait_until(running: &Running, at_us: i64) {
    let left_us = at_us.saturating_sub(running.steady_us());
    if let Ok(left @ 1..) = u64::try_from(left_us) {
        tokio::time::sleep(Duration::from_micros(left)).await;
    }
}

/// A random number from 0 to 1,000, so that many who wait do not come back at once.
fn chance() -> u16 {
    let mut bytes = [0; 2];
    SystemEntropy.fill(&mut bytes);
    u16::from_le_bytes(bytes) % 1_001
}
