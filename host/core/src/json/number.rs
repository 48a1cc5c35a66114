//! Numbers of WIT in JSON: which are accepted, and how they are written, for every way in which values
//! of WIT go.

use serde_json::{Number, Value};

/// Largest whole number that every JSON reader keeps exactly: 2^53 − 1.
pub const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;
/// Characters of the longest 64-bit integer, its sign included.
const DIGITS_MAX: usize = 20;

/// The whole number that a JSON value means. A number with a fraction of zero (`1.0`) is whole.
#[must_use]
pub fn integer(value: &Value) -> Option<i128> {
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
#[must_use]
pub fn integer_or_digits(value: &Value) -> Option<i128> {
    let Some(text) = value.as_str() else { return integer(value) };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    (plain && text.len() <= DIGITS_MAX && text != "-0").then(|| text.parse().ok()).flatten()
}

/// A fraction rounded to 32 bits, unless it is beyond them.
#[must_use]
pub fn float32(value: &Value) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what f32 means")]
    let narrow = value.as_f64()? as f32;
    narrow.is_finite().then_some(narrow)
}

/// A 64-bit integer as a number where every JSON reader keeps it, else as text.
#[must_use]
pub fn wide(value: i128) -> Value {
    match (i64::try_from(value), value.unsigned_abs() <= u128::from(SAFE_INTEGER_MAX)) {
        (Ok(narrow), true) => Value::from(narrow),
        _ => Value::String(value.to_string()),
    }
}

/// A fraction, unless it is NaN or an infinity: those have no form in JSON.
#[must_use]
pub fn fraction(value: f64) -> Option<Value> {
    Number::from_f64(value).map(Value::Number)
}

/// A fraction of 32 bits with as few digits as tell it from its neighbours: 0.1, not
/// 0.10000000149011612.
#[must_use]
pub fn fraction32(value: f32) -> Option<Value> {
    let short = format!("{value:?}").parse::<f64>().ok();
    #[expect(clippy::cast_possible_truncation, reason = "compared with the value it came from")]
    let same = short.filter(|short| (*short as f32).to_bits() == value.to_bits());
    fraction(same.unwrap_or_else(|| f64::from(value)))
}
