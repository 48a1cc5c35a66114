//! Integers and floats between JSON and WIT.

use serde_json::{Number, Value};
use wasmtime::component::{Type, Val};

use super::SAFE_INTEGER_MAX;

/// Decimal digits of the longest 64-bit integer, with its sign.
const DIGITS_MAX: usize = 20;

/// The whole number that a JSON value means. A number with a fraction of zero (`1.0`) is whole,
/// as JSON Schema sees it too.
fn integer(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    if let Some(whole) = number.as_i128() {
        return Some(whole);
    }
    let float = number.as_f64()?;
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact in 64 bits")]
    let exact = float.fract() == 0.0 && float.abs() <= SAFE_INTEGER_MAX as f64;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
    exact.then_some(float as i128)
}

/// The same, with decimal digits as text accepted: for 64-bit types.
fn integer_or_digits(value: &Value) -> Option<i128> {
    let Some(text) = value.as_str() else { return integer(value) };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    (plain && text.len() <= DIGITS_MAX && text != "-0").then(|| text.parse().ok()).flatten()
}

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
        Type::Float32 => {
            #[expect(clippy::cast_possible_truncation, reason = "rounding is what f32 means")]
            let narrow = value.as_f64()? as f32;
            Val::Float32(narrow.is_finite().then_some(narrow)?)
        }
        Type::Float64 => Val::Float64(value.as_f64().filter(|float| float.is_finite())?),
        _ => return None,
    })
}

/// A 64-bit integer as a number where every JSON reader keeps it, else as text.
pub(super) fn lift_wide(value: i128) -> Value {
    match (i64::try_from(value), value.unsigned_abs() <= u128::from(SAFE_INTEGER_MAX)) {
        (Ok(narrow), true) => Value::from(narrow),
        _ => Value::String(value.to_string()),
    }
}

/// A float, unless JSON has no form for it.
pub(super) fn lift_float(value: f64) -> Option<Value> {
    Number::from_f64(value).map(Value::Number)
}

/// A 32-bit float with as few digits as tell it from its neighbours: 0.1, not
/// 0.10000000149011612.
pub(super) fn lift_float32(value: f32) -> Option<Value> {
    let wide = f64::from(value);
    let short = format!("{value:?}").parse::<f64>().ok();
    #[expect(clippy::cast_possible_truncation, reason = "compared with the value it came from")]
    let same = short.filter(|short| (*short as f32).to_bits() == value.to_bits());
    lift_float(same.unwrap_or(wide))
}
