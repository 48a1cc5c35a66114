//! What replies show of models.

use meshhost_core::id::{Digest, ModelName};
use serde::{Deserialize, Serialize};

use crate::store::models::ModelRecord;

/// A model as an `add` left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedModel {
    /// The model.
    #[serde(flatten)]
    pub model: ModelRecord,
    /// What happened to it.
    pub change: ModelChange,
    /// The digest of the model that had the name before, when it is an update.
    pub replaced: Option<Digest>,
}

/// What an `add` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelChange {
    /// There was none of this name.
    Added,
    /// There was another one.
    Updated,
    /// It was there already; its files were written again.
    Unchanged,
}

/// What the check of the files of models found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelVerification {
    /// Files that were read.
    pub files: u64,
    /// Their bytes in all, as they should be.
    pub bytes: u64,
    /// Files that are not what was added.
    pub damaged: Vec<DamagedFile>,
}

/// A file of a model that is not what was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedFile {
    /// The model.
    pub model: ModelName,
    /// The file beside it; null for the model's own.
    pub file: Option<String>,
    /// What it should be.
    pub digest: Digest,
    /// `missing`, `changed` or `unreadable`.
    pub problem: String,
}
