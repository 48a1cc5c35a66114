//! Every limit, run into.

use super::*;

#[tokio::test]
async fn an_endless_loop_spends_its_fuel() {
    let mut fixture = Fixture::new(&body("", FOREVER));
    fixture.limits.fuel = 3_000_000;
    let executed = fixture.fails(Code::LimitFuel).await;
    assert_eq!(executed.trapped, Some(TrapPhase::Call));
    assert!(executed.usage.fuel >= 3_000_000);
}

#[tokio::test]
async fn an_endless_start_function_is_bounded_by_fuel_and_by_time() {
    let wat = body("(func $s (loop $again br $again)) (start $s)", "i32.const 0");
    let mut fixture = Fixture::new(&wat);
    fixture.limits.fuel = 3_000_000;
    assert_eq!(fixture.fails(Code::LimitFuel).await.trapped, Some(TrapPhase::Start));
    fixture.limits = Limits { fuel: u64::MAX / 2, deadline_ms: 30, ..fixture.limits };
    fixture.fails(Code::LimitDeadline).await;
}

#[tokio::test]
async fn an_endless_realloc_is_bounded_by_fuel_and_by_time() {
    let wat = r#"(component
        (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (loop $again br $again) unreachable)
            (func (export "run") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "run") (param "text" string) (canon lift (core func $i "run")
            (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;
    let mut fixture = Fixture::new(wat);
    fixture.input = json!({ "text": "x" });
    fixture.limits.fuel = 3_000_000;
    fixture.fails(Code::LimitFuel).await;
    fixture.limits = Limits { fuel: u64::MAX / 2, deadline_ms: 30, ..fixture.limits };
    fixture.fails(Code::LimitDeadline).await;
}

#[tokio::test]
async fn an_endless_post_return_is_bounded_by_fuel() {
    let wat = r#"(component
        (core module $m (func (export "run")) (func (export "after") (loop $again br $again)))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "run") (post-return (core func $i "after")))))"#;
    let mut fixture = Fixture::new(wat);
    fixture.limits.fuel = 3_000_000;
    fixture.fails(Code::LimitFuel).await;
}

#[tokio::test]
async fn the_deadline_ends_a_guest_that_computes() {
    let mut fixture = Fixture::new(&body("", FOREVER));
    fixture.limits = Limits { fuel: u64::MAX / 2, deadline_ms: 30, ..fixture.limits };
    let executed = fixture.fails(Code::LimitDeadline).await;
    assert_eq!(executed.trapped, None);
    assert!(executed.usage.wall_us >= 30_000);
    assert_eq!(fixture.runtime.places.free(), 8);
}

#[tokio::test]
async fn the_deadline_ends_a_guest_that_waits_in_the_host() {
    let hour = "(call $block (call $sleep (i64.const 3600000000000))) i32.const 0";
    let mut fixture = Fixture::new(&with_clock("", hour));
    fixture.limits.deadline_ms = 30;
    fixture.fails(Code::LimitDeadline).await;
}

#[tokio::test]
async fn other_calls_go_on_while_a_guest_computes() {
    // One executor thread: the endless call hands it back at each yield.
    let fixture = Fixture::new(&body("", "i32.const 1"));
    let mut endless = Fixture::new(&body("", FOREVER));
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
async fn growing_memory_stops_at_the_limit() {
    let grow = |refused: &str| {
        body(
            "(memory 1)",
            &format!(
                "(local $n i32) (loop $again
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then {refused}))
                    (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $again))
                unreachable"
            ),
        )
    };
    let mut fixture = Fixture::new(&grow("unreachable"));
    fixture.limits.memory_bytes = 1024 * 1024;
    let executed = fixture.fails(Code::LimitMemory).await;
    assert_eq!(executed.usage.memory_bytes, 1024 * 1024);
    // A guest that copes with the refusal goes on.
    fixture.loaded = load(&fixture.runtime, &grow("(return (local.get $n))"));
    assert_eq!(fixture.succeeds().await, json!(15));
}

#[tokio::test]
async fn memory_is_summed_over_all_core_instances() {
    let wat = r#"(component
        (core module $m (memory 8) (func (export "run") (result i32) i32.const 1))
        (core instance $a (instantiate $m)) (core instance (instantiate $m))
        (func (export "run") (result u32) (canon lift (core func $a "run"))))"#;
    let mut fixture = Fixture::new(wat);
    assert_eq!(fixture.succeeds().await, json!(1));
    fixture.limits.memory_bytes = 12 * 65_536;
    assert_eq!(fixture.fails(Code::LimitMemory).await.trapped, Some(TrapPhase::Start));
}

#[tokio::test]
async fn growing_a_table_stops_at_the_limit() {
    let wat = body(
        "(table 1 funcref)",
        "(loop $again
            (br_if $again (i32.ne (i32.const -1) (table.grow (ref.null func) (i32.const 100)))))
        unreachable",
    );
    Fixture::new(&wat).fails(Code::LimitTable).await;
}

#[tokio::test]
async fn more_core_instances_than_allowed_do_not_start() {
    let wat = r#"(component
        (core module $m (func (export "run") (result i32) i32.const 1))
        (core instance $a (instantiate $m)) (core instance (instantiate $m))
        (core instance (instantiate $m))
        (func (export "run") (result u32) (canon lift (core func $a "run"))))"#;
    let mut fixture = Fixture::new(wat);
    fixture.limits.instances = 2;
    fixture.fails(Code::LimitInstances).await;
    fixture.limits.instances = 3;
    fixture.succeeds().await;
}

#[tokio::test]
async fn recursion_without_end_is_a_limit() {
    let wat = body("(func $f (result i32) (i32.add (call $f) (i32.const 1)))", "call $f");
    Fixture::new(&wat).fails(Code::LimitRecursion).await;
}

#[tokio::test]
async fn operations_on_memory_cost_what_they_take() {
    // Each would run for minutes if one operation cost one unit of fuel.
    for operation in [
        "(drop (memory.grow (i32.const 0)))",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216))",
        "(memory.copy (i32.const 0) (i32.const 1) (i32.const 16777215))",
        "(drop (table.grow (ref.null func) (i32.const 0)))",
    ] {
        let wat = body(
            "(memory 256) (table 1 funcref)",
            &format!("(loop $again {operation} br $again) i32.const 0"),
        );
        let mut fixture = Fixture::new(&wat);
        fixture.limits.fuel = 200_000_000;
        fixture.fails(Code::LimitFuel).await;
    }
}

#[tokio::test]
async fn host_calls_are_counted_exactly_and_memory_operations_are_none() {
    let calls = |count: u32| {
        with_clock(
            "(memory 1)",
            &format!(
                "(local $n i32) (loop $again
                    (drop (call $now))
                    (memory.fill (i32.const 0) (i32.const 0) (i32.const 100))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $n) (i32.const {count}))))
                local.get $n"
            ),
        )
    };
    let mut fixture = Fixture::new(&calls(100));
    fixture.limits.host_calls = 100;
    let executed = fixture.run().await;
    assert_eq!(executed.outcome, Outcome::Success(json!(100)));
    assert_eq!(executed.usage.host_calls, 100);
    fixture.limits.host_calls = 99;
    fixture.fails(Code::LimitHostCalls).await;
}

#[tokio::test]
async fn handles_are_bounded() {
    let hoard = "(loop $again (drop (call $sleep (i64.const 0))) (br $again)) i32.const 0";
    let mut fixture = Fixture::new(&with_clock("", hoard));
    fixture.limits.handles = 16;
    let executed = fixture.fails(Code::LimitHandles).await;
    // Each sleep takes two: the pollable and what it waits for.
    assert_eq!(executed.usage.host_calls, 9);
    // Handles that are dropped do not count.
    let polite = "(local $n i32) (loop $again (call $drop (call $sleep (i64.const 0)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 100)))) local.get $n";
    fixture.loaded = load(&fixture.runtime, &with_clock("", polite));
    assert_eq!(fixture.succeeds().await, json!(100));
}

/// `run` returns a list of that many bytes.
fn list(length: u32) -> String {
    format!(
        r#"(component
            (core module $m (memory (export "memory") 64)
                (func (export "run") (result i32)
                    (i32.store (i32.const 0) (i32.const 16))
                    (i32.store (i32.const 4) (i32.const {length}))
                    i32.const 0))
            (core instance $i (instantiate $m))
            (func (export "run") (result (list u8))
                (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
    )
}

#[tokio::test]
async fn what_the_host_holds_for_a_result_is_bounded() {
    let mut fixture = Fixture::new(&list(100_000));
    fixture.limits.hostcall_fuel = 1_000_000;
    fixture.fails(Code::LimitHostMemory).await;
    fixture.limits.hostcall_fuel = Limits::DEFAULT.hostcall_fuel;
    fixture.fails(Code::LimitList).await;
    fixture.limits.list_bytes = 100_000;
    fixture.limits.output_bytes = 1_000;
    fixture.fails(Code::LimitOutput).await;
    fixture.limits.output_bytes = Limits::DEFAULT.output_bytes;
    assert!(fixture.succeeds().await.is_string(), "converted aside, within its limits");
}
