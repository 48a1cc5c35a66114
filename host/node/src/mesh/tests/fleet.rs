//! Members that take their time over the record of a piece of work.

use meshhost_core::mesh::wire::{CallFrame, Declined};
use tokio::sync::{mpsc, oneshot};

use super::{member::Member, *};

/// Most members that are asked at once.
const ASKED_MAX: usize = 8;

/// Questions that come to a member: each is answered, with no, when it is told to be.
fn serve(calls: Channel, came: mpsc::Sender<oneshot::Sender<()>>) {
    tokio::spawn(async move {
        while let Ok(Stream { mut sending, mut receiving }) = calls.accept().await {
            let asked = receiving.read::<CallFrame>().await;
            assert!(matches!(asked, Ok(Some(CallFrame::RecordWanted(_)))), "{asked:?}");
            let (go, told) = oneshot::channel();
            let _ = came.send(go).await;
            let _ = told.await;
            let refusal = Refusal::new(Code::NotFound, "nothing").into();
            sending.write(&CallFrame::Declined(Declined { refusal })).await.unwrap();
            sending.finish();
            sending.taken().await;
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_asked_for_their_records_at_once_and_so_many_at_most() {
    let node = Fixture::new().await;
    let (came, mut coming) = mpsc::channel(64);
    let mut living = Vec::new();
    for seed in 1..=10 {
        let member = Member::join(&node, seed).await;
        serve(member.calls(&node).await, came.clone());
        living.push(member.lives());
    }
    let mesh = Arc::clone(&node.mesh);
    let fleet = tokio::spawn(async move { mesh.fleet(&"work".parse().unwrap()).await.unwrap() });
    // All of them wait, and none would be asked if they had to be answered one after the other.
    let mut waiting = Vec::new();
    while waiting.len() < ASKED_MAX {
        waiting.push(coming.recv().await.unwrap());
    }
    assert!(coming.try_recv().is_err(), "no ninth one is asked meanwhile");
    for go in waiting {
        go.send(()).unwrap();
    }
    for _ in ASKED_MAX..10 {
        coming.recv().await.unwrap().send(()).unwrap();
    }
    let fleet = fleet.await.unwrap();
    let words: Vec<_> =
        fleet["nodes"].as_array().unwrap().iter().skip(1).map(|it| it["record"].clone()).collect();
    assert_eq!(words, vec![json!("nothing"); 10], "{fleet}");
}
