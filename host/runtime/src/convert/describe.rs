//! Words for types and values in error messages, and the nearest known name.

use serde_json::Value;
use wasmtime::component::Type;

/// Most characters of the caller's input that a message repeats.
const QUOTED_MAX: usize = 32;
/// Most names that a message lists.
const NAMES_MAX: usize = 12;
/// Most names that are compared to find what was meant.
const COMPARED_MAX: usize = 256;

/// What the type expects, as it follows "expected".
pub(super) fn expected(ty: &Type) -> String {
    let plain = match ty {
        Type::Bool => "true or false",
        Type::S8 => "an integer -128..=127",
        Type::U8 => "an integer 0..=255",
        Type::S16 => "an integer -32768..=32767",
        Type::U16 => "an integer 0..=65535",
        Type::S32 => "an integer -2147483648..=2147483647",
        Type::U32 => "an integer 0..=4294967295",
        Type::S64 => "an integer of 64 bits, or its digits as text",
        Type::U64 => "an integer of 64 bits that is not negative, or its digits as text",
        Type::Float32 => "a number that fits 32 bits",
        Type::Float64 => "a number",
        Type::Char => "text of one character",
        Type::String => "text",
        Type::List(list) if matches!(list.ty(), Type::U8) => {
            "base64 text or {\"blob\": \"blake3:…\"}"
        }
        Type::List(_) => "an array",
        Type::Map(_) => "an array of pairs",
        Type::Record(_) => "an object",
        Type::Tuple(tuple) => return format!("an array of {}", tuple.types().len()),
        Type::FixedLengthList(list) => return format!("an array of {}", list.len()),
        Type::Variant(_) => "an object with `tag` and, where the case has one, `value`",
        Type::Enum(names) => return format!("one of {}", listed(names.names())),
        Type::Flags(names) => return format!("an array with any of {}", listed(names.names())),
        Type::Option(_) => "null or {\"some\": …}",
        Type::Result(_) => "{\"ok\": …} or {\"err\": …}",
        Type::Own(_) | Type::Borrow(_) => "{\"blob\": \"blake3:…\"} or base64 text",
        Type::Future(_) | Type::Stream(_) | Type::ErrorContext => "something that JSON cannot say",
    };
    plain.to_owned()
}

/// Names in back quotes with commas, bounded.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (count, name) in names.enumerate() {
        if count == NAMES_MAX {
            text.push_str(", …");
            break;
        }
        if count > 0 {
            text.push_str(", ");
        }
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    text
}

/// What was found, bounded and escaped.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Text in quotes, escaped and cut.
pub(super) fn quoted(text: &str) -> String {
    let mut start: String = text.chars().take(QUOTED_MAX).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

/// The known name nearest to `wrong`, when it is near enough to be what was meant.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let wrong: Vec<char> = wrong.chars().take(64).map(fold).collect();
    let (distance, name) = known
        .take(COMPARED_MAX)
        .map(|name| (edits(&wrong, name), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + wrong.len() / 4).then(|| name.replace('-', "_"))
}

const fn fold(character: char) -> char {
    if character == '-' { '_' } else { character.to_ascii_lowercase() }
}

/// Edits between two names: one character added, removed or replaced each.
fn edits(wrong: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=wrong.len()).collect();
    for (line, character) in name.chars().take(64).map(fold).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (above, other) in row.iter().skip(1).zip(wrong) {
            let replaced = diagonal + usize::from(*other != character);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
