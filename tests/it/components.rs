//! Components as text, most of them hostile. Each exports `f` unless it says otherwise.

/// A loop that never ends.
pub(crate) const SPIN: &str = "(loop $again br $again)";

/// A component with this core module, lifting its `f` without parameters or result.
pub(crate) fn module(fields: &str) -> String {
    format!(
        "(component
            (core module $m {fields})
            (core instance $i (instantiate $m))
            (func (export \"f\") (canon lift (core func $i \"f\"))))"
    )
}

/// A component with one page of memory whose `f` has this body.
pub(crate) fn body(code: &str) -> String {
    module(&format!("(memory 1) (func $f (export \"f\") {code})"))
}

/// A component whose `f` does nothing.
pub(crate) fn nothing() -> String {
    body("")
}

/// `f: func() -> u32` that answers with a number.
pub(crate) fn number(value: u32) -> String {
    format!(
        "(component
            (core module $m (func (export \"f\") (result i32) i32.const {value}))
            (core instance $i (instantiate $m))
            (func (export \"f\") (result u32) (canon lift (core func $i \"f\"))))"
    )
}

/// `f: func() -> list<u8>` with that many bytes.
pub(crate) fn bytes(length: u32) -> String {
    format!(
        "(component
            (core module $m (memory (export \"memory\") 64)
                (func (export \"f\") (result i32)
                    (i32.store (i32.const 0) (i32.const 16))
                    (i32.store (i32.const 4) (i32.const {length}))
                    i32.const 0))
            (core instance $i (instantiate $m))
            (func (export \"f\") (result (list u8))
                (canon lift (core func $i \"f\") (memory (core memory $i \"memory\")))))"
    )
}

/// `echo: func(text: string) -> string`, and `f` that does nothing.
pub(crate) fn echo() -> String {
    "(component
        (core module $m (memory (export \"memory\") 64) (global $next (mut i32) (i32.const 64))
            (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
                global.get $next
                (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export \"echo\") (param i32 i32) (result i32)
                (i32.store (i32.const 0) (local.get 0))
                (i32.store (i32.const 4) (local.get 1))
                i32.const 0)
            (func (export \"f\")))
        (core instance $i (instantiate $m))
        (func (export \"f\") (canon lift (core func $i \"f\")))
        (func (export \"echo\") (param \"text\" string) (result string)
            (canon lift (core func $i \"echo\") (memory (core memory $i \"memory\"))
                (realloc (core func $i \"realloc\")))))"
        .to_owned()
}

/// `f: func(x: T) -> T` for a type that is passed as two numbers.
pub(crate) fn pair(ty: &str) -> String {
    format!(
        "(component
            (core module $m (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 64))
                (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
                    global.get $next
                    (global.set $next (i32.and (i32.const -8)
                        (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 7))))))
                (func (export \"f\") (param i32 i32) (result i32)
                    (i32.store (i32.const 0) (local.get 0))
                    (i32.store (i32.const 4) (local.get 1))
                    i32.const 0))
            (core instance $i (instantiate $m))
            (type $t {ty})
            (func (export \"f\") (param \"x\" $t) (result $t)
                (canon lift (core func $i \"f\") (memory (core memory $i \"memory\"))
                    (realloc (core func $i \"realloc\")))))"
    )
}

/// `f: func(): result<u32, u32>` that answers with its own error.
pub(crate) fn failing() -> String {
    "(component
        (core module $m (memory (export \"memory\") 1)
            (data (i32.const 0) \"\\01\\00\\00\\00\\2a\\00\\00\\00\")
            (func (export \"f\") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func (export \"f\") (result (result u32 (error u32)))
            (canon lift (core func $i \"f\") (memory (core memory $i \"memory\")))))"
        .to_owned()
}

/// Four core instances, each with a memory of its own that it grows: the limit is their sum.
pub(crate) fn many_memories() -> String {
    let four = |each: fn(usize) -> String| (0..4).map(each).collect::<String>();
    let instances = four(|index| format!("(core instance $i{index} (instantiate $m))"));
    let calls = four(|index| format!("(call $f{index})"));
    let imports = four(|index| format!("(import \"i{index}\" \"f\" (func $f{index}))"));
    let arguments = four(|index| format!("(with \"i{index}\" (instance $i{index}))"));
    format!(
        "(component
            (core module $m (memory 1) (func (export \"f\")
                (drop (memory.grow (i32.const 1500)))
                (if (i32.lt_u (memory.size) (i32.const 1501)) (then unreachable))))
            {instances}
            (core module $all {imports} (func (export \"f\") {calls}))
            (core instance $a (instantiate $all {arguments}))
            (func (export \"f\") (canon lift (core func $a \"f\"))))"
    )
}

/// More core instances than a component may have.
pub(crate) fn many_instances(count: usize) -> String {
    let instances = "(core instance (instantiate $m))".repeat(count.saturating_sub(1));
    format!(
        "(component
            (core module $m (func (export \"f\")))
            (core instance $i (instantiate $m)) {instances}
            (func (export \"f\") (canon lift (core func $i \"f\"))))"
    )
}

/// A body with `now: func() -> i64`, `sleep: func(i64) -> i32` that makes a pollable, and
/// `block: func(i32)` on one; the imports of a component that waits in the host.
pub(crate) fn with_clock(code: &str) -> String {
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
            (core module $m
                (import "" "now" (func $now (result i64)))
                (import "" "sleep" (func $sleep (param i64) (result i32)))
                (import "" "block" (func $block (param i32)))
                (func (export "f") {code}))
            (core instance $i (instantiate $m (with "" (instance
                (export "now" (func $now)) (export "sleep" (func $sleep))
                (export "block" (func $block))))))
            (func (export "f") (canon lift (core func $i "f"))))"#
    )
}

/// Waits an hour in the host.
pub(crate) fn sleeper() -> String {
    with_clock("(call $block (call $sleep (i64.const 3600000000000)))")
}

/// `f: func() -> u32` that calls `target` with `input_bytes` of input: 1 more than what that
/// answers, or 100 times the place of the error's case.
pub(crate) fn caller(target: &str, input_bytes: u32) -> String {
    let place =
        "(return (i32.mul (i32.const 100) (i32.add (i32.const 1) (i32.load8_u (i32.const 20)))))";
    calling(target, input_bytes, place)
}

/// The same, which traps when the call does not go well.
pub(crate) fn strict_caller(target: &str) -> String {
    calling(target, 2, "unreachable")
}

fn calling(target: &str, input_bytes: u32, on_error: &str) -> String {
    let (length, spaces) = (target.len(), input_bytes.saturating_sub(2));
    format!(
        r#"(component
            (import "meshhost:mesh/invoke@0.1.0" (instance $mesh
                (type $e (variant (case "denied" string) (case "failure" string)
                    (case "skipped" string) (case "indeterminate" string)
                    (case "invalid" string)))
                (export "call-error" (type $error (eq $e)))
                (export "call" (func (param "capability" string) (param "input" string)
                    (result (result string (error $error)))))))
            (core module $memory (memory (export "memory") 64)
                (global $next (mut i32) (i32.const 3145728))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    global.get $next
                    (global.set $next (i32.add (global.get $next) (local.get 3)))))
            (core instance $memory (instantiate $memory))
            (core func $call (canon lower (func $mesh "call") (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc"))))
            (core module $m
                (import "m" "memory" (memory 64))
                (import "" "call" (func $call (param i32 i32 i32 i32 i32)))
                (data (i32.const 1024) "{target}")
                (func (export "f") (result i32) (local $at i32) (local $end i32) (local $n i32)
                    (i32.store8 (i32.const 2048) (i32.const 123))
                    (memory.fill (i32.const 2049) (i32.const 32) (i32.const {spaces}))
                    (i32.store8 (i32.const {last}) (i32.const 125))
                    (call $call (i32.const 1024) (i32.const {length})
                        (i32.const 2048) (i32.const {bytes}) (i32.const 16))
                    (if (i32.load8_u (i32.const 16)) (then {on_error}))
                    (local.set $at (i32.load (i32.const 20)))
                    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 24))))
                    (loop $digit
                        (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10))
                            (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))
                        (br_if $digit (i32.lt_u (local.get $at) (local.get $end))))
                    (i32.add (local.get $n) (i32.const 1))))
            (core instance $i (instantiate $m (with "m" (instance $memory))
                (with "" (instance (export "call" (func $call))))))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
        last = 2049 + spaces,
        bytes = spaces + 2,
    )
}

/// `acme:tools/math@1.0.0` with `f: func() -> u32` that answers with a number.
pub(crate) fn provider(value: u32) -> String {
    format!(
        "(component
            (core module $m (func (export \"f\") (result i32) i32.const {value}))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i \"f\")))
            (instance (export \"acme:tools/math@1.0.0\") (export \"f\" (func $f))))"
    )
}

/// A manifest that asks for these permissions.
pub(crate) fn manifest(name: &str, version: &str, asks: &[&str]) -> String {
    let asks: String = asks
        .iter()
        .map(|ask| format!("[[asks]]\npermission = \"{ask}\"\nreason = \"It needs that.\"\n"))
        .collect();
    format!(
        "[plugin]\nname = \"{name}\"\nversion = \"{version}\"\ndescription = \"A test.\"\n{asks}"
    )
}

/// Keeps a number between calls: `next` counts it, `slow` computes for a while before it adds 100,
/// `trap` traps.
pub(crate) fn keeper() -> String {
    "(component
        (core module $m (global $n (mut i32) (i32.const 0))
            (func $add (param i32) (result i32)
                (global.set $n (i32.add (global.get $n) (local.get 0)))
                global.get $n)
            (func (export \"next\") (result i32) (call $add (i32.const 1)))
            (func (export \"slow\") (result i32) (local $left i32)
                (local.set $left (i32.const 100000000))
                (loop $again
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left)))
                (call $add (i32.const 100)))
            (func (export \"trap\") (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export \"next\") (result u32) (canon lift (core func $i \"next\")))
        (func (export \"slow\") (result u32) (canon lift (core func $i \"slow\")))
        (func (export \"trap\") (result u32) (canon lift (core func $i \"trap\"))))"
        .to_owned()
}

/// A core instance `$memory` with a memory of 64 pages and a `realloc` that gives its upper half.
const MEMORY: &str = r#"(core module $memory (memory (export "memory") 64)
        (global $next (mut i32) (i32.const 2097152))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            global.get $next
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $memory (instantiate $memory))"#;

/// Puts a kibibyte under one key after another, and traps when the store refuses.
pub(crate) fn key_value_hoarder() -> String {
    let options =
        r#"(memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))"#;
    format!(
        r#"(component
            (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
                (type $e (variant (case "no-such-store") (case "access-denied")
                    (case "other" string)))
                (export "error" (type $error (eq $e)))
                (export "bucket" (type $bucket (sub resource)))
                (export "open" (func (param "identifier" string)
                    (result (result (own $bucket) (error $error)))))
                (export "[method]bucket.set" (func (param "self" (borrow $bucket))
                    (param "key" string) (param "value" (list u8))
                    (result (result (error $error)))))))
            {MEMORY}
            (core func $open (canon lower (func $store "open") {options}))
            (core func $set (canon lower (func $store "[method]bucket.set") {options}))
            (core module $m
                (import "m" "memory" (memory 64))
                (import "" "open" (func $open (param i32 i32 i32)))
                (import "" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
                (func (export "f") (local $bucket i32)
                    (i32.store8 (i32.const 64) (i32.const 97))
                    (call $open (i32.const 64) (i32.const 1) (i32.const 16))
                    (if (i32.load8_u (i32.const 16)) (then unreachable))
                    (local.set $bucket (i32.load (i32.const 20)))
                    (loop $again
                        (call $set (local.get $bucket) (i32.const 64) (i32.const 1)
                            (i32.const 4096) (i32.const 1024) (i32.const 16))
                        (if (i32.load8_u (i32.const 16)) (then unreachable))
                        (i32.store8 (i32.const 64)
                            (i32.add (i32.load8_u (i32.const 64)) (i32.const 1)))
                        br $again)))
            (core instance $i (instantiate $m (with "m" (instance $memory))
                (with "" (instance (export "open" (func $open)) (export "set" (func $set))))))
            (func (export "f") (canon lift (core func $i "f"))))"#
    )
}

/// Writes a blob without end, and traps when it may not write more.
pub(crate) fn blob_hoarder() -> String {
    format!(
        r#"(component
            (import "meshhost:blob/types@0.1.0" (instance $blobs
                (type $e (variant (case "not-found") (case "out-of-range") (case "quota")
                    (case "finished") (case "fault")))
                (export "blob-error" (type $error (eq $e)))
                (export "writer" (type $writer (sub resource)))
                (export "[constructor]writer" (func (result (own $writer))))
                (export "[method]writer.write" (func (param "self" (borrow $writer))
                    (param "bytes" (list u8)) (result (result (error $error)))))))
            {MEMORY}
            (core func $new (canon lower (func $blobs "[constructor]writer")))
            (core func $write (canon lower (func $blobs "[method]writer.write")
                (memory (core memory $memory "memory"))))
            (core module $m
                (import "m" "memory" (memory 64))
                (import "" "new" (func $new (result i32)))
                (import "" "write" (func $write (param i32 i32 i32 i32)))
                (func (export "f") (local $writer i32)
                    (local.set $writer (call $new))
                    (loop $again
                        (call $write (local.get $writer) (i32.const 4096) (i32.const 32768)
                            (i32.const 16))
                        (if (i32.load8_u (i32.const 16)) (then unreachable))
                        br $again)))
            (core instance $i (instantiate $m (with "m" (instance $memory))
                (with "" (instance (export "new" (func $new)) (export "write" (func $write))))))
            (func (export "f") (canon lift (core func $i "f"))))"#
    )
}

/// Asks for 16 MiB of numbers that look random, at once.
pub(crate) fn random_hoarder() -> String {
    format!(
        r#"(component
            (import "wasi:random/insecure@0.2.0" (instance $random
                (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))))
            {MEMORY}
            (core func $get (canon lower (func $random "get-insecure-random-bytes")
                (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc"))))
            (core module $m
                (import "" "get" (func $get (param i64 i32)))
                (func (export "f") (call $get (i64.const 16777216) (i32.const 16))))
            (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
            (func (export "f") (canon lift (core func $i "f"))))"#
    )
}

/// `f: func(bytes: list<u8>)` that takes them and does nothing.
pub(crate) fn swallower() -> String {
    format!(
        r#"(component
            {MEMORY}
            (core module $m (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "bytes" (list u8)) (canon lift (core func $i "f")
                (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc")))))"#
    )
}

/// That many core instances of a module with these fields, and `f` that does nothing.
pub(crate) fn many(count: usize, fields: &str) -> String {
    let instances = "(core instance (instantiate $each))".repeat(count);
    format!(
        "(component
            (core module $each {fields}) {instances}
            (core module $m (func (export \"f\")))
            (core instance $i (instantiate $m))
            (func (export \"f\") (canon lift (core func $i \"f\"))))"
    )
}

/// A component with that many functions, each of some kibibytes of machine code.
pub(crate) fn much_code(functions: usize) -> String {
    let steps = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 12345)) (local.get 1)))
        (i32.store (local.get 0) (local.get 1))"
        .repeat(50);
    let each = format!("(func (param i32 i32) (result i32) {steps} local.get 0)");
    module(&format!("(memory 1) (func (export \"f\")) {}", each.repeat(functions)))
}
