//! Input and output of calls as compact bytes, between nodes that know the type of the capability: its
//! hash goes with the call. `docs/wire.md` describes the form.
//!
//! Nothing but values is written, in the order of the type: no names, no types, no lengths of what the
//! type fixes. A value has one form, and its JSON is the one that the runtime would make of it. What
//! JSON may also say (a member that the type does not have, for a plugin that ignores those) has no
//! form here: such input travels as JSON, and the node that serves says what is wrong with it.

use serde_json::Value;

use super::wire::BODY_BYTES_MAX;
use crate::{
    function_type::{FunctionType, Member, Type},
    json::Bounds,
};

mod blobs;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use blobs::{input_blobs, output_blobs};

/// Most names of an enum or flags, and most cases of a variant; of a larger one the values travel as
/// JSON.
pub const NAMES_MAX: usize = 1_024;

/// Why a value has no bytes, or bytes are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The JSON is not a value of the type.
    #[error("the JSON is not a value of the type")]
    Mismatch,
    /// Values of this type do not travel: streams, futures, resources that are no blobs.
    #[error("values of this type do not travel between nodes in binary form")]
    Type,
    /// The bytes are no value of the type, or end too early or too late.
    #[error("the bytes are not a value of the type")]
    Form,
    /// The value is larger than it may be.
    #[error("the value is larger than it may be")]
    Large,
}

/// The input of a call, an object keyed by parameter name, as bytes.
///
/// # Errors
/// [`ValueError::Mismatch`], [`ValueError::Type`] and [`ValueError::Large`]: then it may still travel
/// as JSON.
pub fn encode_input(function: &FunctionType, input: &Value) -> Result<Vec<u8>, ValueError> {
    let mut encoder = encode::Encoder::new(BODY_BYTES_MAX);
    encoder.members(function.parameters(), input)?;
    Ok(encoder.into_bytes())
}

/// The input of a call from its bytes: an object with every parameter, keyed with `_` for `-`.
///
/// # Errors
/// [`ValueError::Form`], [`ValueError::Type`]; [`ValueError::Large`] when its JSON would be beyond
/// `bounds`, found before it is built.
pub fn decode_input(
    function: &FunctionType,
    bytes: &[u8],
    bounds: Bounds,
) -> Result<Value, ValueError> {
    let mut decoder = decode::Decoder::new(bytes, bounds);
    let value = decoder.members(function.parameters(), 0)?;
    decoder.end(value)
}

/// The output of a call as bytes; of a function that returns a `result`, what comes with `ok`.
///
/// # Errors
/// As [`encode_input`].
pub fn encode_output(function: &FunctionType, output: &Value) -> Result<Vec<u8>, ValueError> {
    let mut encoder = encode::Encoder::new(BODY_BYTES_MAX);
    encoder.payload(output_type(function), output)?;
    Ok(encoder.into_bytes())
}

/// The output of a call from its bytes; null when there is none.
///
/// # Errors
/// As [`decode_input`].
pub fn decode_output(
    function: &FunctionType,
    bytes: &[u8],
    bounds: Bounds,
) -> Result<Value, ValueError> {
    let mut decoder = decode::Decoder::new(bytes, bounds);
    let value = decoder.payload(output_type(function), 0)?;
    decoder.end(value)
}

/// Items of the stream that the function returns as bytes: their count and they. Of a stream of bytes
/// an item is a piece of it.
///
/// # Errors
/// As [`encode_input`]; [`ValueError::Type`] as well when the function returns no stream.
pub fn encode_items(function: &FunctionType, items: &[Value]) -> Result<Vec<u8>, ValueError> {
    let item = item_type(function).ok_or(ValueError::Type)?;
    let mut encoder = encode::Encoder::new(BODY_BYTES_MAX);
    encoder.streamed(item, items)?;
    Ok(encoder.into_bytes())
}

/// Items of the stream that the function returns from their bytes, at most so many.
///
/// # Errors
/// As [`decode_input`]; [`ValueError::Large`] as well when there are more.
pub fn decode_items(
    function: &FunctionType,
    bytes: &[u8],
    bounds: Bounds,
    items_max: usize,
) -> Result<Vec<Value>, ValueError> {
    let item = item_type(function).ok_or(ValueError::Type)?;
    let mut decoder = decode::Decoder::new(bytes, bounds);
    let items = decoder.streamed(item, items_max)?;
    decoder.end(items)
}

/// What the function streams, when it returns a stream or that is what comes with `ok`.
fn item_type(function: &FunctionType) -> Option<&Type> {
    match output_type(function) {
        Some(Type::Stream(item)) => item.as_deref(),
        _ => None,
    }
}

fn output_type(function: &FunctionType) -> Option<&Type> {
    match function.result() {
        Some(Type::Result { ok, .. }) => ok.as_deref(),
        other => other,
    }
}
