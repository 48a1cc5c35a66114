//! One counter component, called in every way that keeps or loses its state.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    capability::{Capability, ExportPath},
    grant::EffectiveGrants,
    id::Digest,
};
use serde_json::json;
use wasmtime::component::Component;

use super::*;
use crate::{
    engine::EngineKind,
    imports::testing::{self, invocation, ports},
    load::RuntimeConfig,
};

/// Wall-clock bound of everything that must end quickly.
const SOON: Duration = Duration::from_secs(10);

/// Counts in a global and in its memory; `nap` counts after half a second.
const COUNTER: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $q (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
    (import "meshhost:blob/types@0.1.0" (instance $blobs
        (export "blob" (type $b (sub resource)))))
    (alias export $blobs "blob" (type $blob))
    (core func $sleep (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $drop (canon resource.drop $pollable))
    (core func $drop-blob (canon resource.drop $blob))
    (core module $m
        (import "" "sleep" (func $sleep (param i64) (result i32)))
        (import "" "block" (func $block (param i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "drop-blob" (func $drop-blob (param i32)))
        (memory 1) (global $n (mut i32) (i32.const 0))
        (func $bump (export "bump") (result i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (i32.store (i32.const 0) (global.get $n))
            (i32.load (i32.const 0)))
        (func (export "nap") (result i32) (local $pollable i32)
            (local.set $pollable (call $sleep (i64.const 300000000)))
            (call $block (local.get $pollable)) (call $drop (local.get $pollable))
            (call $bump))
        (func (export "trap") (result i32) (drop (call $bump)) unreachable)
        (func (export "grow") (result i32) (memory.grow (i32.const 1)))
        (func (export "spin") (result i32) (loop $again br $again) unreachable)
        (func (export "look") (param i32) (result i32)
            (call $drop-blob (local.get 0)) (call $bump)))
    (core instance $i (instantiate $m (with "" (instance
        (export "sleep" (func $sleep)) (export "block" (func $block))
        (export "drop" (func $drop)) (export "drop-blob" (func $drop-blob))))))
    (func (export "bump") (result u32) (canon lift (core func $i "bump")))
    (func (export "nap") (result u32) (canon lift (core func $i "nap")))
    (func (export "trap") (result u32) (canon lift (core func $i "trap")))
    (func (export "grow") (result s32) (canon lift (core func $i "grow")))
    (func (export "spin") (result u32) (canon lift (core func $i "spin")))
    (func (export "look") (param "blob" (borrow $blob)) (result u32)
        (canon lift (core func $i "look"))))"#;

struct Fixture {
    runtime: Arc<Runtime>,
    actor: Actor,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        Self::on(&runtime(4), limits)
    }

    fn on(runtime: &Arc<Runtime>, limits: Limits) -> Self {
        let bytes = wat::parse_str(COUNTER).unwrap();
        let linked = runtime.linked(EngineKind::Plain).unwrap();
        let component = Component::new(&linked.engine, &bytes).unwrap();
        let loaded = linked.prepare(Digest::of(&bytes), &[], &component).unwrap();
        let (grants, _) = LiveGrants::open(&EffectiveGrants::default(), Arc::new([]));
        let actor = runtime.start_actor(loaded, limits, grants);
        Self { runtime: Arc::clone(runtime), actor }
    }

    /// Begins a call under the plugin's own deadline.
    fn begin(&self, function: &str, input: Value) -> Result<Running, Refusal> {
        let mut invocation = invocation(1);
        invocation.input = input;
        let capability = Capability {
            id: format!("test.{function}").parse().unwrap(),
            long_id: format!("test.{function}").parse().unwrap(),
            version: semver::Version::new(0, 0, 0),
            description: String::new(),
            input_schema: Value::Null,
            output_schema: Value::Null,
            error_schema: None,
            type_hash: None,
            function_type: None,
            export: ExportPath { interface: None, function: function.to_owned() },
        };
        let blobs = Arc::new(LentBlobs::new(testing::blobs()));
        let Resident { loaded, limits, grants } = &*self.actor.plugin;
        let request = Request {
            parent: Arc::new(without_input(&invocation)),
            invocation: Arc::new(invocation),
            plugin: "test".parse().unwrap(),
            capability: Arc::new(capability),
            limits: *limits,
            execution: Execution {
                loaded: Arc::clone(loaded),
                grants: Arc::clone(grants),
                blobs: Arc::clone(&blobs) as Arc<dyn BlobStore>,
                command: None,
                items: None,
            },
        };
        self.actor.send(request, blobs)
    }

    async fn call(&self, function: &str) -> Executed {
        ended(self.begin(function, json!({})).unwrap()).await
    }

    async fn counts(&self, expected: u32) {
        let executed = self.call("bump").await;
        assert_eq!(executed.outcome, Outcome::Success(json!(expected)));
        assert!(!executed.state_lost);
    }

    /// The call fails with this code and costs the state.
    async fn loses_its_state(&self, function: &str, code: Code) {
        let executed = self.call(function).await;
        assert_eq!(executed.outcome.refusal().unwrap().code, code, "{executed:?}");
        assert!(executed.state_lost);
    }
}

fn runtime(instances: u32) -> Arc<Runtime> {
    Runtime::new(RuntimeConfig { instances, file_threads: 1 }, ports()).unwrap()
}

async fn ended(running: Running) -> Executed {
    tokio::time::timeout(SOON, running.ended()).await.expect("the call ends")
}

const LIMITS: Limits = Limits { deadline_ms: 20_000, ..Limits::DEFAULT };

#[tokio::test]
async fn state_stays_between_calls_and_each_call_gets_all_its_fuel() {
    // On the executor, and aside for large values.
    for list_bytes in [LIMITS.list_bytes, Limits::CEILING.list_bytes] {
        let fixture = Fixture::new(Limits { fuel: 100, list_bytes, ..LIMITS });
        for count in 1..=20 {
            fixture.counts(count).await;
        }
        assert_eq!(fixture.runtime.places.free(), 3, "the instance holds its place");
    }
}

#[tokio::test]
async fn a_trap_or_a_limit_of_the_plugin_costs_the_state_and_the_next_call_begins_anew() {
    let fixture = Fixture::new(Limits { fuel: 3_000_000, ..LIMITS });
    fixture.counts(1).await;
    fixture.loses_its_state("trap", Code::Trap).await;
    fixture.counts(1).await;
    fixture.loses_its_state("spin", Code::LimitFuel).await;
    assert_eq!(fixture.runtime.places.free(), 4, "the instance is gone");
    fixture.counts(1).await;

    let fixture = Fixture::new(Limits { fuel: u64::MAX / 2, deadline_ms: 500, ..LIMITS });
    fixture.counts(1).await;
    fixture.loses_its_state("spin", Code::LimitDeadline).await;
    fixture.counts(1).await;

    let first = fixture.call("trap").await;
    assert!(first.state_lost);
    assert!(!fixture.call("trap").await.state_lost, "an instance of this call alone has no state");
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_end_the_guest() {
    let fixture = Fixture::new(LIMITS);
    let running = fixture.begin("nap", json!({})).unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(20), running.ended()).await;
    assert!(waited.is_err(), "the guest naps longer");
    fixture.counts(2).await;
}

#[tokio::test]
async fn what_does_not_find_room_is_busy_at_once() {
    let fixture = Fixture::new(LIMITS);
    let first = fixture.begin("nap", json!({})).unwrap();
    // The actor takes the first one out of its inbox.
    while fixture.actor.inbox.capacity() == 0 {
        tokio::task::yield_now().await;
    }
    let second = fixture.begin("bump", json!({})).unwrap();
    assert_eq!(fixture.begin("bump", json!({})).unwrap_err().code, Code::Busy);
    assert_eq!(ended(first).await.outcome, Outcome::Success(json!(1)));
    assert_eq!(ended(second).await.outcome, Outcome::Success(json!(2)));

    // A second plugin finds no place while the first one's instance lives, and says so in time.
    let runtime = runtime(1);
    let holder = Fixture::on(&runtime, LIMITS);
    holder.counts(1).await;
    let other = Fixture::on(&runtime, Limits { deadline_ms: 30, ..LIMITS });
    assert_eq!(other.call("bump").await.outcome.refusal().unwrap().code, Code::Busy);
}

#[tokio::test]
async fn the_memory_limit_holds_over_all_calls() {
    let fixture = Fixture::new(Limits { memory_bytes: 3 * 65_536, ..LIMITS });
    for grown in [1, 2, -1, -1] {
        assert_eq!(fixture.call("grow").await.outcome, Outcome::Success(json!(grown)));
    }
    assert_eq!(fixture.call("bump").await.usage.memory_bytes, 3 * 65_536);
}

#[tokio::test]
async fn blobs_of_a_call_leave_no_handle_behind_and_refused_input_costs_nothing() {
    let fixture = Fixture::new(Limits { handles: 4, ..LIMITS });
    let missing = json!({ "blob": { "blob": Digest::of(b"missing") } });
    for count in 1..=10 {
        let given = ended(fixture.begin("look", json!({ "blob": "aGk=" })).unwrap()).await;
        assert_eq!(given.outcome, Outcome::Success(json!(count)));
        let refused = ended(fixture.begin("look", missing.clone()).unwrap()).await;
        assert_eq!(refused.outcome.refusal().unwrap().code, Code::InputInvalid, "{refused:?}");
        assert!(!refused.state_lost);
    }
}

#[tokio::test]
async fn an_instance_without_calls_ends_and_gives_its_place_back() {
    let fixture = Fixture::new(LIMITS);
    fixture.counts(1).await;
    assert_eq!(fixture.runtime.places.free(), 3);
    tokio::time::pause();
    let place = tokio::time::timeout(IDLE * 2, fixture.runtime.places.wait(4)).await;
    drop(place.expect("the place comes back").unwrap());
    tokio::time::resume();
    fixture.counts(1).await;
}

#[tokio::test]
async fn an_actor_ends_with_its_last_copy_and_with_the_node() {
    let fixture = Fixture::new(LIMITS);
    fixture.counts(1).await;
    let Fixture { runtime, actor } = fixture;
    drop(actor);
    drop(tokio::time::timeout(SOON, runtime.places.wait(4)).await.expect("its place is free"));

    let fixture = Fixture::on(&runtime, Limits { fuel: u64::MAX / 2, ..LIMITS });
    let running = fixture.begin("spin", json!({})).unwrap();
    tokio::task::yield_now().await;
    runtime.end_actors();
    let executed = ended(running).await;
    assert_eq!(executed.outcome.refusal().unwrap().code, Code::Indeterminate);
    drop(tokio::time::timeout(SOON, runtime.places.wait(4)).await.expect("its place is free"));
    assert!(fixture.actor.is_ended());
    assert_eq!(fixture.begin("bump", json!({})).unwrap_err().code, Code::Busy);
}
