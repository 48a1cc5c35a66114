//! What a plugin asks for and says of itself, written by its author in TOML and read here once.
//!
//! ```toml
//! [plugin]
//! name = "git"
//! version = "0.1.0"
//! description = "Reads git repositories."
//! stateful = false                         # one instance keeps its state; see below
//!
//! [[asks]]
//! permission = "fs:ro"                     # the grammar of `permission`
//! reason = "read the repositories that you choose"
//! optional = false
//!
//! [limits]                                 # wishes; the node's ceiling stands above them
//! deadline_ms = 10_000
//!
//! [capabilities."git.log"]                 # an id, or its last parts: `log`
//! modes = ["sync"]                         # sync, stream
//! risk = "low"                             # low, medium, high, critical
//! read_only = true
//! destructive = false
//! idempotent = true
//! timeout_ms = 5_000
//! approval = "never"                       # never, first, each
//! placement = "any"                        # local, any, remote
//! trust_level = "unknown"                  # unknown, member, trusted, anchor
//! path_parameters = ["repository"]
//! unknown_input = "refuse"                 # refuse, ignore
//! budget = { calls_per_correlation = 100, calls_per_day = 1_000 }
//!
//! [[capabilities."git.log".invariants]]
//! id = "short-log"
//! parameter = "limit"
//! kind = "maximum"                         # required, max-length, one-of, matches-glob, …
//! value = 1_000
//! ```
//!
//! Names of capabilities, their descriptions and their types come from the component and cannot
//! be overridden. Unknown keys are refused: a key that nothing enforces would promise what is not
//! kept.
//!
//! `stateful = true` lets one instance serve all calls, one at a time, and keep its memory between
//! them. Limits of memory, tables, handles and host memory hold over the instance's life, the
//! others for each call. A caller who stops waiting (deadline, disconnect) does not end the guest,
//! and the outcome is indeterminate; a limit of the plugin does. The state is lost and the next
//! call begins with a fresh instance:
//!
//! - after a trap, a limit, an output that does not fit, or the end of a command: recorded as
//!   `dev.meshhost.plugin_state_lost`, if an earlier call had left state;
//! - when the plugin is disabled, updated or removed, or its limits change, each recorded as such;
//! - after ten minutes without a call, and when the node ends. Neither is recorded: state that must
//!   last belongs in the key-value store.
//!
//! `placement = "local"` keeps a capability from other nodes, whatever is shared, and `trust_level` from
//! members that are trusted less ([`crate::mesh::share::reaches`]). `placement = "remote"` keeps it
//! from the callers of its own node: their calls go to other nodes that offer it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    capability::Risk,
    code::Code,
    diagnostic::{Diagnostic, Source, read_toml},
    gates::Budget,
    id::{Digest, PluginName},
    invocation::Mode,
    limits::LimitsWanted,
    permission::Permission,
};

mod bind;
mod invariant;
mod limits;
mod overlay;
mod raw;
mod validate;

pub use bind::BindError;
pub use invariant::{Bound, Invariant, InvariantFailure, InvariantRule, check_invariants};
pub(crate) use limits::RawLimits;
pub(crate) use validate::permission as read_permission;

/// Largest manifest in bytes.
pub const MANIFEST_BYTES_MAX: usize = 64 * 1024;
/// Most asks in one manifest.
pub const ASKS_MAX: usize = 64;
/// Most capabilities that one manifest describes.
pub const CAPABILITIES_MAX: usize = 256;
/// Most invariants of one capability.
pub const INVARIANTS_MAX: usize = 32;
/// Most path parameters of one capability.
pub const PATH_PARAMETERS_MAX: usize = 32;
/// Longest description or reason in characters.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// A manifest that was read and found right.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The plugin's name, unless the operator gives it another.
    pub name: PluginName,
    /// The version of capabilities whose WIT package has none.
    pub version: semver::Version,
    /// What the plugin is, in a sentence or two.
    pub description: String,
    /// Whether one instance serves all calls and keeps its state.
    pub stateful: bool,
    /// What it asks for, in the author's order.
    pub asks: Vec<Ask>,
    /// The limits that it wishes.
    pub limits: LimitsWanted,
    /// The operator's own upper bounds for this plugin, from an overlay; nothing raises them.
    pub limit_caps: LimitsWanted,
    /// What it says of its capabilities, by the key in the file; [`Manifest::bind`] finds the
    /// capability that each means.
    pub capabilities: BTreeMap<String, CapabilityRules>,
}

/// One thing that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What.
    pub permission: Permission,
    /// Why, in the author's words; shown in the review.
    pub reason: String,
    /// Whether the plugin works without it.
    pub optional: bool,
}

/// What a manifest says of one capability.
#[derive(Debug, Clone, PartialEq)]
pub struct CapabilityRules {
    /// How it can be called; the mode gate refuses the rest.
    pub modes: Vec<Mode>,
    /// How much harm a wrong call can do, as declared; see [`CapabilityRules::risk`].
    pub risk: Option<Risk>,
    /// It changes nothing; shown to callers.
    pub read_only: bool,
    /// It may delete or overwrite; shown to callers, and at least medium risk.
    pub destructive: bool,
    /// The same call twice has the effect of one: its result is kept and given again.
    pub idempotent: bool,
    /// Milliseconds for one call, within the plugin's deadline.
    pub timeout_ms: Option<u64>,
    /// Whether somebody must approve.
    pub approval: Approval,
    /// Where it may run.
    pub placement: Placement,
    /// How far a calling node must be trusted.
    pub trust_level: TrustLevel,
    /// Parameters that are paths of the calling machine; the command line makes them absolute.
    pub path_parameters: Vec<String>,
    /// What happens to input keys that the function does not have.
    pub unknown_input: UnknownInput,
    /// How often it may be called.
    pub budget: Budget,
    /// What must hold of the input.
    pub invariants: Vec<Invariant>,
}

impl Default for CapabilityRules {
    /// What holds for a capability that no manifest describes.
    fn default() -> Self {
        Self {
            modes: vec![Mode::Sync],
            risk: None,
            read_only: false,
            destructive: false,
            idempotent: false,
            timeout_ms: None,
            approval: Approval::default(),
            placement: Placement::default(),
            trust_level: TrustLevel::default(),
            path_parameters: Vec::new(),
            unknown_input: UnknownInput::default(),
            budget: Budget::default(),
            invariants: Vec::new(),
        }
    }
}

impl CapabilityRules {
    /// The declared risk: medium when nothing is said, at least medium when it may delete.
    #[must_use]
    pub fn risk(&self) -> Risk {
        let declared = self.risk.unwrap_or(Risk::Medium);
        if self.destructive { declared.max(Risk::Medium) } else { declared }
    }

    /// Whether the approval gate asks. In this release nobody can approve, so a capability with
    /// any other tier than `never` is denied with [`Code::ApprovalRequired`].
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.approval != Approval::Never
    }
}

/// Whether somebody must approve a call. In order: each asks for more than the one before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Nobody.
    #[default]
    Never,
    /// The first call of a caller.
    First,
    /// Each call.
    Each,
}

/// Where a capability may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// On the caller's own node only.
    Local,
    /// Anywhere.
    #[default]
    Any,
    /// On another node than the caller's only.
    Remote,
}

/// How far a node is trusted. In order: each is trusted further than the one before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum TrustLevel {
    /// Nobody knows it.
    #[default]
    Unknown,
    /// A member of the community.
    Member,
    /// A member that is vouched for.
    Trusted,
    /// One of those that vouch.
    Anchor,
}

/// What happens to input keys that the function does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownInput {
    /// The call is denied, with the nearest known name.
    #[default]
    Refuse,
    /// They are dropped.
    Ignore,
}

impl Manifest {
    /// Reads a manifest. `file` is its name as given, for errors.
    ///
    /// # Errors
    /// When it is too large, is not TOML, has unknown keys or wrong values; with the place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let source = Source { code: Code::ManifestInvalid, file, text };
        let raw: raw::RawManifest = read_toml(&source, MANIFEST_BYTES_MAX)?;
        validate::manifest(&source, raw)
    }

    /// The manifest with the operator's overlay: the same keys under `[limits]` and
    /// `[capabilities]`, which may only tighten what the author wrote.
    ///
    /// # Errors
    /// When the file is not right, or loosens anything; with the place.
    pub fn tightened(&self, file: &str, text: &str) -> Result<Self, Diagnostic> {
        let source = Source { code: Code::ConfigInvalid, file, text };
        let raw: raw::RawOverlay = read_toml(&source, MANIFEST_BYTES_MAX)?;
        overlay::apply(&source, self, raw)
    }
}

/// What consent binds: the component's bytes and the manifest's text, or that there is none.
#[must_use]
pub fn consent_digest(component: &Digest, manifest: Option<&str>) -> Digest {
    let mut bound = b"meshhost consent 1\n".to_vec();
    bound.extend_from_slice(component.as_bytes());
    if let Some(text) = manifest {
        bound.extend_from_slice(Digest::of(text.as_bytes()).as_bytes());
    }
    Digest::of(&bound)
}

#[cfg(test)]
mod tests;
