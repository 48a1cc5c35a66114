//! Nodes that fail where they were called, and those that are not what they were.

use std::time::Instant;

use futures::future::join_all;
use meshhost_core::{
    invocation::{EntranceKind, Mode},
    mesh::wire::{Answer, Body, Bytes, CallFrame, Ended, Welcome},
    outcome::OutcomeKind,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    member::{CAPABILITY, Member},
    transport::Closing,
    *,
};

/// A call of what the member has.
pub(super) fn call(id: &str, timeout_ms: u64) -> Arc<Invocation> {
    let me = Entrance::command_line("me");
    Arc::new(Invocation {
        invocation_id: id.parse().unwrap(),
        correlation_id: "work".parse().unwrap(),
        causation_id: None,
        capability: CAPABILITY.parse().unwrap(),
        version: None,
        type_hash: None,
        plugin: None,
        subject: me.subject().clone(),
        entrance: me.kind(),
        scope: me.scope().clone(),
        mode: Mode::Sync,
        input: json!({}),
        timeout_ms: Some(timeout_ms),
        fuel: None,
        output_bytes: None,
        depth: 1,
        chain: Vec::new(),
        hops: Vec::new(),
        asserted_caller: None,
        working_folder: None,
    })
}

pub(super) fn answer() -> CallFrame {
    CallFrame::Answer(Box::new(Answer {
        capability: CAPABILITY.parse().unwrap(),
        version: None,
        plugin: None,
        ended: Ended::Success(Body::Json(Bytes::from(b"7".to_vec()))),
        usage: Default::default(),
        evidence_ids: Vec::new(),
        models: Vec::new(),
        denied: Vec::new(),
        started_at: String::new(),
        completed_at: String::new(),
        replayed: false,
    }))
}

/// Answers one call of the node, after reading to the end of it.
pub(super) async fn answers(calls: &Channel) {
    let Stream { mut sending, mut receiving } = calls.accept().await.unwrap();
    let asked = receiving.read::<CallFrame>().await;
    assert!(matches!(asked, Ok(Some(CallFrame::Invoke(_)))), "{asked:?}");
    assert!(matches!(receiving.read::<CallFrame>().await, Ok(None)));
    sending.write(&answer()).await.unwrap();
    sending.finish();
    sending.taken().await;
}

/// Calls that came to a member: each is answered when it is told to be, and cut off when nobody tells.
fn serve(calls: Channel) -> mpsc::Receiver<oneshot::Sender<()>> {
    let (came, coming) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok(Stream { mut sending, mut receiving }) = calls.accept().await {
            let (go, told) = oneshot::channel();
            let _ = came.send(go).await;
            tokio::spawn(async move {
                let asked = receiving.read::<CallFrame>().await;
                assert!(matches!(asked, Ok(Some(CallFrame::Invoke(_)))), "{asked:?}");
                if told.await.is_ok() {
                    sending.write(&answer()).await.unwrap();
                    sending.finish();
                    sending.taken().await;
                } else {
                    sending.cancel();
                }
            });
        }
    });
    coming
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_failed_rests_and_one_call_alone_finds_out_whether_it_is_well() {
    let node = Fixture::new().await;
    let mut member = Member::join(&node, 1).await;
    let mut coming = serve(member.calls(&node).await);
    member.offers(&node).await;
    let _living = member.lives();
    let on = |id: String, timeout_ms| {
        let mesh = Arc::clone(&node.mesh);
        async move { mesh.call(&call(&id, timeout_ms), &Placement::Anywhere, None).await.outcome }
    };
    let (first, cut) = tokio::join!(on("first".to_owned(), 2_000), async {
        drop(coming.recv().await);
    });
    let () = cut;
    assert_ne!(first.kind(), OutcomeKind::Success);
    let Outcome::Denied(refusal) = on("resting".to_owned(), 2_000).await else {
        panic!("it passed")
    };
    assert_eq!(refusal.code, Code::NodeUnreachable);
    let rest_ms = refusal.retry_after_ms.unwrap();
    assert!(rest_ms <= 30_000 && coming.try_recv().is_err(), "it is left alone for {rest_ms} ms");
    // As soon as the rest is over, one of many calls goes, and the others are told no.
    let mut calls = Vec::new();
    let probe = until("a call that passes", async || {
        let next = calls.len();
        calls.extend((next..next + 8).map(|id| tokio::spawn(on(format!("probe-{id}"), 50_000))));
        tokio::time::sleep(Duration::from_millis(200)).await;
        coming.try_recv().ok()
    })
    .await;
    until("the others are told", async || {
        let waiting = calls.iter().filter(|call| !call.is_finished()).count();
        (waiting == 1).then_some(())
    })
    .await;
    assert!(coming.try_recv().is_err(), "no second call came");
    probe.send(()).unwrap();
    let ended = join_all(calls).await;
    let well = ended.iter().filter(|it| matches!(it, Ok(Outcome::Success(_)))).count();
    assert_eq!(well, 1);
    // It is well: calls pass as before.
    let (last, ()) = tokio::join!(on("last".to_owned(), 50_000), async {
        coming.recv().await.unwrap().send(()).unwrap();
    });
    assert_eq!(last.kind(), OutcomeKind::Success);
}

/// What a caller is told of a call that nobody answered.
async fn told(node: &Fixture, id: &str, entrance: EntranceKind) -> Refusal {
    let call = Invocation { entrance, ..(*call(id, 2_000)).clone() };
    let outcome = node.mesh.call(&Arc::new(call), &Placement::Anywhere, None).await.outcome;
    outcome.refusal().cloned().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_not_told_which_nodes_there_are_and_people_are() {
    let node = Fixture::new().await;
    let mut member = Member::join(&node, 1).await;
    let mut coming = serve(member.calls(&node).await);
    member.offers(&node).await;
    let key = member.key.short();
    let _living = member.lives();
    let (lost, ()) = tokio::join!(told(&node, "lost", EntranceKind::Component), async {
        drop(coming.recv().await);
    });
    let resting = told(&node, "resting", EntranceKind::Component).await;
    for refusal in [&lost, &resting] {
        let message = &refusal.message;
        assert!(message.starts_with("no other node answered the call of demo.read"), "{message}");
        assert!(!message.contains("member") && !message.contains(&key), "{message}");
    }
    assert_eq!(resting.code, Code::NodeUnreachable);
    assert!(resting.retry_after_ms.is_some(), "when it makes sense to try again it may know");
    let people = told(&node, "people", EntranceKind::CommandLine).await;
    assert!(people.message.contains("member left out: failed and rests"), "{people}");
}

/// A member that lets the node in and ends the connection at once would otherwise be dialled without rest.
#[tokio::test]
async fn who_lets_one_in_and_ends_it_at_once_is_dialled_less_and_less() {
    let node = Fixture::new().await;
    let member = Member::join(&node, 1).await;
    let (listens, key) = (member.transport(), member.key);
    let running = node.running();
    running.addresses.note(key, &[listens.address().unwrap()], 0).await;
    let genesis = running.community.membership(|it| it.genesis().clone());
    drop(member);
    let mut dialled = Vec::new();
    while dialled.len() < 5 {
        let channel = listens.accept().await.unwrap().finish().await.unwrap();
        if channel.protocol() == Protocol::Calls {
            continue;
        }
        dialled.push(Instant::now());
        let Stream { mut sending, mut receiving } = channel.accept().await.unwrap();
        let hello = receiving.read::<ControlFrame>().await;
        assert!(matches!(hello, Ok(Some(ControlFrame::Hello(_)))), "{hello:?}");
        let welcome = Welcome { genesis: genesis.clone(), statements: Vec::new() };
        sending.write(&ControlFrame::Welcome(welcome)).await.unwrap();
        until("it is let in", async || running.links.find(&key)).await;
        channel.close(Closing::Duplicate);
    }
    let took = dialled[4] - dialled[0];
    assert!(took >= Duration::from_secs(1), "five times within {took:?}");
}
