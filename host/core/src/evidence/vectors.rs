//! The protocol's published vectors, read from the folder that `MESHHOST_CHP_VECTORS` names.
//! They are not part of this repository; without the folder the tests say so and pass.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    bundle::{header, verify_bundle},
    canonical,
    hash::Hash,
    merkle::{Tree, leaf_of, verify_consistency, verify_inclusion},
    sign::Signer,
};
use crate::json::{Bounds, parse};

fn vector(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("MESHHOST_CHP_VECTORS").map(PathBuf::from) else {
        println!("skipped: MESHHOST_CHP_VECTORS does not name the folder of the vectors");
        return None;
    };
    let bytes = std::fs::read(folder.join(name)).expect(name);
    Some(parse(&bytes, Bounds::BUNDLE).expect(name))
}

fn hash(value: &Value) -> Hash {
    value.as_str().and_then(|text| text.parse().ok()).expect("a hash")
}

fn path(value: &Value) -> Vec<Hash> {
    value.as_array().expect("a path").iter().map(hash).collect()
}

#[test]
fn canonical_cases_are_reproduced() {
    let Some(vector) = vector("canon/cases.json") else { return };
    let cases = vector["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        assert_eq!(
            canonical::to_string(&case["input"]).unwrap(),
            case["expected_canon"],
            "{}",
            case["name"]
        );
    }
}

#[test]
fn the_hash_of_an_event_is_reproduced() {
    let Some(vector) = vector("event-hash-v2.json") else { return };
    let commitment = canonical::hash(&vector["event"]["payload"]).unwrap();
    assert_eq!(commitment, hash(&vector["payload_commitment"]));
    let text = |name: &str| vector["event"][name].as_str().unwrap();
    let stable = super::chain::Stable {
        capability_id: text("capability_id"),
        correlation_id: vector["event"]["correlation"]["correlation_id"].as_str().unwrap(),
        event_id: text("event_id"),
        event_type: text("event_type"),
        host_id: text("host_id"),
        invocation_id: text("invocation_id"),
        outcome: vector["event"]["outcome"].as_str(),
        payload_commitment: &commitment,
        prev_hash: None,
        timestamp: text("timestamp"),
    };
    let mut out = String::new();
    stable.write(&mut out);
    assert_eq!(Hash::of(out.as_bytes()), hash(&vector["content_hash"]));
}

#[test]
fn signed_bundles_are_reproduced() {
    let Some(expected) = vector("expected.json") else { return };
    let digits = expected["private_key_seed_hex"].as_str().unwrap();
    let seed: Hash = digits.parse().unwrap();
    let signer = Signer::from_seed(seed.as_bytes());
    for name in ["signed-bundle.json", "signed-bundle-complete.json", "bundle-withheld.json"] {
        let bundle = vector(name).unwrap();
        let report = verify_bundle(&bundle);
        assert!(report.holds(), "{name}: {report:?}");
        let message = canonical::to_string(&header(&bundle)).unwrap();
        assert_eq!(bundle["signature"]["signature"], signer.sign(message.as_bytes()), "{name}");
    }
}

#[test]
fn roots_and_proofs_of_the_tree_are_reproduced() {
    let Some(head) = vector("store-head-v2.json") else { return };
    let mut tree = Tree::new();
    let mut leaves: Vec<(&String, &Value)> = head["leaves"].as_object().unwrap().iter().collect();
    leaves.sort_by_key(|(correlation, _)| *correlation);
    for (correlation, content) in leaves {
        tree.append(leaf_of(correlation, &hash(content)), |_, _| {});
    }
    assert_eq!(tree.root(), hash(&head["store_head"]));

    let inclusion = vector("store-head-inclusion.json").unwrap();
    let proof = &inclusion["proof"];
    let leaf = leaf_of(proof["correlation_id"].as_str().unwrap(), &hash(&proof["head_hash"]));
    let root = hash(&inclusion["anchor"]["store_head"]);
    let (index, size) =
        (proof["leaf_index"].as_u64().unwrap(), proof["tree_size"].as_u64().unwrap());
    assert!(verify_inclusion(&leaf, index, size, &path(&proof["audit_path"]), &root));

    let consistency = vector("store-head-consistency.json").unwrap();
    let proof = &consistency["proof"];
    let first = (proof["first_size"].as_u64().unwrap(), &hash(&proof["first_root"]));
    let second = (proof["second_size"].as_u64().unwrap(), &hash(&proof["second_root"]));
    assert!(verify_consistency(first, second, &path(&proof["proof"])));
}
