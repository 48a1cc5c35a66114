//! Every rule of the mapping, both ways, on types of real components.

use meshhost_core::id::Digest;
use serde_json::{Value, json};
use wasmtime::component::Val;

use super::*;
use crate::fixture::Converter;

mod agreement;
mod guest;
mod refusals;

/// Lowers `{"x": input}` as a parameter of the type, lifts it as a result, and compares.
fn round_trip(types: &str, ty: &str, rows: &[(Value, Value)]) {
    let mut converter = Converter::new(types, &format!("func(x: {ty}) -> {ty}"));
    for (input, output) in rows {
        let values = converter.lower(&json!({ "x": input })).unwrap();
        let lifted = converter.lift(&values).unwrap();
        let length = serde_json::to_string(output).unwrap().len();
        assert_eq!(lifted.returned, Returned::Output(output.clone()), "{ty}: {input}");
        assert_eq!(lifted.bytes, u64::try_from(length).unwrap(), "{ty}: {input}");
    }
}

fn same(value: Value) -> (Value, Value) {
    (value.clone(), value)
}

#[test]
fn numbers_keep_their_value_in_both_directions() {
    round_trip("", "bool", &[same(json!(true)), same(json!(false))]);
    round_trip("", "u8", &[same(json!(0)), same(json!(255)), (json!(7.0), json!(7))]);
    round_trip("", "s8", &[same(json!(-128)), same(json!(127))]);
    round_trip("", "u16", &[same(json!(65535))]);
    round_trip("", "s16", &[same(json!(-32768))]);
    round_trip("", "u32", &[same(json!(4_294_967_295_u32))]);
    round_trip("", "s32", &[same(json!(-2_147_483_648))]);
    round_trip("", "f32", &[same(json!(0.1)), same(json!(3.402_823_5e38)), same(json!(-1e-45))]);
    round_trip("", "f64", &[same(json!(0.1)), same(json!(1e300)), (json!(1), json!(1.0))]);
}

#[test]
fn wide_integers_are_text_beyond_what_every_reader_keeps() {
    let safe = SAFE_INTEGER_MAX;
    round_trip(
        "",
        "u64",
        &[
            same(json!(safe)),
            (json!(safe + 1), json!("9007199254740992")),
            same(json!("18446744073709551615")),
            (json!(u64::MAX), json!("18446744073709551615")),
            (json!("5"), json!(5)),
        ],
    );
    round_trip(
        "",
        "s64",
        &[
            same(json!(-9_007_199_254_740_991_i64)),
            same(json!("-9007199254740992")),
            same(json!("-9223372036854775808")),
            (json!(i64::MIN), json!("-9223372036854775808")),
        ],
    );
}

#[test]
fn text_bytes_and_names() {
    round_trip("", "char", &[same(json!("é")), same(json!("🎉"))]);
    round_trip("", "string", &[same(json!("")), same(json!("a\"\\\n\u{1}é"))]);
    round_trip(
        "",
        "list<u8>",
        &[
            same(json!("")),
            same(json!("aGk=")),
            (json!("aGk"), json!("aGk=")),
            (json!({ "blob": Digest::of(b"known") }), json!("a25vd24=")),
        ],
    );
    round_trip("enum color { red, dark-blue }", "color", &[same(json!("dark-blue"))]);
    round_trip(
        "flags rights { read, write-all }",
        "rights",
        &[same(json!([])), same(json!(["read", "write-all"]))],
    );
}

#[test]
fn compounds() {
    round_trip("", "list<string>", &[same(json!([])), same(json!(["a", "b"]))]);
    round_trip("", "tuple<u8, string>", &[same(json!([1, "x"]))]);
    round_trip("", "list<u16, 3>", &[same(json!([1, 2, 3]))]);
    round_trip("", "map<string, u8>", &[same(json!([])), same(json!([["a", 1], ["b", 2]]))]);
    round_trip("", "list<list<u8>>", &[same(json!(["aGk=", ""]))]);
    round_trip(
        "record point { x-axis: u8, label: option<string> }",
        "point",
        &[
            same(json!({ "x_axis": 1, "label": "a" })),
            (json!({ "x-axis": 1 }), json!({ "x_axis": 1, "label": null })),
        ],
    );
    round_trip(
        "variant shape { none, round(u8), named(option<string>) }",
        "shape",
        &[
            same(json!({ "tag": "none" })),
            same(json!({ "tag": "round", "value": 3 })),
            (json!({ "tag": "named" }), json!({ "tag": "named", "value": null })),
        ],
    );
}

#[test]
fn options_and_results_inside_values() {
    round_trip("", "option<u8>", &[same(json!(null)), same(json!(1))]);
    round_trip(
        "",
        "option<option<u8>>",
        &[same(json!(null)), same(json!({ "some": null })), same(json!({ "some": 1 }))],
    );
    round_trip(
        "",
        "option<option<option<u8>>>",
        &[same(json!({ "some": { "some": 1 } })), same(json!({ "some": null }))],
    );
    round_trip("", "list<result<u8, string>>", &[same(json!([{ "ok": 1 }, { "err": "no" }]))]);
    round_trip("", "list<result>", &[same(json!([{ "ok": null }, { "err": null }]))]);
}

#[test]
fn blobs_go_by_digest_or_base64_and_come_back_by_digest() {
    let digest = json!({ "blob": Digest::of(b"hi") });
    round_trip("", "blob", &[same(digest.clone()), (json!("aGk="), digest.clone())]);
    let mut converter = Converter::new("", "func(x: borrow<blob>, y: option<borrow<blob>>)");
    let values = converter.lower(&json!({ "x": digest })).unwrap();
    assert!(matches!(&values[..], [Val::Resource(_), Val::Option(None)]));
    assert_eq!(converter.blobs.owned, [false]);
}

#[test]
fn the_own_result_of_a_function_is_its_output_or_its_error() {
    let mut converter = Converter::new("", "func() -> result<u8, string>");
    let ok = converter.lift(&[Val::Result(Ok(Some(Box::new(Val::U8(1)))))]).unwrap();
    assert_eq!(ok.returned, Returned::Output(json!(1)));
    let no = Val::Result(Err(Some(Box::new(Val::String("no".into())))));
    assert_eq!(converter.lift(&[no]).unwrap().returned, Returned::PluginError(json!("no")));

    let mut converter = Converter::new("", "func() -> result");
    let ok = converter.lift(&[Val::Result(Ok(None))]).unwrap();
    assert_eq!((ok.returned, ok.bytes), (Returned::Output(json!(null)), 4));
    let err = converter.lift(&[Val::Result(Err(None))]).unwrap();
    assert_eq!(err.returned, Returned::PluginError(json!(null)));

    let mut converter = Converter::new("", "func()");
    assert_eq!(converter.lift(&[]).unwrap().returned, Returned::Output(json!(null)));
}

#[test]
fn what_json_cannot_say_is_refused() {
    let mut converter = Converter::new("", "func() -> list<f64>");
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let values = [Val::List(vec![Val::Float64(0.5), Val::Float64(float)])];
        let error = converter.lift(&values).unwrap_err();
        assert_eq!(error.code, Code::OutputInvalid);
        assert_eq!(error.to_string(), "[1]: NaN and the infinities have no form in JSON");
    }
    let mut converter = Converter::new("", "func() -> f32");
    assert!(converter.lift(&[Val::Float32(f32::NAN)]).is_err());
    // What wasmtime would never return is an error, not a panic.
    assert!(converter.lift(&[Val::U8(1)]).is_err());
    assert!(converter.lift(&[]).is_err());
}

#[test]
fn the_output_limit_is_the_length_of_the_json() {
    let mut converter = Converter::new("", "func() -> list<string>");
    let values = [Val::List(vec![Val::String("é\n".into()), Val::String("b".into())])];
    converter.output.output_bytes = u64::try_from(r#"["é\n","b"]"#.len()).unwrap();
    assert_eq!(converter.lift(&values).unwrap().bytes, converter.output.output_bytes);
    converter.output.output_bytes -= 1;
    let error = converter.lift(&values).unwrap_err();
    assert_eq!((error.code, error.limit), (Code::LimitOutput, Some(LimitKind::Output)));
}

#[test]
fn a_list_of_bytes_is_bounded_both_ways() {
    let mut converter = Converter::new("", "func(x: list<u8>) -> list<u8>");
    let fits = json!({ "x": "A".repeat(84) + "AA==" });
    let values = converter.lower(&fits).unwrap();
    assert!(matches!(&values[..], [Val::List(bytes)] if bytes.len() == 64));
    converter.lift(&values).unwrap();
    let too_long = [json!("A".repeat(84) + "AAA="), json!("A".repeat(100_000))];
    for text in too_long {
        let error = converter.lower(&json!({ "x": text })).unwrap_err();
        assert_eq!((error.code, error.limit), (Code::LimitList, Some(LimitKind::ListBytes)));
    }
    let error = converter.lift(&[Val::List(vec![Val::U8(0); 65])]).unwrap_err();
    assert_eq!((error.code, error.limit), (Code::LimitList, Some(LimitKind::ListBytes)));
}

#[test]
fn referenced_blobs_are_found_once_each_and_bounded() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let input = json!({ "x": [{ "blob": a }, { "y": { "blob": b } }], "z": { "blob": a } });
    assert_eq!(referenced_blobs(&input).unwrap(), [a, b]);
    assert!(referenced_blobs(&json!({ "x": { "blob": "a.txt" } })).unwrap().is_empty());
    let many: Vec<Value> = (0..=INPUT_BLOBS_MAX)
        .map(|index| json!({ "blob": Digest::of(&index.to_le_bytes()) }))
        .collect();
    assert!(referenced_blobs(&json!(many)).is_err());
}

#[test]
fn commands_take_arguments_and_standard_input() {
    let command =
        command_input(&json!({ "arguments": ["-v", "é"], "stdin": { "base64": "AP8=" } })).unwrap();
    assert_eq!(command.arguments, ["-v", "é"]);
    assert_eq!(command.stdin, [0, 255]);
    let empty = command_input(&json!({})).unwrap();
    assert!(empty.arguments.is_empty() && empty.stdin.is_empty());
    for wrong in [
        json!(null),
        json!({ "argument": [] }),
        json!({ "arguments": "x" }),
        json!({ "arguments": [1] }),
        json!({ "arguments": ["a\0b"] }),
        json!({ "stdin": { "base64": "!" } }),
    ] {
        assert_eq!(command_input(&wrong).unwrap_err().code, Code::InputInvalid, "{wrong}");
    }
    assert_eq!(command_output(0, b"hi".to_vec()), json!({ "exit_code": 0, "stdout": "hi" }));
    let bytes = json!({ "exit_code": 2, "stdout": { "base64": "/w==" } });
    assert_eq!(command_output(2, vec![255]), bytes);
}
