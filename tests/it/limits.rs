//! A hostile component for every limit, through the real binary: each ends with its own code, and
//! the node answers the next call as if nothing had happened.

use std::process::{Child, Stdio};

use meshhost_core::code::{Code, Exit};
use serde_json::json;

use crate::{
    components::{self, SPIN, body, module, with_clock},
    support::{Home, guest, parse, ran, until, wat, with_manifest},
};

/// One hostile component, how it is installed, and how a call of its `f` ends.
struct Case {
    name: &'static str,
    text: String,
    limit: &'static str,
    code: Code,
}

fn memory_cases() -> Vec<Case> {
    let case = |name, text, limit, code| Case { name, text, limit, code };
    let grow = "(loop $again
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        br $again)";
    let grow_table = "(table $t 1 funcref) (func (export \"f\") (loop $again
        (if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))
            (then unreachable))
        br $again))";
    let recurse = "(func $f (export \"f\") (local $n i32) (call $f) (drop (local.get $n)))";
    vec![
        case("grow-memory", body(grow), "memory_bytes=8MiB", Code::LimitMemory),
        case("grow-to-the-default", body(grow), "", Code::LimitMemory),
        case("many-memories", components::many_memories(), "", Code::LimitMemory),
        case("grow-table", module(grow_table), "", Code::LimitTable),
        case("recurse", module(recurse), "", Code::LimitRecursion),
        case(
            "start-traps",
            module("(func $s unreachable) (start $s) (func (export \"f\"))"),
            "",
            Code::Trap,
        ),
        case("trap", body("unreachable"), "", Code::Trap),
    ]
}

fn time_cases() -> Vec<Case> {
    let case = |name, text, limit, code| Case { name, text, limit, code };
    let repeat = |operation: &str| {
        module(&format!(
            "(memory 256) (table 1 funcref) (func (export \"f\")
                (loop $again {operation} br $again))"
        ))
    };
    let start = format!("(func $s {SPIN}) (start $s) (func (export \"f\"))");
    let soon = "deadline_ms=100";
    let fuel = "fuel=200000000";
    vec![
        case("spin", body(SPIN), soon, Code::LimitDeadline),
        case("spin-at-start", module(&start), soon, Code::LimitDeadline),
        case("sleep-in-the-host", components::sleeper(), soon, Code::LimitDeadline),
        case("fuel", body(SPIN), "fuel=3000000", Code::LimitFuel),
        case("fuel-at-start", module(&start), "fuel=3000000", Code::LimitFuel),
        case("fuel-of-grow", repeat("(drop (memory.grow (i32.const 0)))"), fuel, Code::LimitFuel),
        case(
            "fuel-of-fill",
            repeat("(memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216))"),
            fuel,
            Code::LimitFuel,
        ),
        case(
            "fuel-of-copy",
            repeat("(memory.copy (i32.const 0) (i32.const 1) (i32.const 16777215))"),
            fuel,
            Code::LimitFuel,
        ),
    ]
}

fn host_cases() -> Vec<Case> {
    let case = |name, text, limit, code| Case { name, text, limit, code };
    let hoard = with_clock("(loop $again (drop (call $sleep (i64.const 0))) (br $again))");
    let pester = with_clock("(loop $again (drop (call $now)) (br $again))");
    let list = components::bytes;
    vec![
        case("hoard-handles", hoard, "handles=16", Code::LimitHandles),
        case("pester-the-host", pester, "host_calls=100", Code::LimitHostCalls),
        case("long-list", list(100_000), "hostcall_fuel=1000000", Code::LimitHostMemory),
        case("list-for-a-blob", list(100_000), "", Code::LimitList),
        case("long-output", list(60_000), "output_bytes=1000", Code::LimitOutput),
        case(
            "long-input-of-a-call",
            components::caller("nobody.f", 100_000),
            "host_buffer_bytes=64KiB",
            Code::LimitHostMemory,
        ),
    ]
}

#[test]
fn every_limit_ends_its_call_with_its_own_code_and_the_node_serves_on() {
    let home = Home::new();
    let good = wat(&home, "good", &components::nothing());
    home.install(&good, &[]);
    let node = home.serve();
    for Case { name, text, limit, code } in
        memory_cases().into_iter().chain(time_cases()).chain(host_cases())
    {
        let file = wat(&home, name, &text);
        let options = if limit.is_empty() { vec![] } else { vec!["--limit", limit] };
        home.install(&file, &options);
        let call = home.run_json(["call", &format!("{name}.f")]);
        assert_eq!(call.code_name(), code.info().name, "{name}: {}", call.stdout);
        assert_eq!(call.json()["outcome"], "failure", "{name}");
        call.expect(i32::from(code.exit() as u8));
        home.run(["call", "good.f"]).expect(0);
    }
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn core_instances_are_counted_at_install() {
    let home = Home::new();
    let file = wat(&home, "many", &components::many_instances(65));
    let install = home.run_json(["plugin", "install", file.to_str().expect("text")]);
    assert_eq!(install.code_name(), Code::LimitInstances.info().name);
    install.expect(Exit::Limit as i32);
    let file = wat(&home, "most", &components::many_instances(64));
    home.install(&file, &[]);
    home.run(["call", "most.f"]).expect(0);
}

#[test]
fn a_ceiling_of_the_node_is_not_passed() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    std::fs::write(home.data().join("meshhost.toml"), "[ceiling.limits]\nfuel = 3_000_000\n")
        .expect("a file");
    home.install(&wat(&home, "spin", &body(SPIN)), &["--limit", "fuel=1000000000000"]);
    let call = home.run_json(["call", "spin.f"]);
    assert_eq!(call.code_name(), Code::LimitFuel.info().name);
}

#[test]
fn text_above_its_limit_is_counted_and_dropped_or_ends_the_call() {
    let home = Home::new();
    let grants = ["--grant", "log=4KiB", "--grant", "stdout=4KiB"];
    home.install(&guest("command"), &grants);
    let node = home.serve();
    let run = |words: serde_json::Value| {
        home.run_json(["call", "command.run", &format!("arguments:={words}")])
    };
    let flood = run(json!(["complain", "1000000"])).expect(0).json();
    assert_eq!(flood["usage"]["log_bytes"], 1_000_000);
    assert!(flood["log"].to_string().len() < 8 * 1024, "the rest is dropped");
    run(json!(["shout", "4096"])).expect(0);
    let too_much = run(json!(["shout", "4097"]));
    assert_eq!(too_much.code_name(), Code::LimitOutput.info().name);
    home.run(["plugin", "revoke", "command", "--all"]).expect(0);
    let silent = run(json!(["shout", "1000000"])).expect(0).json();
    assert_eq!(silent["data"]["stdout"], "", "without the grant it is dropped");
    node.stop_well();
}

#[test]
fn what_a_call_writes_into_blobs_is_bounded() {
    let home = Home::new();
    home.file("shared/large", vec![b'x'; 64 * 1024]);
    let grant = format!("fs:ro={}", home.work().join("shared").display());
    home.install(&guest("filesystem"), &["--grant", &grant, "--limit", "blob_bytes=4KiB"]);
    let read = ["call", "filesystem.read", "path=shared/large", "form=blob"];
    // The interface has an error for it, which the plugin passes on.
    let too_large = home.run_json(read);
    assert!(too_large.stdout.contains("no more blob bytes"), "{}", too_large.stdout);
    too_large.expect(Exit::PluginFailure as i32);
    home.run([&read[..], &["length=4096"]].concat()).expect(0);
    home.run(["audit", "verify"]).expect(0);
}

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
fn plugins_that_call_each_other_end_at_the_depth_and_wait_for_nobody() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    // What calls others is of high risk, which plugins do not reach unless the node says so.
    std::fs::write(home.data().join("meshhost.toml"), "[ceiling.risk]\nplugin = \"high\"\n")
        .expect("a file");
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
