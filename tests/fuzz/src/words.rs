//! Words that people and plugins write: permissions, ids, globs, hosts, addresses, sizes.

use std::{fmt::Display, str::FromStr};

use meshhost_core::{
    id::{CapabilityId, CorrelationId, Digest, HostId, InvocationId, PluginName},
    network::{AddressRange, Host, HostPattern, NetworkRule},
    permission::{Permission, glob, parse_size},
};

use crate::{files::comes_back, text};

/// A permission in its grammar.
pub(crate) fn permission(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(permission) = text.parse::<Permission>() else { return };
    comes_back(&permission);
    assert!(permission.covers(&permission), "{permission} does not cover itself");
    assert!(!permission.describe().is_empty());
    if let Ok(absolute) = permission.clone().absolute("/work", "/home/me") {
        comes_back(&absolute);
        assert_eq!(absolute.clone().absolute("/elsewhere", "/home/you"), Ok(absolute));
    }
}

/// Up to three lines: patterns, and a text that they are held against.
pub(crate) fn patterns(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (first, second, third) = (line(), line(), line());
    for word in [first, second, third] {
        round_trip::<PluginName>(word);
        round_trip::<CapabilityId>(word);
        round_trip::<InvocationId>(word);
        round_trip::<CorrelationId>(word);
        round_trip::<HostId>(word);
        round_trip::<Digest>(word);
        round_trip::<AddressRange>(word);
        round_trip::<HostPattern>(word);
        round_trip::<NetworkRule>(word);
        let _ = parse_size(word);
    }
    globs(first, second, third);
    hosts(first, second, third);
    rules(first, second);
}

/// What a glob covers it also matches.
fn globs(wide: &str, narrow: &str, text: &str) {
    let escaped = glob::escape(text);
    if glob::check(&escaped).is_ok() {
        assert!(glob::matches(&escaped, text), "{escaped:?} is not {text:?}");
    }
    if glob::check(wide).is_err() || glob::check(narrow).is_err() {
        return;
    }
    assert!(glob::covers(wide, wide));
    if glob::covers(wide, narrow) && glob::matches(narrow, text) {
        assert!(glob::matches(wide, text), "{wide:?} covers {narrow:?} and is not {text:?}");
    }
}

fn hosts(wide: &str, narrow: &str, host: &str) {
    let (Ok(wide), Ok(narrow)) = (wide.parse::<HostPattern>(), narrow.parse::<HostPattern>())
    else {
        return;
    };
    assert!(wide.covers(&wide));
    let Some(host) = Host::parse(host) else { return };
    if wide.covers(&narrow) && narrow.matches(&host) {
        assert!(wide.matches(&host), "{wide} covers {narrow} and is not {host:?}");
    }
}

/// Covering is what it says, both ways only for the same rule.
fn rules(one: &str, other: &str) {
    let (Ok(one), Ok(other)) = (one.parse::<NetworkRule>(), other.parse::<NetworkRule>()) else {
        return;
    };
    assert!(one.covers(&one) && other.covers(&other));
    if one.covers(&other) && other.covers(&one) {
        assert_eq!(one.to_string(), other.to_string());
    }
}

/// What is accepted is written so that it is understood the same.
pub(crate) fn round_trip<T>(word: &str)
where
    T: FromStr + Display + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = word.parse::<T>() {
        let written = value.to_string();
        assert!(written.parse::<T>().is_ok_and(|read| read == value), "{word:?} as {written:?}");
    }
}
