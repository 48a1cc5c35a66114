//! A call as its caller drives it: the machine of the attempt, the breakers, and the network.

use std::collections::BTreeMap;

use meshhost_core::{
    gates::Wanted,
    id::CapabilityId,
    mesh::{
        attempt::{Attempt, End, Event as Happened, Next, Refused, Target},
        breaker::{Health, Pass, Report},
        route::{self, Here, Request, Situation, route},
    },
};

use crate::{
    node::CAPABILITIES,
    world::{Event, Message, SECOND_US, World},
};

/// How long a caller hears nothing before it takes a call for lost.
const SILENCE_US: i64 = 5 * SECOND_US;

/// What a node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// It had begun when its node stopped.
    Interrupted,
    Busy,
    ByThisNode,
}

/// The end of a call: when, and the answer with the node that gave it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) at_us: i64,
    pub(crate) answer: Option<(usize, Answer)>,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) caller: usize,
    pub(crate) capability: usize,
    pub(crate) attempt: Attempt,
    pub(crate) deadline_us: i64,
    pub(crate) recalls: u32,
    pub(crate) ended: Option<Ended>,
    /// Whether the caller itself stopped.
    pub(crate) abandoned: bool,
    next: Next,
    step: u32,
    /// To whom this step was sent.
    sent: Option<(usize, Pass, i64)>,
}

impl World {
    pub(crate) fn begin(&mut self, caller: usize) {
        if !self.nodes[caller].up {
            return;
        }
        let capability = self.chance.below(CAPABILITIES.len());
        let deadline_us = self.now_us + SECOND_US / 2 + self.chance.time(40 * SECOND_US);
        let targets = self.targets(caller, capability);
        let number = self.calls.len();
        let id = format!("call-{number}").parse().unwrap();
        let (attempt, next) = Attempt::new(id, targets, self.now_us, deadline_us);
        self.calls.push(Call {
            caller,
            capability,
            attempt,
            deadline_us,
            recalls: 0,
            ended: None,
            abandoned: false,
            next,
            step: 0,
            sent: None,
        });
        self.later(deadline_us - self.now_us, Event::Deadline { call: number });
        self.go_on(number, next, None);
    }

    fn targets(&mut self, caller: usize, capability: usize) -> Vec<Target> {
        let capability: CapabilityId = CAPABILITIES[capability].0.parse().unwrap();
        let turn = u64::try_from(self.chance.below(8)).unwrap();
        let now_us = self.now_us;
        let record = self.nodes[caller].record(now_us);
        let own = &self.nodes[caller];
        let links: BTreeMap<_, _> = own
            .links
            .keys()
            .map(|peer| {
                let key = self.nodes[*peer].key;
                let standing = own.breakers.standing(&key, &capability, now_us);
                let health = own.breakers.health(&key, &capability);
                let link = route::Link { connected: true, standing, health, ..Default::default() };
                (key, link)
            })
            .collect();
        let situation = Situation {
            policy: &self.policy,
            here: Here { record: &record, providers: &[], health: Health::default() },
            links: &links,
            turn,
            now_us: now_us + own.clock_us,
        };
        let wanted =
            Wanted { capability: &capability, plugin: None, version: None, type_hash: None };
        let request = Request { wanted, node: None, prefer: None };
        let route = route(&request, &situation, own.catalogue.nodes(&own.membership));
        route.candidates.iter().map(Target::from).collect()
    }

    /// Plans what the machine says is next.
    fn go_on(&mut self, number: usize, next: Next, answer: Option<(usize, Answer)>) {
        let now_us = self.now_us;
        let call = &mut self.calls[number];
        call.next = next;
        call.step += 1;
        let step = call.step;
        match next {
            Next::Finish(end) => call.ended = Some(Ended { end, at_us: now_us, answer }),
            Next::Try { at_us, .. } | Next::Recall { at_us, .. } => {
                assert!(at_us < call.deadline_us, "nothing begins after the deadline");
                call.recalls += u32::from(matches!(next, Next::Recall { .. }));
                self.later(at_us - now_us, Event::Step { call: number, step });
            }
        }
    }

    fn happened(&mut self, number: usize, what: Happened, answer: Option<(usize, Answer)>) {
        let chance = self.chance.thousandths();
        let next = self.calls[number].attempt.after(what, chance, self.now_us);
        self.go_on(number, next, answer);
    }

    fn is_at(&self, number: usize, step: u32) -> bool {
        let call = &self.calls[number];
        call.step == step && call.ended.is_none() && !call.abandoned
    }

    /// A planned step begins.
    pub(crate) fn step(&mut self, number: usize, step: u32) {
        if !self.is_at(number, step) {
            return;
        }
        let call = &self.calls[number];
        let (target, recall) = match call.next {
            Next::Try { target, .. } => (target, false),
            Next::Recall { target, .. } => (target, true),
            Next::Finish(_) => return,
        };
        let (caller, capability, deadline_us) = (call.caller, call.capability, call.deadline_us);
        let key = *call.attempt.node(target).unwrap();
        let id = call.attempt.invocation_id().clone();
        let peer = self.nodes.iter().position(|node| node.key == key).unwrap();
        let capability_id = CAPABILITIES[capability].0.parse().unwrap();
        let (own, now_us) = (&mut self.nodes[caller], self.now_us);
        let connected = own.links.contains_key(&peer);
        let pass = connected.then(|| own.breakers.admit(&key, &capability_id, now_us, deadline_us));
        let Some(Ok(pass)) = pass else {
            if recall {
                // It asks once the node is back.
                self.later(200_000, Event::Step { call: number, step });
            } else {
                self.happened(number, Happened::Unreachable, None);
            }
            return;
        };
        self.calls[number].sent = Some((peer, pass, now_us));
        self.send(caller, peer, Message::Invoke { call: number, step, id, capability });
        self.later(SILENCE_US, Event::Silence { call: number, step });
    }

    fn report(&mut self, number: usize, report: Report) -> Option<usize> {
        let call = &mut self.calls[number];
        let (peer, pass, _) = call.sent.take()?;
        self.nodes[call.caller].breakers.report(pass, report, self.now_us);
        Some(peer)
    }

    pub(crate) fn reply(&mut self, number: usize, step: u32, answer: Answer) {
        if !self.is_at(number, step) {
            return;
        }
        let took_us = self.calls[number].sent.as_ref().map_or(0, |sent| self.now_us - sent.2);
        let took_us = u64::try_from(took_us).unwrap();
        let (report, what) = match answer {
            Answer::Done => (Report::Answered { well: true, took_us }, Happened::Answered),
            Answer::Interrupted => (Report::Answered { well: false, took_us }, Happened::Answered),
            Answer::Busy | Answer::ByThisNode => {
                let busy = answer == Answer::Busy;
                let whom = if busy { Refused::ForNow } else { Refused::ByThisNode };
                (Report::Refused, Happened::Refused { whom, retry_after_ms: None })
            }
        };
        let Some(peer) = self.report(number, report) else { return };
        self.happened(number, what, Some((peer, answer)));
    }

    pub(crate) fn silence(&mut self, number: usize, step: u32) {
        if self.is_at(number, step) && self.report(number, Report::Unreachable).is_some() {
            self.happened(number, Happened::Lost, None);
        }
    }

    /// A connection is gone, and the calls on it.
    pub(crate) fn lost_with(&mut self, caller: usize, peer: usize) {
        for number in 0..self.calls.len() {
            let call = &self.calls[number];
            let on_it = call.sent.as_ref().is_some_and(|sent| sent.0 == peer);
            if call.caller == caller && on_it && self.is_at(number, call.step) {
                self.report(number, Report::Unreachable);
                self.happened(number, Happened::Lost, None);
            }
        }
    }

    pub(crate) fn deadline(&mut self, number: usize) {
        let call = &self.calls[number];
        if self.is_at(number, call.step) {
            let sent = self.report(number, Report::GivenUp).is_some();
            self.happened(number, Happened::Deadline { sent }, None);
        }
    }

    /// The caller stopped: its calls have nobody who waits for them.
    pub(crate) fn abandon(&mut self, caller: usize) {
        let open = self.calls.iter_mut().filter(|call| call.caller == caller);
        for call in open.filter(|call| call.ended.is_none()) {
            call.abandoned = true;
        }
    }
}
