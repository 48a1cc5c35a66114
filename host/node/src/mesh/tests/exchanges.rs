//! What a question and its answer cost besides themselves.

use meshhost_core::{
    mesh::wire::{CallFrame, Describe},
    outcome::OutcomeKind,
};

use super::{
    member::{CAPABILITY, Member},
    providers::{answers, call},
    *,
};

/// Asks the node for what it does not have, and reads to the end of its answer.
async fn asks(calls: &Channel) {
    let Stream { mut sending, mut receiving } = calls.open().await.unwrap();
    let question = Describe { capability: CAPABILITY.parse().unwrap(), version: None };
    sending.write(&CallFrame::Describe(question)).await.unwrap();
    sending.finish();
    let declined = receiving.read::<CallFrame>().await;
    assert!(matches!(declined, Ok(Some(CallFrame::Declined(_)))), "{declined:?}");
    assert!(matches!(receiving.read::<CallFrame>().await, Ok(None)));
}

/// On one thread, so that a frame and the end of its stream go together.
#[tokio::test]
async fn whoever_has_read_all_of_a_stream_does_not_tell_the_other_end_to_stop() {
    let node = Fixture::new().await;
    let mut member = Member::join(&node, 1).await;
    let calls = member.calls(&node).await;
    member.offers(&node).await;
    let _living = member.lives();
    for round in 0..5 {
        asks(&calls).await;
        let invocation = call(&format!("call-{round}"), 10_000);
        let called = node.mesh.call(&invocation, &Placement::Anywhere, None);
        let (result, ()) = tokio::join!(called, answers(&calls));
        assert_eq!(result.outcome.kind(), OutcomeKind::Success);
    }
    assert_eq!(calls.told_to_stop(), 0);
}
