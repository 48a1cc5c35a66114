//! JSON numbers as those of WIT.

use meshhost_core::json::number::{float32, integer, integer_or_digits};
use serde_json::Value;
use wasmtime::component::{Type, Val};

/// A number of a numeric type, or `None` when the value does not fit.
pub(super) fn lower(ty: &Type, value: &Value) -> Option<Val> {
    Some(match ty {
        Type::S8 => Val::S8(i8::try_from(integer(value)?).ok()?),
        Type::U8 => Val::U8(u8::try_from(integer(value)?).ok()?),
        Type::S16 => Val::S16(i16::try_from(integer(value)?).ok()?),
        Type::U16 => Val::U16(u16::try_from(integer(value)?).ok()?),
        Type::S32 => Val::S32(i32::try_from(integer(value)?).ok()?),
        Type::U32 => Val::U32(u32::try_from(integer(value)?).ok()?),
        Type::S64 => Val::S64(i64::try_from(integer_or_digits(value)?).ok()?),
        Type::U64 => Val::U64(u64::try_from(integer_or_digits(value)?).ok()?),
        Type::Float32 => Val::Float32(float32(value)?),
        Type::Float64 => Val::Float64(value.as_f64().filter(|float| float.is_finite())?),
        _ => return None,
    })
}
