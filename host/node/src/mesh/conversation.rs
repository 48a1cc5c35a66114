//! One control connection while it lasts: runs the machine of [`meshhost_core::mesh::peer`], and does what
//! the machine says.

mod waits;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use meshhost_core::{
    id::Digest,
    mesh::{
        membership::{MemberStatement, Membership},
        peer::{End, Input, Output, Peer, Side},
        record::Said,
        signed::Signed,
        wire::{Bytes, ControlFrame, Hello, Records, Statements},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::Instant,
};

use super::{
    admission,
    known::Told,
    link::{Ends, Link},
    running::Running,
    transport::{Channel, Closing, Protocol, Receiving, Sending, Stream},
};
use waits::{ended, sleep_until, until};

/// Frames that wait to be sent to one peer; a peer that takes none for that long is cut off.
const WAITING_FRAMES: usize = 64;
/// How long a peer may take to make room for what it is told.
const TAKING: Duration = Duration::from_secs(5);
/// How often a peer is told what is new of nodes: what others say, however often, makes no more of it.
const NEWS: Duration = Duration::from_millis(200);
/// Frames that were read and wait to be looked at.
const READ_FRAMES: usize = 8;
/// Statements that are remembered as known to a peer.
const KNOWN_STATEMENTS: usize = 4096;

/// One control connection while it is driven.
pub(super) struct Conversation {
    running: Arc<Running>,
    channel: Channel,
    sending: Sending,
    receiving: Option<Receiving>,
    machine: Peer,
    side: Side,
    link: Option<Arc<Link>>,
    frames: mpsc::Receiver<ControlFrame>,
    ends: Ends,
    /// Digests of the statements that the peer has.
    known: BTreeSet<Digest>,
    /// What the peer was told of nodes.
    told: Told,
    /// Held until the peer is let in: so many strangers may greet at once.
    greeting: Option<OwnedSemaphorePermit>,
}

impl Conversation {
    /// A conversation on a connection that this node made, which begins with `hello`.
    pub(super) async fn dial(running: Arc<Running>, channel: Channel, hello: Hello) {
        let Ok(stream) = channel.open().await else { return };
        let (machine, first) = Peer::dial(hello, running.steady_us());
        let mut conversation = Self::new(running, channel, stream, machine, Side::Dialled);
        if conversation.perform(first).await {
            conversation.talk().await;
        }
    }

    /// A conversation on a connection that the peer made.
    pub(super) async fn accept(running: Arc<Running>, channel: Channel) {
        let Ok(greeting) = Arc::clone(&running.greetings).try_acquire_owned() else {
            channel.close(Closing::Refused);
            return;
        };
        let stream = channel.accept();
        let stream = tokio::time::timeout(Duration::from_secs(5), stream).await;
        let Ok(Ok(stream)) = stream else {
            channel.close(Closing::Refused);
            return;
        };
        let machine = Peer::accept(running.steady_us());
        let mut conversation = Self::new(running, channel, stream, machine, Side::Accepted);
        conversation.greeting = Some(greeting);
        conversation.talk().await;
    }

    fn new(
        running: Arc<Running>,
        channel: Channel,
        stream: Stream,
        machine: Peer,
        side: Side,
    ) -> Self {
        let (outgoing, frames) = mpsc::channel(WAITING_FRAMES);
        let ends =
            Ends { frames: outgoing, in_flight: Arc::default(), asks: watch::Sender::new(0) };
        let Stream { sending, receiving } = stream;
        Self {
            running,
            channel,
            sending,
            receiving: Some(receiving),
            machine,
            side,
            link: None,
            frames,
            ends,
            known: BTreeSet::new(),
            told: Told::default(),
            greeting: None,
        }
    }

    /// Talks until one of the two has enough.
    async fn talk(mut self) {
        let (read, mut arriving) = mpsc::channel(READ_FRAMES);
        let Some(receiving) = self.receiving.take() else { return };
        let reader = tokio::spawn(read_frames(receiving, read));
        let mut changes = self.running.community.changes();
        let (mut news, mut links) = (self.running.known.news(), self.running.links.changes());
        let mut rested = None;
        let (in_flight, mut asks) = (Arc::clone(&self.ends.in_flight), self.ends.asks.subscribe());
        loop {
            let wake = sleep_until(self.machine.wake_us(), &self.running);
            let outputs = tokio::select! {
                biased;
                () = self.running.closing.cancelled() => {
                    self.farewell().await;
                    break;
                }
                () = ended(self.link.as_deref()) => break,
                frame = arriving.recv() => match frame {
                    Some(frame) => self.handle(Input::Frame(frame)),
                    None => break,
                },
                Some(frame) = self.frames.recv() => vec![Output::Send(frame)],
                () = in_flight.first() => self.handle(Input::CallsInFlight(in_flight.look())),
                Ok(()) = asks.changed() => self.machine.ask(self.running.steady_us()),
                Ok(()) = changes.changed(), if self.machine.is_open() => self.news(),
                Ok(()) = news.changed(), if self.machine.is_open() && rested.is_none() => {
                    rested = Some(Instant::now() + NEWS);
                    self.news()
                }
                () = until(rested) => {
                    rested = None;
                    Vec::new()
                }
                Ok(()) = links.changed() => self.watch(),
                () = wake => {
                    let mut outputs = self.handle(Input::CallsInFlight(in_flight.look()));
                    outputs.extend(self.handle(Input::Tick));
                    outputs
                }
            };
            if !self.perform(outputs).await {
                break;
            }
        }
        reader.abort();
        if let Some(link) = &self.link {
            self.running.links.remove(link);
            link.close(Closing::Leaving);
        }
    }

    /// Says what was still to be said, that this node leaves most of all, and closes.
    async fn farewell(&mut self) {
        let mut outputs = Vec::new();
        while let Ok(frame) = self.frames.try_recv() {
            outputs.push(Output::Send(frame));
        }
        if self.machine.is_open() {
            outputs.extend(self.news());
        }
        outputs.extend(self.machine.leave());
        self.perform(outputs).await;
        self.end(Closing::Leaving).await;
    }

    /// Looks whether this node is one of those that watch the peer.
    fn watch(&mut self) -> Vec<Output> {
        let watched = self.running.links.watches(&self.channel.peer());
        self.handle(Input::Watched(watched))
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(input, self.running.steady_us())
    }

    /// Does what the machine says. `false` when that was the end.
    async fn perform(&mut self, outputs: Vec<Output>) -> bool {
        let mut outputs: VecDeque<_> = outputs.into();
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Send(frame) => {
                    if !self.say(&frame).await {
                        return false;
                    }
                }
                Output::Decide(hello) => {
                    let decided = admission::decide(&self.running, self.channel.peer(), &hello);
                    let input = match decided.await {
                        Some(welcome) => {
                            self.remember(&welcome.statements);
                            Input::Admitted(Box::new(welcome))
                        }
                        None => Input::NotAdmitted,
                    };
                    outputs.extend(self.handle(input));
                }
                Output::Genesis(genesis) => {
                    let own = self.running.community.membership(|it| it.genesis().clone());
                    if genesis != own {
                        self.end(Closing::Protocol).await;
                        return false;
                    }
                }
                Output::Learn(statements) => {
                    if !self.learn(statements).await {
                        return false;
                    }
                }
                Output::Records(records) => self.records(records).await,
                Output::Missed(node) => self.running.look_for(&node),
                Output::Opened => {
                    if !self.opened().await {
                        return false;
                    }
                    outputs.extend(self.watch());
                    outputs.extend(self.news());
                }
                Output::Answered(us) => {
                    if let Some(link) = &self.link {
                        link.answered(us);
                    }
                }
                Output::Close(end) => {
                    self.close(end).await;
                    return false;
                }
            }
        }
        true
    }

    /// Takes in what the peer says of members. `false` when that is more than is checked: the connection ends,
    /// and what was missed comes with the next one, after what is known by then.
    async fn learn(&mut self, statements: Vec<Signed<MemberStatement>>) -> bool {
        self.remember(&statements);
        let from = (self.channel.peer(), self.running.steady_us());
        match self.running.community.learn(from, statements).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::warn!(peer = %from.0.short(), "a peer says more of members than is checked");
                self.end(Closing::Protocol).await;
                false
            }
            Err(refusal) => {
                tracing::warn!("what a peer said of members was not kept: {refusal}");
                true
            }
        }
    }

    /// Sends a frame. `false` when the peer is gone, or takes nothing: then it is cut off, since whoever
    /// waits for it hears nothing else, not even that it was revoked.
    async fn say(&mut self, frame: &ControlFrame) -> bool {
        match tokio::time::timeout(TAKING, self.sending.write(frame)).await {
            Ok(written) => written.is_ok(),
            Err(_) => {
                self.channel.close(Closing::Silent);
                false
            }
        }
    }

    /// The peer is one now: it is listed, and may open streams. `false` when there is another
    /// connection with it that stays.
    async fn opened(&mut self) -> bool {
        let peer = self.channel.peer();
        // Whoever was revoked meanwhile is none: the statements of the greeting are in by now.
        if self.running.community.member(&peer).is_none() {
            self.end(Closing::Refused).await;
            return false;
        }
        let now_us = self.running.clock.now_us();
        let link = Link::new((self.channel.clone(), self.side), self.ends.clone(), now_us);
        if !self.running.links.add(&link) {
            if let Some(other) = self.running.links.find(&peer) {
                // A peer that was started anew looks like this as well: is the other one alive?
                self.running.tasks.spawn(async move { other.check().await });
            }
            self.end(Closing::Duplicate).await;
            return false;
        }
        self.running.known.connected(&peer);
        self.greeting = None;
        self.link = Some(Arc::clone(&link));
        let running = Arc::clone(&self.running);
        let (address, now_us) = (link.address(), link.opened_us);
        if self.side == Side::Dialled {
            // Only an address that was dialled leads to it again.
            running.addresses.note(peer, &[address], now_us).await;
            self.running.tasks.spawn(connect_calls(running, link));
        }
        true
    }

    fn remember(&mut self, statements: &[Signed<MemberStatement>]) {
        if self.known.len() > KNOWN_STATEMENTS {
            self.known.clear();
        }
        self.known.extend(statements.iter().map(Signed::digest));
    }

    /// What the peer has not heard yet; and its end, when it belongs to the community no longer.
    fn news(&mut self) -> Vec<Output> {
        if self.running.community.member(&self.channel.peer()).is_none() {
            return vec![Output::Close(End::Refused)];
        }
        let known = &self.known;
        let news: Vec<_> = self.running.community.membership(|membership: &Membership| {
            let all = membership.statements();
            all.filter(|signed| !known.contains(&signed.digest())).cloned().collect()
        });
        self.remember(&news);
        let frames = Statements::frames(&news);
        let mut outputs: Vec<_> =
            frames.into_iter().map(ControlFrame::Statements).map(Output::Send).collect();
        let peer = self.channel.peer();
        let said = self.running.known.news_for(&self.running, &peer, &mut self.told);
        let records = Records::frames(said.iter().map(|said| Bytes::from(said.to_bytes())));
        outputs.extend(records.into_iter().map(ControlFrame::Records).map(Output::Send));
        outputs
    }

    /// Takes in what the peer said of nodes.
    async fn records(&mut self, records: Vec<Bytes>) {
        let peer = self.channel.peer();
        for bytes in records {
            let said = Said::from_bytes(&bytes);
            let learned = said.and_then(|said| {
                self.running.known.learn(&self.running, (&peer, said), &mut self.told)
            });
            match learned {
                Ok(Some(record)) => {
                    let node = record.node;
                    self.running.addresses.note(node, &record.addresses, 0).await;
                    self.running.links.hurry(&node);
                    self.running.links.touch();
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(peer = %peer.short(), "a record was not taken: {error}");
                }
            }
        }
    }

    async fn close(&mut self, end: End) {
        let why = match end {
            End::Left => Closing::Leaving,
            End::RefusedByPeer | End::Refused => Closing::Refused,
            End::Silent => Closing::Silent,
            End::Misuse => Closing::Protocol,
        };
        tracing::debug!(peer = %self.channel.peer().short(), "a connection ends: {end:?}");
        match end {
            End::RefusedByPeer => self.running.links.refused(self.channel.peer()),
            End::Silent if self.link.is_some() => self.running.tell_missed(self.channel.peer()),
            _ => {}
        }
        self.end(why).await;
    }

    /// Closes, after what was said has arrived or a short while has passed.
    async fn end(&mut self, why: Closing) {
        self.sending.finish();
        let taken = self.sending.taken();
        let _ = tokio::time::timeout(Duration::from_millis(200), taken).await;
        self.channel.close(why);
    }
}

async fn read_frames(mut receiving: Receiving, read: mpsc::Sender<ControlFrame>) {
    while let Ok(Some(frame)) = receiving.read().await {
        if read.send(frame).await.is_err() {
            return;
        }
    }
}

/// Makes the connection for calls beside a control connection that this node made.
async fn connect_calls(running: Arc<Running>, link: Arc<Link>) {
    let dialled = running.transport.dial(link.address(), link.peer, Protocol::Calls).await;
    match dialled {
        Ok(channel) => running.attach(&link, channel),
        Err(error) => {
            tracing::debug!(peer = %link.peer.short(), "no connection for calls: {error}");
            link.close(Closing::Silent);
        }
    }
}
