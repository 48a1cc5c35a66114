//! What replies show of components, plugins, capabilities and calls.

use meshhost_core::{
    id::{CapabilityId, CorrelationId, Digest, InvocationId, PluginName},
    limits::{Limits, Usage},
    model_use::ModelUse,
    outcome::{DeniedAccess, OutcomeKind, Refusal},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
/// What a component asks for, before anything is granted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Review {
    /// The name it has or would have.
    pub name: PluginName,
    /// From the manifest, else 0.0.0.
    pub version: String,
    /// From the manifest.
    pub description: String,
    /// BLAKE3 of the component.
    pub component: Digest,
    /// Digest over component and manifest: what consent binds.
    pub review: Digest,
    /// File length in bytes.
    pub size_bytes: u64,
    /// Whether it brings a manifest.
    pub has_manifest: bool,
    /// What it asks for, each with its reason and state.
    pub asks: Vec<AskView>,
    /// What its imports could use, in words; for a component without manifest all there is.
    pub can_reach: Vec<String>,
    /// Limits it would run under.
    pub limits: Limits,
    /// What it offers.
    pub capabilities: Vec<CapabilityView>,
    /// Things to know: second provider, left-out names, WASI 0.3, hidden exports.
    pub notes: Vec<String>,
    /// For an update: what changes.
    pub changes: Vec<String>,
    /// The command that would consent.
    pub consent_command: String,
    /// The whole inspection, for `plugin inspect`.
    pub inspection: Value,
}

/// One thing asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AskView {
    /// In the grammar of `meshhost_core::permission`.
    pub permission: String,
    /// The author's reason.
    pub reason: String,
    /// The plugin works without it.
    pub optional: bool,
    /// Already granted, or granted by the consent given.
    pub granted: bool,
    /// Why `--yes` does not grant it: a folder to choose, above the ceiling.
    pub needs_choice: Option<String>,
}

/// One capability as a person sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapabilityView {
    /// The id.
    pub id: CapabilityId,
    /// The id with the interface.
    pub long_id: CapabilityId,
    /// The version.
    pub version: String,
    /// The plugin that provides it.
    pub plugin: PluginName,
    /// Whether this plugin is called when none is named.
    pub preferred: bool,
    /// First paragraph of its description.
    pub description: String,
    /// `low`, `medium`, `high`, `critical`.
    pub risk: String,
    /// Reads only.
    pub read_only: bool,
    /// May delete or overwrite.
    pub destructive: bool,
    /// The same call twice has the effect of one.
    pub idempotent: bool,
    /// Parameters that are paths of this machine.
    pub path_parameters: Vec<String>,
    /// JSON Schema 2020-12.
    pub input_schema: Value,
    /// JSON Schema 2020-12.
    pub output_schema: Value,
}

/// One installed plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PluginView {
    /// Its name.
    pub name: PluginName,
    /// From the manifest, else 0.0.0.
    pub version: String,
    /// BLAKE3 of the component.
    pub component: Digest,
    /// `serving`, `disabled`, `quarantined`, `suspended`.
    pub state: String,
    /// A staged update.
    pub staged: Option<Digest>,
    /// What it asks for.
    pub asks: Vec<AskView>,
    /// What it was granted.
    pub grants: Vec<String>,
    /// What is left of that after manifest and ceiling.
    pub effective: Vec<String>,
    /// Its limits.
    pub limits: Limits,
    /// Ids of its capabilities.
    pub capabilities: Vec<CapabilityId>,
    /// Things to know.
    pub notes: Vec<String>,
}

/// A call's result as it travels to the command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallReply {
    /// The call.
    pub invocation_id: InvocationId,
    /// The group of calls.
    pub correlation_id: CorrelationId,
    /// What was called.
    pub capability_id: CapabilityId,
    /// The version that ran.
    pub capability_version: Option<String>,
    /// The plugin that ran.
    pub plugin: Option<String>,
    /// The node that ran it, when it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The word for how it ended.
    pub outcome: OutcomeKind,
    /// True only for success.
    pub success: bool,
    /// The output.
    pub data: Option<Value>,
    /// Why it did not succeed.
    pub error: Option<Refusal>,
    /// What was denied during the call, with the command that would grant it.
    pub denied: Vec<DeniedView>,
    /// The models that ran for it.
    pub models: Vec<ModelUse>,
    /// Log lines of the plugin.
    pub log: Vec<String>,
    /// The events written.
    pub evidence_ids: Vec<String>,
    /// What it used.
    pub usage: Usage,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub completed_at: String,
    /// The recorded result of an earlier call.
    pub replayed: bool,
}

/// Something that was denied, with the command that would grant it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeniedView {
    /// What was denied.
    #[serde(flatten)]
    pub access: DeniedAccess,
    /// `meshhost plugin grant git fs:ro=…`, when a permission exists.
    pub command: Option<String>,
}

/// A plugin as its removal left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPlugin {
    /// The plugin.
    pub name: PluginName,
    /// Whether it was installed; if not, what it had stored was all that was left of it.
    pub installed: bool,
    /// What became of what it had stored.
    pub data: DataChange,
    /// Bytes of its key-values, as its quota counted them.
    pub key_value_bytes: u64,
    /// Bytes of the files of its documents to search in.
    pub index_bytes: u64,
}

/// What became of what a removed plugin had stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataChange {
    /// There was nothing.
    None,
    /// An install of the same name finds it.
    Kept,
    /// It is gone.
    Deleted,
}
