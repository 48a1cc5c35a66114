//! Plugins that import each other's interfaces.

use std::path::Path;

use meshhost_core::code::Exit;
use serde_json::json;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::support::{Home, Ran, parse};

const CALL_ERROR: &str = "package meshhost:mesh@0.1.0 {
    interface invoke {
        variant call-error {
            denied(string), failure(string), skipped(string), indeterminate(string), invalid(string)
        }
    }
}";

/// What both sides were built against; `number` is the type of the answer.
fn divide(version: &str, number: &str) -> String {
    format!(
        "package acme:tools@{version} {{
            interface divide {{
                use meshhost:mesh/invoke@0.1.0.{{call-error}};
                variant error {{ by-zero, call(call-error) }}
                divide: func(a: u32, the-other: u32) -> result<{number}, error>;
            }}
        }}"
    )
}

/// A component of the world `test` in this WIT with this core module.
fn component(packages: &[&str], world: &str, module: &str) -> Vec<u8> {
    let wit = format!("package a:test; {} world test {{ {world} }}", packages.join("\n"));
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", &wit).unwrap_or_else(|error| panic!("{error:#}"));
    let world = resolve.select_world(&[package], Some("test")).expect("the world is there");
    let mut module = parse(module);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it fits");
    let encoder = ComponentEncoder::default().module(&module).expect("it has the world");
    encoder.validate(true).encode().unwrap_or_else(|error| panic!("{error:#}"))
}

/// Divides whole numbers.
pub(crate) fn divider(version: &str) -> Vec<u8> {
    let wit = divide(version, "u32");
    let module = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "acme:tools/divide@{version}#divide") (param i32 i32) (result i32)
                (memory.fill (i32.const 16) (i32.const 0) (i32.const 20))
                (if (i32.eqz (local.get 1))
                    (then (i32.store8 (i32.const 16) (i32.const 1)))
                    (else (i32.store (i32.const 20) (i32.div_u (local.get 0) (local.get 1)))))
                (i32.const 16)))"#
    );
    component(&[CALL_ERROR, &wit], &format!("export acme:tools/divide@{version};"), &module)
}

/// The same function with another answer; it is never reached.
fn wide_divider() -> Vec<u8> {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "acme:tools/divide@1.0.0#divide") (param i32 i32) (result i32) unreachable))"#;
    let wit = divide("1.0.0", "u64");
    component(&[CALL_ERROR, &wit], "export acme:tools/divide@1.0.0;", module)
}

/// `f: func(a: u32, b: u32) -> u32`: the quotient, 1000 when it was divided by zero, and 2000 with the
/// place of the case when the call was not answered.
pub(crate) fn caller(version: &str) -> Vec<u8> {
    let wit = divide(version, "u32");
    let module = format!(
        r#"(module
            (import "acme:tools/divide@{version}" "divide" (func $divide (param i32 i32 i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "f") (param i32 i32) (result i32)
                (call $divide (local.get 0) (local.get 1) (i32.const 16))
                (if (i32.eqz (i32.load8_u (i32.const 16)))
                    (then (return (i32.load (i32.const 20)))))
                (if (i32.eqz (i32.load8_u (i32.const 20))) (then (return (i32.const 1000))))
                (i32.add (i32.const 2000) (i32.load8_u (i32.const 24)))))"#
    );
    let world =
        format!("import acme:tools/divide@{version}; export f: func(a: u32, b: u32) -> u32;");
    component(&[CALL_ERROR, &wit], &world, &module)
}

pub(crate) const GRANT: &str = "call=acme.tools.divide.*";

fn home() -> Home {
    let home = Home::new();
    home.install(&home.file("divider.wasm", divider("1.0.0")), &[]).expect(0);
    home.install(&home.file("caller.wasm", caller("1.0.0")), &["--grant", GRANT]).expect(0);
    home
}

fn f(home: &Home, a: u32, b: u32) -> Ran {
    home.run_json(["call", "caller.f", &format!("a={a}"), &format!("b={b}")])
}

fn answers(home: &Home, a: u32, b: u32, wanted: u32) -> Ran {
    let ran = f(home, a, b).expect(0);
    assert_eq!(ran.json()["data"], json!(wanted), "{}", ran.json());
    ran
}

#[test]
fn an_imported_function_is_the_other_plugins_and_both_calls_are_recorded() {
    let home = home();
    answers(&home, 42, 6, 7);
    let correlation = answers(&home, 42, 0, 1000).json()["correlation_id"].clone();
    let correlation = correlation.as_str().expect("it is told");
    let replay = home.run(["audit", "replay", correlation]).expect(0);
    assert!(replay.stdout.contains("acme.tools.divide.divide"), "{}", replay.stdout);
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn nothing_is_called_that_is_not_granted_and_the_component_is_told() {
    let home = home();
    home.run(["plugin", "revoke", "caller", GRANT]).expect(0);
    let ran = answers(&home, 42, 6, 2000);
    let denied = ran.json()["denied"].to_string();
    assert!(denied.contains("call=acme.tools.divide.divide"), "{denied}");
}

#[test]
fn a_provider_that_does_not_serve_is_a_case_of_the_error() {
    let home = home();
    home.run(["plugin", "disable", "divider"]).expect(0);
    answers(&home, 42, 6, 2002);
    home.run(["plugin", "enable", "divider"]).expect(0);
    answers(&home, 42, 6, 7);
    home.run(["plugin", "remove", "divider"]).expect(0);
    answers(&home, 42, 6, 2000);
}

#[test]
fn a_provider_that_changes_its_type_is_not_called_and_one_that_comes_back_is() {
    let home = home();
    let other = home.file("other.wasm", wide_divider());
    let other = other.to_str().expect("it is a name");
    home.run(["plugin", "update", "divider", other, "--yes"]).expect(0);
    answers(&home, 42, 6, 2000);
    home.run(["plugin", "rollback", "divider"]).expect(0);
    answers(&home, 42, 6, 7);
}

fn refused(home: &Home, caller: &Path) -> Ran {
    let caller = caller.to_str().expect("it is a name");
    home.run(["plugin", "install", caller, "--grant", GRANT]).expect(Exit::Usage as i32)
}

#[test]
fn an_install_names_what_is_missing_or_does_not_fit() {
    let home = Home::new();
    let caller_file = home.file("caller.wasm", caller("1.2.0"));
    refused(&home, &caller_file)
        .says("acme:tools/divide@1.2.0#divide, which no plugin here provides");
    let provider = home.file("divider.wasm", divider("1.1.0"));
    home.install(&provider, &[]).expect(0);
    refused(&home, &caller_file).says("1.1.0, which the asked range does not contain");
    home.run(["plugin", "remove", "divider"]).expect(0);
    home.install(&home.file("divider.wasm", divider("1.3.0")), &[]).expect(0);
    home.install(&caller_file, &["--grant", GRANT]).expect(0);
    answers(&home, 9, 3, 3);

    let home = Home::new();
    home.install(&home.file("divider.wasm", wide_divider()), &[]).expect(0);
    let plain = home.file("caller.wasm", caller("1.0.0"));
    refused(&home, &plain).says("has another type");
}

#[test]
fn a_function_without_an_error_for_it_ends_the_call() {
    let home = Home::new();
    let wit = "package acme:tools@1.0.0 { interface one { one: func() -> u32; } }";
    let provider = component(
        &[wit],
        "export acme:tools/one@1.0.0;",
        r#"(module (func (export "acme:tools/one@1.0.0#one") (result i32) i32.const 1))"#,
    );
    let caller = component(
        &[wit],
        "import acme:tools/one@1.0.0; export f: func() -> u32;",
        r#"(module (import "acme:tools/one@1.0.0" "one" (func $one (result i32)))
            (func (export "f") (result i32) (i32.add (call $one) (i32.const 1))))"#,
    );
    home.install(&home.file("one.wasm", provider), &[]).expect(0);
    home.install(&home.file("caller.wasm", caller), &["--grant", "call=acme.tools.one.*"])
        .expect(0);
    assert_eq!(home.json(["call", "caller.f"])["data"], 2);
    home.run(["plugin", "disable", "one"]).expect(0);
    let failed = home.run(["call", "caller.f"]).expect(Exit::Trap as i32);
    failed.says("did not answer").says("disabled");
}

#[test]
fn a_look_at_a_component_says_what_it_takes_from_others() {
    let home = Home::new();
    let file = home.file("caller.wasm", caller("1.0.0"));
    let file = file.to_str().expect("it is a name");
    let look = home.run(["plugin", "inspect", file]).expect(0);
    let words: Vec<&str> = look.stdout.split_whitespace().collect();
    let wanted = "from another plugin: needs call=acme.tools.divide.divide";
    assert!(words.join(" ").contains(wanted), "{}", look.stdout);
}
