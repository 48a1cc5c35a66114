//! How a call on another node ended.

use serde::{Deserialize, Serialize};

use super::{
    Body,
    bounded::{Bytes, Check, Problem, holds, is_plain, list, may_be_plain},
    call::VERSION_BYTES_MAX,
};
use crate::{
    code::Code,
    id::{CapabilityId, PluginName},
    json::{self, Bounds},
    limits::Usage,
    model_use::ModelUse,
    outcome::{DeniedAccess, Outcome, Refusal},
};

/// Longest name of a code, in bytes.
const CODE_BYTES_MAX: usize = 64;
/// Longest message, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Most events of one call that are named.
const EVIDENCE_IDS_MAX: usize = 64;
/// Longest id of an event, in bytes.
const EVIDENCE_ID_BYTES_MAX: usize = 128;
/// Most models that are told apart for one call.
const MODELS_MAX: usize = 32;
/// Longest name of an engine or a provider of it, in bytes.
const ENGINE_BYTES_MAX: usize = 256;
/// Most denials that are listed for one call.
const DENIED_MAX: usize = 64;
/// Longest permission, function or target of a denial, in bytes.
const DENIED_BYTES_MAX: usize = 2048;
/// Longest time, in bytes.
const TIME_BYTES_MAX: usize = 32;

/// The call has begun: `execution_started` is written down. From here on it may have had effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted;

impl Check for Accepted {}

/// Some of what the function streams, as it comes. How the call ends, and so whether they count, is
/// said by its [`Answer`] alone, which has them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// A list of them, as [`crate::mesh::items`] has it.
    pub body: Body,
}

impl Check for Items {
    fn check(&self) -> Result<(), Problem> {
        self.body.check()
    }
}

/// Why a call did not succeed, as it travels: [`Refusal`] with its code by name, so that a newer node
/// may have codes that an older one does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRefusal {
    /// The name of the code, `not-found`.
    pub code: String,
    /// What happened, to what, and what to do.
    pub message: String,
    /// Structured facts as JSON text, such as the plugin's own error.
    pub details: Option<Bytes>,
    /// Milliseconds after which trying again makes sense.
    pub retry_after_ms: Option<u64>,
}

impl CallRefusal {
    /// The refusal as it is used here. A code that is not known here, or details that are not within
    /// `bounds`, make it one of [`Code::PeerProtocol`], with the peer's message.
    #[must_use]
    pub fn read(self, bounds: Bounds) -> Refusal {
        let details = self.details.as_ref().map(|text| json::parse(text, bounds)).transpose();
        let code = Code::find(&self.code).filter(|info| info.name == self.code);
        let (code, message, details) = match (code, details) {
            (Some(info), Ok(details)) => (info.code, self.message, details),
            (Some(_), Err(_)) => (Code::PeerProtocol, self.message, None),
            (None, details) => {
                let message = format!("{} (the peer's code is {})", self.message, self.code);
                (Code::PeerProtocol, message, details.ok().flatten())
            }
        };
        Refusal { code, message, details, retry_after_ms: self.retry_after_ms }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        holds(is_plain(&self.code, CODE_BYTES_MAX), "the code is none")?;
        holds(self.message.len() <= MESSAGE_BYTES_MAX, "a message has at most 16 KiB")?;
        let details = self.details.as_ref().map_or(0, |details| details.len());
        holds(details <= super::BODY_BYTES_MAX, "details have at most 16 MiB")
    }
}

/// A message that is too long is cut; details that are too long stay behind.
impl From<Refusal> for CallRefusal {
    fn from(refusal: Refusal) -> Self {
        let mut message = refusal.message;
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let details = refusal.details.and_then(|details| serde_json::to_vec(&details).ok());
        let details = details.filter(|details| details.len() <= super::BODY_BYTES_MAX);
        Self {
            code: refusal.code.info().name.to_owned(),
            message,
            details: details.map(Bytes::from),
            retry_after_ms: refusal.retry_after_ms,
        }
    }
}

/// How a call ended: [`Outcome`] as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// The plugin's answer.
    Success(Body),
    /// The plugin ran and failed.
    Failure(CallRefusal),
    /// Nothing ran.
    Denied(CallRefusal),
    /// Nothing ran: disabled or in quarantine.
    Skipped(CallRefusal),
    /// An effect may have happened.
    Indeterminate(CallRefusal),
}

impl Ended {
    /// An outcome as it travels. `body` makes the answer's bytes, and may find that they are too many.
    pub fn new(
        outcome: Outcome,
        body: impl FnOnce(serde_json::Value) -> Result<Body, Refusal>,
    ) -> Self {
        match outcome {
            Outcome::Success(value) => match body(value) {
                Ok(body) => Self::Success(body),
                Err(refusal) => Self::Failure(refusal.into()),
            },
            Outcome::Failure(refusal) => Self::Failure(refusal.into()),
            Outcome::Denied(refusal) => Self::Denied(refusal.into()),
            Outcome::Skipped(refusal) => Self::Skipped(refusal.into()),
            Outcome::Indeterminate(refusal) => Self::Indeterminate(refusal.into()),
        }
    }

    /// The outcome as it is used here. `value` reads the answer's bytes; when they are not of the
    /// capability's type, the call has failed. Details of refusals are read within `bounds`.
    pub fn read(
        self,
        bounds: Bounds,
        value: impl FnOnce(Body) -> Result<serde_json::Value, Refusal>,
    ) -> Outcome {
        match self {
            Self::Success(body) => match value(body) {
                Ok(value) => Outcome::Success(value),
                Err(refusal) => Outcome::Failure(refusal),
            },
            Self::Failure(refusal) => Outcome::Failure(refusal.read(bounds)),
            Self::Denied(refusal) => Outcome::Denied(refusal.read(bounds)),
            Self::Skipped(refusal) => Outcome::Skipped(refusal.read(bounds)),
            Self::Indeterminate(refusal) => Outcome::Indeterminate(refusal.read(bounds)),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Success(body) => body.check(),
            Self::Failure(refusal)
            | Self::Denied(refusal)
            | Self::Skipped(refusal)
            | Self::Indeterminate(refusal) => refusal.check(),
        }
    }
}

/// The end of a call. What the plugin logged stays on the node where it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The resolved id, else the requested one.
    pub capability: CapabilityId,
    /// The version that ran, when one was resolved.
    pub version: Option<String>,
    /// The plugin that ran, when one was resolved.
    pub plugin: Option<PluginName>,
    /// How it ended, with the output.
    pub ended: Ended,
    /// What it used.
    pub usage: Usage,
    /// The events written for this call on the node that answers.
    #[serde(deserialize_with = "list::<EVIDENCE_IDS_MAX, _, _>")]
    pub evidence_ids: Vec<String>,
    /// The models that ran for it.
    #[serde(deserialize_with = "list::<MODELS_MAX, _, _>")]
    pub models: Vec<ModelUse>,
    /// What was denied during the call.
    #[serde(deserialize_with = "list::<DENIED_MAX, _, _>")]
    pub denied: Vec<DeniedAccess>,
    /// RFC 3339, UTC, six decimals, by the clock of the node that answers.
    pub started_at: String,
    /// As `started_at`.
    pub completed_at: String,
    /// The recorded result of an earlier call with the same id.
    pub replayed: bool,
}

impl Answer {
    /// Leaves out what is longer than a frame may hold and only informs: denials, models and names of
    /// events beyond their number or length.
    pub fn cut(&mut self) {
        self.denied.retain(is_short);
        self.denied.truncate(DENIED_MAX);
        self.models.retain(is_named_shortly);
        self.models.truncate(MODELS_MAX);
        self.evidence_ids.retain(|id| is_plain(id, EVIDENCE_ID_BYTES_MAX));
        self.evidence_ids.truncate(EVIDENCE_IDS_MAX);
    }
}

impl Check for Answer {
    fn check(&self) -> Result<(), Problem> {
        holds(
            may_be_plain(self.version.as_ref(), VERSION_BYTES_MAX),
            "the version is too long or not plain",
        )?;
        self.ended.check()?;
        let ids = self.evidence_ids.iter().all(|id| is_plain(id, EVIDENCE_ID_BYTES_MAX));
        holds(
            ids && self.evidence_ids.len() <= EVIDENCE_IDS_MAX,
            "at most 64 events are named, in at most 128 bytes each",
        )?;
        holds(
            self.models.iter().all(is_named_shortly) && self.models.len() <= MODELS_MAX,
            "at most 32 models are listed, with engines named in at most 256 bytes",
        )?;
        holds(
            self.denied.iter().all(is_short) && self.denied.len() <= DENIED_MAX,
            "at most 64 denials are listed, with texts of at most 2 KiB",
        )?;
        holds(
            is_plain(&self.started_at, TIME_BYTES_MAX)
                && is_plain(&self.completed_at, TIME_BYTES_MAX),
            "a time has at most 32 bytes",
        )
    }
}

fn is_short(denied: &DeniedAccess) -> bool {
    may_be_plain(denied.permission.as_ref(), DENIED_BYTES_MAX)
        && is_plain(&denied.function, DENIED_BYTES_MAX)
        && is_plain(&denied.target, DENIED_BYTES_MAX)
}

fn is_named_shortly(model: &ModelUse) -> bool {
    is_plain(&model.engine, ENGINE_BYTES_MAX) && is_plain(&model.provider, ENGINE_BYTES_MAX)
}
