//! The one spelling of a JSON value under which it is hashed and signed: `chp-stable-v1`, which
//! is what Python's `json.dumps(value, sort_keys=True)` writes. Keys sorted by code point,
//! `", "` and `": "` between parts, ASCII only with lower-case `\uXXXX` and surrogate pairs,
//! integers bare, fractions refused (their spelling differs between languages).

use serde_json::{Map, Value};

use super::hash::Hash;

/// Deeper values are refused, so that writing cannot exhaust the stack.
pub const DEPTH_MAX: usize = 128;

/// Why a value has no canonical text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number is not an integer.
    #[error("a fraction has no canonical spelling; write it as a string")]
    Fraction,
    /// The value is nested deeper than [`DEPTH_MAX`].
    #[error("the value is nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

/// What becomes of fractions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fractions {
    Refused,
    Kept,
}

/// The canonical text of `value`.
///
/// # Errors
/// [`CanonicalError`] when the value holds a fraction or is too deep.
pub fn to_string(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::with_capacity(256);
    write_value(value, Fractions::Refused, 0, &mut out)?;
    Ok(out)
}

/// Appends the canonical text of `value` to `out`.
///
/// # Errors
/// As [`to_string`]; `out` then ends with a part of the text.
pub fn write(value: &Value, out: &mut String) -> Result<(), CanonicalError> {
    write_value(value, Fractions::Refused, 0, out)
}

/// The SHA-256 of the canonical text of `value`.
///
/// # Errors
/// As [`to_string`].
pub fn hash(value: &Value) -> Result<Hash, CanonicalError> {
    Ok(Hash::of(to_string(value)?.as_bytes()))
}

/// The text of a call's input or output under a commitment: canonical, but a fraction stands in
/// its shortest decimal form, because callers may send fractions. Nothing stores or signs it.
///
/// # Errors
/// [`CanonicalError::TooDeep`].
pub fn to_commit(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::with_capacity(256);
    write_value(value, Fractions::Kept, 0, &mut out)?;
    Ok(out)
}

fn write_value(
    value: &Value,
    fractions: Fractions,
    depth: usize,
    out: &mut String,
) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => {
            if let Some(unsigned) = number.as_u64() {
                write_u64(unsigned, out);
            } else if let Some(signed) = number.as_i64() {
                out.push('-');
                write_u64(signed.unsigned_abs(), out);
            } else if fractions == Fractions::Kept {
                out.push_str(&number.to_string());
            } else {
                return Err(CanonicalError::Fraction);
            }
        }
        Value::String(text) => write_text(text, out),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX => {
            return Err(CanonicalError::TooDeep);
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_value(item, fractions, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => write_members(members, fractions, depth + 1, out)?,
    }
    Ok(())
}

fn write_members(
    members: &Map<String, Value>,
    fractions: Fractions,
    depth: usize,
    out: &mut String,
) -> Result<(), CanonicalError> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    // The order of UTF-8 bytes is the order of code points.
    sorted.sort_unstable_by_key(|(key, _)| *key);
    out.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_text(key, out);
        out.push_str(": ");
        write_value(value, fractions, depth, out)?;
    }
    out.push('}');
    Ok(())
}

/// Appends a string with quotes and escapes.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) =
        rest.bytes().position(|b| !matches!(b, b' '..=b'~') || matches!(b, b'"' | b'\\'))
    {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = tail.chars();
        if let Some(character) = characters.next() {
            write_escape(character, out);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn write_escape(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        _ => {
            let mut units = [0_u16; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    out.extend(char::from_digit(u32::from(*unit >> shift & 15), 16));
                }
            }
        }
    }
}

/// Appends a decimal number.
pub(crate) fn write_u64(number: u64, out: &mut String) {
    // Writing to a `String` cannot fail.
    let _ = std::fmt::Write::write_fmt(out, format_args!("{number}"));
}

#[cfg(test)]
pub(super) mod tests;
