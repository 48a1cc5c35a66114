//! A stateful plugin through the door: the whole way from an installed file to evidence.

use std::time::Duration;

use meshhost_core::{
    code::Code,
    evidence::lifecycle::lifecycle_correlation,
    id::{Digest, InvocationId},
    outcome::OutcomeKind,
};
use meshhost_runtime::{cache::CodeCache, compile::compile, inspect::engine_of};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{CallReply, Consent, Source},
    store::keys::Purpose,
};

/// Counts in a global. `nap` counts after 300 ms; `again` calls `keeper.bump` and returns the first
/// four bytes of what it was refused with.
const KEEPER: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $q (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
    (import "meshhost:mesh/invoke@0.1.0" (instance $mesh
        (type $cases (variant (case "denied" string) (case "failure" string)
            (case "skipped" string) (case "indeterminate" string) (case "invalid" string)))
        (export "call-error" (type $error (eq $cases)))
        (export "call" (func (param "capability" string) (param "input" string)
            (result (result string (error $error)))))))
    (core module $memory (memory (export "memory") 1) (global $top (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $top (i32.add (global.get $top) (local.get 3)))
            (i32.sub (global.get $top) (local.get 3))))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $bytes))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $sleep (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $drop (canon resource.drop $pollable))
    (core func $call (canon lower (func $mesh "call") (memory $bytes) (realloc $realloc)))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "sleep" (func $sleep (param i64) (result i32)))
        (import "" "block" (func $block (param i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "call" (func $call (param i32 i32 i32 i32 i32)))
        (data (i32.const 64) "keeper.bump{}")
        (global $n (mut i32) (i32.const 0))
        (func $bump (export "bump") (result i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
        (func (export "nap") (result i32) (local $pollable i32)
            (local.set $pollable (call $sleep (i64.const 300000000)))
            (call $block (local.get $pollable)) (call $drop (local.get $pollable))
            (call $bump))
        (func (export "trap") (result i32) unreachable)
        (func (export "again") (result i32)
            (call $call (i32.const 64) (i32.const 11) (i32.const 75) (i32.const 2) (i32.const 0))
            (i32.load (i32.load (i32.const 8)))))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $bytes)) (export "sleep" (func $sleep))
        (export "block" (func $block)) (export "drop" (func $drop))
        (export "call" (func $call))))))
    (func (export "bump") (result u32) (canon lift (core func $i "bump")))
    (func (export "nap") (result u32) (canon lift (core func $i "nap")))
    (func (export "trap") (result u32) (canon lift (core func $i "trap")))
    (func (export "again") (result u32) (canon lift (core func $i "again"))))"#;

const MANIFEST: &str = r#"
[plugin]
name = "keeper"
version = "0.1.0"
description = "Counts."
stateful = true

[[asks]]
permission = "call=keeper.bump"
reason = "calls itself"

[capabilities."keeper.bump"]
read_only = true

[capabilities."keeper.nap"]
read_only = true
"#;

/// A node with the keeper, and the folder that it lives in.
struct Fixture {
    node: Node,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let options = Options { data, config: Config::default(), access: Access::Command };
        let node = Box::pin(Node::open(options)).await.unwrap();
        let bytes = wat::parse_str(KEEPER).unwrap();
        // The node compiles with its own program, which is not the one that runs this test.
        let store = &node.store;
        let cache = CodeCache {
            folder: store.directory.code_cache(),
            key: store.keys.derived(Purpose::CodeCache),
        };
        let code = compile(&bytes).unwrap();
        cache.put(&Digest::of(&bytes), engine_of(&bytes), &code).unwrap();
        let file = folder.path().join("keeper.wasm");
        std::fs::write(&file, bytes).unwrap();
        std::fs::write(folder.path().join("keeper.plugin.toml"), MANIFEST).unwrap();
        let fixture = Self { node, _folder: folder };
        let permissions = vec!["call=keeper.bump".to_owned()];
        let consent = Consent { permissions, ..Consent::default() };
        let source = Source::File(file);
        match Box::pin(fixture.ask(Request::Install { source, name: None, consent })).await {
            Reply::Plugin(_) => fixture,
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self, request: Request) -> Reply {
        self.node.handle(&Entrance::command_line("me"), request).await
    }

    async fn call(&self, function: &str, rest: Value) -> CallReply {
        let mut call = json!({ "capability": format!("keeper.{function}"), "input": {} });
        call.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let request = Request::Call(serde_json::from_value(call).unwrap());
        match Box::pin(self.ask(request)).await {
            Reply::Call(reply) => *reply,
            other => panic!("{other:?}"),
        }
    }

    async fn counts(&self, expected: u32) {
        let reply = self.call("bump", json!({})).await;
        assert_eq!(reply.data, Some(json!(expected)), "{reply:?}");
    }

    /// The types of the events of one call.
    async fn events_of(&self, invocation: &str) -> Vec<String> {
        let invocation: InvocationId = invocation.parse().unwrap();
        types(&self.node.store.audit.show(&invocation).await.unwrap())
    }

    async fn lifecycle(&self) -> Vec<String> {
        let correlation = lifecycle_correlation(self.node.store.keys.host_id()).unwrap();
        types(&self.node.store.audit.replay(&correlation, 0).await.unwrap())
    }
}

fn types(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_caller_that_stops_waiting_leaves_the_guest_at_work() {
    let fixture = Fixture::new().await;
    fixture.counts(1).await;
    let late = fixture.call("nap", json!({ "timeout_ms": 30, "invocation_id": "late" })).await;
    assert_eq!(late.outcome, OutcomeKind::Indeterminate, "{late:?}");
    assert_eq!(late.error.unwrap().code, Code::Indeterminate);
    // The next call waits for the place until the guest has counted.
    fixture.counts(3).await;

    let nap = fixture.call("nap", json!({ "invocation_id": "gone" }));
    assert!(tokio::time::timeout(Duration::from_millis(100), nap).await.is_err());
    fixture.counts(5).await;
    for id in ["late", "gone"] {
        let events = fixture.events_of(id).await;
        assert_eq!(events, ["execution_started", "execution_indeterminate"], "{id}");
    }
    fixture.node.close().await;
}

#[tokio::test]
async fn lost_state_is_recorded_and_the_next_call_begins_anew() {
    let fixture = Fixture::new().await;
    fixture.counts(1).await;
    let trapped = fixture.call("trap", json!({})).await;
    assert_eq!(trapped.error.unwrap().code, Code::Trap);
    fixture.counts(1).await;
    let lost = "dev.meshhost.plugin_state_lost";
    assert_eq!(fixture.lifecycle().await.last().map(String::as_str), Some(lost));
    fixture.node.close().await;
}

#[tokio::test]
async fn a_call_from_its_own_chain_is_busy_at_once() {
    let fixture = Fixture::new().await;
    let again = fixture.call("again", json!({})).await;
    assert_eq!(again.data, Some(json!(u32::from_le_bytes(*b"busy"))), "{again:?}");
    fixture.counts(1).await;
    fixture.node.close().await;
}

#[tokio::test]
async fn state_stays_with_a_grant_and_ends_with_the_serving() {
    let fixture = Fixture::new().await;
    fixture.counts(1).await;
    let name: meshhost_core::id::PluginName = "keeper".parse().unwrap();
    let revoke = Request::Revoke { name: name.clone(), permissions: Vec::new() };
    assert!(matches!(fixture.ask(revoke).await, Reply::Plugin(_)));
    fixture.counts(2).await;
    for request in [Request::Disable { name: name.clone() }, Request::Enable { name }] {
        assert!(matches!(fixture.ask(request).await, Reply::Plugin(_)));
    }
    fixture.counts(1).await;
    // Closing does not wait for a guest at work.
    let nap = fixture.call("nap", json!({}));
    assert!(tokio::time::timeout(Duration::from_millis(20), nap).await.is_err());
    fixture.node.close().await;
}
