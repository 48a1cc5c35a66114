//! A member of the node's community that does what a test has it do.

use std::sync::atomic::AtomicBool;

use meshhost_core::mesh::{
    catalogue::Catalogue,
    key::NodeKey,
    record::{Load, NodeRecord, NodeState, Offer, OfferState, Offered, ResourceClass, Said},
    signed::Signed,
    wire::{Bytes, Records},
};
use tokio::sync::mpsc;

use super::{
    transport::{Receiving, Sending},
    *,
};

/// The member.
pub(super) struct Member {
    pub(super) key: NodeKey,
    signer: Signer,
    _control: Channel,
    /// What it says on the control connection.
    pub(super) sending: Sending,
    /// What it hears there, when nobody reads it yet.
    receiving: Option<Receiving>,
    transport: Transport,
}

impl Member {
    /// Joins with a new ticket. It hears nothing and answers nothing yet.
    pub(super) async fn join(node: &Fixture, seed: u8) -> Self {
        Self::join_by(node, seed, stranger(seed)).await
    }

    /// As [`Self::join`], over this socket.
    pub(super) async fn join_by(node: &Fixture, seed: u8, transport: Transport) -> Self {
        let ticket = MeshRequest::Ticket { uses: 1, seconds: 600 };
        let Ok(MeshReply::Ticket(ticket)) = node.ask(ticket).await else { panic!("no ticket") };
        let ticket: meshhost_core::mesh::ticket::Ticket = ticket.ticket.parse().unwrap();
        let control = transport.dial(node.address(), node.mesh.own, Protocol::Control).await;
        let control = control.unwrap();
        let Stream { mut sending, mut receiving } = control.open().await.unwrap();
        sending.write(&node.hello(Some(Secret::from(ticket.secret)))).await.unwrap();
        let welcome = receiving.read::<ControlFrame>().await.unwrap().unwrap();
        assert!(matches!(welcome, ControlFrame::Welcome(_)), "{welcome:?}");
        let signer = Signer::from_seed(&[seed; 32]);
        let key = signer.node_key();
        until("the member is let in", async || node.running().links.find(&key)).await;
        Self { key, signer, _control: control, sending, receiving: Some(receiving), transport }
    }

    /// Where it can be dialled.
    pub(super) fn transport(&self) -> Transport {
        self.transport.clone()
    }

    /// Its connection for calls.
    pub(super) async fn calls(&self, node: &Fixture) -> Channel {
        let calls = self.transport.dial(node.address(), node.mesh.own, Protocol::Calls).await;
        let calls = calls.unwrap();
        calls.admit();
        let running = node.running();
        until("the calls are attached", async || {
            running.links.find(&self.key).filter(|link| link.has_calls())
        })
        .await;
        calls
    }

    /// From now on it answers whoever asks whether it is there.
    pub(super) fn lives(mut self) -> Living {
        let mut receiving = self.receiving.take().unwrap();
        let (says, mut said) = mpsc::channel(64);
        let living = Living { silent: Arc::default(), says };
        let silent = Arc::clone(&living.silent);
        tokio::spawn(async move {
            loop {
                let frame = tokio::select! {
                    heard = receiving.read::<ControlFrame>() => match heard {
                        Ok(Some(ControlFrame::Ping(number))) => ControlFrame::Pong(number),
                        Ok(Some(_)) => continue,
                        _ => break,
                    },
                    Some(frame) = said.recv() => frame,
                };
                if !silent.load(Ordering::SeqCst) {
                    let _ = self.sending.write(&frame).await;
                }
            }
            drop(self);
        });
        living
    }

    /// Says how it is, and that it has `demo.read`, which changes nothing.
    pub(super) async fn offers(&mut self, node: &Fixture) {
        self.offers_of_type(node, None).await;
    }

    /// As [`Self::offers`], with a type of this hash.
    pub(super) async fn offers_of_type(&mut self, node: &Fixture, type_hash: Option<Digest>) {
        let version = Catalogue::new(self.key).next_version(node.clock.now_us());
        let (community, issued_us) = (node.community(), node.clock.now_us());
        let record = NodeRecord {
            community,
            node: self.key,
            name: "member".to_owned(),
            roles: Vec::new(),
            addresses: Vec::new(),
            version,
            issued_us,
            engine: semver::Version::new(48, 0, 0),
            program: semver::Version::new(0, 1, 0),
            state: NodeState::Serving,
            load: Load { slots_free: 8, slots: 8, cpu: Some(100), gpu: None },
            models: Vec::new(),
        };
        let capabilities = vec![Offered {
            id: CAPABILITY.parse().unwrap(),
            long_id: CAPABILITY.parse().unwrap(),
            version: semver::Version::new(1, 0, 0),
            type_hash,
            plugin: "demo".parse().unwrap(),
            class: ResourceClass::Cpu,
            state: OfferState::Serving,
            read_only: true,
            idempotent: true,
            models_loaded: None,
        }];
        let (own, peer) = (self.key, node.mesh.own);
        let offer = Offer { community, node: own, peer, version, issued_us, capabilities };
        let said = [
            Said::Record(Signed::sign(&record, &self.signer).unwrap()),
            Said::Offer(Signed::sign(&offer, &self.signer).unwrap()),
        ];
        let records = said.iter().map(|said| Bytes::from(said.to_bytes())).collect();
        self.sending.write(&ControlFrame::Records(Records { records })).await.unwrap();
        let running = node.running();
        until("the offer is known", async || {
            running.known.has_offer_of(&running, &self.key).then_some(())
        })
        .await;
    }
}

/// A member that answers.
#[derive(Debug)]
pub(super) struct Living {
    silent: Arc<AtomicBool>,
    says: mpsc::Sender<ControlFrame>,
}

impl Living {
    /// From now on it answers nothing; its connections stay.
    pub(super) fn falls_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// Says something.
    pub(super) fn says(&self, frame: ControlFrame) {
        self.says.try_send(frame).unwrap();
    }
}

/// What it has.
pub(super) const CAPABILITY: &str = "demo.read";
