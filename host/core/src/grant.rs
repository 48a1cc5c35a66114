//! What the operator allows a plugin, and what is left of it after manifest and ceiling.
//!
//! A [`GrantFile`] is what was agreed to, one for each plugin; [`effective`] is the only way from
//! there to the plain values that the runtime sees. Deliberately absent: anything that widens by
//! itself. A grant that the manifest does not ask for (any more) is dropped and named.

use serde::{Deserialize, Serialize};

use crate::{
    limits::Limits,
    network::{AddressRange, NetworkRule},
    permission::{CallRule, FolderMode},
};

mod committed;
mod effective;
mod executed;
mod file;
mod secret;

pub use committed::{commit_writes, lies_in_repository, needed_to_bring, needed_to_change};
pub use effective::{Effective, GrantRefusal, RefusedGrant, check_grant, effective, needs_choice};
pub use executed::{executes_for_others, may_hold_executed};
pub use file::{FolderIdentity, GRANT_FILE_BYTES_MAX, GrantEntry, GrantFile};
pub use secret::looks_like_secret;

/// A granted folder with the identity that it had when it was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderGrant {
    /// The name the guest sees, absolute.
    pub guest: String,
    /// The canonical path on the host.
    pub host: String,
    /// What it may be used for.
    pub mode: FolderMode,
    /// Device number when granted.
    pub device: u64,
    /// Inode number when granted; another one suspends the grant.
    pub inode: u64,
}

/// What a plugin really may do: manifest ∩ grant ∩ node ceiling, as plain values. The runtime
/// sees this and never the policy that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EffectiveGrants {
    /// Folders.
    pub folders: Vec<FolderGrant>,
    /// Outgoing requests.
    pub network: Vec<NetworkRule>,
    /// Private ranges that granted names may resolve into.
    pub network_ranges: Vec<AddressRange>,
    /// Environment variables with their values.
    pub environment: Vec<(String, String)>,
    /// Clocks.
    pub clock: bool,
    /// Secure random numbers.
    pub random: bool,
    /// Bytes of the key-value store, when granted.
    pub key_value_bytes: Option<u64>,
    /// Bytes of all corpora to search in, when granted.
    pub index_bytes: Option<u64>,
    /// Capabilities that may be called.
    pub calls: Vec<CallRule>,
    /// Names of the models that it may run.
    pub models: Vec<String>,
    /// Bytes of standard output per call.
    pub stdout_bytes: u64,
    /// Bytes of log text per call.
    pub log_bytes: u64,
}

/// The most that this node allows any plugin, whatever is asked and granted. Comes from the
/// node's configuration ([`crate::config`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// No call gets more than these.
    pub limits: Limits,
    /// What a plugin gets that wishes nothing else.
    pub default_limits: Limits,
    /// The highest folder mode; `None` means no folders at all.
    pub folders: Option<FolderMode>,
    /// Whether requests may leave.
    pub network: bool,
    /// Most bytes of one plugin's key-value store.
    pub key_value_bytes: u64,
    /// Most bytes of one plugin's corpora together.
    pub index_bytes: u64,
}

impl Ceiling {
    /// Most bytes of one plugin's key-value store when nothing else is configured.
    pub const KEY_VALUE_BYTES: u64 = 64 * crate::limits::MIB;

    /// Most bytes of one plugin's corpora when nothing else is configured.
    pub const INDEX_BYTES: u64 = 4 * 1024 * crate::limits::MIB;

    /// What holds when nothing is configured.
    pub const DEFAULT: Self = Self {
        limits: Limits::CEILING,
        default_limits: Limits::DEFAULT,
        folders: Some(FolderMode::RwExec),
        network: true,
        key_value_bytes: Self::KEY_VALUE_BYTES,
        index_bytes: Self::INDEX_BYTES,
    };
}

impl Default for Ceiling {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests;
