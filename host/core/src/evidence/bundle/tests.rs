use super::*;
use crate::{
    evidence::{
        chain::Sealed,
        fixture::{Store, call, host_id, signer},
    },
    json::{Bounds, parse},
};

fn built() -> Value {
    let store = Store::sealed([call(1, "work"), call(2, "other"), call(3, "work")].concat());
    let chosen: Vec<&Sealed> =
        store.events.iter().filter(|event| event.correlation_id.as_str() == "work").collect();
    let events: Vec<(&str, Hash)> =
        chosen.iter().map(|event| (event.json.as_str(), event.content_hash)).collect();
    let created_at = Timestamp::from_micros(1_800_000_000_000_000);
    let identity = HostIdentity::sign(&signer(), &host_id(), Timestamp::from_micros(0));
    let contents = Contents {
        host_id: &host_id(),
        correlation_id: &"work".parse().unwrap(),
        events: &events,
        as_of_sequence: 6,
        created_at,
        identity: &identity,
    };
    let text = build(&contents, &signer()).unwrap().unwrap();
    let value = parse(text.as_bytes(), Bounds::BUNDLE).unwrap();
    assert_eq!(canonical::to_string(&value).unwrap(), text);
    let nothing = Contents { events: &[], ..contents };
    assert_eq!(build(&nothing, &signer()).unwrap(), None);
    value
}

fn broken(bundle: &Value) -> Vec<&'static str> {
    let report = verify_bundle(bundle);
    let failed = report.checks.iter().filter(|check| check.problem.is_some());
    let names: Vec<&'static str> = failed.map(|check| check.name).collect();
    assert_eq!(report.holds(), names.is_empty());
    names
}

#[test]
fn a_bundle_needs_nothing_but_itself() {
    let report = verify_bundle(&built());
    assert!(report.holds(), "{report:?}");
    assert_eq!((report.events, report.withheld, report.first_wrong), (4, 0, None));
    assert_eq!(report.key_id, Some(signer().public_key().key_id()));
    assert_eq!(report.host_id, "node-1");
}

#[test]
fn a_withheld_payload_still_verifies_and_a_false_one_does_not() {
    let mut bundle = built();
    bundle["events"][1]["payload"] = json!({"chp_withheld": true});
    assert_eq!(broken(&bundle), Vec::<&str>::new());
    assert_eq!(verify_bundle(&bundle).withheld, 1);
    bundle["events"][1]["payload"] = json!({"chp_withheld": false});
    assert_eq!(broken(&bundle), ["events"]);
    assert_eq!(verify_bundle(&bundle).first_wrong, Some(1));
}

#[test]
fn every_leaf_of_a_bundle_is_covered() {
    fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                members
                    .iter()
                    .for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), out));
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(index, value)| leaves(value, &format!("{path}/{index}"), out)),
            _ => out.push(path.to_owned()),
        }
    }
    let bundle = built();
    let mut paths = Vec::new();
    leaves(&bundle, "", &mut paths);
    assert!(paths.len() > 100);
    for path in paths {
        let mut changed = bundle.clone();
        let leaf = changed.pointer_mut(&path).unwrap();
        *leaf = match leaf {
            Value::String(text) => Value::from(format!("{text}x")),
            Value::Bool(flag) => Value::from(!*flag),
            Value::Number(_) => Value::from(4_294_967_296_u64),
            _ => Value::from("x"),
        };
        assert!(!verify_bundle(&changed).holds(), "{path}");
    }
}

#[test]
fn what_is_left_out_or_turned_round_is_found() {
    let bundle = built();
    let events = bundle["events"].as_array().unwrap().clone();
    for (index, wrong) in [(0, Some(0)), (1, Some(1)), (2, Some(2)), (3, None)] {
        let mut shorter = bundle.clone();
        shorter["events"].as_array_mut().unwrap().remove(index);
        let report = verify_bundle(&shorter);
        assert!(!report.holds());
        assert_eq!(report.first_wrong, wrong);
    }
    let mut turned = bundle.clone();
    turned["events"] = json!([events[1], events[0], events[2], events[3]]);
    assert_eq!(verify_bundle(&turned).first_wrong, Some(0));
}

#[test]
fn a_bundle_without_signature_or_form_is_no_proof() {
    let mut bundle = built();
    bundle["assurance"] = json!("hash-chain");
    assert_eq!(broken(&bundle), ["signature"]);
    let mut relabelled = built();
    relabelled["canonicalization"] = json!("chp-jcs-v1");
    assert_eq!(broken(&relabelled), ["signature"]);
    let mut nobody = built();
    nobody["host_identity"] = Value::Null;
    assert_eq!(broken(&nobody), ["host_identity"]);
    for nonsense in [json!(null), json!([]), json!({"events": 5}), json!({"events": [null, 1, {}]})]
    {
        assert!(!verify_bundle(&nonsense).holds());
    }
}
