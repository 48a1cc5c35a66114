//! Calls of real components, most of them hostile, through the whole runtime.

mod aside;
mod concurrent;
mod limits;
mod passing;
mod traps;

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    capability::{Capability, ExportPath},
    code::Code,
    grant::EffectiveGrants,
    id::Digest,
    limits::Limits,
    outcome::Outcome,
};
use serde_json::{Value, json};
use wasmtime::component::Component;

use super::*;
use crate::{
    cache::CodeCache,
    compile::compile,
    engine::EngineKind,
    imports::testing::{self, invocation, ports},
    inspect::engine_of,
    load::RuntimeConfig,
};

/// Wall-clock bound of everything that must end quickly.
const SOON: Duration = Duration::from_secs(10);

/// A runtime, and one call of `run` in one component as the tests vary it.
struct Fixture {
    runtime: Arc<Runtime>,
    loaded: Arc<Loaded>,
    limits: Limits,
    grants: EffectiveGrants,
    input: Value,
    depth: u32,
    interface: Option<String>,
    items: Option<ItemSender>,
}

impl Fixture {
    fn new(wat: &str) -> Self {
        Self::with_instances(wat, 8)
    }

    fn with_instances(wat: &str, instances: u32) -> Self {
        let config = RuntimeConfig { instances, file_threads: 2 };
        let runtime = Runtime::new(config, ports()).unwrap();
        let loaded = load(&runtime, wat);
        Self {
            runtime,
            loaded,
            limits: Limits { deadline_ms: 20_000, ..Limits::DEFAULT },
            grants: EffectiveGrants { clock: true, ..EffectiveGrants::default() },
            input: json!({}),
            depth: 1,
            interface: None,
            items: None,
        }
    }

    fn request(&self) -> Request {
        let mut invocation = invocation(self.depth);
        invocation.input = self.input.clone();
        let export = ExportPath { interface: self.interface.clone(), function: "run".to_owned() };
        let capability = Capability {
            id: "test.run".parse().unwrap(),
            long_id: "test.run".parse().unwrap(),
            version: semver::Version::new(0, 0, 0),
            description: String::new(),
            input_schema: Value::Null,
            output_schema: Value::Null,
            error_schema: None,
            type_hash: None,
            function_type: None,
            export,
        };
        let (grants, left_out) = LiveGrants::open(&self.grants, Arc::new([]));
        assert!(left_out.is_empty());
        let invocation = Arc::new(invocation);
        Request {
            parent: Arc::clone(&invocation),
            invocation,
            plugin: "test".parse().unwrap(),
            capability: Arc::new(capability),
            limits: self.limits,
            execution: Execution {
                loaded: Arc::clone(&self.loaded),
                grants,
                blobs: testing::blobs(),
                command: None,
                items: self.items.clone(),
            },
        }
    }

    async fn run(&self) -> Executed {
        let executed = tokio::time::timeout(SOON, self.runtime.perform(self.request())).await;
        let executed = executed.expect("the call ends");
        assert_eq!(self.runtime.pool_exhausted(), 0);
        executed
    }

    /// Runs and expects a failure with that code.
    async fn fails(&self, code: Code) -> Executed {
        let executed = self.run().await;
        let Outcome::Failure(refusal) = &executed.outcome else {
            panic!("expected {code:?}, found {:?}", executed.outcome)
        };
        assert_eq!(refusal.code, code, "{refusal:?}");
        executed
    }

    async fn succeeds(&self) -> Value {
        match self.run().await.outcome {
            Outcome::Success(value) => value,
            other => panic!("expected success, found {other:?}"),
        }
    }
}

fn load(runtime: &Runtime, wat: &str) -> Arc<Loaded> {
    let bytes = wat::parse_str(wat).unwrap();
    let linked = runtime.linked(engine_of(&bytes)).unwrap();
    let component = Component::new(&linked.engine, &bytes).unwrap();
    linked.prepare(Digest::of(&bytes), &[], &component).unwrap()
}

/// A component whose `run: func() -> u32` has this core body; `items` stand in its module.
fn body(items: &str, body: &str) -> String {
    format!(
        r#"(component
            (core module $m {items} (func (export "run") (result i32) {body}))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    )
}

/// The same with the core imports `"" "now": func() -> i64` (the monotonic clock), and
/// `"" "sleep": func(i64) -> i32`, `"" "block": func(i32)`, `"" "drop": func(i32)` on pollables.
fn with_clock(items: &str, body: &str) -> String {
    format!(
        r#"(component
            (import "wasi:io/poll@0.2.0" (instance $poll
                (export "pollable" (type $p (sub resource)))
                (export "[method]pollable.block" (func (param "self" (borrow $p))))))
            (alias export $poll "pollable" (type $pollable))
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
                (alias outer 1 $pollable (type $outer))
                (export "pollable" (type $q (eq $outer)))
                (export "now" (func (result u64)))
                (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
            (core func $now (canon lower (func $clock "now")))
            (core func $sleep (canon lower (func $clock "subscribe-duration")))
            (core func $block (canon lower (func $poll "[method]pollable.block")))
            (core func $drop (canon resource.drop $pollable))
            (core module $m
                (import "" "now" (func $now (result i64)))
                (import "" "sleep" (func $sleep (param i64) (result i32)))
                (import "" "block" (func $block (param i32)))
                (import "" "drop" (func $drop (param i32)))
                {items} (func (export "run") (result i32) {body}))
            (core instance $i (instantiate $m (with "" (instance
                (export "now" (func $now)) (export "sleep" (func $sleep))
                (export "block" (func $block)) (export "drop" (func $drop))))))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    )
}

const FOREVER: &str = "(loop $again br $again) i32.const 0";

#[tokio::test]
async fn a_call_returns_its_output_and_what_it_used() {
    let fixture = Fixture::new(&body("(memory 3)", "i32.const 7"));
    let executed = fixture.run().await;
    assert_eq!(executed.outcome, Outcome::Success(json!(7)));
    assert!(executed.usage.fuel > 0 && executed.usage.fuel < 100);
    assert_eq!(executed.usage.memory_bytes, 3 * 65_536);
    assert_eq!(executed.usage.output_bytes, 1);
    assert_eq!(executed.trapped, None);
}

#[tokio::test]
async fn compiled_code_goes_through_the_cache_to_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CodeCache { folder: folder.path().to_owned(), key: [1; 32] };
    let bytes = wat::parse_str(body("", "i32.const 5")).unwrap();
    let digest = Digest::of(&bytes);
    let mut fixture = Fixture::new(&body("", "i32.const 7"));
    assert!(fixture.runtime.load(&digest, &[], &cache).unwrap().is_none(), "nothing there yet");
    cache.put(&digest, EngineKind::Plain, &compile(&bytes).unwrap()).unwrap();
    fixture.loaded = fixture.runtime.load(&digest, &[], &cache).unwrap().unwrap();
    assert_eq!(fixture.succeeds().await, json!(5));

    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let mut code = std::fs::read(&file).unwrap();
    code[5_000] ^= 1;
    std::fs::write(&file, code).unwrap();
    assert!(
        fixture.runtime.load(&digest, &[], &cache).unwrap().is_none(),
        "changed code is not loaded"
    );
}

#[tokio::test]
async fn the_plugins_own_error_is_a_failure_with_its_data() {
    let wat = r#"(component
        (core module $m (func (export "run") (result i32) i32.const 0)
            (memory (export "memory") 1) (data (i32.const 0) "\01\00\00\00\2a\00\00\00"))
        (core instance $i (instantiate $m))
        (func (export "run") (result (result u32 (error u32)))
            (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#;
    let executed = Fixture::new(wat).fails(Code::PluginFailure).await;
    assert_eq!(executed.outcome.refusal().unwrap().details, Some(json!(42)));
    assert_eq!(executed.trapped, None);
}

#[tokio::test]
async fn input_that_does_not_fit_is_denied_before_anything_runs() {
    let wat = r#"(component
        (core module $m (func (export "run") (param i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "run") (param "n" u8) (canon lift (core func $i "run"))))"#;
    let mut fixture = Fixture::new(wat);
    fixture.input = json!({ "n": 256 });
    let executed = fixture.run().await;
    let Outcome::Denied(refusal) = executed.outcome else { panic!("{:?}", executed.outcome) };
    assert_eq!(refusal.code, Code::InputInvalid);
    assert_eq!(executed.usage.fuel, 0);
}

#[tokio::test]
async fn a_command_ends_with_its_exit_code() {
    for (result, ok) in [(0, true), (1, false)] {
        let wat = format!(
            r#"(component
                (core module $m (func (export "run") (result i32) i32.const {result}))
                (core instance $i (instantiate $m))
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance (export "wasi:cli/run@0.2.3") (export "run" (func $run))))"#
        );
        let mut fixture = Fixture::new(&wat);
        fixture.interface = Some("wasi:cli/run@0.2.3".to_owned());
        fixture.input = json!({ "arguments": ["a"] });
        let output = json!({ "exit_code": result, "stdout": "" });
        if ok {
            assert_eq!(fixture.succeeds().await, output);
        } else {
            let executed = fixture.fails(Code::PluginFailure).await;
            assert_eq!(executed.outcome.refusal().unwrap().details, Some(output));
        }
    }
}

#[tokio::test]
async fn an_unknown_import_does_not_load() {
    let runtime = Fixture::new(&body("", "i32.const 0")).runtime;
    let bytes = wat::parse_str(
        r#"(component (import "acme:no/such@1.0.0" (instance
        (export "f" (func)))))"#,
    )
    .unwrap();
    let linked = runtime.linked(EngineKind::Plain).unwrap();
    let component = Component::new(&linked.engine, &bytes).unwrap();
    let error = linked.prepare(Digest::of(&bytes), &[], &component).unwrap_err();
    assert_eq!(error.code, Code::UnknownImport);
    assert!(error.message.contains("acme:no/such"), "{error}");
}

#[tokio::test]
async fn dropping_the_call_frees_its_place() {
    let mut fixture = Fixture::with_instances(&body("", FOREVER), 1);
    for list_bytes in [Limits::DEFAULT.list_bytes, Limits::CEILING.list_bytes] {
        fixture.limits = Limits { fuel: u64::MAX / 2, list_bytes, ..fixture.limits };
        {
            let call = fixture.runtime.perform(fixture.request());
            let started = tokio::time::timeout(Duration::from_millis(20), call).await;
            assert!(started.is_err(), "it runs for ever");
        }
        // On the executor at once; aside when the thread has seen it.
        let place = tokio::time::timeout(SOON, fixture.runtime.places.wait(1)).await.unwrap();
        drop(place);
    }
}

#[tokio::test]
async fn a_full_node_makes_callers_wait_but_never_a_nested_call() {
    let mut fixture = Fixture::with_instances(&body("", "i32.const 1"), 1);
    let held = fixture.runtime.places.try_take(1).unwrap();
    fixture.depth = 2;
    let executed = fixture.run().await;
    let Outcome::Denied(refusal) = executed.outcome else { panic!("{:?}", executed.outcome) };
    assert_eq!(refusal.code, Code::Busy);

    fixture.depth = 1;
    fixture.limits.deadline_ms = 30;
    let executed = fixture.run().await;
    let Outcome::Denied(refusal) = executed.outcome else { panic!("{:?}", executed.outcome) };
    assert_eq!(refusal.code, Code::Busy);

    fixture.limits.deadline_ms = 20_000;
    let release = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (value, ()) = tokio::join!(fixture.succeeds(), release);
    assert_eq!(value, json!(1));
}

#[tokio::test]
async fn a_component_with_more_memories_takes_more_places() {
    let two = r#"(component
        (core module $m (memory 1) (func (export "run") (result i32) i32.const 2))
        (core instance $i (instantiate $m)) (core instance (instantiate $m))
        (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;
    let fixture = Fixture::with_instances(two, 2);
    assert_eq!(fixture.loaded.places, 2);
    assert_eq!(fixture.succeeds().await, json!(2));
    assert_eq!(fixture.runtime.places.free(), 2);
}

#[tokio::test]
async fn a_component_that_takes_more_places_than_there_are_runs_alone() {
    let seven = "(core instance (instantiate $m))".repeat(7);
    let eight = format!(
        r#"(component
            (core module $m (memory 1) (func (export "run") (result i32) i32.const 2))
            (core instance $i (instantiate $m)) {seven}
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    );
    let fixture = Fixture::with_instances(&eight, 1);
    assert_eq!(fixture.loaded.places, 8);
    assert_eq!(fixture.succeeds().await, json!(2));
    let held = fixture.runtime.places.try_take(1).unwrap();
    let (value, ()) = tokio::join!(fixture.succeeds(), async { drop(held) });
    assert_eq!(value, json!(2));
    assert_eq!(fixture.runtime.places.free(), 1);
    assert_eq!(fixture.runtime.pool_exhausted(), 0);
}

#[tokio::test]
async fn no_instance_sees_the_memory_of_an_earlier_one() {
    // Adds up every eighth byte of its memory, then fills it, then grows and fills that.
    let wat = body(
        "(memory 20)",
        r"(local $at i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 1310720))))
        (drop (memory.grow (i32.const 40)))
        (loop $late
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 64)))
            (br_if $late (i32.lt_u (local.get $at) (i32.const 3932160))))
        (memory.fill (i32.const 0) (i32.const 0xaa) (i32.const 3932160))
        local.get $sum",
    );
    let fixture = Fixture::with_instances(&wat, 1);
    for round in 0..100 {
        assert_eq!(fixture.succeeds().await, json!(0), "round {round}");
    }
}

#[test]
fn a_call_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let fixture = Fixture::new(&body("", "i32.const 0"));
    is_send(&fixture.runtime.perform(fixture.request()));
}
