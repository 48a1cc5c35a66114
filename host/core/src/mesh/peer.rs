//! One control connection with one peer, as a machine without I/O: frames and times go in, what is to
//! be done comes out. It greets, decides when the peer counts as one, and finds out when it is gone.
//!
//! ```text
//! dialled:   Greeting ──Welcome──► Open ──Leaving, silence, misuse──► Closed
//! accepted:  Greeting ──Hello──► Deciding ──admitted──► Open
//!                                    └──refused──► Closed
//! ```
//!
//! Until it is open, nothing but the greeting is answered.

use super::{
    key::NodeKey,
    membership::{Genesis, MemberStatement},
    signed::Signed,
    wire::{
        Bytes, ControlFrame, Hello, Leaving, Missed, Number, PROTOCOL, Refused, Statements, Welcome,
    },
};

/// How long a greeting may take, in microseconds.
pub const GREETING_US: i64 = 5_000_000;
/// How often a peer with calls in flight is asked whether it is there, in microseconds.
pub const PROBE_US: i64 = 100_000;
/// How often a peer that this node watches is asked without calls, in microseconds.
pub const WATCH_US: i64 = 1_000_000;
/// Questions without an answer after which a peer is gone.
pub const PROBES_LOST: u32 = 3;
/// Frames that a peer may send at once, and how many more each second.
const FRAMES_AT_ONCE: i64 = 512;
const FRAMES_PER_SECOND: i64 = 64;
const SECOND_US: i64 = 1_000_000;

/// Which side one is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This node made the connection.
    Dialled,
    /// The peer did.
    Accepted,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer said that it leaves.
    Left,
    /// The peer refused this node.
    RefusedByPeer,
    /// This node refused the peer.
    Refused,
    /// Nothing came for too long.
    Silent,
    /// What came has no place here.
    Misuse,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A frame came.
    Frame(ControlFrame),
    /// The answer to [`Output::Decide`]: the peer is let in, and told this.
    Admitted(Box<Welcome>),
    /// The answer to [`Output::Decide`]: the peer is not let in.
    NotAdmitted,
    /// As many calls are in flight with the peer now.
    CallsInFlight(u32),
    /// Whether this node is one of those that watch the peer.
    Watched(bool),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send(ControlFrame),
    /// Decide whether to let this in, and say so by [`Input::Admitted`] or [`Input::NotAdmitted`].
    Decide(Hello),
    /// The community that the peer belongs to; its statements follow as [`Output::Learn`].
    Genesis(Signed<Genesis>),
    /// Statements of members to take in.
    Learn(Vec<Signed<MemberStatement>>),
    /// Records of nodes to take in.
    Records(Vec<Bytes>),
    /// The peer misses this node: it is to be seen whether that is gone for this one as well.
    Missed(NodeKey),
    /// The peer counts as one from here on.
    Opened,
    /// The peer answered a question after so many microseconds.
    Answered(i64),
    /// Close the connection. Nothing else comes after it.
    Close(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Deciding,
    Open,
    Closed,
}

/// The machine.
#[derive(Debug)]
pub struct Peer {
    side: Side,
    state: State,
    since_us: i64,
    calls: u32,
    watched: bool,
    /// The number of the last question, and when it was asked.
    asked: u64,
    asked_us: i64,
    /// Questions since the last answer.
    unanswered: u32,
    /// The round trip of the last answered question.
    round_trip_us: i64,
    /// Frames that the peer may still send, in millionths.
    allowed: i64,
    allowed_us: i64,
}

impl Peer {
    /// A connection that this node made; `hello` is to be sent.
    #[must_use]
    pub fn dial(hello: Hello, now_us: i64) -> (Self, Vec<Output>) {
        let peer = Self::new(Side::Dialled, now_us);
        (peer, vec![Output::Send(ControlFrame::Hello(hello))])
    }

    /// A connection that the other side made.
    #[must_use]
    pub const fn accept(now_us: i64) -> Self {
        Self::new(Side::Accepted, now_us)
    }

    const fn new(side: Side, now_us: i64) -> Self {
        Self {
            side,
            state: State::Greeting,
            since_us: now_us,
            calls: 0,
            watched: false,
            asked: 0,
            asked_us: now_us,
            unanswered: 0,
            round_trip_us: 0,
            allowed: FRAMES_AT_ONCE * SECOND_US,
            allowed_us: now_us,
        }
    }

    /// Whether the peer counts as one.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// When [`Input::Tick`] is due next, in microseconds of a clock that never goes back; `None` when
    /// only a frame can change anything.
    #[must_use]
    pub fn wake_us(&self) -> Option<i64> {
        match self.state {
            State::Greeting | State::Deciding => Some(self.since_us.saturating_add(GREETING_US)),
            State::Open if self.calls > 0 || self.watched => {
                Some(self.asked_us.saturating_add(self.patience_us()))
            }
            State::Open | State::Closed => None,
        }
    }

    /// How long one waits for an answer. On a slow link several round trips: what is lost is sent again after
    /// about two of them, and may be lost again.
    fn patience_us(&self) -> i64 {
        let often_us = if self.calls > 0 { PROBE_US } else { WATCH_US };
        often_us.max(self.round_trip_us.saturating_mul(4))
    }

    /// Takes what happened at `now_us`.
    pub fn handle(&mut self, input: Input, now_us: i64) -> Vec<Output> {
        match (self.state, input) {
            (State::Closed, _) => Vec::new(),
            (_, Input::Tick) => self.tick(now_us),
            (_, Input::CallsInFlight(calls)) => self.set_calls(calls, now_us),
            (_, Input::Watched(watched)) => self.set_watched(watched, now_us),
            (State::Deciding, Input::Admitted(welcome)) => {
                self.state = State::Open;
                vec![Output::Send(ControlFrame::Welcome(*welcome)), Output::Opened]
            }
            (State::Deciding, Input::NotAdmitted) => {
                let refused = Output::Send(ControlFrame::Refused(Refused));
                self.state = State::Closed;
                vec![refused, Output::Close(End::Refused)]
            }
            (_, Input::Admitted(_) | Input::NotAdmitted) => Vec::new(),
            (_, Input::Frame(frame)) => {
                if self.may_send(now_us) {
                    self.frame(frame, now_us)
                } else {
                    self.misuse()
                }
            }
        }
    }

    /// What this node says before it closes the connection.
    pub fn leave(&mut self) -> Vec<Output> {
        let open = self.is_open();
        self.state = State::Closed;
        let said = open.then_some(Output::Send(ControlFrame::Leaving(Leaving)));
        said.into_iter().collect()
    }

    fn frame(&mut self, frame: ControlFrame, now_us: i64) -> Vec<Output> {
        match (self.state, self.side, frame) {
            (State::Greeting, Side::Accepted, ControlFrame::Hello(hello)) => {
                if hello.protocol != PROTOCOL {
                    return self.misuse();
                }
                self.state = State::Deciding;
                vec![Output::Decide(hello)]
            }
            (State::Greeting, Side::Dialled, ControlFrame::Welcome(welcome)) => {
                self.state = State::Open;
                let Welcome { genesis, statements } = welcome;
                vec![Output::Genesis(genesis), Output::Learn(statements), Output::Opened]
            }
            (State::Greeting, Side::Dialled, ControlFrame::Refused(Refused)) => {
                self.close(End::RefusedByPeer)
            }
            (State::Open, _, ControlFrame::Statements(Statements { statements })) => {
                vec![Output::Learn(statements)]
            }
            (State::Open, _, ControlFrame::Records(records)) => {
                vec![Output::Records(records.records)]
            }
            (State::Open, _, ControlFrame::Ping(number)) => {
                vec![Output::Send(ControlFrame::Pong(number))]
            }
            (State::Open, _, ControlFrame::Pong(Number { number })) => self.pong(number, now_us),
            (State::Open, _, ControlFrame::Missed(Missed { node })) => vec![Output::Missed(node)],
            (State::Open, _, ControlFrame::Leaving(Leaving)) => self.close(End::Left),
            _ => self.misuse(),
        }
    }

    fn pong(&mut self, number: u64, now_us: i64) -> Vec<Output> {
        // An answer to an older question shows as well that the peer is there.
        if number == 0 || number > self.asked {
            return self.misuse();
        }
        self.unanswered = 0;
        if number != self.asked {
            return Vec::new();
        }
        self.round_trip_us = now_us.saturating_sub(self.asked_us).max(0);
        vec![Output::Answered(self.round_trip_us)]
    }

    fn set_calls(&mut self, calls: u32, now_us: i64) -> Vec<Output> {
        let first = self.calls == 0 && calls > 0;
        self.calls = calls;
        if first {
            // Silence before the first call says nothing.
            self.unanswered = 0;
            self.asked_us = now_us;
        }
        Vec::new()
    }

    fn set_watched(&mut self, watched: bool, now_us: i64) -> Vec<Output> {
        if watched && !self.watched && self.calls == 0 {
            self.unanswered = 0;
            self.asked_us = now_us;
        }
        self.watched = watched;
        Vec::new()
    }

    /// Asks now whether the peer is there.
    pub fn ask(&mut self, now_us: i64) -> Vec<Output> {
        if !self.is_open() {
            return Vec::new();
        }
        self.asked = self.asked.saturating_add(1);
        self.asked_us = now_us;
        self.unanswered = self.unanswered.saturating_add(1);
        vec![Output::Send(ControlFrame::Ping(Number { number: self.asked }))]
    }

    fn tick(&mut self, now_us: i64) -> Vec<Output> {
        let due = self.wake_us().is_some_and(|wake_us| now_us >= wake_us);
        match self.state {
            State::Greeting | State::Deciding if due => self.close(End::Silent),
            State::Open if due && self.unanswered >= PROBES_LOST => self.close(End::Silent),
            State::Open if due => self.ask(now_us),
            _ => Vec::new(),
        }
    }

    /// Whether the peer may send one more frame: who floods is cut off.
    fn may_send(&mut self, now_us: i64) -> bool {
        let passed = now_us.saturating_sub(self.allowed_us).max(0);
        self.allowed_us = now_us;
        let earned = passed.saturating_mul(FRAMES_PER_SECOND);
        self.allowed = self.allowed.saturating_add(earned).min(FRAMES_AT_ONCE * SECOND_US);
        self.allowed -= SECOND_US;
        self.allowed >= 0
    }

    fn misuse(&mut self) -> Vec<Output> {
        self.close(End::Misuse)
    }

    fn close(&mut self, end: End) -> Vec<Output> {
        self.state = State::Closed;
        vec![Output::Close(end)]
    }
}

#[cfg(test)]
mod tests;
