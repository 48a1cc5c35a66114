//! Receipts that follow the answers of a member, right and wrong ones.

use meshhost_core::{
    mesh::{
        key::NodeKey,
        receipt::{self, AnsweredCall, Receipt},
        signed::Signed,
        wire::{Bytes, CallFrame, Receipts},
    },
    outcome::OutcomeKind,
};

use super::{
    member::Member,
    providers::{answer, answers, call},
    *,
};

/// The key of the node with this seed.
fn key(seed: u8) -> NodeKey {
    Signer::from_seed(&[seed; 32]).node_key()
}

/// Sends a receipt for the call `signed`, signed with the key of this seed.
async fn gives(calls: &Channel, seed: u8, receipt: &Receipt) {
    let signed = Signed::sign(receipt, &Signer::from_seed(&[seed; 32])).unwrap();
    let signed = Bytes::from(postcard::to_allocvec(&signed).unwrap());
    let Stream { mut sending, receiving: _ } = calls.open().await.unwrap();
    sending.write(&CallFrame::Receipts(Receipts { signed })).await.unwrap();
    sending.finish();
    sending.taken().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_receipts_the_one_is_kept_that_its_node_signed_for_this_answer() {
    let node = Fixture::new().await;
    let mut member = Member::join(&node, 1).await;
    let calls = member.calls(&node).await;
    member.offers(&node).await;
    let _living = member.lives();
    let invocation = call("signed", 10_000);
    let called = node.mesh.call(&invocation, &Placement::Anywhere, None);
    let (result, ()) = tokio::join!(called, answers(&calls));
    assert_eq!(result.outcome.kind(), OutcomeKind::Success);
    let CallFrame::Answer(answer) = answer() else { panic!("no answer") };
    let right = AnsweredCall {
        invocation_id: invocation.invocation_id.clone(),
        ended: receipt::digest_of(&answer.ended),
        evidence_ids: answer.evidence_ids,
    };
    let receipt = |at_us, call: &AnsweredCall| Receipt {
        node: key(1),
        peer: node.mesh.own,
        at_us,
        calls: vec![call.clone()],
    };
    let other_end = AnsweredCall { ended: Digest::of(b"another answer"), ..right.clone() };
    // Each may be told from the others by its time.
    gives(&calls, 2, &receipt(1, &right)).await;
    gives(&calls, 1, &receipt(2, &other_end)).await;
    gives(&calls, 2, &Receipt { node: key(2), ..receipt(3, &right) }).await;
    gives(&calls, 1, &Receipt { peer: key(2), ..receipt(4, &right) }).await;
    gives(&calls, 1, &receipt(5, &right)).await;
    let kept = until("a receipt is kept", async || {
        let why = node.mesh.why(&invocation.invocation_id).await.unwrap().unwrap();
        why["receipt"]["at_us"].as_i64()
    });
    assert_eq!(kept.await, 5);
    // It is kept, and nothing takes its place.
    gives(&calls, 1, &receipt(6, &right)).await;
    let why = node.mesh.why(&invocation.invocation_id).await.unwrap().unwrap();
    assert_eq!(why["receipt"]["at_us"], 5, "{why}");
    assert_eq!(why["receipt"]["invocation_id"], "signed", "{why}");
}
