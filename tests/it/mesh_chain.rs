//! Work that goes through three nodes: one calls another, whose component calls a third one. All of it has one
//! id, and one record that is put together from those of all three.

use meshhost_core::code::Exit;
use serde_json::Value;

use crate::{
    linked,
    mesh::{Node, text},
    support::{Home, Ran, parse, until, with_manifest},
};

/// `call: func(capability: string, input: string) -> string`: calls what it is told, through
/// `meshhost:mesh/invoke`, and answers with the output, or with the place of the error's case, a colon and its
/// text.
fn chooser() -> Vec<u8> {
    parse(
        r#"(component
            (import "meshhost:mesh/invoke@0.1.0" (instance $mesh
                (type $e (variant (case "denied" string) (case "failure" string)
                    (case "skipped" string) (case "indeterminate" string)
                    (case "invalid" string)))
                (export "call-error" (type $error (eq $e)))
                (export "call" (func (param "capability" string) (param "input" string)
                    (result (result string (error $error)))))))
            (core module $memory (memory (export "memory") 64)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    global.get $next
                    (global.set $next (i32.add (global.get $next) (local.get 3)))))
            (core instance $memory (instantiate $memory))
            (core func $call (canon lower (func $mesh "call") (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc"))))
            (core module $m
                (import "m" "memory" (memory 64))
                (import "" "call" (func $call (param i32 i32 i32 i32 i32)))
                (func (export "f") (param i32 i32 i32 i32) (result i32) (local $text i32)
                    (call $call (local.get 0) (local.get 1) (local.get 2) (local.get 3)
                        (i32.const 16))
                    (if (i32.eqz (i32.load8_u (i32.const 16)))
                        (then
                            (i32.store (i32.const 64) (i32.load (i32.const 20)))
                            (i32.store (i32.const 68) (i32.load (i32.const 24))))
                        (else
                            (local.set $text (i32.const 1048576))
                            (i32.store8 (local.get $text)
                                (i32.add (i32.const 48) (i32.load8_u (i32.const 20))))
                            (i32.store8 (i32.const 1048577) (i32.const 58))
                            (memory.copy (i32.const 1048578)
                                (i32.load (i32.const 24)) (i32.load (i32.const 28)))
                            (i32.store (i32.const 64) (local.get $text))
                            (i32.store (i32.const 68)
                                (i32.add (i32.const 2) (i32.load (i32.const 28))))))
                    (i32.const 64)))
            (core instance $i (instantiate $m (with "m" (instance $memory))
                (with "" (instance (export "call" (func $call))))))
            (func (export "call") (param "capability" string) (param "input" string) (result string)
                (canon lift (core func $i "f") (memory (core memory $memory "memory"))
                    (realloc (core func $memory "realloc")))))"#,
    )
}

/// Calls a capability by the component that chooses at run time.
fn choose(home: &Home, capability: &str, input: &str) -> Ran {
    let (capability, input) = (format!("capability={capability}"), format!("input={input}"));
    home.run_json(["call", "chooser.call", &capability, &input])
}

/// What may call others has risk high, and no peer reaches that; what only reads has its own.
const CALLER: &str = "
[plugin]
name = \"caller\"
version = \"0.1.0\"
description = \"Divides by another plugin.\"

[[asks]]
permission = \"call=acme.tools.divide.*\"
reason = \"It divides.\"

[capabilities.\"caller.f\"]
risk = \"low\"
read_only = true
";

/// A node that calls what the second one has, which calls what the third one has.
fn chain() -> [Node; 3] {
    let (laptop, ticket) = Node::founder("laptop");
    laptop.home.install(
        &laptop.home.file("chooser.wasm", chooser()),
        &["--grant", "call=caller.*", "--grant", "call=conformance_echo.echo"],
    );
    let gpubox = Node::joined("gpubox", &ticket, &["caller.*", "acme.tools.*"]);
    let nas = Node::joined("nas", &laptop.ticket(), &[]);
    nas.home.install(&nas.home.file("divider.wasm", linked::divider("1.0.0")), &[]);
    nas.home.run(["mesh", "share", "acme.tools.*", "--with", "gpubox"]).expect(0);
    for node in [&laptop, &gpubox, &nas] {
        node.sees(2);
    }
    let caller = with_manifest(linked::caller("1.0.0"), CALLER);
    let file = gpubox.home.file("caller.wasm", caller);
    let install = ["plugin", "install", file.to_str().expect("a name"), "--grant", linked::GRANT];
    until("it is offered", || (gpubox.home.run(install).code == 0).then_some(()));
    [laptop, gpubox, nas]
}

/// A text without its line breaks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A call through all three, as soon as it is offered.
fn divided(laptop: &Node) -> Value {
    until("it is offered", || {
        let ran = choose(&laptop.home, "caller.f", r#"{"a":42,"b":6}"#).expect(0).json();
        (ran["data"] == "7").then_some(ran)
    })
}

fn pairs<'a>(fleet: &'a Value, list: &str, other: &str) -> Vec<(&'a str, &'a str)> {
    let all = fleet[list].as_array().expect("a list");
    all.iter().map(|it| (text(&it["node"]), text(&it[other]))).collect()
}

#[test]
fn work_through_three_nodes_has_one_trace_and_one_verified_record() {
    let [laptop, gpubox, nas] = chain();
    let answer = divided(&laptop);
    let work = text(&answer["correlation_id"]);

    let fleet = laptop.home.json(["audit", "replay", work, "--fleet"]);
    let order = [
        ("laptop", "execution_started"),
        ("gpubox", "execution_started"),
        ("nas", "execution_started"),
        ("nas", "execution_completed"),
        ("gpubox", "execution_completed"),
        ("laptop", "execution_completed"),
    ];
    assert_eq!(pairs(&fleet, "events", "event_type"), order, "{fleet}");
    let calls =
        [("laptop", "chooser.call"), ("gpubox", "caller.f"), ("nas", "acme.tools.divide.divide")];
    assert_eq!(pairs(&fleet, "calls", "capability_id"), calls, "{fleet}");
    let depths: Vec<_> =
        fleet["calls"].as_array().expect("calls").iter().map(|it| &it["depth"]).collect();
    assert_eq!(depths, [0, 1, 2], "{fleet}");
    let mut records = pairs(&fleet, "nodes", "record");
    records.sort_unstable();
    assert_eq!(
        records,
        [("gpubox", "verified"), ("laptop", "verified"), ("nas", "verified")],
        "{fleet}"
    );
    assert_eq!(fleet["missing"], serde_json::json!([]), "{fleet}");
    assert_eq!(fleet["cut"], false, "{fleet}");

    let trace = laptop.home.run(["trace", work]).expect(0).stdout;
    for said in [
        "› caller.f gpubox",
        "› › nas",
        "acme.tools.divide.divide",
        "gpubox: 2 events, signed and unchanged",
        "nas: 2 events, signed and unchanged, handed on by gpubox",
    ] {
        assert!(one_line(&trace).contains(said), "no `{said}` in {trace}");
    }

    // The same id names it everywhere.
    for node in [&gpubox, &nas] {
        let there = node.home.json(["audit", "replay", work]);
        let events = there["events"].as_array().expect("events");
        assert_eq!(events.len(), 2, "{there}");
        let same = |event: &Value| event["correlation"]["correlation_id"] == work;
        assert!(events.iter().all(same), "{there}");
    }
    // What it began, a node may see, and what it served, not what began it.
    let fleet = gpubox.home.json(["audit", "replay", work, "--fleet"]);
    let nodes = pairs(&fleet, "events", "event_type").into_iter().map(|(node, _)| node);
    assert_eq!(nodes.collect::<Vec<_>>(), ["gpubox", "nas", "nas", "gpubox"], "{fleet}");
    let fleet = nas.home.json(["audit", "replay", work, "--fleet"]);
    let nodes = pairs(&fleet, "events", "event_type").into_iter().map(|(node, _)| node);
    assert_eq!(nodes.collect::<Vec<_>>(), ["nas", "nas"], "{fleet}");
    for node in [laptop, gpubox, nas] {
        node.home.run(["audit", "verify"]).expect(0);
        node.stop_well();
    }
}

#[test]
fn who_called_the_peer_is_written_down_where_it_ran_as_that_peer_says() {
    let [laptop, gpubox, nas] = chain();
    let answer = divided(&laptop);
    let work = text(&answer["correlation_id"]);
    let started = |node: &Node| {
        let replay = node.home.json(["audit", "replay", work]);
        replay["events"][0].clone()
    };
    let fleet = laptop.home.json(["audit", "replay", work, "--fleet"]);
    let keys = pairs(&fleet, "nodes", "key");
    let peer = |name: &str| {
        let (_, key) = keys.iter().find(|(node, _)| *node == name).expect("it is listed");
        assert_eq!(key.len(), 64, "{fleet}");
        format!("peer:{key}")
    };
    let (own, there, last) = (started(&laptop), started(&gpubox), started(&nas));
    assert!(own["payload"].get("asserted_caller").is_none(), "{own}");
    assert_eq!(there["subject"]["id"], peer("laptop"), "{there}");
    let said = &there["payload"]["asserted_caller"];
    assert!(text(&said["id"]).starts_with("plugin:chooser for local:"), "{there}");
    assert_eq!((text(&said["type"]), &said["verified"]), ("plugin", &false.into()), "{there}");
    assert_eq!(last["subject"]["id"], peer("gpubox"), "{last}");
    let wanted = format!("plugin:caller for {}", peer("laptop"));
    assert_eq!(last["payload"]["asserted_caller"]["id"], wanted, "{last}");
}

#[test]
fn what_a_node_in_the_chain_does_not_give_is_named() {
    let [laptop, gpubox, mut nas] = chain();
    let answer = divided(&laptop);
    let work = text(&answer["correlation_id"]);
    // Whoever is asked for its record waits for receipts that are on their way.
    laptop.home.json(["audit", "replay", work, "--fleet"]);
    nas.kill();
    let alone = until("it is missed", || {
        let alone = laptop.home.json(["audit", "replay", work, "--fleet"]);
        let nas = pairs(&alone, "nodes", "record").into_iter().find(|(node, _)| *node == "nas");
        (nas == Some(("nas", "unreachable"))).then_some(alone)
    });
    let missing = &alone["missing"][0];
    assert_eq!(alone["missing"].as_array().map(Vec::len), Some(1), "{alone}");
    let named = ["node", "by", "capability_id"].map(|name| text(&missing[name]));
    assert_eq!(named, ["nas", "gpubox", "acme.tools.divide.divide"], "{alone}");
    assert_eq!(missing["receipt"], true, "{alone}");
    let events = pairs(&alone, "events", "event_type");
    assert_eq!(events.len(), 4, "{alone}");
    let trace = laptop.home.run(["trace", work]).expect(0).stdout;
    let words = one_line(&trace);
    for said in [
        "gpubox: 2 events, signed and unchanged",
        "nas: not reached",
        "missing: acme.tools.divide.divide on nas, called by gpubox",
        "its signed receipt is kept by gpubox",
    ] {
        assert!(words.contains(said), "no `{said}` in {trace}");
    }
    drop(gpubox);
}

#[test]
fn a_component_that_chooses_at_run_time_reaches_what_it_was_granted_on_another_node_and_no_more() {
    let (laptop, ticket) = Node::founder("laptop");
    let gpubox = Node::joined("gpubox", &ticket, &["conformance_echo.*"]).with_echo();
    laptop.sees(1);
    laptop.home.install(
        &laptop.home.file("chooser.wasm", chooser()),
        &["--grant", "call=conformance_echo.echo"],
    );
    let answer = until("it is offered", || {
        let ran = choose(&laptop.home, "conformance_echo.echo", r#"{"message":"hello"}"#);
        let answer = ran.expect(0).json();
        (answer["data"] == "\"hello\"").then_some(answer)
    });
    assert_eq!(answer["node"], Value::Null, "the one that chooses ran here");
    let there = gpubox.home.json(["audit", "replay", text(&answer["correlation_id"])]);
    assert_eq!(there["events"][0]["capability_id"], "conformance_echo.echo", "{there}");
    assert_eq!(
        there["events"][0]["correlation"]["causation_id"], answer["invocation_id"],
        "{there}"
    );

    // It is shared with this node, and not granted to the component.
    laptop
        .home
        .run(["call", "conformance_echo.fail", "message=x"])
        .expect(Exit::PluginFailure as i32);
    let before = gpubox.home.json(["audit", "list"]);
    let denied = choose(&laptop.home, "conformance_echo.fail", r#"{"message":"x"}"#);
    let denied = denied.expect(0).json();
    assert!(text(&denied["data"]).starts_with("0:permission-denied"), "{denied}");
    assert!(denied["denied"].to_string().contains("call=conformance_echo.fail"), "{denied}");
    assert_eq!(gpubox.home.json(["audit", "list"]), before, "the other node was not asked");

    // Granted, and not shared with this node: the component learns no more than anybody.
    gpubox.home.run(["mesh", "unshare", "conformance_echo.*"]).expect(0);
    let unshared = until("the share is gone", || {
        let ran = choose(&laptop.home, "conformance_echo.echo", r#"{"message":"x"}"#);
        let answer = ran.expect(0).json();
        text(&answer["data"]).starts_with("0:capability-not-found").then_some(answer)
    });
    assert!(!unshared.to_string().contains("gpubox"), "{unshared}");
}
