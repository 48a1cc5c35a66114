use meshhost_core::{
    evidence::sign::Signer,
    mesh::wire::{Body, Ended},
};

use super::*;

fn answer(text: &str) -> Answer {
    Answer {
        capability: "git.log".parse().unwrap(),
        version: None,
        plugin: None,
        ended: Ended::Success(Body::Json(Bytes::from(text.as_bytes().to_vec()))),
        usage: Default::default(),
        evidence_ids: vec!["event".to_owned()],
        models: Vec::new(),
        denied: Vec::new(),
        started_at: String::new(),
        completed_at: String::new(),
        replayed: false,
    }
}

fn id(text: &str) -> InvocationId {
    text.parse().unwrap()
}

/// A receipt of the node with this seed for one call, and the key of that node.
fn receipt(seed: u8, call: &str, answer: &Answer) -> (NodeKey, Receipt, Arc<Signed<Receipt>>) {
    let signer = Signer::from_seed(&[seed; 32]);
    let call = AnsweredCall {
        invocation_id: id(call),
        ended: receipt::digest_of(&answer.ended),
        evidence_ids: answer.evidence_ids.clone(),
    };
    let node = signer.node_key();
    let peer = Signer::from_seed(&[9; 32]).node_key();
    let receipt = Receipt { node, peer, at_us: 1, calls: vec![call] };
    let signed = Arc::new(Signed::sign(&receipt, &signer).unwrap());
    (node, receipt, signed)
}

#[test]
fn a_receipt_and_the_route_of_its_call_come_in_either_order() {
    let receipts = Receipts::default();
    let (peer, signed, bytes) = receipt(1, "call", &answer("1"));
    assert!(!receipts.awaits(peer, &signed.calls), "nobody called");
    receipts.expect(peer, &id("call"), &answer("1"));
    assert!(receipts.awaits(peer, &signed.calls));
    assert!(receipts.route_kept(peer, &id("call")).is_none(), "the route first");
    assert_eq!(receipts.came(peer, signed.clone(), &bytes), [id("call")]);
    assert!(!receipts.awaits(peer, &signed.calls), "and only once");
    receipts.expect(peer, &id("call"), &answer("1"));
    assert!(receipts.came(peer, signed.clone(), &bytes).is_empty(), "the receipt first");
    assert_eq!(receipts.route_kept(peer, &id("call")), Some(bytes));
    assert!(!receipts.awaits(peer, &signed.calls));
}

#[test]
fn a_receipt_is_of_the_very_answer_and_the_very_node() {
    let receipts = Receipts::default();
    let (peer, _, _) = receipt(1, "call", &answer("1"));
    receipts.expect(peer, &id("call"), &answer("1"));
    let (_, about_another_answer, _) = receipt(1, "call", &answer("2"));
    assert!(!receipts.awaits(peer, &about_another_answer.calls));
    let (_, about_another_call, _) = receipt(1, "other", &answer("1"));
    assert!(!receipts.awaits(peer, &about_another_call.calls));
    let (other, of_another_node, signed) = receipt(2, "call", &answer("1"));
    assert!(!receipts.awaits(other, &of_another_node.calls));
    assert!(receipts.came(other, of_another_node, &signed).is_empty());
    let other_events = Answer { evidence_ids: vec!["other".to_owned()], ..answer("1") };
    let (_, other_events, _) = receipt(1, "call", &other_events);
    assert!(!receipts.awaits(peer, &other_events.calls));
}

#[test]
fn so_many_are_awaited_and_no_more() {
    let receipts = Receipts::default();
    let (peer, _, _) = receipt(1, "call", &answer("1"));
    for number in 0..2 * AWAITED_MAX {
        receipts.expect(peer, &id(&format!("call-{number}")), &answer("1"));
    }
    assert_eq!(receipts.awaited().len(), AWAITED_MAX);
}
