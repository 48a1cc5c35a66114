//! The files as they are written, before anything is checked. Every value keeps its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Approval, Placement, RawLimits, TrustLevel, UnknownInput};
use crate::{capability::Risk, id::PluginName, invocation::Mode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) plugin: RawPlugin,
    #[serde(default)]
    pub(super) asks: Vec<Spanned<RawAsk>>,
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) capabilities: BTreeMap<Spanned<String>, RawCapability>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlugin {
    pub(super) name: PluginName,
    pub(super) version: semver::Version,
    pub(super) description: Spanned<String>,
    #[serde(default)]
    pub(super) stateful: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOverlay {
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) capabilities: BTreeMap<Spanned<String>, RawCapability>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAsk {
    pub(super) permission: Spanned<String>,
    pub(super) reason: Spanned<String>,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCapability {
    pub(super) modes: Option<Spanned<Vec<Mode>>>,
    pub(super) risk: Option<Spanned<Risk>>,
    pub(super) read_only: Option<Spanned<bool>>,
    pub(super) destructive: Option<Spanned<bool>>,
    pub(super) idempotent: Option<Spanned<bool>>,
    pub(super) timeout_ms: Option<Spanned<u64>>,
    pub(super) approval: Option<Spanned<Approval>>,
    pub(super) placement: Option<Spanned<Placement>>,
    pub(super) trust_level: Option<Spanned<TrustLevel>>,
    pub(super) path_parameters: Option<Spanned<Vec<String>>>,
    pub(super) unknown_input: Option<Spanned<UnknownInput>>,
    pub(super) budget: Option<RawBudget>,
    #[serde(default)]
    pub(super) invariants: Vec<Spanned<RawInvariant>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBudget {
    pub(super) calls_per_correlation: Option<Spanned<u64>>,
    pub(super) calls_per_day: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInvariant {
    pub(super) id: Spanned<String>,
    pub(super) parameter: Spanned<String>,
    pub(super) kind: Kind,
    pub(super) value: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Required,
    MaxLength,
    OneOf,
    MatchesGlob,
    Maximum,
    Minimum,
}
