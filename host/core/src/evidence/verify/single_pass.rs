//! One row checked while its text goes by once. What passes here is sound; what does not is left
//! to the full check ([`super::row`]), which names what is wrong. So nothing here has to say why,
//! and rows that are spelt in an unusual but allowed way only cost more.

use super::row::{Buffers, Row};
use crate::evidence::{
    chain::{HASH_SCHEME, Stable},
    event::Fragments,
    hash::Hash,
};

/// Values may be nested so deep in a record; what the host writes is flat.
const DEPTH_MAX: u32 = 16;

/// What a sound row says to those who check its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sound<'a> {
    /// Its content hash.
    pub(super) hash: Hash,
    /// The content hash of the event before it in its correlation.
    pub(super) prev_hash: Option<Hash>,
    /// Who calls, as JSON.
    pub(super) subject: &'a str,
    /// The payload, as JSON.
    pub(super) payload: &'a str,
}

/// Checks a row against itself and its hashes.
pub(super) fn check<'a>(
    row: &Row<'_>,
    json: &'a str,
    host_id: &str,
    buffers: &mut Buffers,
) -> Option<Sound<'a>> {
    let record = Record::read(json)?;
    let fits = record.event_type == row.event_type
        && record.invocation_id == row.invocation_id
        && record.capability_id == row.capability_id
        && record.content_hash == row.content_hash
        && correlation_id(record.fragments.correlation)? == row.correlation_id
        && record.host_id == host_id
        && record.fragments.sequence.parse() == Ok(row.sequence);
    if !fits {
        return None;
    }
    let commitment = Hash::of(record.payload.as_bytes());
    if commitment.hex().as_str() != record.payload_commitment {
        return None;
    }
    let text = buffers.text();
    record.fragments.write_bound(text);
    if bound(record.payload)? != *text {
        return None;
    }
    let prev_hash = match record.prev_hash {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let stable = Stable {
        capability_id: record.capability_id,
        correlation_id: row.correlation_id,
        event_id: record.event_id,
        event_type: record.event_type,
        host_id: record.host_id,
        invocation_id: record.invocation_id,
        outcome: record.outcome,
        payload_commitment: &commitment,
        prev_hash: prev_hash.as_ref(),
        timestamp: record.timestamp,
    };
    text.clear();
    stable.write(text);
    let hash = Hash::of(text.as_bytes());
    (hash.hex().as_str() == record.content_hash).then_some(Sound {
        hash,
        prev_hash,
        subject: record.fragments.subject,
        payload: record.payload,
    })
}

/// The parts of a record that is spelt exactly as [`crate::evidence::chain`] writes it, texts
/// without their quotes.
struct Record<'a> {
    capability_id: &'a str,
    content_hash: &'a str,
    event_id: &'a str,
    event_type: &'a str,
    fragments: Fragments<'a>,
    host_id: &'a str,
    invocation_id: &'a str,
    outcome: Option<&'a str>,
    payload: &'a str,
    payload_commitment: &'a str,
    prev_hash: Option<&'a str>,
    timestamp: &'a str,
}

impl<'a> Record<'a> {
    fn read(json: &'a str) -> Option<Self> {
        let mut rest = Rest(json);
        let assurance = rest.value_of("{\"assurance\": ")?;
        let capability_id = rest.text_of(", \"capability_id\": ")?;
        let capability_version = rest.value_of(", \"capability_version\": ")?;
        let content_hash = rest.text_of(", \"content_hash\": ")?;
        let correlation = rest.value_of(", \"correlation\": ")?;
        let denial = rest.value_of(", \"denial\": ")?;
        let error = rest.value_of(", \"error\": ")?;
        let event_id = rest.text_of(", \"event_id\": ")?;
        let event_type = rest.text_of(", \"event_type\": ")?;
        let scheme = rest.text_of(", \"hash_scheme\": ")?;
        let host_id = rest.text_of(", \"host_id\": ")?;
        let invocation_id = rest.text_of(", \"invocation_id\": ")?;
        let outcome = rest.optional_of(", \"outcome\": ")?;
        let payload = rest.value_of(", \"payload\": ")?;
        let payload_commitment = rest.text_of(", \"payload_commitment\": ")?;
        let prev_hash = rest.optional_of(", \"prev_hash\": ")?;
        let sequence = rest.value_of(", \"redacted\": true, \"sequence\": ")?;
        let subject = rest.value_of(", \"subject\": ")?;
        let timestamp = rest.text_of(", \"timestamp\": ")?;
        let fragments = Fragments {
            assurance,
            capability_version,
            correlation,
            denial,
            error,
            sequence,
            subject,
        };
        (rest.0 == "}" && scheme == HASH_SCHEME).then_some(Self {
            capability_id,
            content_hash,
            event_id,
            event_type,
            fragments,
            host_id,
            invocation_id,
            outcome,
            payload,
            payload_commitment,
            prev_hash,
            timestamp,
        })
    }
}

/// The id in the object that names a correlation.
fn correlation_id(object: &str) -> Option<&str> {
    let mut rest = Rest(object);
    rest.value_of("{\"causation_id\": ")?;
    let id = rest.text_of(", \"correlation_id\": ")?;
    for key in [", \"environment\": ", ", \"parent_correlation_id\": ", ", \"trace_id\": "] {
        rest.value_of(key)?;
    }
    (rest.0 == "}").then_some(id)
}

/// The one member `bound` of a payload, whose members stand in order.
fn bound(payload: &str) -> Option<&str> {
    let mut rest = Rest(payload);
    let mut found = None;
    let mut before = "";
    rest.literal("{")?;
    loop {
        let key = rest.text()?;
        let value = rest.value_of(": ")?;
        if key <= before {
            return None;
        }
        if key == "bound" {
            found = Some(value);
        }
        before = key;
        if rest.0 == "}" {
            return found;
        }
        rest.literal(", ")?;
    }
}

/// What has not gone by yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn literal(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    /// A text without escapes, without its quotes.
    fn text(&mut self) -> Option<&'a str> {
        self.literal("\"")?;
        let end = self.0.bytes().position(|byte| !is_plain(byte))?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    fn text_of(&mut self, key: &str) -> Option<&'a str> {
        self.literal(key)?;
        self.text()
    }

    /// A text without escapes, or null.
    fn optional_of(&mut self, key: &str) -> Option<Option<&'a str>> {
        self.literal(key)?;
        if self.literal("null").is_some() { Some(None) } else { self.text().map(Some) }
    }

    /// Any value without superfluous spaces, as its text.
    fn value_of(&mut self, key: &str) -> Option<&'a str> {
        self.literal(key)?;
        let after = value(self.0.as_bytes(), DEPTH_MAX)?;
        let (text, rest) = self.0.split_at_checked(self.0.len().checked_sub(after.len())?)?;
        self.0 = rest;
        Some(text)
    }
}

/// Whether a byte stands for itself in a text.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// What follows a value that `bytes` begin with.
fn value(bytes: &[u8], depth: u32) -> Option<&[u8]> {
    match bytes {
        [b'"', rest @ ..] => text(rest),
        [b'{', b'}', rest @ ..] | [b'[', b']', rest @ ..] => Some(rest),
        [b'{', rest @ ..] => items(rest, b'}', depth, |member, depth| {
            let value_of = text(member.strip_prefix(b"\"")?)?.strip_prefix(b": ")?;
            value(value_of, depth)
        }),
        [b'[', rest @ ..] => items(rest, b']', depth, value),
        [b'-', rest @ ..] => number(rest),
        [b'0'..=b'9', ..] => number(bytes),
        _ => [&b"null"[..], b"true", b"false"].iter().find_map(|word| bytes.strip_prefix(*word)),
    }
}

/// What follows the items of a list or an object, and its end.
fn items<'a>(
    mut bytes: &'a [u8],
    end: u8,
    depth: u32,
    item: impl Fn(&'a [u8], u32) -> Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    let depth = depth.checked_sub(1)?;
    loop {
        match item(bytes, depth)? {
            [byte, rest @ ..] if *byte == end => return Some(rest),
            [b',', b' ', rest @ ..] => bytes = rest,
            _ => return None,
        }
    }
}

/// What follows an integer.
fn number(bytes: &[u8]) -> Option<&[u8]> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || (digits > 1 && bytes.first() == Some(&b'0')) {
        return None;
    }
    bytes.get(digits..)
}

/// What follows a text whose first quote has gone by.
fn text(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let plain = bytes.iter().position(|byte| !is_plain(*byte))?;
        match bytes.get(plain..)? {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => bytes = rest,
            [b'\\', b'u', a, b, c, d, rest @ ..]
                if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
            {
                bytes = rest;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::fixture::{Store, host_id};

    fn sound(json: &str, row: &Row<'_>) -> bool {
        check(row, json, host_id().as_str(), &mut Buffers::default()).is_some()
    }

    #[test]
    fn everything_that_is_written_passes_in_one_pass() {
        for row in &Store::of(60).rows {
            let row = row.row();
            assert!(sound(row.json.unwrap(), &row), "{:?}", row.json);
        }
    }

    #[test]
    fn values_are_json_without_superfluous_spaces() {
        let good = [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "120",
            "\"\"",
            r#""a\n\u00fc\"""#,
            "{}",
            "[]",
            r#"{"a": [1, {"b": null}], "c": "d"}"#,
        ];
        for text in good {
            assert_eq!(value(text.as_bytes(), 4), Some(&b""[..]), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
        }
        let bad = [
            "",
            "nul",
            "01",
            "-",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"ü\"",
            "\"\t\"",
            "{",
            "{1: 2}",
            "{\"a\":1}",
            "{\"a\": 1,}",
            "[1,2]",
            "[1 ]",
            "[[[[[1]]]]]",
        ];
        for text in bad {
            assert_ne!(value(text.as_bytes(), 4), Some(&b""[..]), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_as_a_value_is_json(text in r#"[\[\]{}", :0a\\u-]{0,24}"#) {
            if value(text.as_bytes(), 16) == Some(&b""[..]) {
                // A lone surrogate is refused by some readers and written by none of ours.
                prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
            }
        }

        #[test]
        fn what_passes_passes_the_full_check(
            index in 0..60_usize, at in any::<prop::sample::Index>(), with in "[ -~]{0,3}",
        ) {
            thread_local! {
                static STORE: Store = Store::of(60);
            }
            let row = STORE.with(|store| store.rows[index].clone());
            let json = row.columns["json"].clone().unwrap();
            let at = at.index(json.len());
            let changed = format!("{}{with}{}", &json[..at], &json[(at + with.len()).min(json.len())..]);
            prop_assert_eq!(sound(&changed, &row.row()), changed == json);
        }
    }
}
