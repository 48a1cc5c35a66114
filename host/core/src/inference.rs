//! What passes between components and models: tensors, what a model says of itself, what went
//! wrong, and the port through which the runtime reaches models.
//!
//! A [`Tensor`] can only be made whole: shape, type and bytes fit together, and its size is
//! bounded. Whether it fits a model is said by [`Description::check_inputs`].

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    id::{Digest, PluginName},
    limits::Limits,
};

mod description;
mod tensor;

pub use description::{Description, Pooling, TextTask, TextUse, ValueInfo};
pub use tensor::{ElementType, Elements, Tensor};

/// Dimensions that a tensor has at most.
pub const RANK_MAX: usize = 8;
/// Longest name of an input, an output or a model's file, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Tensors that one run takes or gives at most.
pub const TENSORS_MAX: usize = 256;
/// Texts that one call of `embed` or `rerank` takes at most.
pub const TEXTS_MAX: usize = 256;
/// Longest file beside a model that is handed out, in bytes.
pub const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The kinds of [`InferenceError`], as the WIT interface names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceErrorCode {
    /// There is no such model, or none that the caller may use.
    NotFound,
    /// A tensor, its name, shape or type does not fit, or a value is not allowed.
    InvalidArgument,
    /// More bytes, elements or texts than the caller may use.
    TooLarge,
    /// The caller's queue is full: try again later.
    Busy,
    /// The caller has used up its runs or its compute time.
    Quota,
    /// The model or the engine failed on this input.
    Failed,
    /// The engine is not there or is starting again: try again later.
    Unavailable,
    /// The call ended before the run did.
    Cancelled,
}

/// Why a model did not answer. The message is bounded and names no path of the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct InferenceError {
    /// The kind.
    pub code: InferenceErrorCode,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl InferenceError {
    /// Longest message that is kept, in characters: it may repeat words of a model.
    const MESSAGE_CHARS_MAX: usize = 512;

    /// An error with a message that is cut to its bound and made printable.
    #[must_use]
    pub fn new(code: InferenceErrorCode, message: &str) -> Self {
        let message: String = message.chars().take(Self::MESSAGE_CHARS_MAX).collect();
        Self { code, message: crate::diagnostic::printable(&message) }
    }
}

/// What a plugin may ask of the models in all. Enforced where the runs are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferenceQuota {
    /// Runs in a minute; one call of `run`, `embed` or `rerank` is one run.
    pub runs_per_minute: u32,
    /// Milliseconds of compute in a day of UTC.
    pub compute_ms_per_day: u64,
    /// Calls that wait or run at once.
    pub calls: u32,
    /// Bytes of tensors or texts into one call, and out of it.
    pub tensor_bytes: u64,
}

impl InferenceQuota {
    /// What a plugin with these limits may ask.
    #[must_use]
    pub const fn of(limits: &Limits) -> Self {
        Self {
            runs_per_minute: limits.model_runs_per_minute,
            compute_ms_per_day: limits.model_compute_ms_per_day,
            calls: limits.model_calls,
            tensor_bytes: limits.tensor_bytes,
        }
    }
}

/// On whose behalf a model runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferenceCaller {
    /// The plugin.
    pub plugin: PluginName,
    /// What it may use.
    pub quota: InferenceQuota,
}

/// Which model ran where, and how long it took: part of every result and of its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The model.
    pub model: Digest,
    /// The engine and its version.
    pub engine: Arc<str>,
    /// The execution provider that ran it: `cpu`, `cuda` and so on.
    pub provider: Arc<str>,
    /// Microseconds from the call until the run was given to the engine.
    pub queue_us: u64,
    /// Microseconds in the engine, for all calls of the batch together.
    pub run_us: u64,
    /// Calls that ran together, this one included.
    pub batch: u32,
}

/// Models, as the runtime reaches them. Dropping a future cancels what it waits for.
#[async_trait]
pub trait Inference: Send + Sync + Debug {
    /// What the model says of itself; loads it when it is not loaded.
    async fn describe(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
    ) -> Result<Arc<Description>, InferenceError>;

    /// Runs the model once. `outputs` names what is wanted; empty means all, in the model's order.
    async fn run(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
    ) -> Result<(Vec<Tensor>, RunReport), InferenceError>;

    /// One vector for each of 1 to [`TEXTS_MAX`] texts, pooled and normalised as the model's
    /// entry in the store says.
    async fn embed(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        texts: Vec<String>,
    ) -> Result<(Vec<Vec<f32>>, RunReport), InferenceError>;

    /// How well each of 1 to [`TEXTS_MAX`] passages answers the query; more is better.
    async fn rerank(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        query: String,
        passages: Vec<String>,
    ) -> Result<(Vec<f32>, RunReport), InferenceError>;

    /// A file that was added with the model, whole; at most [`FILE_BYTES_MAX`].
    async fn file(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        name: &str,
    ) -> Result<Vec<u8>, InferenceError>;
}
