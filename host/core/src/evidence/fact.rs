//! What a payload may hold: integers, flags, bounded text, hashes, and lists and objects of them.
//! There is no fraction, so a payload always has a canonical text, and integers that a double
//! does not hold exactly become strings by themselves.

use std::borrow::Cow;

use super::{
    canonical::{write_text, write_u64},
    hash::Hash,
};
use crate::id::Digest;

/// The largest integer that every JSON reader holds exactly.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;
/// Bytes of one text; longer text is cut and ends with `...`.
pub const TEXT_BYTES_MAX: usize = 512;
/// Entries of one list; [`Facts`] drops the rest, so callers give the full number beside it.
pub const LIST_ENTRIES_MAX: usize = 32;

/// Named values of a payload or of an object inside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(Vec<(&'static str, Fact)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fact {
    Null,
    Flag(bool),
    Count(u64),
    Text(Cow<'static, str>),
    Sha256(Hash),
    Texts(Vec<Cow<'static, str>>),
    Object(Facts),
    Objects(Vec<Facts>),
}

impl Facts {
    /// No facts.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// With a flag.
    #[must_use]
    pub fn flag(self, key: &'static str, value: bool) -> Self {
        self.with(key, Fact::Flag(value))
    }

    /// With a number that is not negative; a string beyond [`INTEGER_MAX`].
    #[must_use]
    pub fn count(self, key: &'static str, value: u64) -> Self {
        self.with(key, Fact::Count(value))
    }

    /// With text of the host, cut at [`TEXT_BYTES_MAX`]. Text of a guest has no place here.
    #[must_use]
    pub fn text(self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.with(key, Fact::Text(bounded(value.into())))
    }

    /// With text, or null.
    #[must_use]
    pub fn optional_text(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(text) => self.text(key, text.to_owned()),
            None => self.with(key, Fact::Null),
        }
    }

    /// With the digest of a component, manifest or grant.
    #[must_use]
    pub fn digest(self, key: &'static str, value: &Digest) -> Self {
        self.text(key, value.to_string())
    }

    /// With a SHA-256 value.
    #[must_use]
    pub fn sha256(self, key: &'static str, value: Hash) -> Self {
        self.with(key, Fact::Sha256(value))
    }

    /// With a list of texts, the first [`LIST_ENTRIES_MAX`].
    #[must_use]
    pub fn texts(self, key: &'static str, values: Vec<String>) -> Self {
        let values = values.into_iter().take(LIST_ENTRIES_MAX);
        self.with(key, Fact::Texts(values.map(|text| bounded(text.into())).collect()))
    }

    /// With an object.
    #[must_use]
    pub fn object(self, key: &'static str, value: Self) -> Self {
        self.with(key, Fact::Object(value))
    }

    /// With a list of objects, the first [`LIST_ENTRIES_MAX`].
    #[must_use]
    pub fn objects(self, key: &'static str, mut values: Vec<Self>) -> Self {
        values.truncate(LIST_ENTRIES_MAX);
        self.with(key, Fact::Objects(values))
    }

    /// The later of two equal keys wins, so that the object stays well-formed.
    fn with(mut self, key: &'static str, fact: Fact) -> Self {
        match self.0.binary_search_by_key(&key, |(name, _)| *name) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 = fact;
                }
            }
            Err(at) => self.0.insert(at, (key, fact)),
        }
        self
    }

    /// Appends the canonical object, with `extras` (canonical texts, in the order of their keys)
    /// among the members, each under its own key, which replaces a fact of that name.
    pub(super) fn write_with(&self, extras: [(&'static str, &str); 2], out: &mut String) {
        let mut facts = self.0.iter().peekable();
        let mut separator = "{";
        let mut member = |key: &str, out: &mut String| {
            out.push_str(separator);
            separator = ", ";
            write_key(key, out);
        };
        for (name, text) in extras {
            while let Some((key, fact)) = facts.next_if(|(key, _)| *key < name) {
                member(key, out);
                fact.write(out);
            }
            facts.next_if(|(key, _)| *key == name);
            member(name, out);
            out.push_str(text);
        }
        for (key, fact) in facts {
            member(key, out);
            fact.write(out);
        }
        out.push('}');
    }

    /// Appends the canonical object.
    pub(super) fn write(&self, out: &mut String) {
        out.push('{');
        for (index, (key, fact)) in self.0.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { ", " });
            write_key(key, out);
            fact.write(out);
        }
        out.push('}');
    }
}

impl Fact {
    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Count(count) if *count > INTEGER_MAX => write_text(&count.to_string(), out),
            Self::Count(count) => write_u64(*count, out),
            Self::Text(text) => write_text(text, out),
            Self::Sha256(hash) => write_text(hash.hex().as_str(), out),
            Self::Object(facts) => facts.write(out),
            Self::Texts(texts) => write_list(texts, out, |text, out| write_text(text, out)),
            Self::Objects(objects) => write_list(objects, out, |facts, out| facts.write(out)),
        }
    }
}

fn write_list<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write(item, out);
    }
    out.push(']');
}

/// Appends `"key": `.
pub(super) fn write_key(key: &str, out: &mut String) {
    write_text(key, out);
    out.push_str(": ");
}

/// The text, cut at a character when it is longer than [`TEXT_BYTES_MAX`].
pub(super) fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX - 3);
    Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(facts: &Facts) -> String {
        let mut out = String::new();
        facts.write(&mut out);
        out
    }

    #[test]
    fn facts_are_written_sorted_and_canonical() {
        let facts = Facts::new()
            .text("z", "é")
            .flag("b", true)
            .count("a", INTEGER_MAX)
            .count("big", INTEGER_MAX + 1)
            .optional_text("none", None)
            .texts("list", vec!["x".into(), "y".into()])
            .object("o", Facts::new().count("n", 1).count("n", 2));
        let expected = r#"{"a": 9007199254740991, "b": true, "big": "9007199254740992", "list": ["x", "y"], "none": null, "o": {"n": 2}, "z": "\u00e9"}"#;
        assert_eq!(text(&facts), expected);
        let value = serde_json::from_str(expected).unwrap();
        assert_eq!(crate::evidence::canonical::to_string(&value).unwrap(), expected);
    }

    #[test]
    fn extra_members_take_their_places_in_the_order() {
        for (keys, expected) in [
            (vec![], r#"{"m": 0, "q": 2}"#),
            (vec!["a", "z"], r#"{"a": 1, "m": 0, "q": 2, "z": 1}"#),
            (vec!["o"], r#"{"m": 0, "o": 1, "q": 2}"#),
            (vec!["a", "m", "q"], r#"{"a": 1, "m": 0, "q": 2}"#),
        ] {
            let facts = keys.into_iter().fold(Facts::new(), |facts, key| facts.count(key, 1));
            let mut out = String::new();
            facts.write_with([("m", "0"), ("q", "2")], &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn text_and_lists_are_bounded() {
        let facts = Facts::new()
            .text("t", "é".repeat(400))
            .texts("l", vec![String::new(); 100])
            .objects("o", vec![Facts::new(); 100]);
        let value: serde_json::Value = serde_json::from_str(&text(&facts)).unwrap();
        assert!(value["t"].as_str().unwrap().len() <= TEXT_BYTES_MAX);
        assert!(value["t"].as_str().unwrap().ends_with("é..."));
        assert_eq!(value["l"].as_array().unwrap().len(), LIST_ENTRIES_MAX);
        assert_eq!(value["o"].as_array().unwrap().len(), LIST_ENTRIES_MAX);
    }
}
