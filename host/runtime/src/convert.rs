//! JSON to WIT values and back, by the rules of the architecture ("JSON mapping").
//!
//! | WIT | JSON |
//! |---|---|
//! | record | object; keys with `_` where WIT has `-`, both accepted |
//! | `option<T>` | the value, or null; may be absent as a field or parameter |
//! | `option<option<T>>` | `{"some": …}` or null |
//! | the function's own `result` | ok is the output, err is the plugin's error data |
//! | `result` anywhere else | `{"ok": …}` or `{"err": …}` |
//! | variant | `{"tag": "case", "value": …}`, without `value` when the case has none |
//! | enum, flags | the case name as in WIT; an array of the names |
//! | tuple, list, fixed-length list | array |
//! | `list<u8>` | base64 text; as input also `{"blob": "blake3:…"}` |
//! | map | array of pairs |
//! | stream, returned | array of its items; of bytes, base64 text |
//! | future, returned | its value |
//! | `own`/`borrow` of `meshhost:blob/types.blob` | `{"blob": "blake3:…"}`; as input also base64 |
//! | u64, s64 | number; beyond 2^53−1 a decimal string is accepted, and produced |
//! | f32, f64 | number; NaN and the infinities have no JSON form and are refused |
//! | char | text of one character |
//!
//! Both ways work on the types of the instantiated function, so a value can never be shaped for
//! another type than the guest expects. Recursion is bounded by the depth of the type, which
//! wasmtime and [`crate::inspect`] bound, never by the depth of the JSON.

mod budget;
mod command;
mod describe;
mod lift;
mod lower;
mod number;
mod path;
#[cfg(test)]
mod tests;

use meshhost_core::{code::Code, id::Digest, limits::LimitKind};
use serde_json::Value;
use wasmtime::component::{ResourceAny, Val};

pub(crate) use budget::Budget;
pub(crate) use command::ARGUMENTS_MAX;
pub use command::{command_input, command_output};
pub use lift::lift;
pub(crate) use lift::lift_arguments;
pub(crate) use lower::lower_returned;
pub use lower::{check, lower};
pub use meshhost_core::json::number::SAFE_INTEGER_MAX;

/// Most blobs that one input may name.
pub const INPUT_BLOBS_MAX: usize = 64;

/// Most bytes of host memory for the arguments of one call. A `0,` of two bytes in JSON takes
/// twenty times that as a value.
pub const INPUT_HOST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes of a message: WIT names in it can be very long.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Why a value could not be converted.
///
/// The message quotes at most a few characters of the caller's own input and goes back to that
/// caller alone; evidence and logs take the code. It never quotes what a guest returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConvertError {
    /// input-invalid, output-invalid, limit-output, limit-list-bytes, limit-host-memory, or what
    /// the blob store said.
    pub code: Code,
    /// The limit, when one was reached: output, list bytes or host memory.
    pub limit: Option<LimitKind>,
    /// Where and what, with what was expected.
    pub message: String,
}

impl ConvertError {
    /// An error of this code that is no limit.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            message.push('…');
        }
        Self { code, limit: None, message }
    }

    /// The same error with the place in the input or output before it.
    fn at(mut self, path: &path::Path<'_>) -> Self {
        self.message = format!("{path}: {}", self.message);
        self
    }

    fn input(path: &path::Path<'_>, message: &str) -> Self {
        Self::new(Code::InputInvalid, format!("{path}: {message}"))
    }

    fn output(path: &path::Path<'_>, message: &str) -> Self {
        Self::new(Code::OutputInvalid, format!("{path}: {message}"))
    }

    fn list_bytes(path: &path::Path<'_>, length: u64, limit: u64) -> Self {
        Self {
            code: Code::LimitList,
            limit: Some(LimitKind::ListBytes),
            message: format!(
                "{path}: {length} bytes in a list that may hold {limit}; give larger data as a blob"
            ),
        }
    }

    fn input_host_bytes() -> Self {
        Self {
            code: Code::LimitHostMemory,
            limit: Some(LimitKind::HostMemory),
            message: format!(
                "the arguments take more than {INPUT_HOST_BYTES_MAX} bytes of the host's memory; \
                 give large data as a blob"
            ),
        }
    }

    fn output_bytes(limit: u64) -> Self {
        Self {
            code: Code::LimitOutput,
            limit: Some(LimitKind::Output),
            message: format!("the output is larger than {limit} bytes"),
        }
    }
}

/// What becomes of input keys that the type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownInput {
    /// They are refused, with the nearest known name.
    #[default]
    Refuse,
    /// They are left out: the manifest says `unknown_input = "ignore"`.
    Ignore,
}

/// The rules for input.
#[derive(Debug, Clone, Copy)]
pub struct InputRules {
    /// What becomes of unknown keys.
    pub unknown: UnknownInput,
    /// Bytes of one `list<u8>`.
    pub list_bytes: u64,
}

/// The rules for output.
#[derive(Debug, Clone, Copy)]
pub struct OutputRules {
    /// Bytes of the whole output as compact JSON.
    pub output_bytes: u64,
    /// Bytes of one `list<u8>`.
    pub list_bytes: u64,
}

/// What a blob parameter was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobSource {
    /// `{"blob": "blake3:…"}`.
    Digest(Digest),
    /// Base64 text, decoded.
    Bytes(Vec<u8>),
}

/// The store's side of blobs. Nothing here waits: what must be read from the node's blob store
/// (see [`referenced_blobs`]) is read before the conversion begins.
pub trait BlobHandles {
    /// A handle for a parameter: `own` or `borrow`.
    ///
    /// For both it is made from an owned host resource: outside a call wasmtime has no scope for
    /// a host borrow and panics. After the call the host forgets what it lent.
    ///
    /// # Errors
    /// When the node does not have the blob, or the call may not hold more handles or bytes.
    fn lower(&mut self, source: BlobSource, own: bool) -> Result<ResourceAny, ConvertError>;

    /// The digest behind a handle that the guest returned.
    ///
    /// # Errors
    /// When the handle is no blob of this call.
    fn lift(&mut self, handle: ResourceAny) -> Result<Digest, ConvertError>;

    /// The bytes of a blob that is given where the WIT says `list<u8>`, at most `bytes_max`.
    ///
    /// # Errors
    /// When the node does not have the blob, or it is larger.
    fn bytes(&mut self, digest: &Digest, bytes_max: u64) -> Result<Vec<u8>, ConvertError>;
}

/// What was read out of a stream or future that a function returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The bytes of a `stream<u8>`.
    Bytes(Vec<u8>),
    /// The items of any other stream; the value of a future, unless it ended without one.
    Items(Vec<Val>),
}

/// What a function returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Returned {
    /// The output; null when the function returns nothing.
    Output(Value),
    /// The `err` of the function's own result; null when it carries nothing.
    PluginError(Value),
}

/// A converted return value.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertedOutput {
    /// Output or error data.
    pub returned: Returned,
    /// Its length as compact JSON.
    pub bytes: u64,
}

/// Every `{"blob": "blake3:…"}` in an input, in order and once each: what to read before
/// [`lower`] runs.
///
/// # Errors
/// When there are more than [`INPUT_BLOBS_MAX`].
pub fn referenced_blobs(input: &Value) -> Result<Vec<Digest>, ConvertError> {
    let mut found = Vec::new();
    let mut open = vec![input];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Object(entries) => {
                if let Some(digest) = blob_reference(value).and_then(|text| text.parse().ok()) {
                    if !found.contains(&digest) {
                        found.push(digest);
                    }
                } else {
                    open.extend(entries.values().rev());
                }
            }
            _ => {}
        }
        if found.len() > INPUT_BLOBS_MAX {
            let message = format!("the input names more than {INPUT_BLOBS_MAX} blobs");
            return Err(ConvertError::new(Code::InputInvalid, message));
        }
    }
    Ok(found)
}

/// The digest text of `{"blob": "…"}`, when the value has that form.
fn blob_reference(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get("blob")?.as_str()
}
