//! One remote call from its first try to its end: a pure machine, times and chance passed in.
//!
//! A node keeps the result of a call under its invocation id, and runs no id twice. So to ask the
//! same node again is always safe, while another node may be asked only when nothing can have run, or
//! when a second run does no harm on either node. The invocation id is the same at every try.
//!
//! This rests on what QUIC gives: a node reads each try at most once, so that one which it refused does
//! not run later. A try whose connection was lost may.
//!
//! | what happened | next |
//! |---|---|
//! | not reached, nothing was sent | another node; else the same again after a while |
//! | refused before it ran, for now | another node; else the same again after a while |
//! | refused before it ran, by this node | another node |
//! | refused before it ran, by any node alike | the end |
//! | lost after it was sent, and a second run does no harm | another such node; else the same again |
//! | lost after it was sent | the same node again, for its recorded result; never another |
//! | lost after items of its stream had come from a node | that node again, for its recorded result; never another |
//! | answered | the end |
//! | the deadline | the end |
//!
//! Items that have been handed to the caller came from one run, and those of another need not be the
//! same: whoever has seen some is told how that run ended, whether or not a second one does harm.
//!
//! Where a call may have run and nobody can say how it ended, it ends as indeterminate.

mod target;

pub use target::{Refused, Target};

use crate::{id::InvocationId, mesh::key::NodeKey};

/// Most nodes that one call is tried on.
pub const TARGETS_MAX: usize = 8;
/// Most tries on one node before anything was lost there.
pub const TRIES_MAX: u32 = 3;
/// Most times that one node is asked for its recorded result. With the times between, longer than a
/// node takes to restart.
pub const RECALLS_MAX: u32 = 8;
/// The time before the second try on a node, in microseconds; it doubles each time.
pub const BACKOFF_US: i64 = 200_000;
/// What counts as all of it, in thousandths.
const WHOLE: i64 = 1_000;

/// What happened at the node that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It could not be reached; nothing was sent.
    Unreachable,
    /// It refused, and has not run it in this try.
    Refused {
        /// Whom else it makes sense to ask.
        whom: Refused,
        /// Milliseconds after which it may be asked again, where it said so.
        retry_after_ms: Option<u64>,
    },
    /// The connection was lost after the call was sent. Whether it was accepted before that makes
    /// no difference: it may have been, without word of it.
    Lost,
    /// It answered: now, or with what it had recorded.
    Answered,
    /// The deadline passed.
    Deadline {
        /// Whether the call was sent in this try, and not answered.
        sent: bool,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send the call to this target, by place.
    Try {
        /// Which one.
        target: usize,
        /// Not before this time; always before the deadline.
        at_us: i64,
    },
    /// Send the same call to this target again, as soon as it is connected, for what it recorded. If
    /// it has never seen the call, it runs it now.
    Recall {
        /// Which one.
        target: usize,
        /// Not before this time; always before the deadline.
        at_us: i64,
    },
    /// It is over.
    Finish(End),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A node answered.
    Answered,
    /// Nothing with an effect ran; the last node refused.
    Refused,
    /// Nothing with an effect ran; the last node could not be reached, or there is none.
    Unreachable,
    /// Nothing with an effect ran before the deadline.
    Deadline,
    /// It may have run with an effect, and its end is unknown.
    Indeterminate,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Attempt {
    invocation_id: InvocationId,
    deadline_us: i64,
    targets: Vec<State>,
    /// The one that is asked now.
    asked: usize,
    /// Whether any of the targets may have run it with an effect, or so that its caller saw some of it.
    may_have_acted: bool,
    end: Option<End>,
}

/// A target with what became of it.
#[derive(Debug, Clone)]
struct State {
    target: Target,
    tries: u32,
    recalls: u32,
    /// Whether the call was sent to it and it is not known to have ended.
    lost: bool,
    /// Whether the caller has items of its run.
    handed: bool,
    /// Whether it is not asked any more.
    over: bool,
    not_before_us: i64,
}

impl Attempt {
    /// A call on these targets, the first one first; those beyond [`TARGETS_MAX`] are left out.
    /// Answers with what is to be done first.
    #[must_use]
    pub fn new(
        invocation_id: InvocationId,
        targets: impl IntoIterator<Item = Target>,
        now_us: i64,
        deadline_us: i64,
    ) -> (Self, Next) {
        let state = |target| State {
            target,
            tries: 0,
            recalls: 0,
            lost: false,
            handed: false,
            over: false,
            not_before_us: now_us,
        };
        let targets = targets.into_iter().take(TARGETS_MAX).map(state).collect();
        let mut attempt = Self {
            invocation_id,
            deadline_us,
            targets,
            asked: 0,
            may_have_acted: false,
            end: None,
        };
        let next = attempt.go_on(End::Unreachable, now_us);
        (attempt, next)
    }

    /// The id of the call, the same at every try.
    #[must_use]
    pub const fn invocation_id(&self) -> &InvocationId {
        &self.invocation_id
    }

    /// When it ends whatever happens.
    #[must_use]
    pub const fn deadline_us(&self) -> i64 {
        self.deadline_us
    }

    /// The node at this place.
    #[must_use]
    pub fn node(&self, target: usize) -> Option<&NodeKey> {
        self.targets.get(target).map(|state| &state.target.node)
    }

    /// An item of the call's stream came from the node that is asked now, and was handed to the
    /// caller.
    pub fn handed(&mut self) {
        if let Some(asked) = self.targets.get_mut(self.asked) {
            asked.handed = true;
        }
    }

    /// What is to be done after this. `chance` is a random number from 0 to 1,000: with it the
    /// waiting of many callers does not end at once. After the end it stays ended.
    pub fn after(&mut self, event: Event, chance: u16, now_us: i64) -> Next {
        if let Some(end) = self.end {
            return Next::Finish(end);
        }
        let may_have_run = self.may_have_run();
        let event = self.believed(event);
        let Some(asked) = self.targets.get_mut(self.asked) else {
            return self.finish(End::Unreachable);
        };
        match event {
            Event::Answered => self.finish(End::Answered),
            Event::Deadline { sent } => {
                self.may_have_acted |= (sent && !asked.target.read_only) || asked.handed;
                self.over(End::Deadline)
            }
            Event::Unreachable => {
                asked.wait(None, chance, now_us);
                self.go_on(End::Unreachable, now_us)
            }
            Event::Refused { whom: Refused::Everywhere, .. } if !may_have_run => {
                self.finish(End::Refused)
            }
            Event::Refused { whom, retry_after_ms } => {
                asked.over |= whom != Refused::ForNow;
                asked.wait(retry_after_ms, chance, now_us);
                self.go_on(End::Refused, now_us)
            }
            Event::Lost => {
                asked.lost = true;
                asked.wait(None, chance, now_us);
                self.may_have_acted |= !asked.target.read_only || asked.handed;
                self.go_on(End::Unreachable, now_us)
            }
        }
    }

    /// A node of whose run the caller has seen items has run the call, whatever it says afterwards.
    fn believed(&self, event: Event) -> Event {
        let handed = |state: &State| state.handed && !state.lost;
        match event {
            Event::Refused { .. } | Event::Unreachable
                if self.targets.get(self.asked).is_some_and(handed) =>
            {
                Event::Lost
            }
            event => event,
        }
    }

    fn may_have_run(&self) -> bool {
        self.targets.iter().any(|state| state.lost)
    }

    /// Whether a run on another node may follow on what was lost: nothing was, or nothing that a
    /// second run harms.
    fn may_move(&self) -> bool {
        self.targets.iter().all(|state| !state.lost || state.target.repeatable())
    }

    /// Chooses who is asked next: the one that was asked least, of those the first that may be.
    /// What cannot begin before the deadline is not begun.
    fn go_on(&mut self, last: End, now_us: i64) -> Next {
        if now_us >= self.deadline_us {
            return self.over(End::Deadline);
        }
        let (may_have_run, may_move) = (self.may_have_run(), self.may_move());
        let deadline_us = self.deadline_us;
        let seen = self.targets.iter().any(|state| state.handed);
        let open = |state: &State| {
            let harmless = !may_have_run || (may_move && state.target.repeatable());
            let fits = (state.lost || harmless) && (state.handed || !seen);
            state.is_open() && state.not_before_us < deadline_us && fits
        };
        let all = self.targets.iter_mut().enumerate().filter(|(_, state)| open(state));
        let order = |(place, state): &(usize, &mut State)| {
            (state.tries + state.recalls, state.not_before_us, *place)
        };
        let Some((target, state)) = all.min_by_key(order) else { return self.over(last) };
        let at_us = state.not_before_us.max(now_us);
        self.asked = target;
        if state.lost {
            state.recalls += 1;
            Next::Recall { target, at_us }
        } else {
            state.tries += 1;
            Next::Try { target, at_us }
        }
    }

    /// It ends without an answer.
    fn over(&mut self, end: End) -> Next {
        self.finish(if self.may_have_acted { End::Indeterminate } else { end })
    }

    fn finish(&mut self, end: End) -> Next {
        self.end = Some(end);
        Next::Finish(end)
    }
}

impl State {
    /// Whether it may be asked at all.
    const fn is_open(&self) -> bool {
        let left = if self.lost { self.recalls < RECALLS_MAX } else { self.tries < TRIES_MAX };
        left && !self.over
    }

    /// It is asked again after a while: longer each time, no sooner than it said, and by chance up
    /// to half of it shorter.
    fn wait(&mut self, retry_after_ms: Option<u64>, chance: u16, now_us: i64) {
        let doublings = (self.tries + self.recalls).saturating_sub(1).min(TRIES_MAX + RECALLS_MAX);
        let longest_us = BACKOFF_US << doublings;
        let chance = i64::from(chance).min(WHOLE);
        let wait_us = longest_us / 2 + longest_us / 2 * chance / WHOLE;
        let said_us = retry_after_ms.unwrap_or(0).saturating_mul(1_000);
        let wait_us = wait_us.max(i64::try_from(said_us).unwrap_or(i64::MAX));
        self.not_before_us = now_us.saturating_add(wait_us);
    }
}

#[cfg(test)]
mod tests;
