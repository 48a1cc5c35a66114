//! What the record says of each call, and what it shows when somebody changed it.

use std::{collections::BTreeMap, fs, process::Command};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    bad_input::Numbers,
    components::{self, SPIN, body},
    support::{Home, guest, wat},
};

/// A text that must never be found in the database.
const CANARY: &str = "canary-6f1d0c2b";

fn verify(home: &Home) {
    home.run(["audit", "verify"]).expect(0);
}

#[track_caller]
fn broken(home: &Home, options: &[&str]) -> Value {
    let ran = home.run_json([&["audit", "verify"], options].concat());
    let found = ran.json();
    assert_eq!(ran.code_name(), Code::EvidenceBroken.info().name, "{}", ran.stdout);
    ran.expect(Exit::EvidenceBroken as i32);
    found
}

/// The events of a call that was answered.
fn events(home: &Home, call: &Value) -> Vec<Value> {
    let id = call["invocation_id"].as_str().expect("an id");
    home.json(["audit", "show", id])["events"].as_array().expect("events").clone()
}

fn words(events: &[Value], field: &str) -> Vec<String> {
    let word = |event: &Value| event[field].as_str().unwrap_or("-").to_owned();
    events.iter().map(word).collect()
}

#[test]
fn every_call_is_recorded_with_its_own_end() {
    let home = Home::new();
    home.install(&wat(&home, "good", &components::number(1)), &[]);
    home.install(&wat(&home, "failing", &components::failing()), &[]);
    home.install(&wat(&home, "trap", &body("unreachable")), &[]);
    home.install(&wat(&home, "spin", &body(SPIN)), &["--limit", "fuel=1000000"]);
    home.install(&wat(&home, "slow", &components::sleeper()), &["--limit", "deadline_ms=20"]);
    home.install(&wat(&home, "off", &components::number(1)), &[]);
    home.run(["plugin", "disable", "off"]).expect(0);
    let node = home.serve();
    let (ran, never) = (true, false);
    let table = [
        ("good.f", Exit::Success, ran, "execution_completed", "success", ""),
        ("failing.f", Exit::PluginFailure, ran, "execution_failed", "failure", "plugin-failure"),
        ("trap.f", Exit::Trap, ran, "execution_failed", "failure", "trap"),
        ("spin.f", Exit::Limit, ran, "execution_failed", "failure", "limit-fuel"),
        ("slow.f", Exit::Timeout, ran, "execution_failed", "failure", "deadline"),
        ("off.f", Exit::Skipped, never, "execution_skipped", "skipped", "capability-disabled"),
        ("none.f", Exit::NotFound, never, "execution_denied", "denied", "capability-not-found"),
    ];
    for (id, exit, started, last, outcome, code) in table {
        let answered = home.run_json(["call", id, "--correlation", "all"]);
        let call = answered.json();
        answered.expect(exit as i32);
        assert_eq!(call["outcome"], outcome, "{id}");
        assert_eq!(call["correlation_id"], "all");
        let events = events(&home, &call);
        let types = words(&events, "event_type");
        assert_eq!(types.contains(&"execution_started".to_owned()), started, "{id}: {types:?}");
        assert_eq!(types.last().map(String::as_str), Some(last), "{id}");
        let end = events.last().expect("an end");
        assert_eq!(end["outcome"], outcome, "{id}");
        let why = if outcome == "denied" || outcome == "skipped" { "denial" } else { "error" };
        let named = end.pointer(&format!("/{why}/details/name")).and_then(Value::as_str);
        assert_eq!(named.unwrap_or_default(), code, "{id}: {end}");
        assert_eq!(end["subject"]["verified"], true);
        let ids = call["evidence_ids"].as_array().expect("ids");
        let recorded: Vec<&Value> = events.iter().map(|event| &event["event_id"]).collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), recorded, "{id}");
        let why = home.json(["audit", "why", call["invocation_id"].as_str().expect("an id")]);
        assert!(why["explanation"].as_array().is_some_and(|text| !text.is_empty()), "{why}");
    }
    // The whole piece of work in order, and the newest calls first.
    let replay = home.json(["audit", "replay", "all"]);
    let sequences: Vec<u64> = replay["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["sequence"].as_u64())
        .collect();
    assert!(sequences.len() >= 12 && sequences.is_sorted(), "{sequences:?}");
    let list = home.json(["audit", "list", "--limit", "2"]);
    assert_eq!(words(list["events"].as_array().expect("events"), "capability_id")[0], "none.f");
    verify(&home);
    node.stop_well();
}

#[test]
fn every_change_of_a_plugin_is_recorded() {
    let home = Home::new();
    let file = wat(&home, "one", &components::number(1));
    let other = wat(&home, "other", &components::number(2));
    let (file, other) = (file.to_str().expect("text"), other.to_str().expect("text"));
    let changes: [(&[&str], i32, &str); 9] = [
        (&["install", "nothing.wasm"], 11, "host_adapter_install_rejected"),
        (&["install", file], 0, "host_adapter_installed"),
        (&["grant", "one", "clock"], 0, "dev.meshhost.permission_granted"),
        (&["revoke", "one", "clock"], 0, "dev.meshhost.permission_revoked"),
        (&["update", "one", other], 0, "dev.meshhost.plugin_updated"),
        (&["rollback", "one"], 0, "dev.meshhost.plugin_rolled_back"),
        (&["disable", "one"], 0, "dev.meshhost.plugin_disabled"),
        (&["enable", "one"], 0, "dev.meshhost.plugin_enabled"),
        (&["remove", "one"], 0, "dev.meshhost.plugin_removed"),
    ];
    for (words, exit, _) in &changes {
        home.run([&["plugin"], *words].concat()).expect(*exit);
    }
    let head = home.run(["audit", "head"]).expect(0).json();
    let host = head["host_id"].as_str().expect("an id");
    let recorded = |family: &str| {
        let events = home.json(["audit", "replay", &format!("host-{family}-{host}")]);
        words(events["events"].as_array().expect("events"), "event_type")
    };
    assert_eq!(recorded("lifecycle"), changes.map(|(_, _, event)| event));
    assert_eq!(recorded("identity"), ["key_generated"]);
    verify(&home);
}

#[test]
fn a_call_with_an_id_runs_once() {
    let home = Home::new();
    home.install(&wat(&home, "echo", &components::echo()), &[]);
    let call =
        |text: &str| home.run_json(["call", "echo.echo", &format!("text={text}"), "--id", "mine"]);
    let first = call("a").expect(0).json();
    let again = call("a").expect(0).json();
    assert_eq!((&first["replayed"], &again["replayed"]), (&json!(false), &json!(true)));
    assert_eq!(again["data"], "a");
    assert_eq!(again["evidence_ids"], first["evidence_ids"]);
    let other = call("b");
    assert_eq!(other.code_name(), Code::CallerConflict.info().name);
    other.expect(Exit::Denied as i32);
    verify(&home);
}

#[test]
fn no_text_of_a_guest_or_caller_is_in_the_record() {
    let home = Home::new();
    home.file(&format!("{CANARY}/file"), CANARY);
    let folder = home.work().join(CANARY);
    let grant = format!("fs:ro={}", folder.display());
    home.install(&wat(&home, "echo", &components::echo()), &[]);
    home.install(&guest("conformance-echo"), &[]);
    home.install(&guest("command"), &["--grant", "log=1KiB", "--grant", "stdout=1KiB"]);
    home.install(&guest("filesystem"), &["--partial", "--grant", &grant]);
    let file = format!("path={}/file", folder.display());
    let text = format!("text={CANARY}");
    let message = format!("message={CANARY}");
    let words = format!("arguments:=[\"echo\", \"{CANARY}\"]");
    home.run(["call", "echo.echo", &text]).expect(0);
    home.run(["call", "conformance_echo.fail", &message]).expect(Exit::PluginFailure as i32);
    home.run(["call", "command.run", &words]).expect(0);
    home.run(["call", "filesystem.read", &file]).expect(0);
    home.run(["plugin", "revoke", "filesystem", &grant]).expect(0);
    home.run(["call", "filesystem.read", &file]).expect(Exit::PluginFailure as i32);
    home.run(["call", "echo.echo", &format!("txet={CANARY}")]).expect(Exit::Usage as i32);
    let exported = home.json(["audit", "list", "--limit", "100"]).to_string();
    assert!(!exported.contains(CANARY), "{exported}");
    // The grant itself is kept with the plugin, never in the record.
    home.run(["plugin", "remove", "filesystem"]).expect(0);
    for name in ["meshhost.db", "meshhost.db-wal", "heads"] {
        let bytes = fs::read(home.data().join(name)).unwrap_or_default();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "the canary is in {name}");
    }
    verify(&home);
}

#[test]
fn what_was_denied_is_listed_with_the_command_that_grants_it() {
    let home = Home::new();
    let file = home.file("notes/deep/a.txt", "text");
    home.install(&guest("filesystem"), &["--partial", "--yes"]);
    home.install(&guest("command"), &[]);
    let path = format!("path={}", file.display());
    let words = format!("arguments:={}", json!(["read", file]));
    let shout = format!("arguments:={}", json!(["shout", "10"]));
    let calls: [(&[&str], &str); 4] = [
        (&["filesystem.read", &path], "fs:ro"),
        (&["filesystem.append", &path, "text=more"], "fs:rw"),
        (&["command.run", &words], "fs:ro"),
        (&["command.run", &shout], "stdout"),
    ];
    for (call, kind) in calls {
        let mut commands = BTreeMap::new();
        for _ in 0..4 {
            let answer = home.run_json([&["call"], call].concat()).json();
            let denied = answer["denied"].as_array().expect("denied");
            let wanted = denied.iter().find_map(|denied| {
                let fits = denied["permission"].as_str()?.starts_with(kind);
                denied["command"].as_str().filter(|_| fits)
            });
            let Some(command) = wanted else { break };
            assert!(commands.insert(command.to_owned(), ()).is_none(), "{command} helped nothing");
            home.shell(command).expect(0);
        }
        assert!(!commands.is_empty(), "{call:?} was not denied");
        home.run([&["call"], call].concat()).expect(0);
        for plugin in ["filesystem", "command"] {
            home.run(["plugin", "revoke", plugin, "--all"]);
        }
    }
    // Run without being installed it has nothing, and nothing can be granted to it.
    let file = guest("command");
    let ran = home.run_json(["run", file.to_str().expect("text"), "read", "/etc/passwd"]);
    let denied = ran.json()["denied"][0].clone();
    assert!(denied["function"].is_string() && denied["command"].is_null(), "{denied}");
    ran.expect(Exit::PluginFailure as i32);
    verify(&home);
}

/// A node with some calls in its record, closed.
fn recorded(calls: usize) -> (Home, Vec<Value>) {
    let home = Home::new();
    home.install(&wat(&home, "good", &components::number(1)), &[]);
    let node = home.serve();
    let calls = (0..calls).map(|_| home.json(["call", "good.f"])).collect();
    node.stop_well();
    verify(&home);
    (home, calls)
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

#[test]
fn any_changed_byte_of_an_event_is_found_and_named() {
    let (home, calls) = recorded(3);
    let database = home.data().join("meshhost.db");
    let good = fs::read(&database).expect("a file");
    let mut numbers = Numbers(0xbad5eed);
    for call in &calls {
        let all = events(&home, call);
        let event = all.last().expect("an event");
        let id = event["event_id"].as_str().expect("an id");
        let quoted = format!("\"event_id\": \"{id}\"");
        let at = find(&good, quoted.as_bytes()).expect("the event's JSON");
        for _ in 0..6 {
            // Some byte of the JSON text around its id.
            let at = at + numbers.below(200);
            let mut changed = good.clone();
            changed[at] ^= 1 << numbers.below(7);
            fs::write(&database, changed).expect("a file");
            let report = broken(&home, &[]);
            let said = report["message"].to_string();
            let sequence = event["sequence"].as_u64().expect("a number").to_string();
            assert!(said.contains(&sequence) || said.contains("database file"), "{at}: {said}");
        }
        fs::write(&database, &good).expect("a file");
    }
    verify(&home);
}

/// Runs statements on the closed database; false where there is no python3 with sqlite3.
fn change(home: &Home, statements: &str) -> bool {
    let program = "import sqlite3, sys\n\
        c = sqlite3.connect(sys.argv[1])\nc.executescript(sys.argv[2])\nc.commit()\n\
        c.execute('PRAGMA wal_checkpoint(TRUNCATE)')\nc.close()";
    let mut python = Command::new("python3");
    let database = home.data().join("meshhost.db");
    python.args(["-c", program]).arg(database).arg(statements);
    python.status().is_ok_and(|status| status.success())
}

#[test]
fn deleted_reordered_and_truncated_events_are_found() {
    let (home, _) = recorded(4);
    if !change(&home, "SELECT 1") {
        println!("skipped: changing rows, because python3 with sqlite3 is not there");
        return;
    }
    let files = ["meshhost.db", "heads"].map(|name| home.data().join(name));
    let good = files.clone().map(|file| fs::read(file).expect("a file"));
    let restore = || {
        for (file, bytes) in files.iter().zip(&good) {
            fs::write(file, bytes).expect("a file");
        }
        for name in ["meshhost.db-wal", "meshhost.db-shm"] {
            let _ = fs::remove_file(home.data().join(name));
        }
    };
    let swap = "UPDATE events SET sequence = -1 WHERE sequence = 4;
        UPDATE events SET sequence = 4 WHERE sequence = 5;
        UPDATE events SET sequence = 5 WHERE sequence = -1;";
    let newest = "(SELECT max(sequence) FROM events)";
    let cut = format!("DELETE FROM events WHERE sequence = {newest};");
    for (what, statements) in [
        ("delete", "DELETE FROM events WHERE sequence = 4;"),
        ("reorder", swap),
        ("owner", "UPDATE events SET capability_id = 'evil.f' WHERE sequence = 4;"),
        ("hash", "UPDATE events SET content_hash = replace(content_hash, 'a', 'b');"),
        ("cut", cut.as_str()),
    ] {
        assert!(change(&home, statements), "{what}");
        let report = broken(&home, &[]);
        assert!(report["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        restore();
        verify(&home);
    }
}

#[test]
fn a_record_rolled_back_whole_shows_against_a_head_that_was_kept() {
    let (home, _) = recorded(2);
    let folder = home.data();
    let files: Vec<_> = ["meshhost.db", "heads"].map(|name| folder.join(name)).into();
    let yesterday: Vec<_> = files.iter().map(|file| fs::read(file).expect("a file")).collect();
    home.json(["call", "good.f"]);
    let head = home.run(["audit", "head"]).expect(0).stdout;
    home.run(["audit", "verify", "--head", head.trim()]).expect(0);
    // The heads file alone from today shows it, as long as it is there.
    fs::write(&files[0], &yesterday[0]).expect("a file");
    broken(&home, &[]);
    // Both from yesterday fit each other: only the head that somebody kept shows it.
    for (file, bytes) in files.iter().zip(&yesterday) {
        fs::write(file, bytes).expect("a file");
    }
    verify(&home);
    broken(&home, &["--head", head.trim()]);
    // Another node's head, or one that was changed, is not believed.
    let other = Home::new();
    let foreign = other.run(["audit", "head"]).expect(0).stdout;
    for head in [foreign.trim(), &head.trim().replacen("\"sequence\": ", "\"sequence\": 1", 1)] {
        broken(&home, &["--head", head]);
    }
    home.run(["audit", "verify", "--head", "{}"]).expect(Exit::EvidenceBroken as i32);
}

/// Recomputes what can be recomputed without the public key: each event's place in its chain and
/// the root over all content hashes.
const CHECK: &str = r#"
import hashlib, json, sys
bundle = json.load(sys.stdin)
events = bundle["events"]
assert events, "no events"
previous = None
for event in events:
    assert event["prev_hash"] == previous, "the chain is broken"
    previous = event["content_hash"]
    assert event["correlation"]["correlation_id"] == bundle["completeness"]["correlation_id"]
lines = "".join(event["content_hash"] + "\n" for event in events)
assert hashlib.sha256(lines.encode()).hexdigest() == bundle["root_hash"], "the root is wrong"
assert bundle["completeness"]["head_hash"] == previous, "the head is wrong"
assert len(bundle["signature"]["signature"]) > 80 and bundle["public_key"]
print(len(events))
"#;

#[test]
fn a_bundle_stands_alone() {
    let (home, calls) = recorded(1);
    home.run(["call", "none.f", "--correlation", "mine"]);
    home.run(["call", "good.f", "--correlation", "mine"]).expect(0);
    let own = calls[0]["correlation_id"].as_str().expect("an id");
    for (correlation, count) in [("mine", 3), (own, 2)] {
        let text = home.run(["audit", "export", correlation]).expect(0).stdout;
        let bundle: Value = serde_json::from_str(&text).expect("JSON");
        let events = bundle["events"].as_array().expect("events");
        assert!(events.len() >= count, "{}", events.len());
        let checked = meshhost_core::evidence::bundle::verify_bundle(&bundle);
        assert!(checked.holds(), "{checked:?}");
        let file = home.file("bundle.json", &text);
        let mut python = Command::new("python3");
        let input = fs::File::open(file).expect("a file");
        match python.args(["-c", CHECK]).stdin(input).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{said}");
            }
            Err(_) => println!("skipped: the check of a bundle by python3, which is not there"),
        }
    }
    home.run(["audit", "export", "nothing"]).expect(Exit::NotFound as i32);
}
