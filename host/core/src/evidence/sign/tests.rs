use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::evidence::fixture::{head, host_id, signer};

fn other() -> Signer {
    Signer::from_seed(&[8; 32])
}

#[test]
fn keys_have_the_protocols_id_and_show_no_secret() {
    // RFC 8032, 7.1, test 1.
    let seed: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(
                &"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"[at..at + 2],
                16,
            )
            .unwrap()
        })
        .collect();
    let signer = Signer::from_seed(&seed.try_into().unwrap());
    let key = signer.public_key();
    assert_eq!(key.to_base64(), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    assert_eq!(key.key_id(), "21fe31dfa154a261");
    assert_eq!(format!("{signer:?}"), "Signer(21fe31dfa154a261)");
    assert_eq!(PublicKey::from_base64(&key.to_base64()), Ok(key));
    let mut weak = [0; 32];
    weak[0] = 1;
    for bad in [STANDARD.encode(weak), STANDARD.encode([1; 31]), String::new(), "A".repeat(10_000)]
    {
        assert_eq!(PublicKey::from_base64(&bad), Err(StatementError::PublicKey));
    }
}

#[test]
fn a_head_survives_its_line_and_no_change() {
    let key = signer().public_key();
    let signed = head(7, Hash::of(b"root"));
    let line = signed.to_line();
    assert_eq!(SignedHead::parse(line.as_bytes()), Ok(signed.clone()));
    assert_eq!(signed.verify(&host_id(), &key), Ok(()));
    assert_eq!(signed.verify(&"node-2".parse().unwrap(), &key), Err(StatementError::Host));
    assert_eq!(signed.verify(&host_id(), &other().public_key()), Err(StatementError::KeyId));
    for at in 0..line.len() {
        let mut bytes = line.clone().into_bytes();
        bytes[at] ^= 1;
        let holds =
            SignedHead::parse(&bytes).is_ok_and(|head| head.verify(&host_id(), &key).is_ok());
        assert!(!holds, "byte {at}");
    }
}

#[test]
fn an_identity_holds_for_its_host_key_and_time() {
    let from = Timestamp::from_micros(1_000_000);
    let identity = HostIdentity::sign(&signer(), &host_id(), from);
    let late = Timestamp::from_micros(2_000_000).to_string();
    assert_eq!(identity.verify("node-1", &late), Ok(signer().public_key()));
    assert_eq!(identity.verify("node-2", &late), Err(StatementError::Host));
    assert_eq!(identity.verify("node-1", "1970-01-01T00:00:00Z"), Err(StatementError::Validity));
    assert_eq!(identity.verify("node-1", &from.to_string()), Ok(signer().public_key()));
    for change in [
        (|identity: &mut HostIdentity| identity.valid_from.clear()) as fn(&mut HostIdentity),
        |identity| identity.valid_until = Some("9999-01-01T00:00:00Z".to_owned()),
        |identity| identity.anchors = Some(json!([])),
        |identity| identity.enc_public_key = Some(String::new()),
        |identity| identity.signature.clear(),
    ] {
        let mut changed = identity.clone();
        change(&mut changed);
        assert_eq!(changed.verify("node-1", &late), Err(StatementError::Signature));
    }
    let mut stolen = identity;
    stolen.public_key = other().public_key().to_base64();
    assert_eq!(stolen.verify("node-1", &late), Err(StatementError::KeyId));
}

#[test]
fn a_key_link_needs_both_keys() {
    let link = KeyLink::sign(&signer(), &other(), &host_id(), Timestamp::from_micros(0));
    assert_eq!(link.verify(&host_id()), Ok((signer().public_key(), other().public_key())));
    assert_eq!(link.verify(&"node-2".parse().unwrap()), Err(StatementError::Host));
    let mut swapped = link.clone();
    std::mem::swap(&mut swapped.evidence_key, &mut swapped.node_key);
    std::mem::swap(&mut swapped.evidence_signature, &mut swapped.node_signature);
    assert_eq!(swapped.verify(&host_id()), Err(StatementError::Signature));
    let mut half = link;
    half.node_signature = half.evidence_signature.clone();
    assert_eq!(half.verify(&host_id()), Err(StatementError::Signature));
}

#[test]
fn a_signature_for_one_purpose_holds_for_no_other() {
    let statement = json!({"a": 1});
    let heads = Purpose::StoreHead.message(&statement).unwrap();
    let links = Purpose::KeyLink.message(&statement).unwrap();
    let signature = signer().sign(&heads);
    let key = signer().public_key();
    assert_eq!(key.check(&heads, &signature), Ok(()));
    assert_eq!(key.check(&links, &signature), Err(StatementError::Signature));
    assert!(!heads.starts_with(b"{") && !links.starts_with(b"{"));
}
