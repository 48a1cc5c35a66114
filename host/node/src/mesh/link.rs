//! A live peer: two connections, one for control and one for calls, made by whichever side dialled.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use meshhost_core::mesh::{key::NodeKey, peer::Side, wire::ControlFrame};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::transport::{Channel, Closing};

/// KiB of questions that one peer may have here at once, those that are worked on included: four of the
/// longest.
const ROOM_KIB: usize = 4 * 17 * 1024;
/// Calls whose items are read from one peer at once. Each of them may hold back what its caller does not
/// read, up to the window of a stream; as many more would hold back everything else on the connection.
const STREAMING_MAX: usize = 3;
/// How long a peer may take to show that it lives, when it seems to be gone or to have been started anew.
const ALIVE: Duration = Duration::from_millis(500);
/// How long a link may be without its connection for calls, which is made right after it.
const CALLS: Duration = Duration::from_secs(5);

/// What a conversation and its link share.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    /// Frames to be sent.
    pub(super) frames: mpsc::Sender<ControlFrame>,
    /// Calls in flight, both ways.
    pub(super) in_flight: Arc<InFlight>,
    /// Counts questions whether the peer is there that somebody wants asked.
    pub(super) asks: watch::Sender<u64>,
}

/// Counts calls. Whoever watches is woken by the first one and looks itself whether there are still some:
/// a wake-up for each call would cost more than much of the rest of it.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    calls: AtomicU32,
    watched: AtomicBool,
    first: Notify,
}

impl InFlight {
    fn begin(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.watched.swap(true, Ordering::SeqCst) {
            self.first.notify_one();
        }
    }

    fn end(&self) {
        self.calls.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits for the first call after [`Self::look`] has found none.
    pub(super) async fn first(&self) {
        self.first.notified().await;
    }

    /// How many there are; after none, the next one is told.
    pub(super) fn look(&self) -> u32 {
        self.watched.store(false, Ordering::SeqCst);
        let calls = self.count();
        if calls > 0 {
            self.watched.store(true, Ordering::SeqCst);
        }
        calls
    }
}

/// A peer that is connected.
#[derive(Debug)]
pub(super) struct Link {
    /// Who.
    pub(super) peer: NodeKey,
    /// Whether this node made the connections.
    pub(super) side: Side,
    /// The connection of control.
    pub(super) control: Channel,
    /// KiB of questions that the peer may have here at once.
    pub(super) room: Arc<Semaphore>,
    /// Calls whose items may still be read from it.
    pub(super) streaming: Arc<Semaphore>,
    calls: OnceLock<Channel>,
    calls_ready: watch::Sender<bool>,
    ends: Ends,
    /// The last round trip that an answer took, in microseconds.
    answers: watch::Sender<i64>,
    /// When it was opened, in microseconds since 1970.
    pub(super) opened_us: i64,
    /// Whether it is looked whether the peer answers.
    checking: AtomicBool,
    /// Where the connection was whose place it took.
    took_from: OnceLock<SocketAddr>,
    ended: CancellationToken,
}

impl Link {
    /// A peer that is let in now.
    pub(super) fn new((control, side): (Channel, Side), ends: Ends, opened_us: i64) -> Arc<Self> {
        Arc::new(Self {
            peer: control.peer(),
            side,
            control,
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            streaming: Arc::new(Semaphore::new(STREAMING_MAX)),
            calls: OnceLock::new(),
            calls_ready: watch::Sender::new(false),
            ends,
            answers: watch::Sender::new(0),
            opened_us,
            checking: AtomicBool::new(false),
            took_from: OnceLock::new(),
            ended: CancellationToken::new(),
        })
    }

    /// Notes that it takes the place of another connection with the same peer. Whoever takes back what was
    /// taken from it is not the one who took it.
    pub(super) fn take_place_of(&self, other: &Self) {
        let (here, there) = (self.address(), other.address());
        let _ = self.took_from.set(there);
        if here != there && other.took_from.get() == Some(&here) {
            tracing::warn!(
                peer = %self.peer, %here, %there,
                "two nodes run with one key: revoke it, and let them in anew with keys of their own"
            );
        }
    }

    /// The peer answered after so many microseconds.
    pub(super) fn answered(&self, us: i64) {
        self.answers.send_replace(us);
    }

    /// Where the peer is.
    pub(super) fn address(&self) -> SocketAddr {
        self.control.address()
    }

    /// The round trip: as the peer answered last, else as QUIC measured it.
    pub(super) fn round_trip(&self) -> Duration {
        match u64::try_from(*self.answers.borrow()) {
            Ok(us) if us > 0 => Duration::from_micros(us),
            _ => self.control.round_trip(),
        }
    }

    /// Calls that are in flight with the peer, both ways.
    pub(super) fn calls_in_flight(&self) -> u32 {
        self.ends.in_flight.count()
    }

    /// Counts one call as long as what is returned lives.
    pub(super) fn call(self: &Arc<Self>) -> CallInFlight {
        self.ends.in_flight.begin();
        CallInFlight(Arc::clone(self))
    }

    /// The connection for calls, as soon as it is made. A link that does not get one is half of one, and
    /// is ended so that it is made anew.
    pub(super) async fn calls(&self) -> Option<&Channel> {
        let mut ready = self.calls_ready.subscribe();
        tokio::select! {
            biased;
            () = self.ended.cancelled() => None,
            ready = ready.wait_for(|ready| *ready) => {
                ready.ok()?;
                self.calls.get()
            }
            () = tokio::time::sleep(CALLS) => {
                self.close(Closing::Silent);
                None
            }
        }
    }

    /// Whether it has its connection for calls.
    pub(super) fn has_calls(&self) -> bool {
        self.calls.get().is_some()
    }

    /// Takes the connection for calls; `false` when there is one already.
    pub(super) fn attach(&self, channel: Channel) -> bool {
        let attached = self.calls.set(channel).is_ok();
        if attached {
            self.calls_ready.send_replace(true);
        }
        attached
    }

    /// Sends a frame when there is room; who takes none is cut off.
    pub(super) fn send(&self, frame: ControlFrame) {
        if self.ends.frames.try_send(frame).is_err() {
            self.close(Closing::Silent);
        }
    }

    /// Asks the peer whether it is there, and waits for the answer.
    pub(super) async fn ping(&self, patience: Duration) -> Option<Duration> {
        let mut answers = self.answers.subscribe();
        answers.mark_unchanged();
        self.ends.asks.send_modify(|count| *count += 1);
        let answered = tokio::time::timeout(patience, answers.changed()).await;
        answered.ok()?.ok()?;
        Some(self.round_trip())
    }

    /// Ends it when the peer does not answer. Once at a time, whoever wants to know.
    pub(super) async fn check(&self) {
        if self.checking.swap(true, Ordering::SeqCst) {
            return;
        }
        let patience = ALIVE.max(self.round_trip() * 4);
        if self.ping(patience).await.is_none() {
            self.close(Closing::Silent);
        }
        self.checking.store(false, Ordering::SeqCst);
    }

    /// Ends it.
    pub(super) fn close(&self, why: Closing) {
        self.control.close(why);
        if let Some(calls) = self.calls.get() {
            calls.close(why);
        }
        self.ended.cancel();
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}

/// One call in flight with a peer.
#[derive(Debug)]
pub(super) struct CallInFlight(Arc<Link>);

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.0.ends.in_flight.end();
    }
}
