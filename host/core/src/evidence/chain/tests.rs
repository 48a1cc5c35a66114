use serde_json::Value;

use super::*;
use crate::evidence::{
    canonical,
    event::Draft,
    fact::Facts,
    fixture::{Store, call, context, stamp},
};

#[test]
fn a_sealed_event_is_canonical_and_repeats_what_the_hash_leaves_out() {
    for event in Store::of(40).events {
        let value: Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!(canonical::to_string(&value).unwrap(), event.json);
        let bound = value["payload"]["bound"].as_object().unwrap();
        for name in [
            "assurance",
            "capability_version",
            "correlation",
            "denial",
            "error",
            "sequence",
            "subject",
        ] {
            assert_eq!(bound[name], value[name], "{name}");
        }
        assert_eq!(value["sequence"], event.sequence);
        assert_eq!(value["content_hash"], event.content_hash.to_string());
        assert_eq!(value["payload"]["salt"].as_str().unwrap().len(), 32);
        assert!(event.timestamp.ends_with('Z') && event.timestamp.len() == 27);
    }
}

#[test]
fn chains_are_per_correlation_and_begin_with_null() {
    let mut last = std::collections::HashMap::new();
    for (index, event) in Store::of(60).events.into_iter().enumerate() {
        assert_eq!(event.sequence, index as u64 + 1);
        assert_eq!(event.prev_hash, last.insert(event.correlation_id, event.content_hash));
    }
}

#[test]
fn python_computes_the_same_hashes() {
    let program = "
import hashlib, json, sys
canon = lambda value: json.dumps(value, sort_keys=True).encode()
for line in sys.stdin:
    event = json.loads(line)
    commitment = hashlib.sha256(canon(event['payload'])).hexdigest()
    names = ['event_id', 'event_type', 'invocation_id', 'capability_id', 'host_id', 'timestamp', 'outcome', 'prev_hash']
    stable = {name: event[name] for name in names}
    stable['correlation_id'] = event['correlation']['correlation_id']
    stable['payload_commitment'] = commitment
    print(commitment == event['payload_commitment'], hashlib.sha256(canon(stable)).hexdigest())
";
    let store = Store::of(60);
    let lines: Vec<String> = store.events.iter().map(|event| event.json.clone()).collect();
    let Some(computed) = canonical::tests::python(program, &lines) else { return };
    for (event, line) in store.events.iter().zip(computed) {
        assert_eq!(line, format!("True {}", event.content_hash));
    }
}

#[test]
fn a_dropped_group_leaves_no_trace_and_its_sequences_are_given_again() {
    let mut sealer = Sealer::default();
    let mut group = sealer.group();
    for draft in call(1, "work") {
        group.seal(&draft, None).unwrap();
    }
    let first = group.events()[0].clone();
    drop(group);
    assert_eq!(sealer.sequence(), 0);

    let (mut again, late) = (sealer.group(), sealer.group());
    let draft = call(1, "work").remove(0);
    assert_eq!(again.seal(&draft, None).unwrap(), &first);
    assert!(sealer.commit(again));
    assert_eq!(sealer.sequence(), 1);
    // A group of before that commit would give the same sequences twice.
    assert!(!sealer.commit(late));
    assert_eq!(sealer.sequence(), 1);
}

#[test]
fn a_group_resumes_from_stored_subtrees_and_heads() {
    let whole = Store::of(30);
    let mut sealer = Sealer::default();
    let (mut nodes, mut heads) =
        (std::collections::HashMap::new(), std::collections::HashMap::new());
    let mut drafts = Vec::new();
    for number in 1.. {
        if drafts.len() >= 8 {
            break;
        }
        drafts.extend(call(number, &format!("work-{}", number % 7)));
    }
    for draft in drafts.into_iter().take(8) {
        let tree = Tree::resume(sealer.sequence(), |node| nodes.get(&node).copied()).unwrap();
        sealer = Sealer::resume(tree);
        let mut group = sealer.group();
        let id = draft.context.correlation.correlation_id.clone();
        assert_eq!(group.head(&id), None);
        group.seal(&draft, heads.get(&id).copied()).unwrap();
        heads.insert(id.clone(), group.head(&id).unwrap().hash);
        nodes.extend(group.nodes().iter().copied());
        assert!(sealer.commit(group));
    }
    assert_eq!(heads.len(), 4);
    let expected: Vec<Hash> = whole.events.iter().take(8).map(|event| event.content_hash).collect();
    let leaves: Vec<Hash> = (0..8).map(|index| nodes[&Node { level: 0, index }]).collect();
    for (event, leaf) in whole.events.iter().zip(leaves) {
        assert_eq!(merkle::leaf(&event.correlation_id, &event.content_hash), leaf);
    }
    assert_eq!(expected.len(), 8);
}

#[test]
fn an_event_that_is_too_large_or_beyond_the_last_sequence_is_refused() {
    let facts = (0..200).fold(Facts::new(), |facts, number: u32| {
        let key: &'static str = Box::leak(format!("k{number}").into_boxed_str());
        facts.text(key, "x".repeat(500))
    });
    let context = context("call", "work");
    let large = Draft::new(&context, stamp(1), EventType::ConfigurationChanged, facts);
    let mut group = Sealer::default().group();
    assert_eq!(group.seal(&large, None).unwrap_err(), SealError::TooLarge);
    assert!(group.events().is_empty() && group.nodes().is_empty());
    let small = Draft::new(&context, stamp(1), EventType::ConfigurationChanged, Facts::new());
    let spent = seal(&small, INTEGER_MAX + 1, None, &mut Scratch::default());
    assert_eq!(spent.unwrap_err(), SealError::SequenceSpent);
}
