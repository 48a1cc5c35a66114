//! Schemas of functions, as text.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wit_parser::WorldItem;

use super::*;
use crate::fixture::{HOST, world};

fn describe(types: &str, signature: &str) -> Result<FunctionSchemas, NotMappable> {
    let parameters = BTreeMap::from([("max-count".to_owned(), "At most this many.".to_owned())]);
    let wit = format!(
        "package test:fixture; {HOST}
         interface api {{ use meshhost:blob/types@0.1.0.{{blob}}; {types} f: {signature}; }}
         world test {{ export api; }}"
    );
    let (resolve, world) = world(&wit, "test");
    let item = resolve.worlds[world].exports.values().next().unwrap();
    let WorldItem::Interface { id, .. } = item else { panic!("no interface") };
    let function = &resolve.interfaces[*id].functions["f"];
    function_schemas(&resolve, function, &parameters, &mut SchemaBudget::new())
}

fn property(types: &str, ty: &str) -> Value {
    describe(types, &format!("func(x: {ty})")).unwrap().input["properties"]["x"].clone()
}

#[test]
fn the_input_is_an_object_keyed_by_parameter() {
    let types = "/// A color.\n enum color { red, dark-blue }";
    let schemas =
        describe(types, "func(max-count: u8, color: option<color>) -> result<string, color>");
    let schemas = schemas.unwrap();
    assert_eq!(
        schemas.input,
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "max_count": {
                    "description": "At most this many.",
                    "type": "integer", "minimum": 0, "maximum": 255,
                },
                "color": {
                    "type": ["string", "null"],
                    "enum": ["red", "dark-blue", null],
                    "description": "A color.",
                },
            },
            "required": ["max_count"],
            "additionalProperties": false,
        })
    );
    assert_eq!(schemas.output["type"], "string");
    let error = schemas.error.unwrap();
    assert_eq!(
        (&error["enum"], &error["description"]),
        (&json!(["red", "dark-blue"]), &json!("A color."))
    );
}

#[test]
fn a_function_without_values_has_null() {
    let schemas = describe("", "func()").unwrap();
    assert_eq!(schemas.output["type"], "null");
    assert_eq!((schemas.input["properties"].clone(), schemas.error), (json!({}), None));
    let schemas = describe("", "func() -> result").unwrap();
    assert_eq!(schemas.error.unwrap()["type"], "null");
}

#[test]
fn descriptions_come_from_fields_cases_and_types() {
    let types = "/// A place.
        record point {
          /// To the right.
          x: length,
        }
        /// Metres.
        type length = f32;
        /// A shape.
        variant shape {
          /// Nothing at all.
          empty,
        }";
    let point = property(types, "point");
    assert_eq!(point["description"], "A place.");
    assert_eq!(point["properties"]["x"]["description"], "To the right.");
    assert_eq!(property(types, "length")["description"], "Metres.");
    assert_eq!(property(types, "shape")["oneOf"][0]["description"], "Nothing at all.");
}

#[test]
fn bytes_and_blobs_differ_between_input_and_output() {
    let schemas = describe("", "func(x: list<u8>, y: borrow<blob>) -> tuple<list<u8>, blob>");
    let schemas = schemas.unwrap();
    let reference = json!({
        "type": "object",
        "properties": { "blob": { "type": "string", "pattern": "^blake3:[0-9a-f]{64}$" } },
        "required": ["blob"],
        "additionalProperties": false,
    });
    let text = json!({ "type": "string", "contentEncoding": "base64" });
    let input = &schemas.input["properties"];
    assert_eq!(input["x"], json!({ "anyOf": [text, reference] }));
    assert_eq!(input["y"], json!({ "anyOf": [reference, text] }));
    assert_eq!(schemas.output["prefixItems"], json!([text, reference]));
}

#[test]
fn what_streams_and_futures_hold_is_described_and_async_changes_nothing() {
    let output = |signature: &str| {
        let mut output = describe("type byte = u8;", signature).unwrap().output;
        output.as_object_mut().unwrap().remove("$schema");
        output
    };
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    assert_eq!(output("async func() -> stream<string>"), texts);
    let bytes = json!({ "type": "string", "contentEncoding": "base64" });
    assert_eq!(output("func() -> stream<byte>"), bytes);
    assert_eq!(output("func() -> future<list<u8>>"), bytes);
    assert_eq!(output("async func() -> result<future<bool>>"), json!({ "type": "boolean" }));
}

#[test]
fn other_resources_streams_and_futures_make_no_capability() {
    let rows = [
        ("resource door {}", "func(x: borrow<door>)", NotMappable::Resource("door".into())),
        ("resource door {}", "func() -> list<door>", NotMappable::Resource("door".into())),
        ("", "func(x: stream<u8>)", NotMappable::Takes("a stream")),
        ("", "async func(x: future<u8>)", NotMappable::Takes("a future")),
        ("", "func() -> stream", NotMappable::Returns("a stream")),
        ("", "func() -> stream<stream<u8>>", NotMappable::Returns("a stream")),
        ("record r { a: u8 }", "func() -> future<r>", NotMappable::Returns("a future")),
        ("", "func(x: error-context)", NotMappable::ErrorContext),
    ];
    for (types, signature, reason) in rows {
        assert_eq!(describe(types, signature), Err(reason), "{types} {signature}");
    }
}

#[test]
fn a_type_that_doubles_at_each_level_is_refused_before_it_is_written_out() {
    let mut types = "record t0 { a: u8 }".to_owned();
    for level in 1..20 {
        let below = level - 1;
        types.push_str(&format!(" record t{level} {{ a: t{below}, b: t{below} }}"));
    }
    assert_eq!(describe(&types, "func(x: t19)"), Err(NotMappable::TooLarge));
    assert!(describe(&types, "func(x: t4)").is_ok());
}

#[test]
fn a_type_with_very_many_cases_is_refused() {
    let cases = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("c{index}")).collect();
        format!("enum e {{ {} }}", names.join(", "))
    };
    assert!(describe(&cases(512), "func(x: e)").is_ok());
    assert_eq!(describe(&cases(513), "func(x: e)"), Err(NotMappable::TooLarge));
}

#[test]
fn a_type_that_nests_too_deeply_is_refused() {
    let deep = |depth: usize| format!("func(x: {}u16{})", "list<".repeat(depth), ">".repeat(depth));
    assert!(describe("", &deep(31)).is_ok());
    assert_eq!(describe("", &deep(32)), Err(NotMappable::TooDeep));
}

#[test]
fn every_schema_is_a_schema() {
    let command = command_schemas();
    for schema in [command.input, command.output] {
        jsonschema::draft202012::meta::validate(&schema).unwrap();
    }
    let input = jsonschema::validator_for(&command_schemas().input).unwrap();
    for input_value in [
        json!({}),
        json!({ "arguments": ["a"], "stdin": "x" }),
        json!({ "arguments": ["a\u{0}"] }),
        json!({ "stdin": 1 }),
    ] {
        let taken = crate::convert::command_input(&input_value).is_ok();
        assert_eq!(input.is_valid(&input_value), taken, "{input_value}");
    }
}
