//! What a node says to those whom it does not know, over real QUIC on loopback.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicI64, Ordering},
};

use meshhost_core::{
    config::NodeConfig,
    evidence::sign::Signer,
    id::Digest,
    mesh::wire::{ControlFrame, Hello, Number, PROTOCOL, Refused, Secret, Statements},
};
use meshhost_inference::Serving;

use super::{
    transport::{Channel, DialError, Protocol, Stream, Transport},
    *,
};
use crate::{
    api::{MeshReply, MeshRequest},
    models::ModelStore,
    node::{Config, Options},
    store::directory::DataDirectory,
    sys::{SystemClock, SystemEntropy},
};

mod blobs;
mod clocks;
mod exchanges;
mod fleet;
mod floods;
mod lending;
mod member;
mod providers;
mod receipts;
mod streams;
mod watching;

async fn warm_models(store: &Store, lifecycle: &Lifecycle) -> WarmModels {
    let config = &NodeConfig::DEFAULT.inference;
    let (folder, rows) = (store.directory.models(), store.models.clone());
    let models = ModelStore::open(folder, rows, lifecycle.clone(), config).await.unwrap();
    let catalogue = Arc::clone(models.catalogue());
    let settings = crate::inference::settings(config, &store.directory.runtimes()).unwrap();
    let serving = Serving::new(settings, Arc::clone(&catalogue) as _, lifecycle.clock.clone());
    WarmModels { catalogue, serving: Arc::new(serving) }
}

/// The machine's clock, so many microseconds off.
#[derive(Debug, Default)]
struct OffClock(AtomicI64);

impl Clock for OffClock {
    fn now_us(&self) -> i64 {
        SystemClock.now_us() + self.0.load(Ordering::SeqCst)
    }
}

/// A node that listens, and the first ticket of the community that it began.
struct Fixture {
    _home: tempfile::TempDir,
    store: Store,
    mesh: Arc<Mesh>,
    clock: Arc<OffClock>,
    ticket: String,
}

impl Fixture {
    /// A node that began a community.
    async fn new() -> Self {
        Self::with_clock(0).await
    }

    /// The same, whose clock is off.
    async fn with_clock(off_us: i64) -> Self {
        let mut node = Self::alone(off_us).await;
        let init = MeshRequest::Init {
            community: "home".to_owned(),
            name: Some("node".to_owned()),
            listen: "127.0.0.1:0".to_owned(),
        };
        let MeshReply::Entered(entered) = node.ask(init).await.unwrap() else {
            panic!("it began none")
        };
        node.ticket = entered.ticket.unwrap().ticket;
        node
    }

    /// A node of no community.
    async fn alone(off_us: i64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(OffClock(AtomicI64::new(off_us)));
        let entropy = Arc::new(SystemEntropy);
        let data = home.path().join("data");
        let options = Options { data, config: Config::default(), access: Access::Node };
        let directory = DataDirectory::open(&options.data, options.access).await.unwrap();
        let node = meshhost_core::config::NodeConfig::DEFAULT;
        let store = Store::open(directory, &node, clock.clone(), entropy.clone()).await.unwrap();
        let host_id = store.keys.host_id().clone();
        let evidence = store.evidence.clone();
        let lifecycle = Lifecycle { evidence, host_id, clock: clock.clone(), entropy };
        let policy = MeshConfig::DEFAULT;
        let models = warm_models(&store, &lifecycle).await;
        let access = options.access;
        let parts = Parts { door: Weak::new(), lifecycle, access, policy, models };
        let mesh = Mesh::open(&store, parts).await.unwrap();
        Self { _home: home, store, mesh, clock, ticket: String::new() }
    }

    async fn ask(&self, request: MeshRequest) -> Result<MeshReply, Refusal> {
        self.mesh.handle(&Entrance::command_line("me"), request).await
    }

    fn running(&self) -> Arc<Running> {
        self.mesh.state().running.unwrap()
    }

    fn address(&self) -> SocketAddr {
        self.running().own_addresses()[0]
    }

    fn community(&self) -> Digest {
        self.mesh.community().unwrap().0.membership(|it| it.community())
    }

    fn hello(&self, ticket: Option<Secret>) -> ControlFrame {
        let (community, name) = (self.community(), "other".to_owned());
        ControlFrame::Hello(Hello { protocol: PROTOCOL, community, ticket, name })
    }

    /// A connection of the node with this seed.
    async fn dial(&self, seed: u8, protocol: Protocol) -> Channel {
        let dialled = stranger(seed).dial(self.address(), self.mesh.own, protocol).await;
        dialled.unwrap()
    }
}

/// Looks again and again until there is something; fails the test when that takes too long.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), found).await;
    found.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn stranger(seed: u8) -> Transport {
    let key = Signer::from_seed(&[seed; 32]).node_key();
    let tls = Tls::new(&[seed; 32], &key).unwrap();
    Transport::bind("127.0.0.1:0".parse().unwrap(), tls).unwrap()
}

/// What comes back for these frames, until the other end closes.
async fn said(channel: &Channel, frames: &[ControlFrame]) -> Vec<ControlFrame> {
    let Stream { mut sending, mut receiving } = channel.open().await.unwrap();
    for frame in frames {
        if sending.write(frame).await.is_err() {
            break;
        }
    }
    let mut heard = Vec::new();
    while let Ok(Some(frame)) = receiving.read().await {
        heard.push(frame);
    }
    heard
}

#[tokio::test]
async fn a_stranger_hears_one_word_whatever_it_says() {
    let node = Fixture::new().await;
    let wrong = node.hello(Some(Secret::from([9; 32])));
    let mut elsewhere = node.hello(None);
    if let ControlFrame::Hello(hello) = &mut elsewhere {
        hello.community = Digest::of(b"another");
    }
    for (seed, hello) in [(1, node.hello(None)), (2, wrong), (3, elsewhere)] {
        let channel = node.dial(seed, Protocol::Control).await;
        assert_eq!(said(&channel, &[hello]).await, [ControlFrame::Refused(Refused)]);
        channel.closed().await;
        assert!(channel.refused(), "and the connection is closed");
    }
}

#[tokio::test]
async fn who_does_not_greet_is_answered_nothing() {
    let node = Fixture::new().await;
    let statements = ControlFrame::Statements(Statements { statements: Vec::new() });
    for frame in [ControlFrame::Ping(Number { number: 1 }), statements] {
        let channel = node.dial(1, Protocol::Control).await;
        assert_eq!(said(&channel, &[frame]).await, []);
    }
    let channel = node.dial(1, Protocol::Control).await;
    let Stream { mut sending, mut receiving } = channel.open().await.unwrap();
    sending.write_raw(&[0xff; 64]).await;
    assert!(receiving.read::<ControlFrame>().await.is_err(), "no frame at all");
    // The node serves on.
    let channel = node.dial(2, Protocol::Control).await;
    assert_eq!(said(&channel, &[node.hello(None)]).await, [ControlFrame::Refused(Refused)]);
}

#[tokio::test]
async fn calls_are_taken_from_nobody_who_is_not_connected_for_control() {
    let node = Fixture::new().await;
    let channel = node.dial(1, Protocol::Calls).await;
    channel.closed().await;
    assert!(channel.refused());
}

#[tokio::test]
async fn a_node_with_another_key_is_not_spoken_to() {
    let node = Fixture::new().await;
    let expected = Signer::from_seed(&[7; 32]).node_key();
    let dialled = stranger(1).dial(node.address(), expected, Protocol::Control).await;
    assert_eq!(dialled.err(), Some(DialError::AnotherNode));
}

#[tokio::test]
async fn a_ticket_is_taken_from_the_one_who_has_it_and_then_not_from_another() {
    let node = Fixture::new().await;
    let ticket: meshhost_core::mesh::ticket::Ticket = node.ticket.parse().unwrap();
    let hello = node.hello(Some(Secret::from(ticket.secret)));
    let channel = node.dial(1, Protocol::Control).await;
    let Stream { mut sending, mut receiving } = channel.open().await.unwrap();
    sending.write(&hello).await.unwrap();
    let welcome = receiving.read::<ControlFrame>().await.unwrap().unwrap();
    assert!(matches!(welcome, ControlFrame::Welcome(_)), "{welcome:?}");
    let another = node.dial(2, Protocol::Control).await;
    assert_eq!(said(&another, &[hello]).await, [ControlFrame::Refused(Refused)]);
}
