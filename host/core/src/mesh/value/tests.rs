//! Values and their bytes.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    function_type::{Plain, tests::any_function},
    id::Digest,
    json::number,
};

/// The form of an argument `a` of this type, in hexadecimal.
fn written(ty: &str, value: &Value) -> Result<String, ValueError> {
    let function: FunctionType = format!("func(a: {ty}, )").parse().unwrap();
    let bytes = encode_input(&function, &json!({ "a": value }))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What an argument `a` of this type is, from its bytes.
fn read(ty: &str, bytes: &[u8]) -> Result<Value, ValueError> {
    let function: FunctionType = format!("func(a: {ty}, )").parse().unwrap();
    let mut input = decode_input(&function, bytes, Bounds::CALL)?;
    Ok(input["a"].take())
}

/// The table of `docs/wire.md`: it never changes.
#[test]
fn every_kind_of_value_is_written_as_it_always_was() {
    let digest = "blake3:".to_owned() + &"ab".repeat(32);
    let by_digest = "00".to_owned() + &"ab".repeat(32);
    let blob = json!({ "blob": digest });
    for (ty, value, bytes) in [
        ("bool", json!(true), "01"),
        ("u8", json!(255), "ff"),
        ("s8", json!(-1), "ff"),
        ("u16", json!(300), "ac02"),
        ("u32", json!(127), "7f"),
        ("u64", json!("18446744073709551615"), "ffffffffffffffffff01"),
        ("s16", json!(-1), "01"),
        ("s32", json!(1), "02"),
        ("s64", json!("-9223372036854775808"), "ffffffffffffffffff01"),
        ("f32", json!(1.5), "0000c03f"),
        ("f64", json!(-0.0), "0000000000000080"),
        ("char", json!("é"), "e901"),
        ("string", json!("hé"), "0368c3a9"),
        ("record{x: u8, y-z: option<u8, >, }", json!({ "x": 1, "y_z": null }), "0100"),
        ("variant{a, b: u8, }", json!({ "tag": "b", "value": 7 }), "0107"),
        ("variant{a, b: u8, }", json!({ "tag": "a" }), "00"),
        ("enum{a, b-c, }", json!("b-c"), "01"),
        ("flags{a, b, c, d, e, f, g, h, i, }", json!(["a", "i"]), "0101"),
        ("tuple<u8, bool, >", json!([1, false]), "0100"),
        ("option<u8, >", json!(5), "0105"),
        ("option<option<u8, >, >", json!({ "some": null }), "0100"),
        ("option<option<u8, >, >", json!(null), "00"),
        ("result<u8, _, >", json!({ "ok": 1 }), "0001"),
        ("result<u8, _, >", json!({ "err": null }), "01"),
        ("list<u16, >", json!([1, 300]), "0201ac02"),
        ("list<u8, >", json!("AQID"), "04010203"),
        ("list<u8, >", json!(""), "01"),
        ("list<u8, >", blob.clone(), &by_digest),
        ("list2<u8, >", json!([1, 2]), "0102"),
        ("map<string, bool, >", json!([["k", true]]), "01016b01"),
        ("borrow<meshhost:blob/types@0.1.0.blob>", blob, &by_digest),
        ("own<meshhost:blob/types@0.1.0.blob>", json!("AQ=="), "0201"),
    ] {
        assert_eq!(written(ty, &value).as_deref(), Ok(bytes), "{ty} {value}");
        let raw: Vec<u8> = (0..bytes.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(read(ty, &raw), Ok(value), "{ty} {bytes}");
        assert!(read(ty, &[raw.as_slice(), &[0]].concat()).is_err(), "{ty} with a byte too many");
        for end in 0..raw.len() {
            assert!(read(ty, &raw[..end]).is_err(), "{ty} cut at {end}");
        }
    }
}

/// What the mapping also accepts has the same bytes as its own form.
#[test]
fn json_may_be_written_in_more_ways_than_one() {
    for (ty, value, same) in [
        ("u8", json!(1.0), json!(1)),
        ("u64", json!("5"), json!(5)),
        ("f64", json!(3), json!(3.0)),
        ("f32", json!(0.100_000_001), json!(0.1)),
        ("record{a-b: u8, c: option<u8, >, }", json!({ "a-b": 1 }), json!({ "a_b": 1, "c": null })),
        ("variant{a: option<u8, >, }", json!({ "tag": "a" }), json!({ "tag": "a", "value": null })),
        ("flags{a, b, }", json!(["b", "a"]), json!(["a", "b"])),
        ("list<u8, >", json!("AQ"), json!("AQ==")),
    ] {
        assert_eq!(written(ty, &value), written(ty, &same), "{ty} {value}");
        assert!(written(ty, &value).is_ok(), "{ty} {value}");
    }
}

#[test]
fn what_is_not_of_the_type_has_no_bytes() {
    for (ty, value) in [
        ("bool", json!(1)),
        ("u8", json!(256)),
        ("u8", json!("1")),
        ("s8", json!(128)),
        ("u32", json!(1.5)),
        ("u64", json!("01")),
        ("u64", json!("-0")),
        ("u64", json!(-1)),
        ("s64", json!("9223372036854775808")),
        ("f32", json!(1e39)),
        ("f64", json!("1")),
        ("char", json!("ab")),
        ("char", json!("")),
        ("string", json!(null)),
        ("record{a: u8, }", json!({})),
        ("record{a: u8, }", json!({ "a": 1, "b": 1 })),
        ("record{a-b: option<u8, >, }", json!({ "a-b": 1, "a_b": 1 })),
        ("variant{a, b: u8, }", json!({ "tag": "c" })),
        ("variant{a, b: u8, }", json!({ "tag": "a", "value": 1 })),
        ("variant{a, b: u8, }", json!({ "tag": "b" })),
        ("variant{a, b: u8, }", json!("a")),
        ("enum{a-b, }", json!("a_b")),
        ("flags{a, }", json!(["a", "a"])),
        ("flags{a, }", json!(["b"])),
        ("tuple<u8, >", json!([1, 2])),
        ("option<option<u8, >, >", json!(1)),
        ("result<u8, _, >", json!({ "ok": 1, "err": null })),
        ("result<u8, _, >", json!({ "err": 1 })),
        ("list<u8, >", json!([1, 2])),
        ("list<u8, >", json!("?")),
        ("list<u8, >", json!({ "blob": "blake3:12" })),
        ("list2<u8, >", json!([1])),
        ("map<u8, u8, >", json!([[1]])),
    ] {
        assert_eq!(written(ty, &value), Err(ValueError::Mismatch), "{ty} {value}");
    }
    for ty in ["stream<u8, >", "future<_, >", "own<a:b/i.r>", "error-context"] {
        assert_eq!(written(ty, &json!(null)), Err(ValueError::Type), "{ty}");
        assert_eq!(read(ty, &[0]), Err(ValueError::Type), "{ty}");
    }
}

#[test]
fn bytes_have_one_form() {
    for (ty, bytes) in [
        ("bool", vec![2]),
        ("u16", vec![0x80, 0]),
        ("u16", vec![0xff, 0xff, 0x07]),
        ("u64", vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
        ("u64", vec![0x80; 11]),
        ("f32", f32::NAN.to_le_bytes().to_vec()),
        ("f64", f64::INFINITY.to_le_bytes().to_vec()),
        ("char", vec![0x80, 0xb0, 0x03]),
        ("string", vec![1, 0xff]),
        ("string", vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("enum{a, }", vec![1]),
        ("variant{a, }", vec![1]),
        ("flags{a, b, }", vec![4]),
        ("option<u8, >", vec![2, 0]),
        ("result<u8, u8, >", vec![2, 0]),
    ] {
        assert_eq!(read(ty, &bytes), Err(ValueError::Form), "{ty} {bytes:02x?}");
    }
}

#[test]
fn few_bytes_do_not_become_a_large_value() {
    let many = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(read("list<record{}, >", &many), Err(ValueError::Large));
    assert_eq!(read("list<tuple<>, >", &many), Err(ValueError::Large));
    assert_eq!(read("map<record{}, record{}, >", &many), Err(ValueError::Large));
    assert_eq!(read("list4294967295<record{}, >", &[]), Err(ValueError::Large));
    let name = "a".repeat(100_000);
    let long = format!("list<record{{{name}: bool, }}, >");
    assert_eq!(read(&long, &[&[100], [1; 100].as_slice()].concat()), Err(ValueError::Large));
    let (open, close) = ("tuple<".repeat(70), ", >".repeat(70));
    assert_eq!(read(&format!("{open}u8{close}"), &[1]), Err(ValueError::Large), "too deep");
    let names: String = (0..=NAMES_MAX).map(|number| format!("n{number}, ")).collect();
    for kind in ["enum", "flags", "variant"] {
        let ty = format!("{kind}{{{names}}}");
        assert_eq!(read(&ty, &[0; 200]), Err(ValueError::Type), "{kind}");
    }
    assert_eq!(written(&format!("enum{{{names}}}"), &json!("n0")), Err(ValueError::Type));
    let text = json!("a".repeat(BODY_BYTES_MAX));
    assert_eq!(written("string", &text), Err(ValueError::Large));
}

#[test]
fn an_output_is_what_comes_with_ok() {
    let function = |text: &str| text.parse::<FunctionType>().unwrap();
    for (text, output, bytes) in [
        ("func()", json!(null), vec![]),
        ("func() -> u8", json!(7), vec![7]),
        ("func() -> result<u8, string, >", json!(7), vec![7]),
        ("func() -> result<_, string, >", json!(null), vec![]),
        ("func() -> option<u8, >", json!(null), vec![0]),
    ] {
        let function = function(text);
        assert_eq!(encode_output(&function, &output), Ok(bytes.clone()), "{text}");
        assert_eq!(decode_output(&function, &bytes, Bounds::CALL), Ok(output), "{text}");
        let longer = [bytes, vec![1, 1]].concat();
        assert!(decode_output(&function, &longer, Bounds::CALL).is_err(), "{text}");
    }
    assert_eq!(encode_output(&function("func()"), &json!(1)), Err(ValueError::Mismatch));
}

/// Makes a value of a type from dice, in the form in which it is read.
struct Dice(Vec<u64>);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0.pop().unwrap_or(0)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll()).unwrap() % bound.max(1)
    }

    fn plain(&mut self, plain: Plain) -> Value {
        let number = self.roll();
        let [byte, low, third, fourth, ..] = number.to_le_bytes();
        let wide = u32::from_le_bytes([byte, low, third, fourth]);
        match plain {
            Plain::Bool => (byte % 2 == 0).into(),
            Plain::U8 => byte.into(),
            Plain::S8 => byte.cast_signed().into(),
            Plain::U16 => u16::from_le_bytes([byte, low]).into(),
            Plain::S16 => i16::from_le_bytes([byte, low]).into(),
            Plain::U32 => wide.into(),
            Plain::S32 => wide.cast_signed().into(),
            Plain::U64 => number::wide(number.into()),
            Plain::S64 => number::wide(number.cast_signed().into()),
            Plain::F32 => number::fraction32(f32::from_bits(wide)).unwrap_or_else(|| json!(0.0)),
            Plain::F64 => number::fraction(f64::from_bits(number)).unwrap_or_else(|| json!(0.0)),
            Plain::Char => char::from_u32(wide >> 11).unwrap_or('x').to_string().into(),
            Plain::String => {
                "é\u{0}x".chars().take(usize::from(byte % 4)).collect::<String>().into()
            }
            Plain::ErrorContext => Value::Null,
        }
    }

    fn value(&mut self, ty: &Type) -> Value {
        match ty {
            Type::Plain(plain) => self.plain(*plain),
            Type::Record(members) => {
                let members = members.iter();
                members.map(|m| (m.name.replace('-', "_"), self.value(&m.ty))).collect()
            }
            Type::Variant(cases) => {
                let case = &cases[self.below(cases.len())];
                match &case.ty {
                    Some(ty) => json!({ "tag": case.name, "value": self.value(ty) }),
                    None => json!({ "tag": case.name }),
                }
            }
            Type::Enum(names) => names[self.below(names.len())].as_str().into(),
            Type::Flags(names) => {
                let bits = self.roll();
                let set = names.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
                set.map(|(_, name)| name.as_str()).collect()
            }
            Type::Tuple(types) => types.iter().map(|ty| self.value(ty)).collect(),
            Type::Option(_) if self.below(2) == 0 => Value::Null,
            Type::Option(ty) if matches!(**ty, Type::Option(_)) => {
                json!({ "some": self.value(ty) })
            }
            Type::Option(ty) => self.value(ty),
            Type::Result { ok, err } => {
                let (key, ty) = if self.below(2) == 0 { ("ok", ok) } else { ("err", err) };
                json!({ key: ty.as_ref().map(|ty| self.value(ty)) })
            }
            Type::List(ty) if **ty == Type::Plain(Plain::U8) => self.contents(),
            Type::List(ty) => (0..self.below(4)).map(|_| self.value(ty)).collect(),
            Type::FixedLengthList(ty, length) => (0..*length).map(|_| self.value(ty)).collect(),
            Type::Map(key, value) => {
                (0..self.below(3)).map(|_| json!([self.value(key), self.value(value)])).collect()
            }
            _ => self.contents(),
        }
    }

    fn contents(&mut self) -> Value {
        match self.below(3) {
            0 => json!({ "blob": crate::id::Digest::of(&[1]) }),
            1 => json!(""),
            _ => json!("AAEC/w=="),
        }
    }
}

proptest! {
    #[test]
    fn any_value_of_any_type_comes_back(
        function in any_function(),
        dice in prop::collection::vec(any::<u64>(), 64),
    ) {
        let mut dice = Dice(dice);
        let members = function.parameters().iter();
        let input: Value = members.map(|m| (m.name.replace('-', "_"), dice.value(&m.ty))).collect();
        let bytes = encode_input(&function, &input).unwrap();
        prop_assert_eq!(decode_input(&function, &bytes, Bounds::CALL), Ok(input));
        let output = output_type(&function).map_or(Value::Null, |ty| dice.value(ty));
        let bytes = encode_output(&function, &output).unwrap();
        prop_assert_eq!(decode_output(&function, &bytes, Bounds::CALL), Ok(output));
    }

    #[test]
    fn any_bytes_are_no_value_or_the_bytes_of_one(
        function in any_function(),
        bytes in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..80),
    ) {
        for end in 0..bytes.len() {
            let bytes = &bytes[..end];
            if let Ok(input) = decode_input(&function, bytes, Bounds::CALL) {
                prop_assert_eq!(encode_input(&function, &input), Ok(bytes.to_vec()));
            }
            if let Ok(output) = decode_output(&function, bytes, Bounds::CALL) {
                prop_assert_eq!(encode_output(&function, &output), Ok(bytes.to_vec()));
            }
        }
    }
}

/// Two blobs that a function with an argument `a` of this type, or that returns it, would be given.
fn blobs(ty: &str, value: &Value) -> usize {
    let function: FunctionType =
        format!("func(a: {ty}, ) -> result<{ty}, string, >").parse().unwrap();
    let named = input_blobs(&function, &json!({ "a": value }));
    assert_eq!(named, output_blobs(&function, value), "{ty}");
    named.len()
}

#[test]
fn a_blob_is_one_where_the_type_has_it_and_nowhere_else() {
    const HANDLE: &str = "own<meshhost:blob/types@0.1.0.blob>";
    let blob = json!({ "blob": Digest::of(b"one") });
    let other = json!({ "blob": Digest::of(b"other") });
    let handle = |before: &str, after: &str| format!("{before}{HANDLE}{after}");
    for (ty, value, count) in [
        (HANDLE.to_owned(), blob.clone(), 1),
        ("list<u8, >".to_owned(), blob.clone(), 1),
        (handle("record{x-y: ", ", }"), json!({ "x_y": blob }), 1),
        (handle("variant{b: ", ", }"), json!({ "tag": "b", "value": blob }), 1),
        (handle("tuple<string, ", ", >"), json!(["x", blob]), 1),
        (handle("option<", ", >"), blob.clone(), 1),
        (handle("option<option<", ", >, >"), json!({ "some": blob }), 1),
        (handle("result<", ", _, >"), json!({ "ok": blob }), 1),
        (handle("list<", ", >"), json!([blob, other, blob]), 2),
        (handle("list2<", ", >"), json!([blob, other]), 2),
        (handle("map<string, ", ", >"), json!([["x", blob], ["y", other]]), 2),
        (handle("future<", ", >"), blob.clone(), 1),
        (handle("stream<", ", >"), json!([blob, other]), 2),
        // Text that looks like one.
        ("record{blob: string, }".to_owned(), blob.clone(), 0),
        ("option<record{blob: string, }, >".to_owned(), blob.clone(), 0),
        ("list<record{blob: option<string, >, }, >".to_owned(), json!([blob]), 0),
        ("own<other:resource/types@0.1.0.blob>".to_owned(), blob.clone(), 0),
        (
            handle("variant{b: ", ", c: record{blob: string, }, }"),
            json!({ "tag": "c", "value": blob }),
            0,
        ),
        // What is not of the type.
        (HANDLE.to_owned(), json!([blob]), 0),
        (HANDLE.to_owned(), json!({ "blob": "blake3:12" }), 0),
        (HANDLE.to_owned(), json!({ "blob": Digest::of(b"one"), "x": 1 }), 0),
        (handle("record{x: ", ", }"), json!([blob]), 0),
    ] {
        assert_eq!(blobs(&ty, &value), count, "{ty} {value}");
    }
}
