//! Functions that a component imports from other plugins, and how the provider is found.

use semver::{Comparator, Op, Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::id::{CapabilityId, Digest};

/// One function that a component imports and that another plugin provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The import's exact name, `meshhost:embedding/embedder@0.1.0`.
    pub interface: String,
    /// The function's exact WIT name.
    pub function: String,
    /// What is called.
    pub callee: Callee,
    /// Whether its error can carry that of a call: only then may the provider be another node's.
    #[serde(default)]
    pub carries_call_errors: bool,
}

/// A capability as a component means it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callee {
    /// Its id.
    pub capability: CapabilityId,
    /// The version that the component was built against; the provider's must be compatible with it
    /// and no older. None: any.
    pub version: Option<Version>,
    /// The type that it must have; none where the caller speaks JSON, which is checked as it comes.
    pub type_hash: Option<Digest>,
}

impl Callee {
    /// A capability by its name alone.
    #[must_use]
    pub const fn named(capability: CapabilityId) -> Self {
        Self { capability, version: None, type_hash: None }
    }

    /// The versions that will do: `^version`.
    #[must_use]
    pub fn versions(&self) -> Option<VersionReq> {
        let version = self.version.as_ref()?;
        let comparator = Comparator {
            op: Op::Caret,
            major: version.major,
            minor: Some(version.minor),
            patch: Some(version.patch),
            pre: version.pre.clone(),
        };
        Some(VersionReq { comparators: vec![comparator] })
    }
}
