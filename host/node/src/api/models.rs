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

/// The process that runs models, and what is loaded in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningModels {
    /// `absent`, `starting` or `running`.
    pub worker: String,
    /// Its process, when it runs.
    pub process: Option<i32>,
    /// The engine and its version, when it runs.
    pub engine: Option<String>,
    /// Why there is none although one was needed.
    pub reason: Option<String>,
    /// The models in it.
    pub models: Vec<RunningModel>,
}

/// A model that is loaded or being loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningModel {
    /// Its name; null when it was removed meanwhile.
    pub name: Option<ModelName>,
    /// BLAKE3 of its file.
    pub digest: Digest,
    /// The engine and its version.
    pub engine: String,
    /// What runs its nodes.
    pub provider: String,
    /// Sessions, those that are being loaded included.
    pub sessions: u64,
    /// Bytes of its file, once for each session.
    pub bytes: u64,
    /// Calls that it answered since it was first loaded.
    pub runs: u64,
    /// Runs that go on.
    pub running: u64,
    /// Calls that wait for it.
    pub waiting: u64,
}

/// The engines that can run models here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtimes {
    /// What the configuration allows: `any`, `onnx-runtime` or `embedded`.
    pub engines: String,
    /// What runs the nodes of a model.
    pub provider: String,
    /// The engines, in the order in which they are tried.
    pub runtimes: Vec<RuntimeView>,
}

/// A library that runs models, as an install left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledRuntime {
    /// `onnx-runtime`.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// Its file in the data directory.
    pub library: String,
    /// BLAKE3 of that file.
    pub digest: Digest,
    /// Bytes of that file.
    pub bytes: u64,
    /// What else was installed with it: its parts for devices and its terms of use.
    pub files: Vec<RuntimeFile>,
    /// What the install did.
    pub change: RuntimeChange,
    /// The digest of the library of the same version that it replaced.
    pub replaced: Option<Digest>,
}

/// A file of an installed library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFile {
    /// Its name.
    pub name: String,
    /// BLAKE3 of it.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What the install of a library did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeChange {
    /// There was none of this version.
    Installed,
    /// There was another one of this version.
    Replaced,
    /// It was there already, with these very files.
    Unchanged,
}

/// One engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeView {
    /// `onnx-runtime` or `embedded`.
    pub engine: String,
    /// The library's file, or the name for the system's loader.
    pub library: Option<String>,
    /// Its version, when it can be used.
    pub version: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Whether this one runs the models of the node when it starts.
    pub used: bool,
}
