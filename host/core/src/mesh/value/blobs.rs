//! The blobs that a value holds. Only where the type has a blob is `{"blob": "blake3:…"}` one: in the
//! fields of a record, or in what a plugin takes for text, it is whatever its writer liked to write.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    FunctionType, Member, Type,
    encode::{only_member, take},
    output_type,
};
use crate::{function_type::Plain, id::Digest};

/// The blobs in the input of a call: where its type has a blob or a list of bytes. What does not fit the
/// type has none. No more than the input has values.
#[must_use]
pub fn input_blobs(function: &FunctionType, input: &Value) -> BTreeSet<Digest> {
    let mut blobs = BTreeSet::new();
    in_members(function.parameters(), input, &mut blobs);
    blobs
}

/// The blobs in the output of a call; as [`input_blobs`].
#[must_use]
pub fn output_blobs(function: &FunctionType, output: &Value) -> BTreeSet<Digest> {
    let mut blobs = BTreeSet::new();
    if let Some(ty) = output_type(function) {
        in_value(ty, output, &mut blobs);
    }
    blobs
}

/// Recursion is bounded by the depth of the type.
fn in_value(ty: &Type, value: &Value, blobs: &mut BTreeSet<Digest>) {
    match ty {
        Type::List(item) if matches!(**item, Type::Plain(Plain::U8)) => at(value, blobs),
        Type::Handle { .. } if ty.is_blob() => at(value, blobs),
        Type::Plain(_) | Type::Enum(_) | Type::Flags(_) | Type::Handle { .. } => {}
        Type::Record(members) => in_members(members, value, blobs),
        Type::Variant(cases) => {
            let tag = value.get("tag").and_then(Value::as_str);
            let case = cases.iter().find(|case| Some(case.name.as_str()) == tag);
            in_part(case.and_then(|case| case.ty.as_ref()), value.get("value"), blobs);
        }
        Type::Tuple(types) => {
            types.iter().zip(items(value)).for_each(|(ty, item)| in_value(ty, item, blobs));
        }
        Type::Option(inner) if matches!(**inner, Type::Option(_)) => {
            in_part(Some(inner), value.get("some"), blobs);
        }
        Type::Option(inner) => in_value(inner, value, blobs),
        Type::Result { ok, err } => {
            in_part(ok.as_deref(), value.get("ok"), blobs);
            in_part(err.as_deref(), value.get("err"), blobs);
        }
        Type::List(item) | Type::FixedLengthList(item, _) => in_items(item, value, blobs),
        Type::Map(key_type, value_type) => {
            for pair in items(value) {
                let both = [&**key_type, &**value_type].into_iter().zip(items(pair));
                both.for_each(|(ty, part)| in_value(ty, part, blobs));
            }
        }
        Type::Future(inner) => in_part(inner.as_deref(), Some(value), blobs),
        Type::Stream(inner) => {
            if let Some(item) = inner.as_deref() {
                in_items(item, value, blobs);
            }
        }
    }
}

fn in_part(ty: Option<&Type>, value: Option<&Value>, blobs: &mut BTreeSet<Digest>) {
    if let (Some(ty), Some(value)) = (ty, value) {
        in_value(ty, value, blobs);
    }
}

fn in_items(ty: &Type, value: &Value, blobs: &mut BTreeSet<Digest>) {
    items(value).for_each(|item| in_value(ty, item, blobs));
}

fn in_members(members: &[Member], value: &Value, blobs: &mut BTreeSet<Digest>) {
    let Some(object) = value.as_object() else { return };
    for member in members {
        // A member that stands there twice, with `-` and with `_`, is refused where the call runs.
        if let Ok(Some(value)) = take(object, &member.name) {
            in_value(&member.ty, value, blobs);
        }
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The blob at a place that has one; bytes that stand there themselves are none.
fn at(value: &Value, blobs: &mut BTreeSet<Digest>) {
    if let Some(("blob", Value::String(digest))) = only_member(value) {
        blobs.extend(digest.parse::<Digest>());
    }
}
