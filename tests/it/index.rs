//! A component searches in documents through the real program: what it puts is found, stays its own,
//! stays within its grant, and survives `kill -9` whole.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    bad_input::Numbers,
    components::key_value_hoarder,
    support::{Home, Ran, guest, wat},
};

/// Kills of a node that puts documents.
const KILLS: u32 = 8;
/// Milliseconds after which the latest kill comes.
const KILL_MS: usize = 400;
/// Documents that one call puts.
const PUT_AT_ONCE: u32 = 5;

/// A node with the component under this name and these grants.
fn install(home: &Home, name: &str, grants: &[&str]) {
    let grants = grants.iter().flat_map(|grant| ["--grant", grant]);
    let options: Vec<&str> = ["--name", name].into_iter().chain(grants).collect();
    home.install(&guest("search-index"), &options);
}

fn call(home: &Home, capability: &str, input: &Value) -> Ran {
    home.run_json(["call", capability, "--input", &input.to_string()])
}

#[track_caller]
fn data(home: &Home, capability: &str, input: &Value) -> Value {
    call(home, capability, input).expect(0).json()["data"].clone()
}

#[test]
fn documents_are_found_by_vector_and_by_word_and_stay_the_plugins_own() {
    let home = Home::new();
    install(&home, "one", &["index=1MiB"]);
    install(&home, "two", &["index=1MiB"]);
    let node = home.serve();
    let notes = json!({"corpus": "notes", "dimensions": 2});
    assert_eq!(data(&home, "one.open", &notes), 2);
    for (key, text, vector) in [
        ("sea/whale", "Blue whales sing", [1.0, 0.1]),
        ("sea/shark", "Sharks are silent", [0.9, 0.5]),
        ("land/ant", "Ants march in files", [-1.0, 0.2]),
    ] {
        let put =
            json!({"corpus": "notes", "key": key, "text": text, "vector": vector, "passages": 1});
        data(&home, "one.put", &put);
    }
    let near = |prefix: Value, limit: u32| {
        let asked =
            json!({"corpus": "notes", "vector": [1.0, 0.0], "prefix": prefix, "limit": limit});
        data(&home, "one.near", &asked)
    };
    assert_eq!(near(Value::Null, 2), json!(["sea/whale", "sea/shark"]));
    assert_eq!(near(json!("land/"), 9), json!(["land/ant"]));
    let find =
        |text: &str| data(&home, "one.find", &json!({"corpus": "notes", "text": text, "limit": 9}));
    assert_eq!(find("SILENT* \"nothing"), json!(["sea/shark"]));
    assert_eq!(find("sing march").as_array().map(Vec::len), Some(2));
    assert_eq!(data(&home, "one.delete", &json!({"corpus": "notes", "key": "sea/whale"})), 1);
    assert_eq!(near(json!("sea/"), 9), json!(["sea/shark"]));
    // The other one has none of it.
    assert_eq!(data(&home, "two.corpora", &json!({})), json!([]));
    let other = call(&home, "two.find", &json!({"corpus": "notes", "text": "ants", "limit": 9}));
    assert!(
        other.json()["error"]["details"].as_str().is_some_and(|said| said.starts_with("not-found"))
    );
    assert_eq!(data(&home, "two.remove", &json!({"corpus": "notes"})), false);
    node.stop_well();
    // Nor is it gone when the node has ended.
    assert_eq!(near(Value::Null, 1), json!(["sea/shark"]));
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_removed_plugins_documents_and_key_values_stay_until_they_are_deleted() {
    for serving in [false, true] {
        let home = Home::new();
        let node = serving.then(|| home.serve());
        let put =
            json!({"corpus": "notes", "key": "k", "text": "whales", "vector": [], "passages": 1});
        for name in ["one", "two"] {
            install(&home, name, &["index=1MiB"]);
            data(&home, &format!("{name}.open"), &json!({"corpus": "notes"}));
            data(&home, &format!("{name}.put"), &put);
        }
        home.install(&wat(&home, "hoarder", &key_value_hoarder()), &["--grant", "kv=8KiB"]);
        call(&home, "hoarder.f", &json!({}));

        let removed = home.run(["plugin", "remove", "one"]).expect(0).stdout;
        assert!(
            removed.contains("`meshhost plugin remove one --with-data` deletes it"),
            "{removed}"
        );
        install(&home, "one", &["index=1MiB"]);
        assert_eq!(data(&home, "one.corpora", &json!({})), json!(["notes"]));
        home.run(["plugin", "remove", "one"]).expect(0);
        home.run(["plugin", "remove", "one"])
            .expect(Exit::NotFound as i32)
            .says("`meshhost plugin remove one --with-data` deletes what it had stored");

        let gone = home.json(["plugin", "remove", "one", "--with-data"]);
        assert_eq!((&gone["installed"], &gone["data"]), (&json!(false), &json!("deleted")));
        assert!(gone["index_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{gone}");
        home.run(["plugin", "remove", "one", "--with-data"]).expect(Exit::NotFound as i32);
        let gone = home.json(["plugin", "remove", "hoarder", "--with-data"]);
        assert_eq!((&gone["installed"], &gone["data"]), (&json!(true), &json!("deleted")));
        assert!(gone["key_value_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{gone}");

        install(&home, "one", &["index=1MiB"]);
        assert_eq!(data(&home, "one.corpora", &json!({})), json!([]));
        assert_eq!(data(&home, "two.corpora", &json!({})), json!(["notes"]));
        let removed = home.json(["plugin", "remove", "two", "--with-data"]);
        assert_eq!(removed["data"], "deleted");
        let left = std::fs::read_dir(home.data().join("index")).expect("a folder").flatten();
        let names: Vec<_> = left.map(|file| file.file_name()).collect();
        assert!(names.iter().all(|name| name.to_string_lossy().starts_with("one.db")), "{names:?}");
        if let Some(node) = node {
            node.stop_well();
        }
        assert_eq!(deletions(&home), ["one", "hoarder", "two"]);
        home.run(["audit", "verify"]).expect(0);
    }
}

/// The plugins whose data was deleted, as the record has it.
fn deletions(home: &Home) -> Vec<String> {
    let doctor = home.json(["doctor"]);
    let checks = doctor["checks"].as_array().expect("checks");
    let host = checks.iter().find(|check| check["name"] == "host id").expect("a host id");
    let correlation = format!("host-lifecycle-{}", host["says"].as_str().expect("text"));
    let events = home.json(["audit", "replay", &correlation]);
    let events = events["events"].as_array().expect("events").iter();
    events
        .filter(|event| event["event_type"] == "dev.meshhost.plugin_data_removed")
        .map(|event| event["payload"]["plugin"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn without_the_grant_it_is_denied_and_the_way_to_grant_it_is_named() {
    let home = Home::new();
    install(&home, "one", &[]);
    let denied = call(&home, "one.open", &json!({"corpus": "notes"})).json();
    let said = denied["error"]["details"].as_str().unwrap_or_default();
    assert!(said.starts_with("denied"), "{denied}");
    let command = denied["denied"][0]["command"].as_str().expect("a command");
    assert_eq!(command, "meshhost plugin grant one index=256MiB");
    home.shell(command).expect(0);
    data(&home, "one.open", &json!({"corpus": "notes"}));
    home.run(["plugin", "revoke", "one", "--all"]).expect(0);
    let revoked = call(&home, "one.corpora", &json!({})).json();
    assert!(revoked["error"]["details"].as_str().is_some_and(|said| said.starts_with("denied")));
}

#[test]
fn whatever_a_component_tries_is_refused_and_the_node_serves_on() {
    let home = Home::new();
    install(&home, "one", &["index=64MiB"]);
    let node = home.serve();
    let corpus = json!({"corpus": "notes", "dimensions": 2});
    data(&home, "one.open", &corpus);
    let refusals = data(&home, "one.hostile", &json!({"corpus": "notes"}));
    let refusals = refusals.as_array().expect("refusals");
    assert!(refusals.len() > 40, "{refusals:?}");
    for refusal in refusals {
        let (what, answer) = refusal.as_str().and_then(|said| said.split_once(": ")).expect("text");
        let expected = if what == "large" { "too-large" } else { "invalid" };
        assert_eq!(answer, expected, "{what}");
    }
    assert_eq!(data(&home, "one.corpora", &json!({})), json!(["notes"]));
    assert_eq!(data(&home, "one.verify", &json!({"corpus": "notes"})), json!([]));
    let left: Vec<_> = std::fs::read_dir(home.data().join("index")).expect("a folder").collect();
    let ours = |name: &str| name.starts_with("one.db");
    assert!(left.iter().flatten().all(|file| file.file_name().to_str().is_some_and(ours)));
    node.stop_well();
}

#[test]
fn the_quota_ends_a_component_that_hoards_and_a_larger_one_goes_on() {
    let home = Home::new();
    install(&home, "one", &["index=16KiB"]);
    let node = home.serve();
    data(&home, "one.open", &json!({"corpus": "notes"}));
    for quota in ["index=16KiB", "index=32KiB"] {
        home.run(["plugin", "grant", "one", quota]).expect(0);
        let full = call(&home, "one.hoard", &json!({"corpus": "notes"}));
        assert_eq!(full.code_name(), Code::LimitIndex.info().name, "{}", full.stdout);
        full.expect(Exit::Limit as i32);
    }
    assert!(
        data(
            &home,
            "one.find",
            &json!({"corpus": "notes", "text": "x".repeat(1_000), "limit": 99})
        )
        .as_array()
        .is_some_and(|hits| (20..32).contains(&hits.len()))
    );
    node.stop_well();
}

#[test]
fn a_document_as_large_as_may_be_is_put_and_found_within_the_usual_limits() {
    let home = Home::new();
    install(&home, "one", &["index=64MiB"]);
    data(&home, "one.open", &json!({"corpus": "notes", "dimensions": 384}));
    let put = |words: usize| {
        let (text, vector) = ("word ".repeat(words), vec![0.5; 384]);
        let (corpus, key) = ("notes", "large");
        let input = json!({
            "corpus": corpus, "key": key, "text": text, "vector": vector, "passages": 1_024
        });
        call(&home, "one.put", &input)
    };
    put(1_200).expect(0);
    let refused = put(1_400).json();
    let said = refused["error"]["details"].as_str().unwrap_or_default();
    assert!(said.starts_with("too-large"), "{refused}");
    let near = json!({"corpus": "notes", "vector": vec![1.0; 384], "limit": 256});
    assert_eq!(data(&home, "one.near", &near).as_array().map(Vec::len), Some(256));
}

/// Versions by key, as the component saw them whole.
fn verified(home: &Home) -> BTreeMap<String, u32> {
    let seen = data(home, "one.verify", &json!({"corpus": "notes"}));
    let seen = seen.as_array().expect("documents").iter().filter_map(Value::as_str);
    let pair = |one: &str| {
        let (key, version) = one.split_once(' ')?;
        Some((key.to_owned(), version.parse().ok()?))
    };
    seen.map(|one| pair(one).expect("a key and a version")).collect()
}

#[test]
fn a_document_that_was_put_survives_a_kill_and_none_is_there_in_part() {
    let home = Home::new();
    install(&home, "one", &["index=64MiB"]);
    data(&home, "one.open", &json!({"corpus": "notes", "dimensions": 2}));
    let mut numbers = Numbers(0x696e_6465_7800_0001);
    let (next, mut cut, mut put) = (AtomicU32::new(0), 0, 0);
    for kill in 0..KILLS {
        let node = home.serve();
        let wait = Duration::from_millis(numbers.below(KILL_MS) as u64);
        let (home, next, killed) = (&home, &next, &AtomicBool::new(false));
        let acknowledged = std::thread::scope(|scope| {
            let putting = scope.spawn(move || put_until(killed, home, next));
            // The moment is what is tested, not a state that is waited for.
            std::thread::sleep(wait);
            killed.store(true, Ordering::Release);
            node.kill();
            putting.join().expect("what was put")
        });
        let there = verified(home);
        // Of each key the newest acknowledged version is there, or one that came after it.
        for number in acknowledged.map(|first| first..first + PUT_AT_ONCE).into_iter().flatten() {
            let version = there.get(&format!("k{}", number % 7));
            assert!(
                version.is_some_and(|version| *version >= number),
                "kill {kill}: {number}: {there:?}"
            );
        }
        put += u32::from(acknowledged.is_some());
        let sure = acknowledged.map_or(0, |first| first + PUT_AT_ONCE);
        cut += u32::from(there.values().any(|version| *version >= sure));
    }
    println!("{put} of {KILLS} kills came after an answer, {cut} left what nobody had heard of");
    assert!(put > 0, "each kill came before the first answer");
    home.run(["audit", "verify"]).expect(0);
}

/// Puts documents until the node is killed; gives the first number of the last call that was answered.
fn put_until(killed: &AtomicBool, home: &Home, next: &AtomicU32) -> Option<u32> {
    let mut last = None;
    while !killed.load(Ordering::Acquire) {
        let first = next.fetch_add(PUT_AT_ONCE, Ordering::Relaxed);
        let input = json!({"corpus": "notes", "first": first, "count": PUT_AT_ONCE});
        if call(home, "one.churn", &input).code != 0 {
            break;
        }
        last = Some(first);
    }
    last
}
