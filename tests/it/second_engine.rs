//! Components for the second engine, installed and called as a person does.

use std::process::Stdio;

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    components,
    support::{Home, guest, until, wat, with_manifest},
};

fn inspection(home: &Home, file: &std::path::Path) -> Value {
    home.json(["plugin", "inspect", file.to_str().expect("text")])["inspection"].clone()
}

#[test]
fn asynchronous_functions_of_a_rust_component_are_called_and_recorded() {
    let home = Home::new();
    let file = guest("async-tasks");
    let engine = inspection(&home, &file)["engine"].clone();
    assert_eq!(engine["kind"], "concurrent");
    let said = home.run(["plugin", "inspect", file.to_str().expect("text")]).expect(0);
    assert!(said.stdout.contains("second engine"), "{}", said.stdout);
    home.install(&file, &[]);

    let data = |words: &[&str]| home.json([&["call"], words].concat())["data"].clone();
    assert_eq!(data(&["async-tasks.nap", "milliseconds=1"]), "slept for 1 ms, twice");
    assert_eq!(data(&["async-tasks.count", "to=3"]), json!([1, 2, 3]));
    assert_eq!(data(&["async-tasks.spell"]), "aGVsbG8sIHdvcmxk");
    assert_eq!(data(&["async-tasks.later"]), "it came");
    assert_eq!(data(&["async-tasks.work_on"]), "returned");
    let refused = home.run_json(["call", "async-tasks.count", "to=0"]);
    assert_eq!(refused.json()["error"]["details"], "there is nothing to count");
    refused.expect(Exit::PluginFailure as i32);

    let events = home.json(["audit", "list"])["events"].clone();
    assert_eq!(events.as_array().map(Vec::len), Some(6), "{events}");
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_task_is_held_by_its_limits() {
    for (limit, words, code) in [
        ("deadline_ms=100", ["async-tasks.nap", "milliseconds=3600000"], Code::LimitDeadline),
        ("output_bytes=100", ["async-tasks.count", "to=1000"], Code::LimitOutput),
    ] {
        let home = Home::new();
        home.install(&guest("async-tasks"), &["--limit", limit]);
        let [capability, input] = words;
        let name = home.run_json(["call", capability, input]).code_name().to_owned();
        assert_eq!(name, code.info().name);
    }
}

#[test]
fn maps_and_lists_of_fixed_length_are_called_on_the_engine_that_has_them() {
    let home = Home::new();
    let rows = [
        ("map", "(map string u8)", json!([["a", 1]]), "plain"),
        ("fixed", "(list u32 2)", json!([1, 2]), "concurrent"),
    ];
    for (name, ty, value, kind) in rows {
        let file = wat(&home, name, &components::pair(ty));
        assert_eq!(inspection(&home, &file)["engine"]["kind"], kind);
        home.install(&file, &[]);
        let input = format!("x:={value}");
        assert_eq!(home.json(["call", &format!("{name}.f"), &input])["data"], value);
    }
}

/// Calls `capability` from inside `async-tasks`: what it answered, or its error.
fn ask(home: &Home, capability: &str) -> Value {
    let capability = format!("capability={capability}");
    let call = home.run_json(["call", "async-tasks.ask", &capability, "input={}"]).json();
    if call["success"] == true { call["data"].clone() } else { call["error"].clone() }
}

#[test]
fn both_engines_call_each_other_and_themselves() {
    let home = Home::new();
    // What calls others is of high risk, which plugins do not reach unless the node says so.
    home.configure("[ceiling.risk]\nplugin = \"high\"\n");
    home.install(&guest("async-tasks"), &["--grant", "call=*"]);
    home.install(&wat(&home, "steady", &components::number(7)), &[]);
    home.install(&wat(&home, "trap", &components::body("unreachable")), &[]);
    let caller = components::caller("async-tasks.tally", 2);
    home.install(&wat(&home, "caller", &caller), &["--grant", "call=*"]);
    let node = home.serve();
    assert_eq!(ask(&home, "steady.f"), "7", "the second calls the first");
    assert_eq!(ask(&home, "async-tasks.tally"), "1", "the second calls itself");
    assert_eq!(ask(&home, "caller.f"), "2", "the second calls the first, which calls the second");
    assert_eq!(home.json(["call", "caller.f"])["data"], 2, "the first calls the second");
    let trapped = ask(&home, "trap.f").to_string();
    assert!(trapped.contains(Code::Trap.info().name), "{trapped}");
    let unknown = ask(&home, "nobody.f").to_string();
    assert!(unknown.contains("Denied"), "{unknown}");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_caller_that_goes_away_ends_what_was_called_on_the_second_engine() {
    let home = Home::new();
    home.configure("[ceiling.risk]\nplugin = \"high\"\n");
    home.install(&guest("async-tasks"), &["--grant", "call=*"]);
    let node = home.serve();
    let count = |what: &str| {
        let replayed = home.run_json(["audit", "replay", "gone"]).json();
        let events = replayed["events"].as_array().cloned().unwrap_or_default();
        events.iter().filter(|event| event["event_type"] == what).count()
    };
    let nap = r#"input={"milliseconds":3600000}"#;
    let words = ["call", "async-tasks.ask", "capability=async-tasks.nap", nap];
    let mut call = home.command([&words[..], &["--correlation", "gone"]].concat());
    let call = call.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut call = call.expect("a call");
    until("a call inside a call", || (count("execution_started") == 2).then_some(()));
    call.kill().expect("it ends");
    call.wait().expect("it ends");
    until("the end of both", || (count("execution_indeterminate") == 2).then_some(()));
    assert_eq!(ask(&home, "async-tasks.tally"), "1");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_stateful_plugin_of_the_second_engine_keeps_its_state_until_a_limit_costs_it() {
    let home = Home::new();
    let manifest = components::manifest("async-tasks", "1.0.0", &[])
        .replace("[plugin]\n", "[plugin]\nstateful = true\n");
    let component = std::fs::read(guest("async-tasks")).expect("a file");
    let component = home.file("async-tasks.wasm", with_manifest(component, &manifest));
    home.install(&component, &["--limit", "deadline_ms=3000"]);
    let node = home.serve();
    let tally = || home.json(["call", "async-tasks.tally"])["data"].clone();
    assert_eq!((tally(), tally()), (json!(1), json!(2)));
    // What works on after its return ends with its call, and leaves the store quiet.
    home.run(["call", "async-tasks.work_on"]).expect(0);
    assert_eq!(home.json(["call", "async-tasks.count", "to=2"])["data"], json!([1, 2]));
    assert_eq!(tally(), 3);
    // A call leaves nothing behind in the engine either, which keeps no more than 1,024 of anything.
    for _ in 0..8 {
        let streams = home.json(["call", "async-tasks.several", "streams=100"])["data"].clone();
        assert_eq!(streams.as_array().map(Vec::len), Some(100), "{streams}");
    }
    let refused = home.run(["call", "async-tasks.count", "to=0"]);
    refused.expect(Exit::PluginFailure as i32);
    // A caller's patience is not the plugin's.
    let left = ["call", "async-tasks.nap", "milliseconds=50", "--timeout", "1ms"];
    home.run(left).expect(Exit::Indeterminate as i32);
    assert_eq!(tally(), 4);
    let ended = home.run_json(["call", "async-tasks.nap", "milliseconds=3600000"]);
    assert_eq!(ended.code_name(), Code::LimitDeadline.info().name, "{}", ended.stdout);
    assert_eq!(tally(), 1, "its end cost the state");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}
