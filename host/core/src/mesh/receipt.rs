//! What a node signs about a call that it has answered: with it, whoever called can show later what it
//! was answered, without the other node's record and without its own word.

use serde::{Deserialize, Serialize};

use super::{
    key::NodeKey,
    signed::{Signed, Statement},
    wire::{Answer, Ended},
};
use crate::id::{Digest, InvocationId};

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The node that answered, and signed.
    pub node: NodeKey,
    /// The node that called.
    pub peer: NodeKey,
    /// The call.
    pub invocation_id: InvocationId,
    /// BLAKE3 of how it ended, with its output, as that travelled.
    pub ended: Digest,
    /// The events that the node wrote about it.
    pub evidence_ids: Vec<String>,
    /// When it was signed, in microseconds since 1970 by that node's clock.
    pub at_us: i64,
}

impl Statement for Receipt {
    const PURPOSE: &'static [u8] = b"meshhost-receipt-v1\0";
    const BYTES_MAX: usize = 6 * 1024;

    fn signer(&self) -> NodeKey {
        self.node
    }
}

/// BLAKE3 of how a call ended.
#[must_use]
pub fn digest_of(ended: &Ended) -> Digest {
    Digest::of(&postcard::to_allocvec(ended).unwrap_or_default())
}

/// The receipt in an answer, when it holds: signed by the node that answered, for this call of this
/// peer, and for this end.
#[must_use]
pub fn held(
    answer: &Answer,
    (node, peer): (&NodeKey, &NodeKey),
    invocation_id: &InvocationId,
) -> Option<Signed<Receipt>> {
    let signed: Signed<Receipt> = postcard::from_bytes(answer.receipt.as_ref()?).ok()?;
    let receipt = signed.open().ok()?;
    let holds = receipt.node == *node
        && receipt.peer == *peer
        && receipt.invocation_id == *invocation_id
        && receipt.evidence_ids == answer.evidence_ids
        && receipt.ended == digest_of(&answer.ended);
    holds.then_some(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::sign::Signer,
        limits::Usage,
        mesh::wire::{Body, Bytes},
    };

    fn answer(text: &str) -> Answer {
        Answer {
            capability: "git.log".parse().unwrap(),
            version: None,
            plugin: None,
            ended: Ended::Success(Body::Json(Bytes::from(text.as_bytes().to_vec()))),
            usage: Usage::default(),
            evidence_ids: vec!["event".to_owned()],
            models: Vec::new(),
            denied: Vec::new(),
            started_at: String::new(),
            completed_at: String::new(),
            replayed: false,
            receipt: None,
        }
    }

    #[test]
    fn a_receipt_holds_for_the_very_answer_that_it_came_with() {
        let signer = Signer::from_seed(&[1; 32]);
        let [node, peer] = [signer.node_key(), Signer::from_seed(&[2; 32]).node_key()];
        let id: InvocationId = "call".parse().unwrap();
        let mut one = answer("1");
        let receipt = Receipt {
            node,
            peer,
            invocation_id: id.clone(),
            ended: digest_of(&one.ended),
            evidence_ids: one.evidence_ids.clone(),
            at_us: 1,
        };
        let signed = Signed::sign(&receipt, &signer).unwrap();
        let bytes = Bytes::from(postcard::to_allocvec(&signed).unwrap());
        one.receipt = Some(bytes.clone());
        assert_eq!(held(&one, (&node, &peer), &id), Some(signed));
        assert_eq!(held(&one, (&peer, &peer), &id), None, "another node");
        assert_eq!(held(&one, (&node, &node), &id), None, "another caller");
        assert_eq!(held(&one, (&node, &peer), &"other".parse().unwrap()), None, "another call");
        let other = Answer { receipt: Some(bytes), ..answer("2") };
        assert_eq!(held(&other, (&node, &peer), &id), None, "another answer");
        assert_eq!(held(&answer("1"), (&node, &peer), &id), None, "none at all");
    }
}
