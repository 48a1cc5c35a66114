//! What a manifest promises of a call's input, checked before anything runs.
//!
//! | kind | value | holds when the parameter |
//! |---|---|---|
//! | `required` | none | is present and not null |
//! | `max-length` | a number | is a text of at most that many characters, or a list of at most that many items |
//! | `one-of` | a list of texts | is one of them |
//! | `matches-glob` | a glob | is a text that the glob stands for (see [`crate::permission::glob`]) |
//! | `maximum`, `minimum` | a number | is a number, or a number in a text, not above or below it |
//!
//! A parameter that is absent or null satisfies all but `required`. One of another type satisfies
//! none: invariants run before the schema, so they trust no type.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{code::Code, permission::glob};

/// Longest number that is read from a text, in bytes: 64-bit integers may come as texts.
const NUMBER_BYTES_MAX: usize = 40;

/// One thing that must hold of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Invariant {
    /// Its name, repeated when it fails.
    pub id: String,
    /// The parameter; `-` and `_` are the same.
    pub parameter: String,
    /// What must hold.
    pub rule: InvariantRule,
}

/// What must hold of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum InvariantRule {
    /// It is present and not null.
    Required,
    /// At most this many characters or items.
    MaxLength(u64),
    /// One of these texts.
    OneOf(Vec<String>),
    /// A text that this glob stands for.
    MatchesGlob(String),
    /// A number not above this one.
    Maximum(Bound),
    /// A number not below this one.
    Minimum(Bound),
}

/// A number in a manifest: integers are compared exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// An integer.
    Integer(i64),
    /// A finite fraction.
    Float(f64),
}

/// An invariant that does not hold. The message repeats the manifest's words, never the input's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the invariant `{id}` does not hold: `{parameter}` {expected}")]
pub struct InvariantFailure {
    /// The invariant.
    pub id: String,
    /// The parameter.
    pub parameter: String,
    /// What the parameter must be.
    pub expected: String,
}

impl InvariantFailure {
    /// The code of this error, always the same.
    pub const CODE: Code = Code::InvariantFailed;
}

/// Whether all invariants hold of an input object. A parameter given twice, with `-` and with
/// `_`, must satisfy them both times.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_invariants(invariants: &[Invariant], input: &Value) -> Result<(), InvariantFailure> {
    match invariants.iter().find(|invariant| !invariant.holds(input)) {
        None => Ok(()),
        Some(failed) => Err(InvariantFailure {
            id: failed.id.clone(),
            parameter: failed.parameter.clone(),
            expected: failed.rule.expected(),
        }),
    }
}

impl Invariant {
    fn holds(&self, input: &Value) -> bool {
        let keys = input.as_object().into_iter().flatten();
        let mut present = false;
        for (_, value) in keys.filter(|(key, _)| crate::permission::same_name(key, &self.parameter))
        {
            if value.is_null() {
                continue;
            }
            present = true;
            if !self.rule.holds(value) {
                return false;
            }
        }
        present || self.rule != InvariantRule::Required
    }
}

impl InvariantRule {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Required => true,
            Self::MaxLength(length) => length_of(value).is_some_and(|own| own <= *length),
            Self::OneOf(texts) => {
                value.as_str().is_some_and(|text| texts.iter().any(|own| own == text))
            }
            Self::MatchesGlob(glob) => value.as_str().is_some_and(|text| glob::matches(glob, text)),
            Self::Maximum(bound) => bound.compare(value).is_some_and(Ordering::is_le),
            Self::Minimum(bound) => bound.compare(value).is_some_and(Ordering::is_ge),
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Required => "must be given".to_owned(),
            Self::MaxLength(length) => format!("must have at most {length} characters or items"),
            Self::OneOf(texts) => format!("must be one of {}", texts.join(", ")),
            Self::MatchesGlob(glob) => format!("must be like {glob}"),
            Self::Maximum(bound) => format!("must be at most {bound}"),
            Self::Minimum(bound) => format!("must be at least {bound}"),
        }
    }
}

fn length_of(value: &Value) -> Option<u64> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        _ => return None,
    };
    u64::try_from(length).ok()
}

impl std::fmt::Display for Bound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Float(number) => write!(formatter, "{number}"),
        }
    }
}

impl Bound {
    /// How the value stands to the bound; `None` when it is no number.
    #[expect(clippy::cast_precision_loss, reason = "integers are compared exactly before")]
    fn compare(self, value: &Value) -> Option<Ordering> {
        let own = match self {
            Self::Integer(number) => {
                if let Some(exact) = integer_of(value) {
                    return Some(exact.cmp(&i128::from(number)));
                }
                number as f64
            }
            Self::Float(number) => number,
        };
        float_of(value)?.partial_cmp(&own)
    }
}

fn integer_of(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => {
            let unsigned = number.as_u64().map(i128::from);
            unsigned.or_else(|| number.as_i64().map(i128::from))
        }
        Value::String(text) if text.len() <= NUMBER_BYTES_MAX => text.parse().ok(),
        _ => None,
    }
}

fn float_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) if text.len() <= NUMBER_BYTES_MAX => text.parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}
