//! `<plugin>.run`: the JSON of a command (`wasi:cli/run`), whose WIT has neither parameters nor a
//! result that says anything.
//!
//! Input: `{"arguments": ["text", …], "stdin": "text"}`, both optional. Output:
//! `{"exit_code": 0, "stdout": "text"}`. Bytes that are not UTF-8 are `{"base64": "…"}` in place
//! of the text, both ways.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use meshhost_core::code::Code;
use serde_json::{Value, json};

use super::{
    ConvertError,
    describe::{found, nearest, quoted},
};
use crate::execute::CommandInput;

const KEYS: [&str; 2] = ["arguments", "stdin"];

/// Most arguments of a command.
pub(crate) const ARGUMENTS_MAX: usize = 1024;

/// Reads the input of a command.
///
/// # Errors
/// input-invalid with the place and what is expected there.
pub fn command_input(input: &Value) -> Result<CommandInput, ConvertError> {
    let refuse = |message: String| Err(ConvertError::new(Code::InputInvalid, message));
    let Some(object) = input.as_object() else {
        return refuse(format!("input: expected an object, found {}", found(input)));
    };
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = nearest(key, KEYS.into_iter());
        let hint = hint.unwrap_or_else(|| "arguments` or `stdin".to_owned());
        return refuse(format!("input: there is no {} here; did you mean `{hint}`?", quoted(key)));
    }
    let arguments = match object.get("arguments") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) if items.len() <= ARGUMENTS_MAX => items
            .iter()
            .enumerate()
            .map(|(index, item)| argument(index, item))
            .collect::<Result<_, _>>()?,
        Some(other) => {
            return refuse(format!(
                "arguments: expected an array of at most {ARGUMENTS_MAX} texts, found {}",
                found(other)
            ));
        }
    };
    let stdin = match object.get("stdin") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(value) => match base64_of(value) {
            Some(bytes) => bytes,
            None => {
                return refuse(format!(
                    "stdin: expected text or {{\"base64\": …}}, found {}",
                    found(value)
                ));
            }
        },
    };
    Ok(CommandInput { arguments, stdin })
}

fn argument(index: usize, item: &Value) -> Result<String, ConvertError> {
    let text = item.as_str().filter(|text| !text.contains('\0')).map(str::to_owned);
    text.ok_or_else(|| {
        let message =
            format!("arguments[{index}]: expected text without a zero byte, found {}", found(item));
        ConvertError::new(Code::InputInvalid, message)
    })
}

fn base64_of(value: &Value) -> Option<Vec<u8>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    STANDARD.decode(object.get("base64")?.as_str()?).ok()
}

/// Writes the output of a command. `stdout` is what was kept within its limit.
#[must_use]
pub fn command_output(exit_code: u8, stdout: Vec<u8>) -> Value {
    let stdout = match String::from_utf8(stdout) {
        Ok(text) => Value::String(text),
        Err(error) => json!({ "base64": STANDARD.encode(error.as_bytes()) }),
    };
    json!({ "exit_code": exit_code, "stdout": stdout })
}
