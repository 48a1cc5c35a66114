//! Whoever floods the node: strangers who lie about their address, and members who misuse what they may.

use std::{collections::BTreeMap, net::UdpSocket, time::Instant};

use meshhost_core::mesh::{
    membership::{Level, MemberStatement},
    signed::Signed,
    wire::{CallFrame, Describe},
};
use tokio::task::JoinSet;

use super::{member::Member, *};

/// Addresses that handshakes come from.
const ADDRESSES: usize = 200;
/// Streams that a member opens and resets.
const STREAMS: u32 = 20_000;
/// Streams that a member may have open at once.
const STREAMS_MAX: usize = 256;
/// Memory that a flood may take, in KiB: far more than is needed, far less than what the streams announce.
const MEMORY_KIB: u64 = 128 * 1024;
/// How long one may wait for an answer during a flood, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Memory of this process in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// First datagrams of as many handshakes, as a real peer makes them.
async fn handshakes(count: usize) -> Vec<Vec<u8>> {
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, nobody) = (sink.local_addr().unwrap(), stranger(9));
    let key = Signer::from_seed(&[8; 32]).node_key();
    let mut dials = JoinSet::new();
    for _ in 0..count {
        let nobody = nobody.clone();
        dials.spawn(async move { nobody.dial(address, key, Protocol::Control).await.is_ok() });
    }
    let mut first = BTreeMap::new();
    while first.len() < count {
        let mut datagram = vec![0; 2_048];
        let length = sink.recv(&mut datagram).await.unwrap();
        datagram.truncate(length);
        // A long header: its form, four bytes of version, the length of the connection id and that.
        let id = datagram[6..6 + usize::from(datagram[5])].to_vec();
        first.entry(id).or_insert(datagram);
    }
    first.into_values().collect()
}

/// A socket of one who lies about its address, as far as the node can tell: it never goes on.
struct Spoofed {
    socket: UdpSocket,
    sent: usize,
    heard: usize,
}

impl Spoofed {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, sent: 0, heard: 0 }
    }

    fn send(&mut self, datagram: &[u8], to: SocketAddr) {
        self.sent += self.socket.send_to(datagram, to).unwrap_or(0);
    }

    fn hear(&mut self) {
        let mut datagram = [0; 2_048];
        while let Ok((length, _)) = self.socket.recv_from(&mut datagram) {
            self.heard += length;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_about_its_address_is_sent_little_and_members_are_served_meanwhile() {
    let node = Fixture::new().await;
    let one = Member::join(&node, 1).await;
    let link = node.running().links.find(&one.key).unwrap();
    let _living = one.lives();
    let mut senders = Vec::new();
    for handshake in handshakes(ADDRESSES).await {
        let mut sender = Spoofed::new();
        // Of a version that nobody speaks; of no connection; and no QUIC at all.
        let mut unknown = handshake.clone();
        unknown[1..5].copy_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
        let mut nowhere = handshake.clone();
        nowhere[0] = 0x40;
        for datagram in [&unknown, &nowhere, &vec![0xff; 1_200], &handshake, &handshake] {
            sender.send(datagram, node.address());
        }
        sender.hear();
        senders.push(sender);
    }
    // Who is a member is answered, and who becomes one is let in, while all of them are half-way.
    assert!(link.ping(PATIENCE).await.is_some());
    let _living = Member::join(&node, 2).await.lives();
    until("what was half-way is given up", async || {
        senders.iter_mut().for_each(Spoofed::hear);
        (node.running().transport.handshakes() == 0).then_some(())
    })
    .await;
    senders.iter_mut().for_each(Spoofed::hear);
    for Spoofed { sent, heard, .. } in &senders {
        assert!(*heard <= 3 * sent, "{heard} bytes for {sent}");
    }
    let heard: usize = senders.iter().map(|sender| sender.heard).sum();
    assert!(heard > 0, "the node answers handshakes at all");
    assert!(link.ping(PATIENCE).await.is_some());
}

/// Asks how a capability is called, as a member.
async fn asks(calls: &Channel) -> bool {
    let Stream { mut sending, mut receiving } = calls.open().await.unwrap();
    let question = Describe { capability: "demo.read".parse().unwrap(), version: None };
    sending.write(&CallFrame::Describe(question)).await.unwrap();
    sending.finish();
    let answer = tokio::time::timeout(PATIENCE, receiving.read::<CallFrame>()).await;
    matches!(answer, Ok(Ok(Some(CallFrame::Declined(_)))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_reset_leave_nothing_behind() {
    let node = Fixture::new().await;
    let (hostile, honest) = (Member::join(&node, 1).await, Member::join(&node, 2).await);
    let (flood, calls) = (hostile.calls(&node).await, honest.calls(&node).await);
    let _living = [hostile.lives(), honest.lives()];
    assert!(asks(&calls).await);
    let (tasks, before) = (node.running().tasks.len(), memory_kib());
    for count in 0..STREAMS {
        let Stream { mut sending, mut receiving } = flood.open().await.unwrap();
        sending.write_raw(&[32, 0, 0]).await;
        sending.cancel();
        receiving.stop();
        if count % 4_000 == 0 {
            assert!(asks(&calls).await, "another member is served");
            let now = node.running().tasks.len();
            assert!(now <= tasks + 2 * STREAMS_MAX, "{now} tasks");
        }
    }
    assert!(asks(&calls).await);
    until("every stream is over", async || (node.running().tasks.len() <= tasks).then_some(()))
        .await;
    let grown = memory_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_never_end_take_no_room_from_others_and_are_cut_off() {
    let node = Fixture::new().await;
    let (hostile, honest) = (Member::join(&node, 1).await, Member::join(&node, 2).await);
    let (flood, calls) = (hostile.calls(&node).await, honest.calls(&node).await);
    let _living = [hostile.lives(), honest.lives()];
    let before = memory_kib();
    let mut streams = Vec::new();
    // As many as it may have, each of which announces 16 MiB and sends next to nothing of it.
    while let Ok(stream) = tokio::time::timeout(Duration::from_secs(1), flood.open()).await {
        let mut stream = stream.unwrap();
        let mut half = vec![32];
        half.extend_from_slice(&(16_u32 << 20).to_le_bytes());
        half.extend_from_slice(&[7; 100]);
        stream.sending.write_raw(&half).await;
        streams.push(stream);
        assert!(streams.len() <= STREAMS_MAX, "there is no end to them");
    }
    assert!(asks(&calls).await, "another member is served");
    let grown = memory_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB, "{grown} KiB");
    for Stream { mut receiving, .. } in streams {
        let ended = tokio::time::timeout(PATIENCE, receiving.read::<CallFrame>()).await;
        assert!(!matches!(ended, Err(_) | Ok(Ok(Some(_)))), "it is ended without an answer");
    }
    assert!(asks(&flood).await, "and whoever asks well again is answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_the_control_connection_is_cut_off_and_others_are_not() {
    let node = Fixture::new().await;
    let (mut hostile, honest) = (Member::join(&node, 1).await, Member::join(&node, 2).await);
    let calls = honest.calls(&node).await;
    let _living = honest.lives();
    let flooded = node.running().links.find(&hostile.key).unwrap();
    let mut sent = 0;
    while hostile.sending.write(&ControlFrame::Ping(Number { number: sent })).await.is_ok() {
        sent += 1;
        assert!(sent < 1_000_000, "the flood has no end");
    }
    flooded.ended().await;
    assert!(asks(&calls).await, "another member is served");
    assert!(!calls.takes_datagrams(), "nobody can send what no one reads");
}

/// What a member may say and nobody believes, so that it is never known: as many versions of it as one frame has.
fn unbelievable(node: &Fixture) -> ControlFrame {
    let signer = Signer::from_seed(&[1; 32]);
    let statement = |version: u64| MemberStatement {
        community: node.community(),
        member: Signer::from_seed(&[7; 32]).node_key(),
        name: "nobody".to_owned(),
        level: Some(Level::Anchor),
        version,
        issued_us: 0,
        issuer: signer.node_key(),
    };
    let signed = |version| Signed::sign(&statement(version), &signer).unwrap();
    ControlFrame::Statements(Statements { statements: (0..512).map(signed).collect() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_too_many_signatures_checked_is_cut_off_and_others_are_not() {
    let node = Fixture::new().await;
    let (mut hostile, honest) = (Member::join(&node, 1).await, Member::join(&node, 2).await);
    let calls = honest.calls(&node).await;
    let _living = honest.lives();
    let flooded = node.running().links.find(&hostile.key).unwrap();
    let (frame, mut sent) = (unbelievable(&node), 0);
    while hostile.sending.write(&frame).await.is_ok() {
        sent += 1;
        assert!(sent < 500, "so many frames are too many by themselves");
    }
    flooded.ended().await;
    assert!(asks(&calls).await, "another member is served");
    let nobody = Signer::from_seed(&[7; 32]).node_key();
    assert!(node.running().community.member(&nobody).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_of_what_it_is_told_is_cut_off() {
    let node = Fixture::new().await;
    let mut hostile = Member::join_by(&node, 1, stranger(1).taking_little()).await;
    let link = node.running().links.find(&hostile.key).unwrap();
    // More answers than there is room for with one who reads none of them.
    for number in 0..200 {
        let ping = ControlFrame::Ping(Number { number });
        if hostile.sending.write(&ping).await.is_err() {
            break;
        }
    }
    let begun = Instant::now();
    link.ended().await;
    assert!(begun.elapsed() < PATIENCE);
}
