//! What is refused, and with which words.

use serde_json::json;

use super::*;

#[test]
fn a_refusal_names_the_place_and_what_is_expected() {
    let types = "record rule { max-count: u32, names: list<string> }";
    let mut converter = Converter::new(types, "func(limit: option<u32>, rules: list<rule>)");
    let rows = [
        (
            json!({ "limit": "x", "rules": [] }),
            "limit: expected an integer 0..=4294967295, found \"x\"",
        ),
        (
            json!({ "limit": 4_294_967_296_u64, "rules": [] }),
            "limit: expected an integer 0..=4294967295, found 4294967296",
        ),
        (json!({}), "rules: missing, expected an array"),
        (json!([]), "input: expected an object keyed by parameter, found an array of 0"),
        (
            json!({ "rules": [{ "max_count": 1, "names": ["a", 2] }] }),
            "rules[0].names[1]: expected text, found 2",
        ),
        (
            json!({ "rules": [{ "max-count": -1, "names": [] }] }),
            "rules[0].max_count: expected an integer 0..=4294967295, found -1",
        ),
        (
            json!({ "rules": [{ "max-count": 1, "max_count": 1, "names": [] }] }),
            "rules[0].max_count: given twice, once with `-` and once with `_`",
        ),
        (
            json!({ "rules": [], "limt": 1 }),
            "input: there is no \"limt\" here; did you mean `limit`?",
        ),
        (
            json!({ "rules": [{ "max_count": 1, "names": [], "zzzzzz": 1 }] }),
            "rules[0]: there is no \"zzzzzz\" here; known are `max_count`, `names`",
        ),
    ];
    for (input, expected) in rows {
        assert_eq!(converter.refusal(&input), expected);
        assert_eq!(converter.lower(&input).unwrap_err().code, Code::InputInvalid);
    }
}

#[test]
fn unknown_keys_are_left_out_when_the_manifest_says_so() {
    let types = "record point { x: u8 }";
    let mut converter = Converter::new(types, "func(p: point)");
    let input = json!({ "p": { "x": 1, "y": 2 }, "q": 3 });
    assert!(converter.lower(&input).is_err());
    converter.input.unknown = UnknownInput::Ignore;
    let point = Val::Record(vec![("x".into(), Val::U8(1))]);
    assert_eq!(converter.lower(&input).unwrap(), [point]);
}

#[test]
fn each_type_refuses_what_is_not_its_own() {
    let types = "enum color { red } flags rights { read } variant shape { none, round(u8) }";
    let rows = [
        ("bool", json!(0)),
        ("u8", json!(256)),
        ("u8", json!(-1)),
        ("u8", json!(1.5)),
        ("u8", json!("1")),
        ("s8", json!(128)),
        ("u64", json!(-1)),
        ("u64", json!(1e18)),
        ("u64", json!("18446744073709551616")),
        ("u64", json!("-1")),
        ("u64", json!("01")),
        ("u64", json!("+1")),
        ("u64", json!("")),
        ("s64", json!("-0")),
        ("s64", json!("9223372036854775808")),
        ("f32", json!(3.402_823_6e38)),
        ("f64", json!("NaN")),
        ("char", json!("")),
        ("char", json!("ab")),
        ("string", json!(1)),
        ("list<u8>", json!("!")),
        ("list<u8>", json!([1, 2])),
        ("list<u8>", json!({ "blob": "x" })),
        ("list<u8>", json!({ "blob": Digest::of(b"unknown") })),
        ("list<string>", json!("a")),
        ("list<u16, 2>", json!([1])),
        ("tuple<u8, u8>", json!([1])),
        ("tuple<u8, u8>", json!([1, 2, 3])),
        ("map<string, u8>", json!({ "a": 1 })),
        ("map<string, u8>", json!([["a"]])),
        ("color", json!("blue")),
        ("rights", json!(["read", "read"])),
        ("rights", json!(["write"])),
        ("rights", json!("read")),
        ("shape", json!("none")),
        ("shape", json!({ "tag": "square" })),
        ("shape", json!({ "tag": "none", "value": null })),
        ("shape", json!({ "tag": "round" })),
        ("shape", json!({ "tag": "round", "value": 1, "more": 1 })),
        ("option<option<u8>>", json!(1)),
        ("option<option<u8>>", json!({ "some": 1, "more": 1 })),
        ("list<result<u8>>", json!([{ "ok": 1, "err": null }])),
        ("list<result<u8>>", json!([{}])),
        ("blob", json!({ "blob": "blake3:12" })),
        ("blob", json!("!")),
        ("blob", json!(null)),
    ];
    for (ty, value) in rows {
        let mut converter = Converter::new(types, &format!("func(x: {ty})"));
        assert!(converter.lower(&json!({ "x": value })).is_err(), "{ty} took {value}");
    }
}

#[test]
fn arguments_that_swell_in_memory_are_refused() {
    let mut converter = Converter::new("", "func(x: list<bool>)");
    let fits = INPUT_HOST_BYTES_MAX / size_of::<Val>() - 1;
    converter.lower(&json!({ "x": vec![true; fits] })).unwrap();
    let error = converter.lower(&json!({ "x": vec![true; fits + 1] })).unwrap_err();
    assert_eq!((error.code, error.limit), (Code::LimitHostMemory, Some(LimitKind::HostMemory)));
}

#[test]
fn what_the_blob_store_says_comes_with_its_place() {
    let mut converter = Converter::new("", "func(x: list<list<u8>>)");
    let unknown = json!({ "x": ["", { "blob": Digest::of(b"unknown") }] });
    let error = converter.lower(&unknown).unwrap_err();
    assert_eq!(
        (error.code, error.to_string().as_str()),
        (Code::NotFound, "x[1]: there is no such blob")
    );
}

#[test]
fn the_check_before_the_call_judges_as_the_call_does() {
    let mut converter = Converter::new("", "func(x: blob, y: list<u8>)");
    let digest = Digest::of(b"known");
    for (input, fits) in [
        (json!({ "x": "aGk=", "y": { "blob": digest } }), true),
        (json!({ "x": "!", "y": "" }), false),
        (json!({ "x": "", "y": "", "z": 1 }), false),
    ] {
        assert_eq!(check(&input, &converter.function, &converter.input).is_ok(), fits, "{input}");
        assert_eq!(converter.lower(&input).is_ok(), fits, "{input}");
    }
}

#[test]
fn a_message_stays_short_when_wit_names_are_long() {
    let long = "a".repeat(5_000);
    let mut converter = Converter::new(
        &format!("record long {{ {long}: u8 }} enum e {{ {long} }}"),
        "func(x: long, y: e)",
    );
    assert!(converter.refusal(&json!({ "x": {} })).len() <= MESSAGE_BYTES_MAX + 3);
    assert!(
        converter.refusal(&json!({ "x": { &long: 1 }, "y": "b" })).len() <= MESSAGE_BYTES_MAX + 3
    );
}

#[test]
fn a_message_quotes_little_of_a_long_input() {
    let mut converter = Converter::new("", "func(x: u8)");
    let message = converter.refusal(&json!({ "x": "s".repeat(10_000) }));
    assert!(message.len() < 120, "{message}");
    let message = converter.refusal(&json!({ "x": 1, "\u{1b}[31m": 1 }));
    assert!(!message.contains('\u{1b}'), "{message:?}");
}
