//! The mesh while it runs: the socket, the peers, and the tasks that keep both going.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use meshhost_core::{
    config::{Discovery, MeshConfig},
    mesh::{
        announce::Lan,
        key::NodeKey,
        membership::{MemberStatement, Membership},
        signed::Signed,
        wire::{ControlFrame, Hello, Missed, PROTOCOL, Statements},
    },
    outcome::Refusal,
    ports::Clock,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    addresses::Addresses,
    community::Community,
    conversation::Conversation,
    discovery::{self, Standing},
    known::{self, Known},
    lending::Lending,
    link::Link,
    links::Links,
    listen,
    receipts::Receipts,
    serving,
    tls::Tls,
    transport::{Arriving, Channel, Closing, Protocol, Transport},
    types::Types,
    warm::WarmModels,
};
use crate::{
    door::Door,
    store::{audit::Audit, blobs::Blobs, mesh::MeshTables},
};

/// Connections at once whose other end has not been let in.
const GREETINGS_MAX: usize = 64;
/// KiB of other nodes' records at once.
const RECORDS_KIB: usize = 32 * 1024;
/// How long peers are told that this node goes.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the connector rests at most before it looks again whom to dial.
const REST: Duration = Duration::from_secs(5);

/// The mesh while it runs.
#[derive(Debug)]
pub(super) struct Running {
    /// Who belongs to it.
    pub(super) community: Arc<Community>,
    /// The socket.
    pub(super) transport: Transport,
    /// Who is connected.
    pub(super) links: Links,
    /// Where peers may be.
    pub(super) addresses: Arc<Addresses>,
    /// Keeps where calls ran.
    pub(super) tables: MeshTables,
    /// This node's blobs.
    pub(super) blobs: Blobs,
    /// This node's record.
    pub(super) audit: Audit,
    /// KiB of other nodes' records that are held at once, to be handed on.
    pub(super) records: Arc<Semaphore>,
    /// Those of the blobs that peers may have now.
    pub(super) lending: Arc<Lending>,
    /// What is signed about calls, here and there.
    pub(super) receipts: Receipts,
    /// What is known of the others.
    pub(super) known: Known,
    /// Types of what they offer.
    pub(super) types: Types,
    /// How members are found on the local network.
    pub(super) discovery: Standing,
    /// Whether others can connect to this node: a command is gone soon.
    pub(super) serves: bool,
    /// The way of every call.
    pub(super) door: Weak<Door>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// When it was started.
    begun: Instant,
    /// So many strangers may greet at once.
    pub(super) greetings: Arc<Semaphore>,
    /// Whether this node has said that it goes.
    pub(super) leaving: AtomicBool,
    /// Whether it takes no more calls of others.
    pub(super) draining: AtomicBool,
    /// What it says of its models.
    pub(super) models: WarmModels,
    /// What goes on.
    pub(super) tasks: TaskTracker,
    /// Says that it ends.
    pub(super) closing: CancellationToken,
}

/// What a mesh runs with.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// This node's end of TLS.
    pub(super) tls: Tls,
    /// Keeps where calls ran.
    pub(super) tables: MeshTables,
    /// This node's blobs.
    pub(super) blobs: Blobs,
    /// This node's record.
    pub(super) audit: Audit,
    /// Where calls run.
    pub(super) policy: MeshConfig,
    /// What it says of its models.
    pub(super) models: WarmModels,
    /// Whether others can connect to this node.
    pub(super) serves: bool,
    /// The way of every call.
    pub(super) door: Weak<Door>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
}

impl Running {
    /// Binds the socket and starts.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) fn start(
        community: Arc<Community>,
        addresses: Arc<Addresses>,
        settings: Settings,
    ) -> Result<Arc<Self>, Refusal> {
        let Settings { address, tls, tables, blobs, audit, policy, models, serves, door, clock } =
            settings;
        let transport = Transport::bind(address, tls)?;
        let links = Links::new(community.own());
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        // Nobody can dial a command: it is gone soon.
        let finds = serves && policy.discovery == Discovery::Lan;
        let known = Known::new(community.own(), policy);
        let running = Arc::new(Self {
            community,
            transport,
            links,
            addresses,
            tables,
            blobs,
            audit,
            records: Arc::new(Semaphore::new(RECORDS_KIB)),
            lending: Arc::default(),
            receipts: Receipts::default(),
            known,
            types: Types::default(),
            discovery: Standing::default(),
            serves,
            door,
            clock,
            begun: Instant::now(),
            greetings: Arc::new(Semaphore::new(GREETINGS_MAX)),
            leaving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            models,
            tasks,
            closing,
        });
        running.tasks.spawn(known::keep_telling(Arc::clone(&running)));
        running.tasks.spawn(Arc::clone(&running).accept());
        running.tasks.spawn(Arc::clone(&running).connect());
        if finds {
            running.tasks.spawn(discovery::discover(Arc::clone(&running)));
        }
        Ok(running)
    }

    /// Where others find this node: what it listens on, or every address of the machine when it
    /// listens on all.
    pub(super) fn own_addresses(&self) -> Vec<SocketAddr> {
        let Some(address) = self.transport.address() else { return Vec::new() };
        listen::reachable_at(address)
    }

    /// The IPv4 networks in which others find this node.
    pub(super) fn own_lans(&self) -> Vec<Lan> {
        self.transport.address().map(listen::lans_of).unwrap_or_default()
    }

    /// How this node greets.
    fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            community: self.community.membership(Membership::community),
            ticket: None,
            name: self.community.name().to_owned(),
        }
    }

    /// Takes connections that others make, until the mesh ends.
    async fn accept(self: Arc<Self>) {
        loop {
            let arriving = tokio::select! {
                biased;
                () = self.closing.cancelled() => return,
                arriving = self.transport.accept() => arriving,
            };
            let Some(arriving) = arriving else { return };
            self.tasks.spawn(Arc::clone(&self).welcome(arriving));
        }
    }

    async fn welcome(self: Arc<Self>, arriving: Arriving) {
        let Some(channel) = arriving.finish().await else { return };
        match channel.protocol() {
            Protocol::Control => Conversation::accept(self, channel).await,
            Protocol::Calls => {
                // Only who is connected for control has calls.
                match self.links.find(&channel.peer()) {
                    Some(link) => self.attach(&link, channel),
                    None => channel.close(Closing::Refused),
                }
            }
        }
    }

    /// Serves the calls that come on a connection, and makes calls on it.
    pub(super) fn attach(self: &Arc<Self>, link: &Arc<Link>, channel: Channel) {
        channel.admit();
        if !link.attach(channel.clone()) {
            channel.close(Closing::Duplicate);
            return;
        }
        self.links.touch();
        self.tasks.spawn(serving::serve(Arc::clone(self), Arc::clone(link), channel));
    }

    /// Dials members that are not connected, until the mesh ends.
    async fn connect(self: Arc<Self>) {
        let (mut members, mut links) = (self.community.changes(), self.links.changes());
        loop {
            for peer in
                self.community.membership(|it| it.members().keys().copied().collect::<Vec<_>>())
            {
                self.dial_if_due(peer);
            }
            let rest = Instant::now() + REST;
            let wake = self.links.next_turn().map_or(rest, |next| next.min(rest));
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return,
                Ok(()) = members.changed() => {}
                Ok(()) = links.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn dial_if_due(self: &Arc<Self>, peer: NodeKey) {
        let addresses = self.addresses.of(&peer);
        if addresses.is_empty() || !self.links.take_turn(&peer, Instant::now()) {
            return;
        }
        let running = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut lasted = Duration::ZERO;
            for address in addresses {
                let dial = running.transport.dial(address, peer, Protocol::Control);
                let dialled = tokio::select! {
                    biased;
                    () = running.closing.cancelled() => return,
                    dialled = dial => dialled,
                };
                match dialled {
                    Ok(channel) => {
                        let (hello, begun) = (running.hello(), Instant::now());
                        Conversation::dial(Arc::clone(&running), channel, hello).await;
                        lasted = begun.elapsed();
                        break;
                    }
                    Err(error) => {
                        tracing::debug!(peer = %peer.short(), %address, "not reached: {error}");
                    }
                }
            }
            running.links.dialled(&peer, lasted, Instant::now());
        });
    }

    /// A peer that is connected, or is within `patience`.
    pub(super) async fn connected(&self, peer: &NodeKey, patience: Duration) -> Option<Arc<Link>> {
        if let Some(link) = self.links.find(peer) {
            return Some(link);
        }
        self.links.hurry(peer);
        let found = self.until(patience, || {
            let link = self.links.find(peer);
            (link.is_some() || self.links.was_refused(peer)).then_some(link)
        });
        found.await.flatten()
    }

    /// Waits until it is known of every member whether it can be reached, or until this node has run for
    /// `patience`: later on no member can make calls wait by what it leaves out.
    pub(super) async fn settled(&self, patience: Duration) {
        let patience = patience.saturating_sub(self.begun.elapsed());
        let open = || {
            let members =
                self.community.membership(|it| it.members().keys().copied().collect::<Vec<_>>());
            members.iter().any(|peer| {
                *peer != self.community.own()
                    && !self.addresses.of(peer).is_empty()
                    && (self.links.is_open_question(peer)
                        || (self.links.find(peer).is_some()
                            && !self.known.has_offer_of(self, peer)))
            })
        };
        self.until(patience, || (!open()).then_some(())).await;
    }

    /// Looks whenever who is connected has changed, until there is something or for `patience`.
    async fn until<T>(&self, patience: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut changes = self.links.changes();
        let found = async {
            loop {
                if let Some(found) = look() {
                    return found;
                }
                // The table never goes before this.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(patience, found).await.ok()
    }

    /// Tells every connected peer that another one does not answer any more.
    pub(super) fn tell_missed(&self, node: NodeKey) {
        for link in self.links.all().into_iter().filter(|link| link.peer != node) {
            link.send(ControlFrame::Missed(Missed { node }));
        }
    }

    /// Looks whether a peer that another one misses is there.
    pub(super) fn look_for(&self, node: &NodeKey) {
        if let Some(link) = self.links.find(node) {
            self.tasks.spawn(async move { link.check().await });
        }
    }

    /// Tells every connected peer that this node leaves the community.
    pub(super) fn say_farewell(&self, farewell: Signed<MemberStatement>) {
        for link in self.links.all() {
            let statements = Statements { statements: vec![farewell.clone()] };
            link.send(ControlFrame::Statements(statements));
        }
    }

    /// Microseconds by a clock that never goes back; it says nothing of the time of day.
    pub(super) fn steady_us(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Takes no more calls of others, or takes them again; peers are told.
    pub(super) fn drain(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
        self.known.publish(self);
    }

    /// Ends: peers are told, and the socket is closed.
    pub(super) async fn close(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.known.publish(self);
        self.receipts.settled().await;
        self.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(FAREWELL, self.tasks.wait()).await;
        self.transport.close().await;
    }
}
