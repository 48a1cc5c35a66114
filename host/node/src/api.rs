//! Everything that a command can ask of a node, as one enum: the command line, in process or
//! over the admin socket, says a [`Request`] and gets a [`Reply`]. There is no other way to
//! install, grant, call or read the record.

mod mesh;
mod models;
mod view;

use std::path::PathBuf;

use meshhost_core::{
    code::Code,
    config::InferenceEngines,
    id::{CapabilityId, CorrelationId, Digest, InvocationId, ModelName, PluginName},
    limits::LimitsWanted,
    outcome::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::models::ModelRecord;

pub use mesh::{
    CheckedAddress, DiscoveryView, Entered, MemberView, MeshReply, MeshRequest, MeshStatus, Pinged,
    TicketText, TicketView, is_level,
};
pub use models::{
    AddedModel, DamagedFile, InstalledRuntime, ModelChange, ModelVerification, RunningModel,
    RunningModels, RuntimeChange, RuntimeFile, RuntimeView, Runtimes,
};
pub use view::{
    AskView, CallReply, CapabilityView, DataChange, DeniedView, PluginView, RemovedPlugin, Review,
};

/// Where a component comes from. The node reads it itself, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from", content = "at")]
pub enum Source {
    /// A first-party component inside the binary.
    BuiltIn(String),
    /// A file, absolute.
    File(PathBuf),
}

/// One thing asked of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Request {
    /// What a component is and would ask, without installing it.
    Inspect {
        /// The component.
        source: Source,
        /// The name it would have.
        name: Option<PluginName>,
    },
    /// Installs, when consent is complete; else answers with the review.
    Install {
        /// The component.
        source: Source,
        /// Another name than the manifest's or the file's.
        name: Option<PluginName>,
        /// What is granted.
        consent: Consent,
    },
    /// Updates an installed plugin; a widening is staged.
    Update {
        /// The plugin.
        name: PluginName,
        /// The new component; `None` takes the built-in one of that name.
        source: Option<Source>,
        /// What is granted beyond what it has.
        consent: Consent,
    },
    /// Lets a staged update serve.
    Approve {
        /// The plugin.
        name: PluginName,
        /// The staged component's digest, as it was shown.
        digest: Digest,
        /// What is granted beyond what it has.
        consent: Consent,
    },
    /// Goes back to the version before.
    Rollback {
        /// The plugin.
        name: PluginName,
    },
    /// Lets a plugin serve again; also ends a quarantine.
    Enable {
        /// The plugin.
        name: PluginName,
    },
    /// Stops serving; calls are skipped.
    Disable {
        /// The plugin.
        name: PluginName,
    },
    /// Removes plugin, grants and versions. Evidence stays.
    Remove {
        /// The plugin.
        name: PluginName,
        /// Whether what it has stored is deleted as well, also when the plugin is gone already.
        #[serde(default)]
        data: bool,
    },
    /// All plugins.
    Plugins,
    /// One plugin: asks, grants, what is effective, limits.
    Permissions {
        /// The plugin.
        name: PluginName,
    },
    /// Adds permissions.
    Grant {
        /// The plugin.
        name: PluginName,
        /// In the grammar of `meshhost_core::permission`.
        permissions: Vec<String>,
        /// Limits beyond the default, within the ceiling.
        limits: LimitsWanted,
    },
    /// Takes permissions away; running calls meet it at their next host call.
    Revoke {
        /// The plugin.
        name: PluginName,
        /// As written by `Permissions`; empty means all.
        permissions: Vec<String>,
    },
    /// Makes a plugin the provider of a capability that several have.
    Prefer {
        /// The capability.
        capability: CapabilityId,
        /// The plugin.
        name: PluginName,
    },
    /// All capabilities.
    Capabilities,
    /// How a capability of another node is called, as that node says.
    Describe {
        /// The capability.
        capability: CapabilityId,
        /// The node, when one is meant; else the first that has it.
        node: Option<String>,
    },
    /// Calls a capability. Where `stream` is set, replies with items may come before the result.
    Call(CallRequest),
    /// Runs a component without installing it, with no grants.
    Run {
        /// The component.
        source: Source,
        /// The function, for a component that is no command or has several.
        capability: Option<String>,
        /// The call; its capability id is ignored.
        call: CallRequest,
    },
    /// Puts a file into the blob store.
    PutBlob {
        /// The file, absolute.
        file: PathBuf,
    },
    /// Copies a blob to a file.
    GetBlob {
        /// The blob.
        digest: Digest,
        /// The file to make, absolute.
        file: PathBuf,
    },
    /// Adds models, or replaces those of the same name.
    ModelAdd {
        /// The model of a package; or what the names of several models begin with.
        name: ModelName,
        /// One folder with `models.toml`, or files; absolute.
        from: Vec<PathBuf>,
    },
    /// All models.
    Models,
    /// One model.
    Model {
        /// The model.
        name: ModelName,
    },
    /// Removes a model. Evidence stays.
    ModelRemove {
        /// The model.
        name: ModelName,
    },
    /// Compares the files of models with their digests.
    ModelVerify {
        /// The model; `None` means all.
        name: Option<ModelName>,
    },
    /// The models that are loaded, and the process that runs them.
    ModelsRunning,
    /// The engines that can run models here.
    Runtimes,
    /// Writes into the node's configuration which engines may run models, from its next start on.
    RuntimeUse {
        /// Which.
        engines: InferenceEngines,
    },
    /// Installs a library that runs models, from the node's next start on.
    RuntimeInstall {
        /// The library, or the folder that holds it; absolute.
        from: PathBuf,
    },
    /// Invocations, newest first.
    AuditList {
        /// At most this many.
        limit: u32,
        /// Only of this plugin's capabilities.
        capability: Option<String>,
    },
    /// All events of one invocation.
    AuditShow {
        /// The invocation.
        invocation: InvocationId,
    },
    /// All events of a correlation, in order.
    AuditReplay {
        /// The correlation.
        correlation: CorrelationId,
    },
    /// A piece of work as all nodes recorded it that can be asked.
    AuditFleet {
        /// The correlation.
        correlation: CorrelationId,
    },
    /// Checks the whole record against itself and the signed head.
    AuditVerify {
        /// A head kept elsewhere, as `audit head` printed it.
        head: Option<String>,
    },
    /// A bundle that stands alone.
    AuditExport {
        /// The correlation.
        correlation: CorrelationId,
    },
    /// The signed head.
    AuditHead,
    /// Why an invocation ended as it did, in words.
    AuditWhy {
        /// The invocation.
        invocation: InvocationId,
    },
    /// Facts for `doctor`.
    Status,
    /// About the mesh.
    Mesh(MeshRequest),
}

/// What the operator agrees to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Permissions granted by name.
    pub permissions: Vec<String>,
    /// A shipped profile.
    pub profile: Option<String>,
    /// Grant exactly what the manifest asks for, within the ceiling.
    pub asks: bool,
    /// The review that was shown: component and manifest digest. Absent without a terminal.
    pub review: Option<Digest>,
    /// Agree to install with fewer permissions than asked.
    pub partial: bool,
    /// Limits other than the manifest's, within the ceiling.
    pub limits: LimitsWanted,
}

/// One call, as a command asks for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallRequest {
    /// The capability, with `-` or `_`.
    pub capability: CapabilityId,
    /// A version range.
    #[serde(default)]
    pub version: Option<semver::VersionReq>,
    /// The node that it has to run on, by name or key.
    #[serde(default)]
    pub node: Option<String>,
    /// The node on which it had rather run, by name, key or role.
    #[serde(default)]
    pub prefer: Option<String>,
    /// The plugin, when several have it.
    #[serde(default)]
    pub plugin: Option<PluginName>,
    /// The input object.
    pub input: Value,
    /// Milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Fuel that it and the calls below it may use together.
    #[serde(default)]
    pub fuel: Option<u64>,
    /// The caller's own id: the idempotency key.
    #[serde(default)]
    pub invocation_id: Option<InvocationId>,
    /// The group of calls.
    #[serde(default)]
    pub correlation_id: Option<CorrelationId>,
    /// The caller's working folder, absolute, for path parameters.
    #[serde(default)]
    pub working_folder: Option<PathBuf>,
    /// Arguments and standard input of a command.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Standard input as a blob.
    #[serde(default)]
    pub stdin: Option<Digest>,
    /// Whether what the function streams is wanted as it comes; only of `Call`.
    #[serde(default)]
    pub stream: bool,
}

/// What a node answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "value")]
pub enum Reply {
    /// Done; nothing more to say.
    Done,
    /// A review: of `Inspect`, or of an install or update that needs (more) consent.
    Review(Box<Review>),
    /// Installed, updated, granted, revoked: the plugin as it is now.
    Plugin(Box<PluginView>),
    /// What the removal of a plugin did.
    PluginRemoved(RemovedPlugin),
    /// All plugins.
    Plugins(Vec<PluginView>),
    /// All capabilities.
    Capabilities(Vec<CapabilityView>),
    /// Items of a stream, before the result of a call that asked for them.
    Items(Vec<Value>),
    /// A call's result.
    Call(Box<CallReply>),
    /// A blob.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its length in bytes.
        length: u64,
    },
    /// All models.
    Models(Vec<ModelRecord>),
    /// One model.
    Model(Box<ModelRecord>),
    /// What an `add` did.
    ModelsAdded(Vec<AddedModel>),
    /// What the check of the files of models found.
    ModelsVerified(ModelVerification),
    /// The models that are loaded.
    ModelsRunning(RunningModels),
    /// The engines.
    Runtimes(Runtimes),
    /// What the install of a library did.
    RuntimeInstalled(Box<InstalledRuntime>),
    /// About the mesh.
    Mesh(Box<MeshReply>),
    /// Events or summaries, as JSON objects with documented fields.
    Events(Vec<Value>),
    /// A document: a bundle, a head, a verification report, a status.
    Document(Value),
    /// It could not be done.
    Error(Refusal),
}

impl Request {
    /// Whether replies with items may come before the last one.
    #[must_use]
    pub const fn streams(&self) -> bool {
        matches!(self, Self::Call(call) if call.stream)
    }
}

impl Reply {
    /// An error reply.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::Error(Refusal::new(code, message))
    }
}
