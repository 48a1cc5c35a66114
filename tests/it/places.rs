//! Who waits for whom: places of plugins and of the node, plugins that call each other, plugins that
//! rest after traps, and callers that go away.

use std::process::{Child, Stdio};

use meshhost_core::code::{Code, Exit};
use serde_json::json;

use crate::{
    components::{self, body},
    support::{Home, guest, parse, ran, until, wat, with_manifest},
};

#[test]
fn a_pipe_in_a_granted_folder_holds_nobody_up() {
    let home = Home::new();
    let folder = home.work().join("shared");
    std::fs::create_dir(&folder).expect("a folder");
    let pipe = folder.join("pipe");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
    let grant = format!("fs:ro={}", folder.display());
    home.install(&guest("filesystem"), &["--grant", &grant]);
    home.install(&guest("command"), &["--grant", &grant, "--grant", "stdout=1KiB"]);
    let node = home.serve();
    // As many as there are threads for files, and one more: each would block its thread.
    for _ in 0..5 {
        let read = home.run_json(["call", "filesystem.read", "path=shared/pipe"]);
        assert_eq!(read.code_name(), Code::PluginFailure.info().name, "{}", read.stdout);
    }
    let words = json!(["read", pipe]);
    let read = home.run_json(["call", "command.run", &format!("arguments:={words}")]);
    read.expect(Exit::PluginFailure as i32);
    node.stop_well();
}

#[test]
fn other_limits_do_not_let_more_calls_run() {
    let home = Home::new();
    let sleeper = components::sleeper();
    home.install(&wat(&home, "plain", &sleeper), &["--limit", "concurrency=1"]);
    let manifest = components::manifest("stateful", "1.0.0", &[])
        .replace("[plugin]\n", "[plugin]\nstateful = true\n");
    let component = with_manifest(parse(&sleeper), &manifest);
    home.install(&home.file("stateful.wasm", component), &[]);
    let node = home.serve();
    for name in ["plain", "stateful"] {
        let id = format!("{name}.f");
        let mut call = home.command(["call", &id, "--id", name]);
        let call = call.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut running = call.expect("a call");
        until("a call that runs", || (home.run(["audit", "show", name]).code == 0).then_some(()));
        home.run(["plugin", "grant", name, "--limit", "waiting=7"]).expect(0);
        let second = home.run_json(["call", &id, "--timeout", "20ms"]);
        assert_eq!(second.code_name(), Code::Busy.info().name, "{name}: {}", second.stdout);
        running.kill().expect("it ends");
        running.wait().expect("it ends");
    }
    node.stop_well();
}

#[test]
fn places_are_bounded_and_whoever_finds_none_is_told_busy() {
    let home = Home::new();
    let options = ["--limit", "concurrency=1", "--limit", "waiting=1"];
    home.install(&wat(&home, "sleeper", &components::sleeper()), &options);
    let node = home.serve();
    // One runs, one waits, and whichever comes last finds no place.
    let mut calls: Vec<_> = (0..3)
        .map(|_| {
            let mut call = home.command(["call", "sleeper.f", "--json"]);
            call.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a call")
        })
        .collect();
    let refused = until("a full queue", || {
        let ended = |call: &mut Child| matches!(call.try_wait(), Ok(Some(_)));
        calls.iter_mut().position(ended).map(|place| calls.remove(place))
    });
    let refused = ran(refused.wait_with_output().expect("it has ended"));
    assert_eq!(refused.code_name(), Code::Busy.info().name);
    assert!(refused.stdout.contains("queue is full"), "{}", refused.stdout);
    assert_eq!(refused.json()["outcome"], "denied", "nothing ran");
    refused.expect(Exit::Busy as i32);
    // Callers that go away free their places: the next call runs, into its own deadline.
    for call in &mut calls {
        call.kill().expect("it ends");
        call.wait().expect("it ends");
    }
    until("a free place", || {
        let call =
            ran(home.command(["call", "sleeper.f", "--timeout", "20ms"]).output().expect("a call"));
        (call.code == Exit::Timeout as i32).then_some(())
    });
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn the_places_of_the_node_are_bounded_over_all_plugins() {
    let home = Home::new();
    home.configure("concurrency = 1\n");
    home.install(&wat(&home, "sleeper", &components::sleeper()), &[]);
    home.install(&wat(&home, "good", &components::nothing()), &[]);
    // It takes two places, and has the node to itself.
    let wide = "(component
        (core module $m (memory 1) (func (export \"f\")))
        (core instance $i (instantiate $m)) (core instance (instantiate $m))
        (func (export \"f\") (canon lift (core func $i \"f\"))))";
    home.install(&wat(&home, "wide", wide), &[]);
    let node = home.serve();
    home.run(["call", "wide.f", "--timeout", "5s"]).expect(0);
    let mut command = home.command(["call", "sleeper.f", "--id", "asleep"]);
    let sleeping = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut sleeping = sleeping.expect("a call");
    until("the call's start", || home.run(["audit", "show", "asleep"]).code.eq(&0).then_some(()));
    // Another plugin's call waits for the one place, until its own deadline.
    let waits = home.run_json(["call", "good.f", "--timeout", "50ms"]);
    assert_eq!(waits.code_name(), Code::Busy.info().name, "{}", waits.stdout);
    waits.expect(Exit::Busy as i32);
    sleeping.kill().expect("it ends");
    sleeping.wait().expect("it ends");
    until("a free place", || home.run(["call", "good.f"]).code.eq(&0).then_some(()));
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn plugins_that_call_each_other_end_at_the_depth_and_wait_for_nobody() {
    let home = Home::new();
    // What calls others is of high risk, which plugins do not reach unless the node says so.
    home.configure("[ceiling.risk]\nplugin = \"high\"\n");
    let install = |name: &str, target: &str, options: &[&str]| {
        let file = wat(&home, name, &components::caller(target, 2));
        let call = format!("call={target}");
        home.install(&file, &[&["--grant", call.as_str()], options].concat());
    };
    install("itself", "itself.f", &[]);
    install("ping", "pong.f", &["--grant", "call=ping.f"]);
    install("pong", "ping.f", &["--grant", "call=pong.f"]);
    install("narrow", "pong.f", &[]);
    install("alone", "alone.f", &["--limit", "concurrency=1"]);
    install("deaf", "nobody.f", &[]);
    let node = home.serve();
    for (id, answer) in [
        // Eight deep, and the eighth is denied the ninth.
        ("itself.f", 107),
        ("ping.f", 107),
        // What the first may not call, nobody calls on its behalf.
        ("narrow.f", 101),
        // A place of the own chain is not waited for.
        ("alone.f", 100),
        ("deaf.f", 100),
    ] {
        let call = home.json(["call", id]);
        assert_eq!(call["data"], answer, "{id}: {call}");
    }
    home.run(["plugin", "revoke", "itself", "--all"]).expect(0);
    let ungranted = home.json(["call", "itself.f"]);
    assert_eq!(ungranted["data"], 100, "denied");
    let command = ungranted["denied"][0]["command"].as_str().unwrap_or_default();
    assert_eq!(command, "meshhost plugin grant itself call=itself.f");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_plugin_that_traps_in_a_row_rests_until_it_is_enabled() {
    let home = Home::new();
    home.install(&wat(&home, "trap", &body("unreachable")), &[]);
    home.install(&wat(&home, "good", &components::nothing()), &[]);
    let node = home.serve();
    let mut traps = 0;
    // On a slow machine a rest may be over before the next call; each is longer than the one before.
    let skipped = until("a quarantine", || {
        let call = home.run_json(["call", "trap.f"]);
        traps += u32::from(call.code == Exit::Trap as i32);
        (call.code != Exit::Trap as i32).then_some(call)
    });
    assert!(traps >= 5, "{traps} traps");
    assert_eq!(skipped.code_name(), Code::Quarantined.info().name);
    assert_eq!(skipped.json()["outcome"], "skipped");
    assert!(skipped.json()["error"]["retry_after_ms"].as_u64() > Some(0));
    skipped.expect(Exit::Skipped as i32);
    home.run(["call", "good.f"]).expect(0);
    let listed = home.json(["plugin", "permissions", "trap"]);
    assert_eq!(listed["state"], "quarantined");
    node.stop_well();
    // It goes on after a restart: at most the call that tries it again traps.
    let node = home.serve();
    let codes = [(); 2].map(|()| home.run(["call", "trap.f"]).code);
    assert!(codes.contains(&(Exit::Skipped as i32)), "{codes:?}");
    home.run(["plugin", "enable", "trap"]).expect(0);
    home.run(["call", "trap.f"]).expect(Exit::Trap as i32);
    node.stop_well();
}

#[test]
fn the_callers_of_a_stateful_plugin_end_their_waiting_and_not_its_work() {
    let home = Home::new();
    let manifest = components::manifest("keeper", "1.0.0", &[])
        .replace("[plugin]\n", "[plugin]\nstateful = true\n");
    let component = with_manifest(parse(&components::keeper()), &manifest);
    home.install(&home.file("keeper.wasm", component), &[]);
    let node = home.serve();
    let next = || home.json(["call", "keeper.next"])["data"].clone();
    assert_eq!((next(), next()), (json!(1), json!(2)));
    let given_up = home.run_json(["call", "keeper.slow", "--timeout", "1ms"]);
    assert_eq!(given_up.json()["outcome"], "indeterminate", "{}", given_up.stdout);
    given_up.expect(Exit::Indeterminate as i32);
    // The work went on, and the next call waited for its end.
    assert_eq!(next(), 103);
    home.run(["call", "keeper.trap"]).expect(Exit::Trap as i32);
    assert_eq!(next(), 1, "a trap costs the state");
    let head = home.run(["audit", "head"]).expect(0).json();
    let host = format!("host-lifecycle-{}", head["host_id"].as_str().expect("an id"));
    let events = home.json(["audit", "replay", &host]).to_string();
    assert!(events.contains("dev.meshhost.plugin_state_lost"), "{events}");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}
