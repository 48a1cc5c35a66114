//! Bounded, strict parsing of JSON that comes from outside: callers, plugins, files, peers.
//!
//! A scan without recursion looks at the bytes first and enforces what a parser would otherwise
//! find too late: length, depth, number of values, and integers that a 64-bit number does not
//! hold (a parser would round them silently). Then `serde_json` parses, with duplicate keys
//! refused (RFC 8259 leaves their meaning open, so two readers could see two inputs).
//!
//! Deliberately absent: comments, trailing commas, NaN, infinities, byte-order marks.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::code::Code;

pub mod number;
mod scan;

/// How much JSON is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of text.
    pub bytes_max: usize,
    /// Nested arrays and objects; at most [`DEPTH_MAX`] counts.
    pub depth_max: usize,
    /// Values in all: a parsed value takes far more memory than its two bytes of text.
    pub values_max: usize,
}

/// The deepest nesting that any bound allows: what `serde_json` itself stops at, less one.
pub const DEPTH_MAX: usize = 127;

impl Bounds {
    /// For the input and output of a call: 8 MiB, depth 64, a million values.
    pub const CALL: Self = Self { bytes_max: 8 << 20, depth_max: 64, values_max: 1_000_000 };
    /// For small documents, such as a control message or a head: 64 KiB, depth 16.
    pub const SMALL: Self = Self { bytes_max: 64 << 10, depth_max: 16, values_max: 4_096 };
    /// For an exported bundle of evidence: 256 MiB, depth 64, 32 million values.
    pub const BUNDLE: Self = Self { bytes_max: 256 << 20, depth_max: 64, values_max: 32_000_000 };
}

/// What is wrong with the JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// More bytes than the bound.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Deeper than the bound.
    #[error("arrays and objects are nested more than {0} deep")]
    TooDeep(usize),
    /// More values than the bound.
    #[error("it holds more than {0} values")]
    TooManyValues(usize),
    /// The bytes are not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// An integer that neither `i64` nor `u64` holds: reading it as a fraction would change it.
    #[error("the integer does not fit 64 bits; write it as a string")]
    IntegerTooLarge,
    /// A number beyond the range of a double, such as `1e400`.
    #[error("the number is out of range")]
    NumberOutOfRange,
    /// One object holds a key twice.
    #[error("the key `{0}` stands twice in one object")]
    DuplicateKey(String),
    /// The text ends in the middle.
    #[error("it ends too early")]
    Truncated,
    /// Anything else that JSON does not allow.
    #[error("{0}")]
    Syntax(String),
}

/// Why JSON was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the JSON is not accepted at line {line}, column {column} (byte {offset}): {problem}")]
pub struct JsonError {
    /// What is wrong.
    pub problem: JsonProblem,
    /// Bytes before the place.
    pub offset: usize,
    /// Counted from 1.
    pub line: usize,
    /// Bytes in the line up to the place, counted from 1.
    pub column: usize,
}

impl JsonError {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::InputInvalid
    }

    fn at(bytes: &[u8], offset: usize, problem: JsonProblem) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line = before.split(|byte| *byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Self { problem, offset: before.len(), line, column: before.len() - start + 1 }
    }

    fn from_parser(bytes: &[u8], error: &serde_json::Error) -> Self {
        // The parser counts columns from 0 when the text ends with a line break.
        let (line, column) = (error.line().max(1), error.column().max(1));
        let before: usize = bytes
            .split(|byte| *byte == b'\n')
            .take(line.saturating_sub(1))
            .map(|l| l.len() + 1)
            .sum();
        let offset = before.saturating_add(column.saturating_sub(1)).min(bytes.len());
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head);
        let problem = if let Some(key) = text.strip_prefix(DUPLICATE) {
            JsonProblem::DuplicateKey(key.to_owned())
        } else if text == "number out of range" {
            JsonProblem::NumberOutOfRange
        } else if error.is_eof() {
            JsonProblem::Truncated
        } else {
            JsonProblem::Syntax(text.to_owned())
        };
        Self { problem, offset, line, column }
    }
}

/// Marks the error of [`StrictVisitor`] among those of the parser.
const DUPLICATE: &str = "duplicate key ";

/// Parses `bytes` as one JSON text within `bounds`.
///
/// # Errors
/// [`JsonError`] with the place, when a bound is passed or the text is not strict JSON.
pub fn parse(bytes: &[u8], bounds: Bounds) -> Result<Value, JsonError> {
    scan::check(bytes, bounds)
        .map_err(|(offset, problem)| JsonError::at(bytes, offset, problem))?;
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|error| JsonError::from_parser(bytes, &error))
}

/// Builds a [`Value`] and refuses duplicate keys.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{DUPLICATE}{}", shown(&key))));
            }
            let value = members.next_value_seed(Strict)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A foreign key as an error may show it: printable and at most 64 characters.
fn shown(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c.is_alphanumeric() { c } else { '?' };
    key.chars().take(64).map(plain).collect()
}

#[cfg(test)]
mod tests;
