//! One call on its way to a component: who calls what, with which input, until when.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    capability::Risk,
    id::{CapabilityId, CorrelationId, Digest, InvocationId, PluginName},
    mesh::key::NodeKey,
    permission::CallRule,
};

/// Who calls. Never taken from the payload: only an entrance makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// `local:<user>`, `plugin:<name>`, `peer:<key>`, `mcp:<name>`.
    pub id: String,
    /// `user`, `plugin`, `peer`, `mcp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the host itself verified it.
    pub verified: bool,
}

/// Which way a call came in; recorded in evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntranceKind {
    /// The command line, in the process that holds the store.
    CommandLine,
    /// The Unix socket in the data directory.
    Socket,
    /// Another component on this node.
    Component,
    /// A peer, over the mesh.
    Peer,
}

/// What a caller may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Capability ids, or prefixes followed by `*`.
    pub capabilities: Vec<String>,
    /// The call rules of every plugin in between, outermost first: each must cover the call.
    pub through: Vec<Vec<CallRule>>,
    /// The highest risk that needs no further consent.
    pub risk_ceiling: Risk,
}

impl Scope {
    /// What the owner of the node may: everything up to high.
    #[must_use]
    pub fn owner() -> Self {
        Self { capabilities: vec!["*".to_owned()], through: Vec::new(), risk_ceiling: Risk::High }
    }
}

/// How the caller wants to be answered (Capability Host Protocol, InvocationEnvelope.mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One answer.
    #[default]
    Sync,
    /// Items while it runs, then one answer.
    Stream,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its id; the idempotency key.
    pub invocation_id: InvocationId,
    /// The group of calls that it belongs to.
    pub correlation_id: CorrelationId,
    /// The call that caused it.
    pub causation_id: Option<InvocationId>,
    /// The id as the caller wrote it.
    pub capability: CapabilityId,
    /// A version range, `^0.1`.
    pub version: Option<semver::VersionReq>,
    /// The type that the capability must have ([`crate::capability::Capability::type_hash`]).
    pub type_hash: Option<Digest>,
    /// The plugin, when the caller names one.
    pub plugin: Option<PluginName>,
    /// Who calls.
    pub subject: Subject,
    /// Who called the node that calls, as that node says: it is written down and gives no right.
    pub asserted_caller: Option<Subject>,
    /// Which way it came in.
    pub entrance: EntranceKind,
    /// What this caller may call.
    pub scope: Scope,
    /// How it wants to be answered.
    pub mode: Mode,
    /// The input: a JSON object keyed by parameter name.
    pub input: Value,
    /// Milliseconds the caller is willing to wait; the plugin's own limit may be shorter.
    pub timeout_ms: Option<u64>,
    /// Fuel that the caller has left for it; the plugin's own limit may be lower.
    pub fuel: Option<u64>,
    /// Bytes of output that the caller has left for it; the plugin's own limit may be lower.
    pub output_bytes: Option<u64>,
    /// 1 for a call from outside; one more for each plugin in between.
    pub depth: u32,
    /// The plugins above this call, outermost first.
    pub chain: Vec<PluginName>,
    /// The nodes that it has passed, the first one first.
    pub hops: Vec<NodeKey>,
    /// The caller's working folder on this machine, absolute; the guest's own when it lies inside
    /// a granted folder.
    pub working_folder: Option<String>,
}
