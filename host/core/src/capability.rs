//! One exported WIT function as callers see it: names, schemas, and what its manifest says of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    function_type::FunctionType,
    id::{CapabilityId, Digest},
};

/// The interfaces of the shipped contracts, as package and interface: their functions have two
/// ids, `git.repository.log` and the short `git.log`, fixed here and nowhere else. An interface
/// stands here only when it is the one of its package with functions.
pub const CONTRACTS: &[(&str, &str)] = &[
    ("embedding", "embedder"),
    ("filesystem", "files"),
    ("git", "repository"),
    ("ocr", "recognizer"),
    ("rag", "retrieval"),
    ("rerank", "reranker"),
    ("translation", "translator"),
];

/// How much harm a wrong call can do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Reading what was granted.
    Low,
    /// Writing, network, or unknown.
    #[default]
    Medium,
    /// Deleting, writing together with network, calling anything.
    High,
    /// Asked for each time.
    Critical,
}

impl Risk {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One exported WIT function, as read from the component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// The short id where a shipped contract fixes one, else the long one: `git.log`.
    pub id: CapabilityId,
    /// The id with the interface: `git.repository.log`.
    pub long_id: CapabilityId,
    /// The version of the WIT package, else the manifest's, else 0.0.0.
    pub version: semver::Version,
    /// The WIT doc comment, first paragraph first.
    pub description: String,
    /// JSON Schema 2020-12 of the input object.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the output.
    pub output_schema: Value,
    /// JSON Schema 2020-12 of the function's own error, when its result has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_schema: Option<Value>,
    /// How the component exports it.
    pub export: ExportPath,
    /// BLAKE3 of the function's type, written out without names of types and without comments: who
    /// imports the function is linked to it only where both are the same. None where the type is
    /// too large to be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_hash: Option<Digest>,
    /// The type itself, for calls whose values travel in binary form. None where it is too large, and
    /// for a command, whose input is none of its function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_type: Option<FunctionType>,
}

/// How a component exports a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExportPath {
    /// The instance export's exact name, `meshhost:git/repository@0.1.0`; `None` for a function
    /// that the world exports itself.
    pub interface: Option<String>,
    /// The function's exact WIT name.
    pub function: String,
}
