//! What the operator allows a plugin, and what is left of it after manifest and ceiling.

use serde::{Deserialize, Serialize};

use crate::{
    network::{AddressRange, NetworkRule},
    permission::{CallRule, FolderMode},
};

mod executed;

pub use executed::{executes_for_others, may_hold_executed};

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
    /// Capabilities that may be called.
    pub calls: Vec<CallRule>,
    /// Bytes of standard output per call.
    pub stdout_bytes: u64,
    /// Bytes of log text per call.
    pub log_bytes: u64,
}
