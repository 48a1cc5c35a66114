//! Components for the second engine, installed and called as a person does.

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    components,
    support::{Home, guest, wat},
};

fn inspection(home: &Home, file: &std::path::Path) -> Value {
    home.json(["plugin", "inspect", file.to_str().expect("text")])["inspection"].clone()
}

#[test]
fn asynchronous_functions_of_a_rust_component_are_called_and_recorded() {
    let home = Home::new();
    let file = guest("async-tasks");
    let engine = inspection(&home, &file)["engine"].clone();
    assert_eq!(engine["kind"], "concurrent");
    let said = home.run(["plugin", "inspect", file.to_str().expect("text")]).expect(0);
    assert!(said.stdout.contains("second engine"), "{}", said.stdout);
    home.install(&file, &[]);

    let data = |words: &[&str]| home.json([&["call"], words].concat())["data"].clone();
    assert_eq!(data(&["async-tasks.nap", "milliseconds=1"]), "slept for 1 ms, twice");
    assert_eq!(data(&["async-tasks.count", "to=3"]), json!([1, 2, 3]));
    assert_eq!(data(&["async-tasks.spell"]), "aGVsbG8sIHdvcmxk");
    assert_eq!(data(&["async-tasks.later"]), "it came");
    assert_eq!(data(&["async-tasks.work_on"]), "returned");
    let refused = home.run_json(["call", "async-tasks.count", "to=0"]);
    assert_eq!(refused.json()["error"]["details"], "there is nothing to count");
    refused.expect(Exit::PluginFailure as i32);

    let events = home.json(["audit", "list"])["events"].clone();
    assert_eq!(events.as_array().map(Vec::len), Some(6), "{events}");
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_task_is_held_by_its_limits() {
    for (limit, words, code) in [
        ("deadline_ms=100", ["async-tasks.nap", "milliseconds=3600000"], Code::LimitDeadline),
        ("output_bytes=100", ["async-tasks.count", "to=1000"], Code::LimitOutput),
    ] {
        let home = Home::new();
        home.install(&guest("async-tasks"), &["--limit", limit]);
        let [capability, input] = words;
        let name = home.run_json(["call", capability, input]).code_name().to_owned();
        assert_eq!(name, code.info().name);
    }
}

#[test]
fn maps_and_lists_of_fixed_length_are_called_on_the_engine_that_has_them() {
    let home = Home::new();
    let rows = [
        ("map", "(map string u8)", json!([["a", 1]]), "plain"),
        ("fixed", "(list u32 2)", json!([1, 2]), "concurrent"),
    ];
    for (name, ty, value, kind) in rows {
        let file = wat(&home, name, &components::pair(ty));
        assert_eq!(inspection(&home, &file)["engine"]["kind"], kind);
        home.install(&file, &[]);
        let input = format!("x:={value}");
        assert_eq!(home.json(["call", &format!("{name}.f"), &input])["data"], value);
    }
}
