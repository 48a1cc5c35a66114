//! Random types: what is lowered comes back the same, and the schema takes exactly what
//! `lower` takes.

use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::{Map, Number};

use super::*;
use crate::{
    fixture::world,
    schema::{FunctionSchemas, SchemaBudget, function_schemas},
};

/// A WIT type.
#[derive(Debug, Clone)]
enum Shape {
    Primitive(&'static str),
    List(Box<Shape>),
    Array(Box<Shape>, u32),
    Pairs(Box<Shape>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Tuple(Vec<Shape>),
    Record(Vec<Shape>),
    Variant(Vec<Option<Shape>>),
    Enum(usize),
    Flags(usize),
}

const PRIMITIVES: [&str; 13] =
    ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"];

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        4 => prop::sample::select(PRIMITIVES.to_vec()).prop_map(Shape::Primitive),
        1 => (1_usize..5).prop_map(Shape::Enum),
        1 => (1_usize..5).prop_map(Shape::Flags),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Shape::List),
            (boxed(), 1_u32..4).prop_map(|(element, length)| Shape::Array(element, length)),
            boxed().prop_map(Shape::Pairs),
            boxed().prop_map(Shape::Option),
            (prop::option::of(boxed()), prop::option::of(boxed()))
                .prop_map(|(ok, err)| Shape::Result(ok, err)),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Record),
            prop::collection::vec(prop::option::of(inner.clone()), 1..4).prop_map(Shape::Variant),
        ]
    })
}

impl Shape {
    /// The type as WIT; named types go into `declared`.
    fn wit(&self, declared: &mut Vec<String>) -> String {
        let declare = |text: String, declared: &mut Vec<String>| {
            let name = format!("t-n{}", declared.len());
            let (kind, body) = text.split_once(' ').unwrap();
            declared.push(format!("{kind} {name} {body}"));
            name
        };
        match self {
            Self::Primitive(name) => (*name).to_owned(),
            Self::List(element) => format!("list<{}>", element.wit(declared)),
            Self::Array(element, length) => format!("list<{}, {length}>", element.wit(declared)),
            Self::Pairs(value) => format!("map<string, {}>", value.wit(declared)),
            Self::Option(inner) => format!("option<{}>", inner.wit(declared)),
            Self::Result(ok, err) => {
                let ok = ok.as_ref().map_or_else(|| "_".to_owned(), |ok| ok.wit(declared));
                match err {
                    Some(err) => format!("result<{ok}, {}>", err.wit(declared)),
                    None if ok == "_" => "result".to_owned(),
                    None => format!("result<{ok}>"),
                }
            }
            Self::Tuple(items) => {
                let items: Vec<_> = items.iter().map(|item| item.wit(declared)).collect();
                format!("tuple<{}>", items.join(", "))
            }
            Self::Record(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| format!("f-x{index}: {}", field.wit(declared)))
                    .collect();
                declare(format!("record {{ {} }}", fields.join(", ")), declared)
            }
            Self::Variant(cases) => {
                let cases: Vec<_> = cases
                    .iter()
                    .enumerate()
                    .map(|(index, case)| match case {
                        Some(case) => format!("c-x{index}({})", case.wit(declared)),
                        None => format!("c-x{index}"),
                    })
                    .collect();
                declare(format!("variant {{ {} }}", cases.join(", ")), declared)
            }
            Self::Enum(count) => declare(format!("enum {{ {} }}", names(*count)), declared),
            Self::Flags(count) => declare(format!("flags {{ {} }}", names(*count)), declared),
        }
    }

    /// A value of the type as `lift` writes it.
    fn value(&self, dice: &mut impl FnMut(usize) -> usize) -> Value {
        match self {
            Self::Primitive(name) => primitive(name, dice),
            Self::List(element) if matches!(**element, Self::Primitive("u8")) => {
                ["", "AA==", "aGk=", "aGkh"][dice(4)].into()
            }
            Self::List(element) => (0..dice(3)).map(|_| element.value(dice)).collect(),
            Self::Array(element, length) => (0..*length).map(|_| element.value(dice)).collect(),
            Self::Pairs(value) => {
                (0..dice(3)).map(|key| json!([format!("k{key}"), value.value(dice)])).collect()
            }
            Self::Option(_) if dice(3) == 0 => Value::Null,
            Self::Option(inner) if matches!(**inner, Self::Option(_)) => {
                json!({ "some": inner.value(dice) })
            }
            Self::Option(inner) => inner.value(dice),
            Self::Result(ok, err) => {
                let (key, inner) = if dice(2) == 0 { ("ok", ok) } else { ("err", err) };
                let inner = inner.as_ref().map_or(Value::Null, |inner| inner.value(dice));
                Value::Object(Map::from_iter([(key.to_owned(), inner)]))
            }
            Self::Tuple(items) => items.iter().map(|item| item.value(dice)).collect(),
            Self::Record(fields) => fields
                .iter()
                .enumerate()
                .map(|(index, field)| (format!("f_x{index}"), field.value(dice)))
                .collect::<Map<_, _>>()
                .into(),
            Self::Variant(cases) => {
                let index = dice(cases.len());
                match &cases[index] {
                    Some(case) => {
                        json!({ "tag": format!("c-x{index}"), "value": case.value(dice) })
                    }
                    None => json!({ "tag": format!("c-x{index}") }),
                }
            }
            Self::Enum(count) => format!("n{}xx", dice(*count)).into(),
            Self::Flags(count) => (0..*count)
                .filter(|_| dice(2) == 0)
                .map(|index| Value::from(format!("n{index}xx")))
                .collect(),
        }
    }
}

fn names(count: usize) -> String {
    let names: Vec<_> = (0..count).map(|index| format!("n{index}xx")).collect();
    names.join(", ")
}

fn primitive(name: &str, dice: &mut impl FnMut(usize) -> usize) -> Value {
    let float = |value: f64| Value::Number(Number::from_f64(value).unwrap());
    let rows: [Value; 3] = match name {
        "bool" => [true.into(), false.into(), true.into()],
        "s8" => [(-128).into(), 0.into(), 127.into()],
        "u16" => [0.into(), 1.into(), 65_535.into()],
        "s16" => [(-32_768).into(), 0.into(), 32_767.into()],
        "u32" => [0.into(), 1.into(), u32::MAX.into()],
        "s32" => [i32::MIN.into(), 0.into(), i32::MAX.into()],
        "u64" => [0.into(), SAFE_INTEGER_MAX.into(), "9007199254740992".into()],
        "s64" => [0.into(), "-9007199254740992".into(), "9223372036854775807".into()],
        "f32" => [float(0.1), float(-1.5), float(3.402_823_5e38)],
        "f64" => [float(0.1), float(-2.0), float(1e300)],
        "char" => ["a".into(), "é".into(), "🎉".into()],
        "string" => ["".into(), "two words".into(), "\u{1}\"".into()],
        _ => [0.into(), 1.into(), 255.into()],
    };
    rows[dice(3)].clone()
}

/// Replaces one value somewhere inside, or removes it, or adds a key next to it.
fn spoil(value: &mut Value, dice: &mut impl FnMut(usize) -> usize) {
    let inside = match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    };
    if inside > 0 && dice(4) > 0 {
        let index = dice(inside);
        match value {
            Value::Array(items) if dice(8) == 0 => drop(items.remove(index)),
            Value::Array(items) => spoil(&mut items[index], dice),
            Value::Object(members) => {
                let key = members.keys().nth(index).unwrap().clone();
                if dice(8) == 0 {
                    members.shift_remove(&key);
                } else {
                    spoil(members.get_mut(&key).unwrap(), dice);
                }
            }
            _ => {}
        }
        return;
    }
    if let Value::Object(members) = value
        && dice(2) == 0
    {
        members.insert("extra".to_owned(), Value::Null);
        return;
    }
    let junk = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(300),
        json!(5e9),
        json!("AAAA"),
        json!("n0xx"),
        json!([]),
        json!({}),
        json!({ "tag": "c-x0" }),
        json!({ "ok": null }),
        json!({ "some": 1 }),
        json!([1]),
        json!(["kkkk", 1]),
    ];
    *value = junk[dice(junk.len())].clone();
}

fn schemas(declared: &str, uses: &str, ty: &str) -> FunctionSchemas {
    let wit = format!(
        "package a:b; interface types {{ {declared} }}
         world test {{ {uses} export f: func(x: {ty}) -> {ty}; }}"
    );
    let (resolve, world) = world(&wit, "test");
    let function = resolve.worlds[world].exports.values().find_map(|item| match item {
        wit_parser::WorldItem::Function(function) => Some(function),
        _ => None,
    });
    let nothing = std::collections::BTreeMap::new();
    function_schemas(&resolve, function.unwrap(), &nothing, &mut SchemaBudget::new()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_and_the_schema_agrees(
        shape in shapes(),
        seed in 1_u64..u64::MAX,
    ) {
        let mut declared = Vec::new();
        let ty = shape.wit(&mut declared);
        let names: Vec<String> = (0..declared.len()).map(|index| format!("t-n{index}")).collect();
        let uses = if names.is_empty() { String::new() } else { format!("use types.{{{}}};", names.join(", ")) };
        let declared = declared.join(" ");
        let mut converter = Converter::new(&declared, &format!("func(x: {ty}) -> {ty}"));
        let schemas = schemas(&declared, &uses, &ty);
        let input_schema = jsonschema::validator_for(&schemas.input).unwrap();
        let output_schema = jsonschema::validator_for(&schemas.output).unwrap();
        let mut state = seed;
        let mut dice = |sides: usize| {
            // Knuth's linear congruential generator: small, and the same in every run of a seed.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % sides
        };
        for _ in 0..24 {
            let value = shape.value(&mut dice);
            let mut input = json!({ "x": value });
            prop_assert!(input_schema.is_valid(&input), "schema refuses {input}: {}", schemas.input);
            let values = converter.lower(&input).unwrap();
            let lifted = converter.lift(&values).unwrap();
            prop_assert_eq!(lifted.bytes, u64::try_from(returned(&lifted.returned).to_string().len()).unwrap());
            if let Shape::Result(..) = shape {
                // Its own result is unwrapped; inside other types it is compared above.
            } else {
                prop_assert_eq!(&lifted.returned, &Returned::Output(value.clone()));
                prop_assert!(output_schema.is_valid(&value), "{value}: {}", schemas.output);
            }
            spoil(&mut input, &mut dice);
            let takes = converter.lower(&input);
            prop_assert_eq!(
                input_schema.is_valid(&input), takes.is_ok(),
                "{} {:?} {}", input, takes, schemas.input
            );
        }
    }
}

fn returned(returned: &Returned) -> &Value {
    match returned {
        Returned::Output(value) | Returned::PluginError(value) => value,
    }
}
