//! The same conversions through a guest that runs: it gives back what it was given.

use wasmtime::{
    Store,
    component::{Component, Linker},
};

use super::*;
use crate::fixture::engine;

/// A component whose `f` takes one value of the type and returns it. `store` writes the flat
/// parameters to address 0, as the value lies in memory.
fn echo(types: &str, ty: &str, parameters: &str, store: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
          (core module $m
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
              (global.set $free (i32.add (local.get $at) (local.get 3)))
              (local.get $at))
            (func (export "f") (param {parameters}) (result i32) {store} (i32.const 0)))
          (core instance $i (instantiate $m))
          {types}
          (func (export "f") (param "x" {ty}) (result {ty})
            (canon lift (core func $i "f") (memory (core memory $i "memory"))
              (realloc (core func $i "realloc")))))"#
    );
    wat::parse_str(text).unwrap()
}

/// Calls `f` with each value and expects it back.
fn calls(bytes: &[u8], rows: &[Value]) {
    let engine = engine();
    let component = Component::new(&engine, bytes).unwrap();
    let rules = InputRules { unknown: UnknownInput::Refuse, list_bytes: 64 };
    let limits = OutputRules { output_bytes: 4096, list_bytes: 64 };
    for row in rows {
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let function = instance.get_func(&mut store, "f").unwrap();
        let ty = function.ty(&store);
        let mut blobs = crate::fixture::Blobs::new(&engine);
        let values = lower(&json!({ "x": row }), &ty, &rules, &mut blobs).unwrap();
        let mut results = vec![Val::Bool(false); ty.results().len()];
        function.call(&mut store, &values, &mut results).unwrap();
        let lifted = lift(&results, Vec::new(), &ty, &limits, &mut blobs).unwrap();
        assert_eq!(lifted.returned, Returned::Output(row.clone()));
    }
}

const POINTER_AND_LENGTH: &str = "(i32.store (i32.const 0) (local.get 0))
    (i32.store (i32.const 4) (local.get 1))";

#[test]
fn text_and_lists_through_a_guest() {
    let texts = [json!(""), json!("héllo")];
    calls(&echo("", "string", "i32 i32", POINTER_AND_LENGTH), &texts);
    let bytes = echo("(type $b (list u8))", "$b", "i32 i32", POINTER_AND_LENGTH);
    calls(&bytes, &[json!(""), json!("AP8=")]);
}

#[test]
fn maps_through_a_guest() {
    let bytes = echo("(type $m (map string u8))", "$m", "i32 i32", POINTER_AND_LENGTH);
    calls(&bytes, &[json!([]), json!([["a", 1], ["b", 2]])]);
}

#[test]
fn fixed_length_lists_through_a_guest() {
    let store = "(i32.store16 (i32.const 0) (local.get 0))
        (i32.store16 (i32.const 2) (local.get 1)) (i32.store16 (i32.const 4) (local.get 2))";
    let bytes = echo("(type $l (list u16 3))", "$l", "i32 i32 i32", store);
    calls(&bytes, &[json!([1, 2, 65535])]);
}

#[test]
fn records_and_nested_options_through_a_guest() {
    let types = "(type $o (option u8)) (type $oo (option $o))
        (type $r' (record (field \"is-it\" $oo) (field \"big\" u64)))
        (export $r \"r\" (type $r'))";
    let store = "(i32.store8 (i32.const 0) (local.get 0)) (i32.store8 (i32.const 1) (local.get 1))
        (i32.store8 (i32.const 2) (local.get 2)) (i64.store (i32.const 8) (local.get 3))";
    let bytes = echo(types, "$r", "i32 i32 i32 i64", store);
    calls(
        &bytes,
        &[
            json!({ "is_it": null, "big": 1 }),
            json!({ "is_it": { "some": null }, "big": "18446744073709551615" }),
            json!({ "is_it": { "some": 7 }, "big": 0 }),
        ],
    );
}
