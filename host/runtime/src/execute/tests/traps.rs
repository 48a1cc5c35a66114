//! Traps: the runtime goes on, the code says what it was, and no text of the guest gets out.

use super::*;

#[tokio::test]
async fn a_trap_is_told_by_its_kind_and_the_runtime_goes_on() {
    let mut fixture = Fixture::with_instances(&body("", "unreachable"), 1);
    for (wat, phase) in [
        (body("", "unreachable"), TrapPhase::Call),
        (body("(memory 1)", "(i32.load (i32.const 65536))"), TrapPhase::Call),
        (body("", "(i32.div_u (i32.const 1) (i32.const 0))"), TrapPhase::Call),
        (body("(func $s unreachable) (start $s)", "i32.const 0"), TrapPhase::Start),
    ] {
        fixture.loaded = load(&fixture.runtime, &wat);
        let executed = fixture.fails(Code::Trap).await;
        assert_eq!(executed.trapped, Some(phase));
    }
    fixture.loaded = load(&fixture.runtime, &body("", "i32.const 1"));
    assert_eq!(fixture.succeeds().await, json!(1));
    assert_eq!(fixture.runtime.places.free(), 1);
}

#[tokio::test]
async fn a_thousand_traps_lose_no_slot() {
    let fixture = Fixture::with_instances(&body("(memory 1)", "unreachable"), 1);
    for _ in 0..1_000 {
        fixture.fails(Code::Trap).await;
    }
    assert_eq!(fixture.runtime.places.free(), 1);
}

/// `run` returns a string at `pointer` with `length` bytes.
fn string(pointer: u32, length: u32) -> String {
    format!(
        r#"(component
            (core module $m (memory (export "memory") 1)
                (data (i32.const 100) "secret\ff\fe")
                (func (export "run") (result i32)
                    (i32.store (i32.const 0) (i32.const {pointer}))
                    (i32.store (i32.const 4) (i32.const {length}))
                    i32.const 0))
            (core instance $i (instantiate $m))
            (func (export "run") (result string)
                (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
    )
}

#[tokio::test]
async fn values_that_break_the_rules_trap_without_quoting_the_guest() {
    let invalid_enum = r#"(component
        (core module $m (func (export "run") (result i32) i32.const 7))
        (core instance $i (instantiate $m))
        (type $e' (enum "a" "b")) (export $e "e" (type $e'))
        (func (export "run") (result $e) (canon lift (core func $i "run"))))"#;
    let invalid_char = r#"(component
        (core module $m (func (export "run") (result i32) i32.const 0xd800))
        (core instance $i (instantiate $m))
        (func (export "run") (result char) (canon lift (core func $i "run"))))"#;
    for wat in [
        string(100, 8),
        string(100, u32::MAX),
        string(u32::MAX, 1),
        string(65_530, 100),
        invalid_enum.to_owned(),
        invalid_char.to_owned(),
    ] {
        let executed = Fixture::new(&wat).fails(Code::Trap).await;
        let text = format!("{:?}", executed.outcome);
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn forged_and_dropped_handles_trap() {
    for misuse in [
        "(call $block (i32.const 12345))",
        "(call $drop (i32.const 1))",
        "(local $h i32) (local.set $h (call $sleep (i64.const 0)))
            (call $drop (local.get $h)) (call $drop (local.get $h))",
        "(local $h i32) (local.set $h (call $sleep (i64.const 0)))
            (call $drop (local.get $h)) (call $block (local.get $h))",
    ] {
        let fixture = Fixture::new(&with_clock("", &format!("{misuse} i32.const 0")));
        fixture.fails(Code::Trap).await;
    }
}

#[tokio::test]
async fn a_realloc_that_calls_the_host_traps() {
    let wat = r#"(component
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
            (export "now" (func (result u64)))))
        (core func $now (canon lower (func $clock "now")))
        (core module $m (import "" "now" (func $now (result i64)))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (drop (call $now)) i32.const 8)
            (func (export "run") (param i32 i32)))
        (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
        (func (export "run") (param "text" string) (canon lift (core func $i "run")
            (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;
    let mut fixture = Fixture::new(wat);
    fixture.input = json!({ "text": "x" });
    fixture.fails(Code::Trap).await;
}

#[tokio::test]
async fn what_is_not_granted_and_cannot_say_so_ends_the_call_as_denied() {
    let wat = r#"(component
        (import "wasi:random/random@0.2.0" (instance $random
            (export "get-random-u64" (func (result u64)))))
        (core func $get (canon lower (func $random "get-random-u64")))
        (core module $m (import "" "get" (func $get (result i64)))
            (func (export "run") (result i32) (i32.wrap_i64 (call $get))))
        (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
        (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;
    let mut fixture = Fixture::new(wat);
    let executed = fixture.fails(Code::PermissionDenied).await;
    assert_eq!(executed.denied[0].permission.as_deref(), Some("random"));
    fixture.grants.random = true;
    assert!(fixture.succeeds().await.is_u64());
}
