//! What a node signs about calls that it has answered: with it, whoever called can show later what it
//! was answered, without the other node's record and without its own word. One signature holds for all
//! calls of one peer that were answered within a moment.

use serde::{Deserialize, Serialize};

use super::{
    key::NodeKey,
    signed::{Signed, Statement},
    wire::Ended,
};
use crate::id::{Digest, InvocationId};

/// Most calls that one receipt holds for.
pub const CALLS_MAX: usize = 128;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The node that answered, and signed.
    pub node: NodeKey,
    /// The node that called.
    pub peer: NodeKey,
    /// When it was signed, in microseconds since 1970 by that node's clock.
    pub at_us: i64,
    /// The calls, at most [`CALLS_MAX`].
    pub calls: Vec<AnsweredCall>,
}

/// One call that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredCall {
    /// The call.
    pub invocation_id: InvocationId,
    /// BLAKE3 of how it ended, with its output, as that travelled: see [`digest_of`].
    pub ended: Digest,
    /// The events that the node wrote about it.
    pub evidence_ids: Vec<String>,
}

impl Statement for Receipt {
    const PURPOSE: &'static [u8] = b"meshhost-receipt-v1\0";
    const BYTES_MAX: usize = 60 * 1024;

    fn signer(&self) -> NodeKey {
        self.node
    }
}

/// BLAKE3 of how a call ended.
#[must_use]
pub fn digest_of(ended: &Ended) -> Digest {
    Digest::of(&postcard::to_allocvec(ended).unwrap_or_default())
}

/// Signs for calls of one peer: several receipts when they are too many for one. What is too long for
/// any is left out.
#[must_use]
pub fn sign(
    calls: Vec<AnsweredCall>,
    (node, peer, at_us): (NodeKey, NodeKey, i64),
    signed: impl Fn(&Receipt) -> Option<Signed<Receipt>>,
) -> Vec<Signed<Receipt>> {
    let mut parts: Vec<(usize, Vec<AnsweredCall>)> = Vec::new();
    for call in calls {
        let bytes = call.bytes();
        match parts.last_mut() {
            Some((sum, part)) if part.len() < CALLS_MAX && *sum + bytes <= CALLS_BYTES_MAX => {
                *sum += bytes;
                part.push(call);
            }
            _ => parts.push((bytes, vec![call])),
        }
    }
    let receipts = parts.into_iter().map(|(_, calls)| Receipt { node, peer, at_us, calls });
    receipts.filter_map(|receipt| signed(&receipt)).collect()
}

/// Bytes of all calls in one receipt; the keys and the time are far less than the rest.
const CALLS_BYTES_MAX: usize = Receipt::BYTES_MAX - 1024;

impl AnsweredCall {
    /// Bytes that it takes at most.
    fn bytes(&self) -> usize {
        let evidence: usize = self.evidence_ids.iter().map(|id| id.len() + 10).sum();
        self.invocation_id.as_str().len() + 128 + evidence
    }
}

/// What a receipt says, when it holds: signed by `node`, for calls of `peer`.
#[must_use]
pub fn open(signed: &Signed<Receipt>, node: &NodeKey, peer: &NodeKey) -> Option<Receipt> {
    let receipt = signed.open().ok()?;
    let holds = receipt.node == *node && receipt.peer == *peer && receipt.calls.len() <= CALLS_MAX;
    holds.then_some(receipt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sign::Signer;

    fn call(number: usize, evidence: usize) -> AnsweredCall {
        AnsweredCall {
            invocation_id: format!("call-{number}").parse().unwrap(),
            ended: Digest::of(&number.to_le_bytes()),
            evidence_ids: vec!["e".repeat(128); evidence],
        }
    }

    #[test]
    fn a_receipt_holds_for_the_two_nodes_that_it_names() {
        let signer = Signer::from_seed(&[1; 32]);
        let [node, peer] = [signer.node_key(), Signer::from_seed(&[2; 32]).node_key()];
        let calls = vec![call(1, 1), call(2, 0)];
        let by = |receipt: &Receipt| Signed::sign(receipt, &signer).ok();
        let signed = sign(calls.clone(), (node, peer, 7), by);
        let [signed] = signed.as_slice() else { panic!("{signed:?}") };
        let receipt = open(signed, &node, &peer).unwrap();
        assert_eq!((receipt.at_us, receipt.calls), (7, calls.clone()));
        assert_eq!(open(signed, &peer, &peer), None, "another node");
        assert_eq!(open(signed, &node, &node), None, "another caller");
        let claimed = Receipt { node: peer, peer: node, at_us: 7, calls };
        let false_one = Signed::sign(&claimed, &signer).unwrap();
        assert_eq!(open(&false_one, &peer, &node), None, "signed by another");
    }

    #[test]
    fn calls_that_are_too_many_for_one_receipt_are_in_several_and_none_is_lost() {
        let signer = Signer::from_seed(&[1; 32]);
        let node = signer.node_key();
        for (count, evidence) in [(0, 1), (1, 64), (128, 1), (129, 1), (1_000, 3), (40, 64)] {
            let calls: Vec<_> = (0..count).map(|number| call(number, evidence)).collect();
            let by = |receipt: &Receipt| Signed::sign(receipt, &signer).ok();
            let signed = sign(calls.clone(), (node, node, 7), by);
            let opened = signed.iter().flat_map(|one| open(one, &node, &node).unwrap().calls);
            assert_eq!(opened.collect::<Vec<_>>(), calls, "{count} calls");
        }
    }
}
