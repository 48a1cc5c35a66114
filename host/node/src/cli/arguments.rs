//! The arguments of a call become its input object.
//!
//! | written | read as |
//! |---|---|
//! | `key=text` | by the parameter's type; the text itself for text, base64 of it for bytes |
//! | `key=a key=b` | a list, one argument for each item |
//! | `key:=JSON` | JSON, whatever the type |
//! | `key=@FILE`, `key=@-` | a file or standard input: a blob for bytes, its text for everything else |
//!
//! Text that begins with `@` is written `key:='"@text"'`. `-` and `_` in a key are the same.
//! Parameters that are paths become absolute. Nothing else of the input is judged here: the
//! node checks it against the schema and writes the refusal down.

use std::{
    fs::File,
    io::{Read, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use meshhost_core::{
    code::Code,
    diagnostic::nearest,
    json::{self, Bounds},
    outcome::Refusal,
};
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use super::{
    parameters::{Kind, Parameter},
    place::Place,
};

/// Most bytes of text from a file or standard input; more goes as a blob.
const TEXT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most bytes that standard input may give to a blob: they lie in a temporary file meanwhile.
const STDIN_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The largest whole number that every JSON reader keeps exact (2^53 − 1, RFC 8259 section 6).
const EXACT_INTEGER_MAX: u64 = (1 << 53) - 1;

/// The input of a call. The blobs are still files.
#[derive(Debug)]
pub(crate) struct Input {
    /// The input object; null where a blob belongs.
    pub(crate) value: Value,
    /// What must be put into the blob store before the call.
    pub(crate) blobs: Vec<BlobArgument>,
}

/// A file that goes into the input as a blob.
#[derive(Debug)]
pub(crate) struct BlobArgument {
    /// Where in the input its `{"blob": …}` belongs (JSON Pointer, RFC 6901).
    pub(crate) pointer: String,
    /// The file.
    pub(crate) file: BlobFile,
}

/// A file for the blob store.
#[derive(Debug)]
pub(crate) enum BlobFile {
    /// One that is there, absolute.
    Named(PathBuf),
    /// Standard input, written down until the node has read it.
    Spooled(NamedTempFile),
}

impl BlobFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Spooled(file) => file.path(),
        }
    }
}

/// Reads arguments into one input.
#[derive(Debug)]
pub(crate) struct Reader<'a, In> {
    /// What the capability takes; `None` when it is not known: then all is text.
    pub(crate) parameters: Option<&'a [Parameter]>,
    /// Where relative paths start.
    pub(crate) place: &'a Place,
    /// Whether the call runs on another machine, where the paths of this one mean nothing.
    pub(crate) elsewhere: bool,
    /// Standard input. Taken by the first argument that reads it.
    pub(crate) stdin: Option<In>,
}

/// One argument, taken apart.
#[derive(Debug, PartialEq)]
enum Given<'a> {
    Text(&'a str),
    Json(&'a str),
    File(&'a str),
}

impl<In: Read> Reader<'_, In> {
    /// Reads `--input` and the arguments. An argument may not repeat what `--input` gives.
    ///
    /// # Errors
    /// `usage` for arguments that are not written right, `input-invalid` for values that do not
    /// fit their parameter.
    pub(crate) fn read(
        mut self,
        input: Option<&str>,
        arguments: &[String],
    ) -> Result<Input, Refusal> {
        let mut fields = input.map_or_else(|| Ok(Map::new()), |text| self.read_input(text))?;
        let from_input: Vec<String> = fields.keys().cloned().collect();
        let mut blobs = Vec::new();
        for argument in arguments {
            let (key, given) = take_apart(argument)?;
            let parameter = self.parameter(key)?.cloned();
            let name = parameter.as_ref().map_or(key, |parameter| &parameter.name);
            if from_input.iter().any(|known| known == name) {
                return Err(usage(format!("`{name}` is given twice: by --input and `{argument}`")));
            }
            let kind = parameter.as_ref().map_or(Kind::Text, |parameter| parameter.kind.clone());
            self.add(&mut fields, &mut blobs, name, &kind, &given)?;
        }
        self.make_paths_absolute(&mut fields)?;
        self.check_required(&fields)?;
        Ok(Input { value: Value::Object(fields), blobs })
    }

    fn read_input(&mut self, text: &str) -> Result<Map<String, Value>, Refusal> {
        let read = match text {
            "-" => self.text_of_file("-", "--input")?,
            _ => match text.strip_prefix('@') {
                Some(file) => self.text_of_file(file, "--input")?,
                None => text.to_owned(),
            },
        };
        match parse(&read, "--input")? {
            Value::Object(fields) => Ok(fields),
            _ => Err(invalid("--input is not a JSON object, `{\"key\": …}`")),
        }
    }

    /// The parameter that a key means; `None` only when the parameters are not known.
    fn parameter(&self, key: &str) -> Result<Option<&Parameter>, Refusal> {
        let Some(parameters) = self.parameters else { return Ok(None) };
        let folded = key.replace('-', "_");
        let found = parameters
            .iter()
            .find(|one| one.name == key)
            .or_else(|| parameters.iter().find(|one| one.name.replace('-', "_") == folded));
        if let Some(found) = found {
            return Ok(Some(found));
        }
        let names = || parameters.iter().map(|one| one.name.as_str());
        let hint = match nearest(key, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if parameters.is_empty() => "the capability takes none".to_owned(),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Err(invalid(format!("there is no parameter `{key}`; {hint}")))
    }

    fn add(
        &mut self,
        fields: &mut Map<String, Value>,
        blobs: &mut Vec<BlobArgument>,
        name: &str,
        kind: &Kind,
        given: &Given<'_>,
    ) -> Result<(), Refusal> {
        // A list grows by one item with each argument, unless it is given whole.
        let is_item = matches!(kind, Kind::List(_)) && !matches!(given, Given::Json(_));
        let item_kind = match kind {
            Kind::List(item) if is_item => item,
            other => other,
        };
        let place = match fields.get(name) {
            Some(Value::Array(items)) if is_item => format!("/{name}/{}", items.len()),
            Some(_) => return Err(usage(format!("`{name}` is given twice"))),
            None if is_item => format!("/{name}/0"),
            None => format!("/{name}"),
        };
        let value = match (given, item_kind) {
            (Given::File(file), Kind::Bytes) => {
                let file = self.blob_file(file, name)?;
                blobs.push(BlobArgument { pointer: place, file });
                Value::Null
            }
            (Given::File(file), kind) => {
                let text = self.text_of_file(file, name)?;
                let text = match kind {
                    Kind::Text => text.as_str(),
                    // An editor ends every file with a line break.
                    _ => text.trim(),
                };
                read_text(name, kind, text)?
            }
            (Given::Json(text), _) => parse(text, name)?,
            (Given::Text(text), kind) => read_text(name, kind, text)?,
        };
        match fields.get_mut(name) {
            Some(Value::Array(items)) => items.push(value),
            _ if is_item => drop(fields.insert(name.to_owned(), Value::Array(vec![value]))),
            _ => drop(fields.insert(name.to_owned(), value)),
        }
        Ok(())
    }

    fn take_stdin(&mut self, name: &str) -> Result<In, Refusal> {
        self.stdin
            .take()
            .ok_or_else(|| usage(format!("standard input is already read when `{name}` wants it")))
    }

    fn text_of_file(&mut self, file: &str, name: &str) -> Result<String, Refusal> {
        let unreadable = |error| usage(format!("`{file}` for `{name}` cannot be read: {error}"));
        let mut bytes = Vec::new();
        if file == "-" {
            let stdin = self.take_stdin(name)?;
            stdin.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        } else {
            let opened = File::open(self.place.absolute(file)?).map_err(unreadable)?;
            opened.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        }
        if bytes.len() as u64 > TEXT_BYTES_MAX {
            return Err(invalid(format!(
                "`{file}` for `{name}` has more than {TEXT_BYTES_MAX} bytes of text"
            )));
        }
        String::from_utf8(bytes)
            .map_err(|_| invalid(format!("`{file}` for `{name}` is not UTF-8 text")))
    }

    fn blob_file(&mut self, file: &str, name: &str) -> Result<BlobFile, Refusal> {
        if file == "-" {
            return spool(self.take_stdin(name)?).map(BlobFile::Spooled);
        }
        let path = self.place.absolute(file)?;
        let metadata = std::fs::metadata(&path)
            .map_err(|error| usage(format!("`{file}` for `{name}` cannot be read: {error}")))?;
        if !metadata.is_file() {
            return Err(usage(format!("`{file}` for `{name}` is not a file")));
        }
        Ok(BlobFile::Named(path))
    }

    fn make_paths_absolute(&self, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
        for parameter in self.parameters.into_iter().flatten().filter(|one| one.is_path) {
            match fields.get_mut(&parameter.name) {
                Some(Value::String(path)) => *path = self.path(&parameter.name, path)?,
                Some(Value::Array(paths)) => {
                    for path in paths {
                        if let Value::String(path) = path {
                            *path = self.path(&parameter.name, path)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, name: &str, path: &str) -> Result<String, Refusal> {
        if !self.elsewhere {
            return self.place.absolute_text(path);
        }
        if path.starts_with('/') {
            return Ok(path.to_owned());
        }
        Err(invalid(format!(
            "`{name}={path}` is a path of this machine, and the call runs on another: write it as that \
             node's grants name it, from / on, or send a file where the capability takes one (key=@FILE)"
        )))
    }

    fn check_required(&self, fields: &Map<String, Value>) -> Result<(), Refusal> {
        let missing: Vec<String> = self
            .parameters
            .into_iter()
            .flatten()
            .filter(|one| one.required && !fields.contains_key(&one.name))
            .map(|one| format!("`{}` ({})", one.name, one.kind.words()))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(invalid(format!("missing: {}", missing.join(", "))))
    }
}

/// Standard input as a file that only this user can read, gone when dropped.
pub(crate) fn spool(stdin: impl Read) -> Result<NamedTempFile, Refusal> {
    let failed = |error| usage(format!("standard input could not be kept in a file: {error}"));
    let mut file = NamedTempFile::new().map_err(failed)?;
    let mut bounded = stdin.take(STDIN_BYTES_MAX + 1);
    let length = std::io::copy(&mut bounded, &mut file).map_err(failed)?;
    if length > STDIN_BYTES_MAX {
        return Err(usage(format!("standard input has more than {STDIN_BYTES_MAX} bytes")));
    }
    file.flush().map_err(failed)?;
    Ok(file)
}

fn take_apart(argument: &str) -> Result<(&str, Given<'_>), Refusal> {
    let (key, value) = argument.split_once('=').ok_or_else(|| {
        usage(format!("`{argument}` is no argument; write key=text, key:=JSON or key=@file"))
    })?;
    let (key, given) = match (key.strip_suffix(':'), value.strip_prefix('@')) {
        (Some(key), _) => (key, Given::Json(value)),
        (None, Some(file)) => (key, Given::File(file)),
        (None, None) => (key, Given::Text(value)),
    };
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
    if key.is_empty() || !key.bytes().all(plain) {
        return Err(usage(format!("`{key}` in `{argument}` is no parameter's name")));
    }
    Ok((key, given))
}

fn read_text(name: &str, kind: &Kind, text: &str) -> Result<Value, Refusal> {
    let wrong = |expected: &str| invalid(format!("`{name}` is {expected}, not `{text}`"));
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Integer => integer(text).ok_or_else(|| wrong("a whole number")),
        Kind::Number => {
            let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| wrong("a number"))
        }
        Kind::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong("true or false")),
        },
        Kind::Choice(choices) => {
            let folded = text.replace('_', "-");
            let found = choices
                .iter()
                .find(|one| *one == text)
                .or_else(|| choices.iter().find(|one| one.replace('_', "-") == folded));
            let word = found.ok_or_else(|| wrong(&format!("one of {}", choices.join(", "))))?;
            Ok(Value::String(word.clone()))
        }
        Kind::Bytes => Ok(Value::String(BASE64_STANDARD.encode(text))),
        Kind::List(_) | Kind::Json => {
            Err(invalid(format!("`{name}` is not plain text; write it as JSON: {name}:=…")))
        }
    }
}

/// A whole number; beyond 2^53 − 1 as a string, which keeps it exact.
fn integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(if number.unsigned_abs() <= EXACT_INTEGER_MAX {
            Value::from(number)
        } else {
            Value::String(number.to_string())
        });
    }
    text.parse::<u64>().ok().map(|number| Value::String(number.to_string()))
}

fn parse(text: &str, name: &str) -> Result<Value, Refusal> {
    json::parse(text.as_bytes(), Bounds::CALL)
        .map_err(|error| Refusal::new(error.code(), format!("`{name}`: {error}")))
}

fn usage(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::UsageError, message)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InputInvalid, message)
}

#[cfg(test)]
mod tests;
