//! What goes with a call to another node, and what keeps it from one.

use meshhost_core::code::Exit;
use serde_json::Value;

use crate::{
    components,
    mesh::{Node, echo, offered, text},
    support::{Home, parse, until, wat, with_manifest},
};

/// How the values of a call travelled, as its caller's node wrote down.
fn values(home: &Home, answer: &Value) -> String {
    let why = home.json(["audit", "why", text(&answer["invocation_id"])]);
    text(&why["route"]["values"]).to_owned()
}

#[test]
fn values_travel_as_json_first_and_in_binary_form_once_the_type_is_known() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["filesystem.*"]);
    let folder = nas.home.work();
    std::fs::write(folder.join("notes.txt"), "one\ntwo of three\nthree\n").expect("a file");
    let grant = format!("fs:ro={}", folder.display());
    nas.home.run(["plugin", "install", "filesystem", "--grant", &grant]).expect(0);
    let path = folder.display().to_string();
    let grep = ["call", "filesystem.grep", &format!("path={path}"), "pattern=three"];
    let here = nas.home.json(grep);
    let first = until("it is called", || {
        let ran = laptop.home.run_json(grep);
        (ran.code == 0).then(|| ran.json())
    });
    assert_eq!(values(&laptop.home, &first), "json");
    let second = until("the type is known", || {
        let answer = laptop.home.json(grep);
        (values(&laptop.home, &answer) == "binary").then_some(answer)
    });
    for answer in [&first, &second] {
        assert_eq!(answer["node"], "nas");
        assert_eq!(answer["data"], here["data"], "as where it is");
    }
    // The error of a plugin, and input that has no binary form.
    let absent = ["call", "filesystem.read", &format!("path={path}/absent"), "--node", "nas"];
    laptop.home.run(absent).expect(Exit::PluginFailure as i32);
    let unknown = ["call", "filesystem.grep", "--node", "nas", "--input", r#"{"pattern":7}"#];
    assert_eq!(laptop.home.run_json(unknown).code_name(), "input-invalid");
    nas.home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_capability_that_got_another_type_is_called_by_what_its_caller_said() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["acme.tools.*"]);
    let install = |text: &str| {
        let manifest = components::manifest("tools", "1.0.0", &[]);
        nas.home.file("tools.wasm", with_manifest(parse(text), &manifest))
    };
    nas.home.install(&install(&components::provider(7)), &[]);
    let call = ["call", "acme.tools.math.f"];
    until("its type is known", || {
        let ran = laptop.home.run_json(call);
        (ran.code == 0 && values(&laptop.home, &ran.json()) == "binary").then_some(())
    });
    let file = install(&components::provider(8).replace("(result u32)", "(result s32)"));
    nas.home.run(["plugin", "update", "tools", file.to_str().expect("a name")]).expect(0);
    assert_eq!(laptop.home.json(call)["data"], 8);
}

#[test]
fn a_node_that_drains_ends_what_it_has_and_takes_no_more() {
    let (laptop, ticket) = Node::founder("laptop");
    let gpubox = Node::joined("gpubox", &ticket, &["conformance_echo.*"]).with_echo();
    let desk = Node::joined("desk", &laptop.ticket(), &["conformance_echo.*"]).with_echo();
    laptop.sees(2);
    let at = |node: &str| echo(&laptop.home, &["--node", node, "--id", "kept"]);
    until("gpubox is called", || (at("gpubox").code == 0).then_some(()));
    offered(&laptop.home, &["conformance_echo.echo", "message=hello", "--node", "desk"]).expect(0);
    gpubox.home.run(["mesh", "drain"]).expect(0);
    until("the others know", || {
        let status = laptop.home.run(["mesh", "status"]).expect(0).stdout;
        status.contains("draining").then_some(())
    });
    let refused = echo(&laptop.home, &["--node", "gpubox"]);
    assert_eq!(refused.code_name(), "node-unreachable");
    assert!(refused.stdout.contains("draining"), "{}", refused.stdout);
    for _ in 0..3 {
        assert_eq!(echo(&laptop.home, &[]).expect(0).json()["node"], "desk");
    }
    let own = echo(&gpubox.home, &["--node", "gpubox"]).expect(0).json();
    assert_eq!(own["node"], Value::Null, "its own go on");
    gpubox.home.run(["mesh", "drain", "--end"]).expect(0);
    until("it takes calls again", || (at("gpubox").code == 0).then_some(()));
    desk.stop_well();
}

#[test]
fn a_capability_that_its_manifest_keeps_from_its_own_node_runs_on_others_alone() {
    let manifest = components::manifest("tools", "1.0.0", &[])
        + "\n[capabilities.\"acme.tools.math.f\"]\nplacement = \"remote\"\n";
    let component = |number| with_manifest(parse(&components::provider(number)), &manifest);
    let call = ["call", "acme.tools.math.f"];
    let (laptop, ticket) = Node::founder("laptop");
    laptop.home.install(&laptop.home.file("tools.wasm", component(1)), &[]);
    let alone = laptop.home.run_json(call).expect(Exit::Unreachable as i32);
    assert_eq!(alone.code_name(), "peer-unreachable");
    let nas = Node::joined("nas", &ticket, &["acme.tools.*"]);
    nas.home.install(&nas.home.file("tools.wasm", component(2)), &[]);
    let answer = until("it is offered", || {
        let ran = laptop.home.run_json(call);
        (ran.code == 0).then(|| ran.json())
    });
    assert_eq!((&answer["data"], text(&answer["node"])), (&Value::from(2), "nas"));
    nas.home.run(["mesh", "unshare", "acme.tools.*"]).expect(0);
    until("it is offered no more", || (laptop.home.run_json(call).code != 0).then_some(()));
}

#[test]
fn what_the_caller_allows_of_fuel_counts_for_calls_below_and_on_another_node() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["acme.tools.*"]);
    // What it needs is needed in one piece: its loop looks at each turn whether there is fuel.
    let counts = "(local $n i32) (local.set $n (i32.const 100000))
        (loop $l (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $l (local.get $n)))";
    let tools = components::provider(41).replace("i32.const 41", &format!("{counts} i32.const 41"));
    nas.home.install(&wat(&nas.home, "tools", &tools), &[]);
    let file = wat(&laptop.home, "caller", &components::caller("acme.tools.math.f", 2));
    laptop.home.install(&file, &["--grant", "call=acme.tools.*"]);
    let call = ["call", "caller.f"];
    let used = until("it calls the other node", || {
        let answer = laptop.home.json(call);
        (answer["data"] == 42).then(|| answer["usage"]["fuel"].as_u64().expect("fuel"))
    });
    let there = nas.home.json(["audit", "list"]).to_string();
    assert!(there.contains("acme.tools.math.f"), "{there}");
    assert!(used > 400_000, "what was used below is part of it: {used}");
    let allowed =
        |fuel: u64| laptop.home.run_json([&call[..], &["--fuel", &fuel.to_string()]].concat());
    assert_eq!(allowed(used + 1_000).expect(0).json()["data"], 42);
    let short = allowed(used - 100_000).json();
    assert_ne!(short["data"], 42, "the other node stopped it: {short}");
    let there = nas.home.json(["audit", "list"]).to_string();
    assert!(there.contains("limit-fuel"), "{there}");
    assert_eq!(allowed(10).expect(Exit::Limit as i32).code_name(), "limit-fuel");
}
