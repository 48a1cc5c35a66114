//! From the file as written to a manifest that can be relied on.

use std::{collections::BTreeMap, ops::Range};

use toml::Spanned;

use super::{
    ASKS_MAX, Ask, Bound, CAPABILITIES_MAX, CapabilityRules, INVARIANTS_MAX, Invariant,
    InvariantRule, Manifest, PATH_PARAMETERS_MAX, TEXT_CHARS_MAX,
    raw::{Kind, RawAsk, RawBudget, RawCapability, RawInvariant, RawManifest},
};
use crate::{
    capability::Risk,
    diagnostic::{Diagnostic, Source, printable},
    gates::Budget,
    id::CapabilityId,
    limits::LimitsWanted,
    permission::{Permission, glob},
};

/// Longest name of an invariant or parameter in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most texts in `one-of`.
const TEXTS_MAX: usize = 64;
/// Longest text in `one-of` in bytes.
const TEXT_BYTES_MAX: usize = 256;

pub(super) fn manifest(source: &Source<'_>, raw: RawManifest) -> Result<Manifest, Diagnostic> {
    let description = text(source, &raw.plugin.description, "description")?;
    let asks = asks(source, &raw.asks)?;
    let mut capabilities = BTreeMap::new();
    for (key, rules) in &raw.capabilities {
        if capabilities.len() == CAPABILITIES_MAX {
            let message = format!("more than {CAPABILITIES_MAX} capabilities are described");
            return Err(source.error(key.span(), message));
        }
        let rules = capability(source, key.span(), rules)?;
        if capabilities.insert(capability_key(source, key)?, rules).is_some() {
            let message = "this capability is described twice; `-` and `_` are the same";
            return Err(source.error(key.span(), message));
        }
    }
    Ok(Manifest {
        name: raw.plugin.name,
        version: raw.plugin.version,
        description,
        stateful: raw.plugin.stateful,
        asks,
        limits: raw.limits.validate(source)?,
        limit_caps: LimitsWanted::default(),
        capabilities,
    })
}

pub(super) fn capability_key(
    source: &Source<'_>,
    key: &Spanned<String>,
) -> Result<String, Diagnostic> {
    let id: Result<CapabilityId, _> = key.get_ref().parse();
    id.map(|id| id.folded()).map_err(|error| source.error(key.span(), error))
}

/// A text that is shown to people: bounded, not empty, nothing that hides or reorders.
fn text(source: &Source<'_>, value: &Spanned<String>, name: &str) -> Result<String, Diagnostic> {
    let text = value.get_ref().trim();
    let plain = printable(text) == text;
    if text.is_empty() || text.chars().nth(TEXT_CHARS_MAX).is_some() || !plain {
        let message = format!(
            "`{name}` has 1 to {TEXT_CHARS_MAX} characters on one line, none of them invisible"
        );
        return Err(source.error(value.span(), message));
    }
    Ok(text.to_owned())
}

fn asks(source: &Source<'_>, raw: &[Spanned<RawAsk>]) -> Result<Vec<Ask>, Diagnostic> {
    let mut asks: Vec<Ask> = Vec::new();
    for ask in raw {
        if asks.len() == ASKS_MAX {
            return Err(source.error(ask.span(), format!("there are more than {ASKS_MAX} asks")));
        }
        let RawAsk { permission: written, reason, optional } = ask.get_ref();
        let permission = permission(source, written)?;
        if let Permission::Folder { host: Some(host), .. } = &permission {
            let own_place = host.starts_with('/') || host == "~" || host.starts_with("~/");
            if !own_place || host.split('/').any(|segment| segment == "..") {
                let message = "a manifest names folders from the root or from `~`, without `..`";
                let hint = "write fs:ro=~/FOLDER, or fs:ro alone and let the operator choose";
                return Err(source.error_with_hint(written.span(), message, hint));
            }
        }
        if asks.iter().any(|other| other.permission == permission) {
            return Err(source.error(written.span(), "this permission is asked for twice"));
        }
        let reason = text(source, reason, "reason")?;
        asks.push(Ask { permission, reason, optional: *optional });
    }
    Ok(asks)
}

/// Reads a permission in a file, with the place in its error.
pub(crate) fn permission(
    source: &Source<'_>,
    written: &Spanned<String>,
) -> Result<Permission, Diagnostic> {
    written.get_ref().parse().map_err(|error: crate::permission::PermissionError| {
        let hint = error.hint.clone();
        source.error(written.span(), error).with_hint(hint)
    })
}

pub(super) fn capability(
    source: &Source<'_>,
    span: Range<usize>,
    raw: &RawCapability,
) -> Result<CapabilityRules, Diagnostic> {
    let mut rules = CapabilityRules::default();
    if let Some(modes) = &raw.modes {
        if modes.get_ref().is_empty() {
            return Err(source.error(modes.span(), "a capability has at least one mode"));
        }
        rules.modes.clone_from(modes.get_ref());
        rules.modes.dedup();
    }
    rules.risk = value_of(raw.risk.as_ref());
    rules.read_only = value_of(raw.read_only.as_ref()).unwrap_or_default();
    rules.destructive = value_of(raw.destructive.as_ref()).unwrap_or_default();
    rules.idempotent = value_of(raw.idempotent.as_ref()).unwrap_or_default();
    rules.timeout_ms = at_least_one(source, raw.timeout_ms.as_ref(), "timeout_ms")?;
    rules.approval = value_of(raw.approval.as_ref()).unwrap_or_default();
    rules.placement = value_of(raw.placement.as_ref()).unwrap_or_default();
    rules.trust_level = value_of(raw.trust_level.as_ref()).unwrap_or_default();
    rules.path_parameters = path_parameters(source, raw.path_parameters.as_ref())?;
    rules.unknown_input = value_of(raw.unknown_input.as_ref()).unwrap_or_default();
    rules.budget = budget(source, raw.budget.as_ref())?;
    rules.invariants = invariants(source, &raw.invariants)?;
    if rules.read_only && rules.destructive {
        let message = "a capability cannot be both read_only and destructive";
        return Err(source.error(span, message));
    }
    if rules.destructive && rules.risk == Some(Risk::Low) {
        let span = raw.risk.as_ref().map_or(span, Spanned::span);
        let hint = "write risk = \"medium\" or higher";
        return Err(source.error_with_hint(span, "what may delete is not of low risk", hint));
    }
    Ok(rules)
}

fn value_of<T: Copy>(value: Option<&Spanned<T>>) -> Option<T> {
    value.map(|value| *value.get_ref())
}

fn at_least_one(
    source: &Source<'_>,
    value: Option<&Spanned<u64>>,
    name: &str,
) -> Result<Option<u64>, Diagnostic> {
    match value {
        Some(value) if *value.get_ref() == 0 => {
            Err(source.error(value.span(), format!("`{name}` must be at least 1")))
        }
        _ => Ok(value_of(value)),
    }
}

fn budget(source: &Source<'_>, raw: Option<&RawBudget>) -> Result<Budget, Diagnostic> {
    let Some(RawBudget { calls_per_correlation, calls_per_day }) = raw else {
        return Ok(Budget::default());
    };
    let name = "calls_per_correlation";
    Ok(Budget {
        calls_per_correlation: at_least_one(source, calls_per_correlation.as_ref(), name)?,
        calls_per_day: at_least_one(source, calls_per_day.as_ref(), "calls_per_day")?,
    })
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(letter)
}

fn path_parameters(
    source: &Source<'_>,
    raw: Option<&Spanned<Vec<String>>>,
) -> Result<Vec<String>, Diagnostic> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let names = raw.get_ref();
    if names.len() > PATH_PARAMETERS_MAX || !names.iter().all(|name| is_name(name)) {
        let message = format!("path_parameters are at most {PATH_PARAMETERS_MAX} parameter names");
        return Err(source.error(raw.span(), message));
    }
    Ok(names.iter().map(|name| name.replace('-', "_")).collect())
}

fn invariants(
    source: &Source<'_>,
    raw: &[Spanned<RawInvariant>],
) -> Result<Vec<Invariant>, Diagnostic> {
    let mut invariants: Vec<Invariant> = Vec::new();
    for written in raw {
        let RawInvariant { id, parameter, kind, value } = written.get_ref();
        if invariants.len() == INVARIANTS_MAX {
            let message = format!("there are more than {INVARIANTS_MAX} invariants");
            return Err(source.error(written.span(), message));
        }
        for name in [id, parameter] {
            if !is_name(name.get_ref()) {
                let message = "a name is made of letters, digits, `-`, `_` and `.`";
                return Err(source.error(name.span(), message));
            }
        }
        if invariants.iter().any(|other| other.id == *id.get_ref()) {
            return Err(source.error(id.span(), "there is another invariant with this id"));
        }
        let span = value.as_ref().map_or_else(|| written.span(), Spanned::span);
        let rule = rule(*kind, value.as_ref().map(Spanned::get_ref))
            .map_err(|expected| source.error(span, expected))?;
        let (id, parameter) = (id.get_ref().clone(), parameter.get_ref().replace('-', "_"));
        invariants.push(Invariant { id, parameter, rule });
    }
    Ok(invariants)
}

/// The rule, or what its value should have been.
fn rule(kind: Kind, value: Option<&toml::Value>) -> Result<InvariantRule, &'static str> {
    let number = |value: Option<&toml::Value>| match value {
        Some(toml::Value::Integer(number)) => Some(Bound::Integer(*number)),
        Some(toml::Value::Float(number)) if number.is_finite() => Some(Bound::Float(*number)),
        _ => None,
    };
    match kind {
        Kind::Required if value.is_some() => Err("`required` takes no value"),
        Kind::Required => Ok(InvariantRule::Required),
        Kind::MaxLength => value
            .and_then(toml::Value::as_integer)
            .and_then(|length| u64::try_from(length).ok())
            .map(InvariantRule::MaxLength)
            .ok_or("`max-length` needs a number from 0 on as its value"),
        Kind::OneOf => value
            .and_then(texts)
            .map(InvariantRule::OneOf)
            .ok_or("`one-of` needs a list of 1 to 64 texts of at most 256 bytes as its value"),
        Kind::MatchesGlob => value
            .and_then(toml::Value::as_str)
            .filter(|pattern| glob::check(pattern).is_ok())
            .map(|pattern| InvariantRule::MatchesGlob(pattern.to_owned()))
            .ok_or("`matches-glob` needs a glob of at most 256 bytes as its value"),
        Kind::Maximum => {
            number(value).map(InvariantRule::Maximum).ok_or("`maximum` needs a number as its value")
        }
        Kind::Minimum => {
            number(value).map(InvariantRule::Minimum).ok_or("`minimum` needs a number as its value")
        }
    }
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    let items = value.as_array()?;
    if !(1..=TEXTS_MAX).contains(&items.len()) {
        return None;
    }
    let text = |item: &toml::Value| {
        item.as_str().filter(|text| text.len() <= TEXT_BYTES_MAX).map(str::to_owned)
    };
    items.iter().map(text).collect()
}
