//! A call on its way to another node.

use serde::{Deserialize, Serialize};

use super::{
    BODY_BYTES_MAX,
    bounded::{Bytes, Check, Problem, holds, is_plain, list, may_be_plain},
};
use crate::{
    id::{CapabilityId, CorrelationId, Digest, InvocationId, PluginName},
    mesh::key::NodeKey,
};

/// Longest version range, in bytes.
pub(super) const VERSION_BYTES_MAX: usize = 128;
/// Most nodes that a call passes.
const HOPS_MAX: usize = 16;
/// Most mandates above each other.
const MANDATE_DEPTH_MAX: usize = 8;
/// Longest mandate, in bytes.
const MANDATE_BYTES_MAX: usize = 8 * 1024;
/// Longest name of a caller, an actor or an approval, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Longest word for a kind of caller or an environment, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// Longest state of a trace, in bytes.
const TRACE_STATE_BYTES_MAX: usize = 512;

/// The input or the output of a call: at most 16 MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// JSON text, in the form in which every caller writes it.
    Json(Bytes),
    /// The form of [`crate::mesh::value`]: only where both sides know the type, by its hash.
    Binary(Bytes),
}

impl Body {
    /// Its bytes, in either form.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Json(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        holds(self.bytes().len() <= BODY_BYTES_MAX, "input and output have at most 16 MiB")
    }
}

/// Who called the node that calls, as that node says. It is written down and gives no right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// `local:<user>`, `plugin:<name>`, `mcp:<name>`.
    pub id: String,
    /// `user`, `plugin`, `mcp`.
    pub kind: String,
}

/// Where a call belongs in a trace that somebody else keeps (W3C Trace Context).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: String,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoke {
    /// Its id; the same call sent again has the same, and runs once.
    pub invocation_id: InvocationId,
    /// The group of calls that it belongs to.
    pub correlation_id: CorrelationId,
    /// The call that caused it.
    pub causation_id: Option<InvocationId>,
    /// What is called.
    pub capability: CapabilityId,
    /// A version range, `^0.1`; it is one when this was decoded.
    pub version: Option<String>,
    /// The type that the capability must have; always there with a binary body.
    pub type_hash: Option<Digest>,
    /// The plugin, when the caller names one.
    pub plugin: Option<PluginName>,
    /// The input.
    pub body: Body,
    /// Milliseconds from now until the caller stops waiting.
    pub deadline_ms: u64,
    /// Fuel that the call may use.
    pub fuel: u64,
    /// Bytes of output that the call may give.
    pub bytes_left: u64,
    /// Whether the caller wants what the function streams as it comes, before the answer.
    pub items: bool,
    /// 1 for a call from outside; one more for each plugin in between.
    pub depth: u32,
    /// The nodes that the call passed, the first one first. None appears twice.
    #[serde(deserialize_with = "list::<HOPS_MAX, _, _>")]
    pub hops: Vec<NodeKey>,
    /// Who called the node that calls.
    pub caller: Option<Caller>,
    /// Reserved: by whose leave the call is made, the nearest first. Passed on and not judged.
    #[serde(deserialize_with = "list::<MANDATE_DEPTH_MAX, _, _>")]
    pub mandate: Vec<Bytes>,
    /// Reserved: the approval that was given for it.
    pub approval_ref: Option<String>,
    /// Reserved: the person or program that acts.
    pub actor: Option<String>,
    /// Reserved: `production`, `test`.
    pub environment: Option<String>,
    /// Reserved: its place in a trace.
    pub trace: Option<TraceContext>,
}

impl Check for Invoke {
    fn check(&self) -> Result<(), Problem> {
        self.body.check()?;
        holds(
            self.version.as_ref().is_none_or(|text| is_range(text)),
            "the version range is none",
        )?;
        holds(
            self.type_hash.is_some() || matches!(self.body, Body::Json(_)),
            "a binary input needs the hash of its type",
        )?;
        holds(self.depth > 0, "the depth of a call counts from 1")?;
        holds(self.hops.len() <= HOPS_MAX, "a call passes at most 16 nodes")?;
        holds(!repeats(&self.hops), "a call passes no node twice")?;
        self.check_reserved()
    }
}

impl Invoke {
    fn check_reserved(&self) -> Result<(), Problem> {
        let caller = self.caller.as_ref().is_none_or(|caller| {
            is_plain(&caller.id, NAME_BYTES_MAX) && is_plain(&caller.kind, WORD_BYTES_MAX)
        });
        holds(caller, "the caller's name is too long or not plain")?;
        holds(self.mandate.len() <= MANDATE_DEPTH_MAX, "mandates are at most 8 deep")?;
        let fits = self.mandate.iter().all(|mandate| mandate.len() <= MANDATE_BYTES_MAX);
        holds(fits, "a mandate has at most 8 KiB")?;
        let plain = may_be_plain(self.approval_ref.as_ref(), NAME_BYTES_MAX)
            && may_be_plain(self.actor.as_ref(), NAME_BYTES_MAX)
            && may_be_plain(self.environment.as_ref(), WORD_BYTES_MAX);
        holds(plain, "approval, actor or environment is too long or not plain")?;
        let trace = self.trace.as_ref().is_none_or(|trace| {
            is_plain(&trace.parent, WORD_BYTES_MAX) && is_plain(&trace.state, TRACE_STATE_BYTES_MAX)
        });
        holds(trace, "the trace is too long or not plain")
    }
}

/// Whether a text is a version range.
pub(super) fn is_range(text: &str) -> bool {
    text.len() <= VERSION_BYTES_MAX && text.parse::<semver::VersionReq>().is_ok()
}

/// Whether a node stands twice in a list; lists are short.
pub(super) fn repeats(hops: &[NodeKey]) -> bool {
    hops.iter()
        .enumerate()
        .any(|(place, hop)| hops.iter().skip(place + 1).any(|other| other == hop))
}
