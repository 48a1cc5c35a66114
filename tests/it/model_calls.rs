//! What happens to a component's call while a model runs for it, with the real program.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    mesh::{Node, text},
    onnx,
    support::{Home, parse, ran, until, with_manifest},
};

/// Columns of the model's input.
const COLUMNS: u32 = 512;

/// Runs the model `slow` with as many rows of zeros as it is told: `once`, or, as `spin`, until that
/// fails. Answers 0, or the error's place in its enum and 1 more; 100 more when it was the opening.
const RUNNER: &str = r#"(component
    (import "meshhost:inference/sessions@0.1.0" (instance $sessions
        (export "session" (type $session (sub resource)))
        (type $codes (enum "not-found" "invalid-argument" "too-large" "busy" "quota" "failed"
            "unavailable" "cancelled"))
        (export "error-code" (type $code (eq $codes)))
        (type $fields (record (field "code" $code) (field "message" string)))
        (export "error" (type $error (eq $fields)))
        (type $types (enum "float32" "float64" "float16" "bfloat16" "int8" "int16" "int32" "int64"
            "uint8" "uint16" "uint32" "uint64" "boolean" "text"))
        (export "element-type" (type $element-type (eq $types)))
        (type $cases (variant (case "bytes" (list u8)) (case "texts" (list string))))
        (export "elements" (type $elements (eq $cases)))
        (type $parts (record (field "name" string) (field "element-type" $element-type)
            (field "shape" (list u32)) (field "elements" $elements)))
        (export "tensor" (type $tensor (eq $parts)))
        (export "[static]session.open" (func (param "model" string)
            (result (result (own $session) (error $error)))))
        (export "[method]session.run" (func (param "self" (borrow $session))
            (param "inputs" (list $tensor)) (param "outputs" (list string))
            (result (result (list $tensor) (error $error)))))))
    (core module $memory (memory (export "memory") 160)
        (global $top (export "top") (mut i32) (i32.const 0))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
            (global.set $top (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $bytes))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $open (canon lower (func $sessions "[static]session.open")
        (memory $bytes) (realloc $realloc)))
    (core func $run (canon lower (func $sessions "[method]session.run")
        (memory $bytes) (realloc $realloc)))
    (core module $m
        (import "memory" "memory" (memory 160))
        (import "memory" "top" (global $top (mut i32)))
        (import "host" "open" (func $open (param i32 i32 i32)))
        (import "host" "run" (func $run (param i32 i32 i32 i32 i32 i32)))
        (data (i32.const 64) "slowx")
        (func $session (result i32)
            (global.set $top (i32.const 4259840))
            (call $open (i32.const 64) (i32.const 4) (i32.const 32))
            (i32.load (i32.const 36)))
        (func $tensor (param $rows i32)
            (i32.store (i32.const 128) (i32.const 68))
            (i32.store (i32.const 132) (i32.const 1))
            (i32.store (i32.const 140) (i32.const 192))
            (i32.store (i32.const 144) (i32.const 2))
            (i32.store (i32.const 152) (i32.const 65536))
            (i32.store (i32.const 156) (i32.mul (local.get $rows) (i32.const 2048)))
            (i32.store (i32.const 192) (local.get $rows))
            (i32.store (i32.const 196) (i32.const 512)))
        (func $ran (param $session i32) (result i32)
            (global.set $top (i32.const 4259840))
            (call $run (local.get $session) (i32.const 128) (i32.const 1)
                (i32.const 0) (i32.const 0) (i32.const 0))
            (if (result i32) (i32.load8_u (i32.const 0))
                (then (i32.add (i32.load8_u (i32.const 4)) (i32.const 1)))
                (else (i32.const 0))))
        (func $opened (param $rows i32) (result i32) (local $session i32)
            (local.set $session (call $session))
            (call $tensor (local.get $rows))
            (local.get $session))
        (func $unopened (result i32) (i32.add (i32.load8_u (i32.const 36)) (i32.const 101)))
        (func (export "once") (param $rows i32) (result i32) (local $session i32)
            (local.set $session (call $opened (local.get $rows)))
            (if (i32.load8_u (i32.const 32)) (then (return (call $unopened))))
            (call $ran (local.get $session)))
        (func (export "spin") (param $rows i32) (result i32) (local $session i32) (local $code i32)
            (local.set $session (call $opened (local.get $rows)))
            (if (i32.load8_u (i32.const 32)) (then (return (call $unopened))))
            (loop $again
                (local.set $code (call $ran (local.get $session)))
                (br_if $again (i32.eqz (local.get $code))))
            (local.get $code)))
    (core instance $i (instantiate $m (with "memory" (instance $memory))
        (with "host" (instance (export "open" (func $open)) (export "run" (func $run))))))
    (func (export "once") (param "rows" u32) (result u32) (canon lift (core func $i "once")))
    (func (export "spin") (param "rows" u32) (result u32) (canon lift (core func $i "spin"))))"#;

const MANIFEST: &str = r#"
[plugin]
name = "runner"
version = "0.1.0"
description = "Runs a model."

[[asks]]
permission = "model=slow"
reason = "runs it"
"#;

/// What the component answers when the worker ended: `unavailable`.
const UNAVAILABLE: u32 = 7;
/// What it answers when the model is not granted: `not-found`.
const NOT_FOUND: u32 = 1;

/// A node with the component and its model, which takes some milliseconds for each row.
fn home() -> Home {
    let home = Home::new();
    add_runner(&home);
    home
}

fn add_runner(home: &Home) {
    let component = with_manifest(parse(RUNNER), MANIFEST);
    let file = home.file("runner.wasm", component);
    home.install(&file, &["--yes"]).expect(0);
    home.file("slow.onnx", onnx::products(COLUMNS, 400));
    home.run(["model", "add", "slow", "--from", "slow.onnx"]).expect(0);
}

/// Begins a call and leaves it at work.
fn begin(home: &Home, function: &str, rows: u32) -> Child {
    let (capability, rows) = (format!("runner.{function}"), format!("rows={rows}"));
    let mut command = home.command(["call", &capability, &rows, "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
}

fn ended(call: Child) -> Value {
    ran(call.wait_with_output().expect("the command ends")).json()
}

/// The worker's process once the model has something of `field`: calls that run, or runs.
fn process(home: &Home, field: &str) -> i64 {
    until("the model runs", || {
        let running = home.json(["model", "ps"]);
        let count = running["models"][0][field].as_u64().unwrap_or_default();
        running["process"].as_i64().filter(|_| count > 0)
    })
}

#[test]
fn a_worker_that_is_killed_in_a_run_fails_that_call_and_nothing_else() {
    let home = home();
    let node = home.serve();
    let call = begin(&home, "once", 2_048);
    let worker = process(&home, "running");
    let id = i32::try_from(worker).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(id, Signal::KILL).expect("it can be killed");
    let call = ended(call);
    assert_eq!((&call["outcome"], &call["data"]), (&json!("success"), &json!(UNAVAILABLE)));

    let next = home.json(["call", "runner.once", "rows=1"]);
    assert_eq!(next["data"], 0, "{next}");
    assert_ne!(process(&home, "runs"), worker);
    node.stop_well();
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_grant_of_a_model_that_is_revoked_during_a_call_is_missed_at_the_next_host_call() {
    let home = home();
    let node = home.serve();
    let call = begin(&home, "spin", 16);
    process(&home, "runs");
    home.run(["plugin", "revoke", "runner", "model=slow"]).expect(0);
    let call = ended(call);
    assert_eq!((&call["outcome"], &call["data"]), (&json!("success"), &json!(NOT_FOUND)));
    let denied = &call["denied"][0];
    assert_eq!(denied["permission"], "model=slow", "{call}");
    assert_eq!(denied["function"], "meshhost:inference/sessions#session.run", "{call}");
    assert!(call["models"][0]["runs"].as_u64().is_some_and(|runs| runs > 0), "{call}");

    let next = home.json(["call", "runner.once", "rows=1"]);
    assert_eq!(next["data"], 100 + NOT_FOUND, "{next}");
    node.stop_well();
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_node_tells_others_whether_the_models_of_what_it_offers_are_loaded() {
    let (laptop, ticket) = Node::founder("laptop");
    let gpubox = Node::joined("gpubox", &ticket, &["runner.*"]);
    add_runner(&gpubox.home);
    laptop.sees(1);
    let why = || {
        let ran = laptop.home.run_json(["call", "runner.once", "rows=1"]);
        let id = (ran.code == 0).then(|| ran.json()["invocation_id"].clone())?;
        Some(laptop.home.json(["audit", "why", text(&id)])["explanation"].to_string())
    };
    let first = until("it is offered", why);
    assert!(first.contains("its models have to be loaded"), "{first}");
    until("it is told that they are loaded", || {
        why().filter(|words| words.contains("its models are loaded"))
    });
}
