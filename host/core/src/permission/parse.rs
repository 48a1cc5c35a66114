//! Reading permissions.

use std::str::FromStr;

use super::{
    ARGUMENTS_MAX, CallRule, ENVIRONMENT_NAME_BYTES_MAX, ENVIRONMENT_VALUE_BYTES_MAX, FolderMode,
    MODEL_NAME_BYTES_MAX, PATH_BYTES_MAX, PERMISSION_BYTES_MAX, Permission, PermissionError,
    folder, glob, parse_size,
};
use crate::{
    diagnostic::{nearest, printable},
    id::CAPABILITY_ID_BYTES_MAX,
    network::AddressRangeError,
};

/// Longest piece of a wrong text that its error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;
/// Longest name of a fixed argument in bytes.
const ARGUMENT_NAME_BYTES_MAX: usize = 64;
const KINDS: [&str; 14] = [
    "fs:ro",
    "fs:git",
    "fs:rw",
    "fs:rw+exec",
    "net",
    "net-range",
    "env",
    "clock",
    "random",
    "kv",
    "index",
    "call",
    "model",
    "stdout",
];

/// What is wrong and what to write instead.
struct Problem(String, Option<&'static str>);

impl Problem {
    fn new(problem: impl Into<String>, hint: &'static str) -> Self {
        Self(problem.into(), Some(hint))
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let error = |problem: String, hint: Option<String>| PermissionError {
            text: printable(&text.chars().take(SHOWN_CHARS_MAX).collect::<String>()),
            problem,
            hint,
        };
        if text.len() > PERMISSION_BYTES_MAX || text.chars().any(char::is_control) {
            let problem =
                format!("it is longer than {PERMISSION_BYTES_MAX} bytes or has control characters");
            return Err(error(problem, None));
        }
        let (kind, value) = match text.split_once('=') {
            Some((kind, value)) => (kind, Some(value)),
            None => (text, None),
        };
        match parse_kind(kind, value) {
            Some(Ok(permission)) => Ok(permission),
            Some(Err(Problem(problem, hint))) => Err(error(problem, hint.map(str::to_owned))),
            None => {
                let known = nearest(kind, KINDS.into_iter().chain(["log"]));
                let hint = known.map_or_else(
                    || "permissions begin with fs:ro, fs:git, fs:rw, net, env, clock, random, kv, index, call, model, stdout or log".to_owned(),
                    |known| format!("did you mean `{known}`?"),
                );
                Err(error("there is no such kind".to_owned(), Some(hint)))
            }
        }
    }
}

fn parse_kind(kind: &str, value: Option<&str>) -> Option<Result<Permission, Problem>> {
    Some(match kind {
        "fs:ro" => parse_folder(FolderMode::Ro, value),
        "fs:git" => parse_folder(FolderMode::Git, value),
        "fs:rw" => parse_folder(FolderMode::Rw, value),
        "fs:rw+exec" => parse_folder(FolderMode::RwExec, value),
        "net" => parse_network(value),
        "net-range" => parse_range(value),
        "env" => parse_environment(value),
        "clock" => parse_plain(value, Permission::Clock),
        "random" => parse_plain(value, Permission::Random),
        "kv" => parse_bytes(value, "kv=8MiB").map(|bytes| Permission::KeyValue { bytes }),
        "index" => parse_bytes(value, "index=256MiB").map(|bytes| Permission::Index { bytes }),
        "call" => parse_call(value),
        "model" => parse_model(value),
        "stdout" => parse_bytes(value, "stdout=64KiB").map(|bytes| Permission::Stdout { bytes }),
        "log" => parse_bytes(value, "log=64KiB").map(|bytes| Permission::Log { bytes }),
        _ => return None,
    })
}

fn parse_plain(value: Option<&str>, permission: Permission) -> Result<Permission, Problem> {
    match value {
        None => Ok(permission),
        Some(_) => Err(Problem::new("it takes no value", "write `clock` or `random` alone")),
    }
}

fn parse_bytes(value: Option<&str>, example: &'static str) -> Result<u64, Problem> {
    let problem = || Problem::new("it needs a size from 1 byte to 1024GiB", example);
    value.and_then(parse_size).ok_or_else(problem)
}

fn parse_folder(mode: FolderMode, value: Option<&str>) -> Result<Permission, Problem> {
    let Some(value) = value else {
        return Ok(Permission::Folder { mode, guest: None, host: None });
    };
    let hint = "write fs:ro=FOLDER or fs:ro=/NAME=FOLDER; in a path `=` is written `\\=`";
    let (guest, host) =
        folder::split_paths(value).ok_or_else(|| Problem::new("the paths are not clear", hint))?;
    if guest.as_ref().is_some_and(|guest| !folder::is_plain_absolute(guest)) {
        let hint = "write fs:ro=/NAME=FOLDER, without dot segments in NAME";
        return Err(Problem::new("the name that the plugin sees is not absolute", hint));
    }
    if guest.is_none() && host.is_empty() {
        return Err(Problem::new("the folder is empty", hint));
    }
    let other_user = host.starts_with('~') && !folder::is_in_home(&host);
    if other_user {
        let hint = "write ~/FOLDER, or ./~NAME for a folder with such a name";
        return Err(Problem::new("only the own home folder has a short name", hint));
    }
    let longest = guest.as_ref().map_or(0, String::len).max(host.len());
    if longest > PATH_BYTES_MAX {
        return Err(Problem(format!("a path is longer than {PATH_BYTES_MAX} bytes"), None));
    }
    let host = (!host.is_empty()).then(|| folder::simplified(&host));
    Ok(Permission::Folder { mode, guest: guest.map(|guest| folder::simplified(&guest)), host })
}

fn parse_network(value: Option<&str>) -> Result<Permission, Problem> {
    let hint = "write net=https://HOST[:PORT][/PATH] or net=GET,HEAD https://*.example.org";
    let value = value.ok_or_else(|| Problem::new("it names no host", hint))?;
    let rule = value
        .parse()
        .map_err(|error: crate::network::NetworkRuleError| Problem::new(error.to_string(), hint))?;
    Ok(Permission::Network(rule))
}

fn parse_range(value: Option<&str>) -> Result<Permission, Problem> {
    let hint = "write net-range=10.0.0.0/8 or net-range=fd00::/8";
    let value = value.ok_or_else(|| Problem::new("it names no range", hint))?;
    let range =
        value.parse().map_err(|error: AddressRangeError| Problem::new(error.to_string(), hint))?;
    Ok(Permission::NetworkRange(range))
}

fn parse_environment(value: Option<&str>) -> Result<Permission, Problem> {
    let hint = "write env=NAME or env=NAME=VALUE; a name is made of letters, digits and _";
    let value = value.ok_or_else(|| Problem::new("it names no variable", hint))?;
    let (name, value) = match value.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (value, None),
    };
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if !letters || !starts || name.len() > ENVIRONMENT_NAME_BYTES_MAX {
        return Err(Problem::new("the variable's name is not right", hint));
    }
    if value.is_some_and(|value| value.len() > ENVIRONMENT_VALUE_BYTES_MAX) {
        let problem = format!("the value is longer than {ENVIRONMENT_VALUE_BYTES_MAX} bytes");
        return Err(Problem(problem, None));
    }
    Ok(Permission::Environment { name: name.to_owned(), value: value.map(str::to_owned) })
}

fn parse_call(value: Option<&str>) -> Result<Permission, Problem> {
    let hint = "write call=git.log, call=git.* or call=filesystem.read path=~/notes/**";
    let value = value.ok_or_else(|| Problem::new("it names no capability", hint))?;
    let mut words = split_words(value).into_iter();
    let capability = words.next().unwrap_or_default();
    if !is_capability_pattern(&capability) {
        return Err(Problem::new("the capability is not an id, PREFIX.* or *", hint));
    }
    let mut arguments: Vec<(String, String)> = Vec::new();
    for word in words {
        let (name, pattern) = word
            .split_once('=')
            .ok_or_else(|| Problem::new("an argument is not NAME=GLOB", hint))?;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=ARGUMENT_NAME_BYTES_MAX).contains(&name.len());
        let twice = arguments.iter().any(|(other, _)| super::call::same_name(other, name));
        if !fits || !name.bytes().all(letters) || twice || arguments.len() == ARGUMENTS_MAX {
            let problem = format!(
                "argument names are letters, digits, _ and -, each once, at most {ARGUMENTS_MAX}"
            );
            return Err(Problem::new(problem, hint));
        }
        glob::check(pattern).map_err(|error| Problem::new(error.to_string(), hint))?;
        arguments.push((name.to_owned(), pattern.to_owned()));
    }
    Ok(Permission::Call(CallRule { capability, arguments }))
}

fn parse_model(value: Option<&str>) -> Result<Permission, Problem> {
    let hint = "write model=NAME; a name is made of a-z, 0-9 and -";
    let name = value.ok_or_else(|| Problem::new("it names no model", hint))?;
    if !is_model_name(name) {
        return Err(Problem::new("the model's name is not right", hint));
    }
    Ok(Permission::Model { name: name.to_owned() })
}

/// Whether the text can name a model: 1 to [`MODEL_NAME_BYTES_MAX`] of `a-z`, `0-9` and `-`,
/// beginning with a letter. So a name is never a path or an address.
#[must_use]
pub fn is_model_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    begins && text.len() <= MODEL_NAME_BYTES_MAX && text.bytes().all(letter)
}

/// Whether the text is an id, a prefix that ends in `.*`, or `*`.
pub(crate) fn is_capability_pattern(text: &str) -> bool {
    let id = match text.strip_suffix('*') {
        Some("") => return true,
        Some(prefix) => prefix.strip_suffix('.').unwrap_or_default(),
        None => text,
    };
    let letter =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-');
    (1..=CAPABILITY_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(letter)
}

/// Splits at spaces that no `\` precedes; the escapes stay for the glob.
fn split_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        if character == ' ' && !escaped {
            words.push(String::new());
            continue;
        }
        escaped = character == '\\' && !escaped;
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    words
}
