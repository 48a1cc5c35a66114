//! Components of WASI 0.3 on the second engine: what they return, and every limit run into.

use super::*;

/// Canonical built-ins under the names of [`IMPORTS`]; `$s` is a stream of bytes.
const BUILTINS: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
        (export "wait-for" (func async (param "how-long" u64)))))
    (core module $memory (memory (export "m") 1) (data (i32.const 0) "hello"))
    (core instance $mem (instantiate $memory))
    (core func $wait-for (canon lower (func $clock "wait-for") async))
    (core func $set-new (canon waitable-set.new))
    (core func $join (canon waitable.join))"#;

const INSTANCE: &str = r#"
    (export "m" (memory $mem "m")) (export "return" (func $return))
    (export "wait-for" (func $wait-for)) (export "set-new" (func $set-new))
    (export "join" (func $join))"#;

const IMPORTS: &str = r#"
    (import "" "m" (memory 1))
    (import "" "return" (func $return (param i32)))
    (import "" "wait-for" (func $wait-for (param i64) (result i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))"#;

const WAIT: &str = r#"
    (global $set (mut i32) (i32.const 0))
    (func $wait-on (param $waitable i32) (result i32)
        (global.set $set (call $set-new))
        (call $join (local.get $waitable) (global.get $set))
        (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))"#;

/// What a task answers its host: it has ended; it lets others run.
const EXIT: &str = "(i32.const 0)";
const YIELD: &str = "(i32.const 1)";

/// `run: async func() -> u32`: its body and that of its callback answer with a code.
fn task(items: &str, body: &str, callback: &str) -> String {
    format!(
        r#"(component {BUILTINS}
            (core func $return (canon task.return (result u32)))
            (core module $m {IMPORTS} {WAIT} {items}
                (func (export "run") (result i32) {body})
                (func (export "callback") (param i32 i32 i32) (result i32) {callback}))
            (core instance $i (instantiate $m (with "" (instance {INSTANCE}))))
            (func (export "run") async (result u32) (canon lift (core func $i "run") async
                (callback (core func $i "callback")))))"#
    )
}

/// A task that waits that many nanoseconds and then returns 7.
fn sleeper(nanoseconds: u64) -> String {
    let wait = format!(
        "(call $wait-on (i32.shr_u (call $wait-for (i64.const {nanoseconds})) (i32.const 4)))"
    );
    task("", &wait, &format!("(call $return (i32.const 7)) {EXIT}"))
}

/// `run: async func() -> T` that returns the reading end of a stream or future and then writes to
/// it `rounds` times what lies at address 0: `count` items at once.
pub(super) fn writer(kind: &str, item: &str, result: &str, rounds: i32, count: u32) -> String {
    let (parameters, arguments) = match kind {
        "stream" => ("i32 i32 i32", format!("(i32.const 0) (i32.const {count})")),
        _ => ("i32 i32", "(i32.const 0)".to_owned()),
    };
    format!(
        r#"(component {BUILTINS}
            (type $s ({kind} {item}))
            (core func $return (canon task.return (result {result})))
            (core func $new (canon {kind}.new $s))
            (core func $write (canon {kind}.write $s async (memory (core memory $mem "m"))))
            (core func $close (canon {kind}.drop-writable $s))
            (core module $m {IMPORTS}
                (import "" "new" (func $new (result i64)))
                (import "" "write" (func $write (param {parameters}) (result i32)))
                (import "" "close" (func $close (param i32)))
                {WAIT}
                (global $end (mut i32) (i32.const 0))
                (global $left (mut i32) (i32.const {rounds}))
                (func $next (result i32)
                    (loop $again
                        (if (i32.eqz (global.get $left))
                            (then (call $join (global.get $end) (i32.const 0))
                                (call $close (global.get $end)) (return {EXIT})))
                        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                        (br_if $again (i32.ne (i32.const -1)
                            (call $write (global.get $end) {arguments}))))
                    (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
                (func (export "run") (result i32) (local $ends i64)
                    (local.set $ends (call $new))
                    (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
                    (call $return (i32.wrap_i64 (local.get $ends)))
                    (drop (call $wait-on (global.get $end)))
                    (call $next))
                (func (export "callback") (param i32 i32 i32) (result i32) (call $next)))
            (core instance $i (instantiate $m (with "" (instance {INSTANCE}
                (export "new" (func $new)) (export "write" (func $write))
                (export "close" (func $close))))))
            (func (export "run") async (result {result}) (canon lift (core func $i "run") async
                (callback (core func $i "callback")))))"#
    )
}

#[tokio::test]
async fn the_second_engine_is_made_for_the_first_component_that_needs_it() {
    let mut fixture = Fixture::new(&body("", "i32.const 1"));
    assert_eq!(fixture.succeeds().await, json!(1));
    assert_eq!(fixture.loaded.kind, EngineKind::Plain);
    assert!(!fixture.runtime.has_second_engine());

    fixture.loaded = load(&fixture.runtime, &sleeper(1));
    assert_eq!(fixture.succeeds().await, json!(7));
    assert_eq!(fixture.loaded.kind, EngineKind::Concurrent);
    assert!(fixture.runtime.has_second_engine());
    assert_eq!(fixture.runtime.places.free(), 8);
}

#[tokio::test]
async fn code_for_the_second_engine_goes_through_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CodeCache { folder: folder.path().to_owned(), key: [1; 32] };
    let bytes = wat::parse_str(sleeper(1)).unwrap();
    let digest = Digest::of(&bytes);
    let mut fixture = Fixture::new(&body("", "i32.const 1"));
    assert!(fixture.runtime.load(&digest, &[], &cache).unwrap().is_none(), "nothing there yet");
    assert!(!fixture.runtime.has_second_engine(), "looking for code makes no engine");
    cache.put(&digest, engine_of(&bytes), &compile(&bytes).unwrap()).unwrap();
    fixture.loaded = fixture.runtime.load(&digest, &[], &cache).unwrap().unwrap();
    assert_eq!(fixture.succeeds().await, json!(7));
}

#[tokio::test]
async fn a_task_without_a_callback_and_a_plain_function_run_there_too() {
    let stackful = r#"(component
        (core func $return (canon task.return (result u32)))
        (core module $m (import "" "return" (func $return (param i32)))
            (func (export "run") (call $return (i32.const 5))))
        (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
        (func (export "run") async (result u32) (canon lift (core func $i "run") async)))"#;
    assert_eq!(Fixture::new(stackful).succeeds().await, json!(5));

    let plain = format!(
        r#"(component {BUILTINS}
            (core module $m (func (export "run") (result i32) (i32.const 6)))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    );
    let fixture = Fixture::new(&plain);
    assert_eq!(fixture.loaded.kind, EngineKind::Concurrent);
    assert_eq!(fixture.succeeds().await, json!(6));
}

#[tokio::test]
async fn a_stream_becomes_an_array_and_a_future_its_value() {
    let rows = [
        (writer("stream", "u8", "$s", 2, 5), json!("aGVsbG9oZWxsbw==")),
        (writer("stream", "u16", "$s", 2, 2), json!([25960, 27756, 25960, 27756])),
        (writer("stream", "bool", "$s", 0, 1), json!([])),
        (writer("stream", "u8", "$s", 0, 1), json!("")),
        (writer("future", "u8", "$s", 1, 1), json!(104)),
    ];
    for (wat, output) in rows {
        assert_eq!(Fixture::new(&wat).succeeds().await, output);
    }
    // Of more items in one write than the host takes at once it takes a part, and the guest is told
    // how many; this one does not ask.
    let many = Fixture::new(&writer("stream", "u16", "$s", 2, 20_000)).succeeds().await;
    assert_eq!(many.as_array().unwrap().len(), 2 * 4_096);
}

#[tokio::test]
async fn the_clock_of_wasi_03_is_denied_like_that_of_02() {
    let wat = r#"(component
        (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
            (export "now" (func (result u64)))
            (export "wait-for" (func async (param "how-long" u64)))))
        (core func $now (canon lower (func $clock "now")))
        (core module $m (import "" "now" (func $now (result i64)))
            (func (export "run") (result i64) (call $now)))
        (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
        (func (export "run") (result u64) (canon lift (core func $i "run"))))"#;
    let mut fixture = Fixture::new(wat);
    assert_ne!(fixture.succeeds().await, json!(0));
    fixture.grants.clock = false;
    let executed = fixture.run().await;
    assert_eq!(executed.outcome, Outcome::Success(json!(0)));
    assert_eq!(executed.denied[0].permission.as_deref(), Some("clock"));
    assert_eq!(executed.usage.host_calls, 1);
}

#[tokio::test]
async fn lists_of_fixed_length_and_maps_run_on_the_engine_that_has_them() {
    let echo = |ty: &str, flat: &str, store: &str| {
        format!(
            r#"(component
                (core module $m (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                    (func (export "run") (param {flat}) (result i32) {store} (i32.const 0)))
                (core instance $i (instantiate $m))
                (type $t {ty})
                (func (export "run") (param "x" $t) (result $t) (canon lift (core func $i "run")
                    (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
        )
    };
    let two = "(i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))";
    let rows = [
        (echo("(map u32 u32)", "i32 i32", two), json!([[1, 2]]), EngineKind::Plain),
        (echo("(list u32 2)", "i32 i32", two), json!([1, 2]), EngineKind::Concurrent),
    ];
    for (wat, value, kind) in rows {
        let mut fixture = Fixture::new(&wat);
        assert_eq!(fixture.loaded.kind, kind);
        fixture.input = json!({ "x": value });
        assert_eq!(fixture.succeeds().await, value);
    }
}

const SPIN: &str = "(loop $again br $again) unreachable";

#[tokio::test]
async fn a_task_that_computes_for_ever_is_bounded_by_fuel_and_by_time() {
    for wat in [
        task("", SPIN, EXIT),
        task("", YIELD, SPIN),
        task("", &format!("(call $return (i32.const 1)) {YIELD}"), SPIN),
        task("(func $s (loop $again br $again)) (start $s)", EXIT, EXIT),
    ] {
        let mut fixture = Fixture::new(&wat);
        fixture.limits.fuel = 3_000_000;
        fixture.fails(Code::LimitFuel).await;
        fixture.limits = Limits { fuel: u64::MAX / 2, deadline_ms: 30, ..fixture.limits };
        fixture.fails(Code::LimitDeadline).await;
        assert_eq!(fixture.runtime.places.free(), 8);
    }
}

#[tokio::test]
async fn a_callback_that_never_exits_is_bounded_by_fuel_and_by_time() {
    for before in ["", "(call $return (i32.const 1))"] {
        let mut fixture = Fixture::new(&task("", &format!("{before} {YIELD}"), YIELD));
        fixture.limits.fuel = 20_000;
        fixture.fails(Code::LimitFuel).await;
        fixture.limits = Limits { fuel: u64::MAX / 2, deadline_ms: 30, ..fixture.limits };
        fixture.fails(Code::LimitDeadline).await;
    }
}

#[tokio::test]
async fn the_deadline_ends_a_task_that_waits() {
    let hour = 3_600_000_000_000;
    let never_closed = writer("stream", "u8", "$s", 0, 1).replace("(call $close", "(drop");
    for wat in [sleeper(hour), never_closed] {
        let mut fixture = Fixture::new(&wat);
        fixture.limits.deadline_ms = 30;
        fixture.fails(Code::LimitDeadline).await;
    }
}

#[tokio::test]
async fn a_task_that_waits_for_nothing_and_one_that_returns_nothing_are_traps() {
    let wait = "(i32.or (i32.const 2) (i32.shl (call $set-new) (i32.const 4)))";
    for wat in [task("", wait, EXIT), task("", EXIT, EXIT)] {
        let executed = Fixture::new(&wat).fails(Code::Trap).await;
        assert_eq!(executed.trapped, Some(TrapPhase::Call));
    }
}

#[tokio::test]
async fn other_calls_go_on_while_a_task_yields_for_ever() {
    let fixture = Fixture::new(&body("", "i32.const 1"));
    let mut endless = Fixture::new(&task("", YIELD, YIELD));
    endless.limits = Limits { fuel: u64::MAX / 2, deadline_ms: 300, ..endless.limits };
    let others = async {
        for _ in 0..20 {
            assert_eq!(fixture.succeeds().await, json!(1));
        }
        std::time::Instant::now()
    };
    let ended = async {
        endless.fails(Code::LimitDeadline).await;
        std::time::Instant::now()
    };
    let (others, ended) = tokio::join!(others, ended);
    assert!(others < ended);
}

#[tokio::test]
async fn memory_of_a_task_stops_at_the_limit() {
    let grow = "(loop $again
        (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 1))))) unreachable";
    let mut fixture = Fixture::new(&task("", YIELD, grow));
    fixture.limits.memory_bytes = 1024 * 1024;
    let executed = fixture.fails(Code::LimitMemory).await;
    assert_eq!(executed.usage.memory_bytes, 1024 * 1024);
}

#[tokio::test]
async fn a_flood_of_subtasks_sets_and_streams_stops_at_the_limit_of_handles() {
    let hour = "(drop (call $wait-for (i64.const 3600000000000)))";
    for flood in [hour, "(drop (call $set-new))"] {
        let wat = task("", &format!("(loop $again {flood} br $again) {EXIT}"), EXIT);
        let mut fixture = Fixture::new(&wat);
        fixture.fails(Code::LimitHandles).await;
        fixture.limits.handles = 16;
        fixture.fails(Code::LimitHandles).await;
    }
    let streams = writer("stream", "u8", "$s", 0, 1)
        .replace("(local.set $ends (call $new))", "(loop $again (drop (call $new)) br $again)");
    Fixture::new(&streams).fails(Code::LimitHandles).await;
}

#[tokio::test]
async fn host_calls_of_a_task_are_counted() {
    // A wait of no time ends by itself: subtasks that have returned hold no handle.
    let calls = "(local $n i32) (loop $again
        (drop (call $wait-for (i64.const 0)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 10))))
        (call $return (local.get $n))";
    let mut fixture = Fixture::new(&task("", &format!("{calls} {EXIT}"), EXIT));
    fixture.limits.host_calls = 10;
    let executed = fixture.run().await;
    assert_eq!(executed.outcome, Outcome::Success(json!(10)));
    assert_eq!(executed.usage.host_calls, 10);
    fixture.limits.host_calls = 9;
    fixture.fails(Code::LimitHostCalls).await;
}

#[tokio::test]
async fn a_stream_that_never_ends_stops_at_the_output_and_at_the_hosts_memory() {
    for item in ["u8", "u16"] {
        let mut fixture = Fixture::new(&writer("stream", item, "$s", -1, 1_000));
        fixture.limits.output_bytes = 100_000;
        let executed = fixture.fails(Code::LimitOutput).await;
        assert_eq!(executed.trapped, Some(TrapPhase::Call));
        fixture.limits.output_bytes = Limits::DEFAULT.output_bytes;
        fixture.limits.host_buffer_bytes = 100_000;
        fixture.fails(Code::LimitHostMemory).await;
    }
    // Lengths that stay under the limit while they come, and pass it as JSON.
    let mut fixture = Fixture::new(&writer("stream", "u16", "$s", 10, 100));
    fixture.limits.output_bytes = 2_050;
    let executed = fixture.fails(Code::LimitOutput).await;
    assert_eq!(executed.trapped, None);
}

#[tokio::test]
async fn dropping_the_call_of_a_task_frees_its_place() {
    let mut fixture = Fixture::with_instances(&task("", YIELD, YIELD), 1);
    fixture.limits = Limits { fuel: u64::MAX / 2, ..fixture.limits };
    {
        let call = fixture.runtime.perform(fixture.request());
        let started = tokio::time::timeout(Duration::from_millis(20), call).await;
        assert!(started.is_err(), "it runs for ever");
    }
    let place = tokio::time::timeout(SOON, fixture.runtime.places.wait(1)).await.unwrap();
    drop(place);
}
