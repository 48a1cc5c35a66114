//! Random WIT types, and values of them as [`crate::convert::lift`] writes them.

use serde_json::{Map, Number, Value, json};

use crate::convert::SAFE_INTEGER_MAX;

/// A WIT type.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
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

/// The types without parts.
pub(crate) const PRIMITIVES: [&str; 13] =
    ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"];

impl Shape {
    /// A type as the dice fall, with at most `depth` types inside each other. Dice that always
    /// say 0 give the smallest.
    pub(crate) fn random(depth: usize, dice: &mut impl FnMut(usize) -> usize) -> Self {
        let kind = dice(if depth == 0 { 3 } else { 11 });
        let inner = |dice: &mut _| Self::random(depth.saturating_sub(1), dice);
        let boxed = |dice: &mut _| Box::new(Self::random(depth.saturating_sub(1), dice));
        match kind {
            1 => Self::Enum(1 + dice(4)),
            2 => Self::Flags(1 + dice(4)),
            3 => Self::List(boxed(dice)),
            4 => Self::Array(boxed(dice), 1 + u32::try_from(dice(3)).unwrap()),
            5 => Self::Pairs(boxed(dice)),
            6 => Self::Option(boxed(dice)),
            7 => {
                let mut part = || (dice(2) > 0).then(|| boxed(dice));
                Self::Result(part(), part())
            }
            8 => Self::Tuple((0..1 + dice(3)).map(|_| inner(dice)).collect()),
            9 => Self::Record((0..1 + dice(3)).map(|_| inner(dice)).collect()),
            10 => {
                let mut case = |_| (dice(2) > 0).then(|| inner(dice));
                Self::Variant((0..3).map(&mut case).collect())
            }
            _ => Self::Primitive(PRIMITIVES[dice(PRIMITIVES.len())]),
        }
    }

    /// The type as WIT; named types go into `declared`.
    pub(crate) fn wit(&self, declared: &mut Vec<String>) -> String {
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
    pub(crate) fn value(&self, dice: &mut impl FnMut(usize) -> usize) -> Value {
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
pub(crate) fn spoil(value: &mut Value, dice: &mut impl FnMut(usize) -> usize) {
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
