//! What the node says to its worker, and what the worker answers.

use std::path::PathBuf;

use meshhost_core::{
    id::Digest,
    inference::{ElementType, InferenceError, ValueInfo},
};
use serde::{Deserialize, Serialize};

use crate::{memory::Range, settings::Provider, store::TextModel};

/// The first message: how the worker is to be. The two regions of shared memory come before it,
/// the one that the node writes first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) engine: EngineChoice,
    pub(crate) provider: Provider,
    /// Processor threads of one session.
    pub(crate) threads: u32,
    /// Bytes of memory that the worker may have, and each session on a graphics card.
    pub(crate) memory_bytes: u64,
    /// Bytes of each region of shared memory.
    pub(crate) shared_bytes: u64,
    /// Bytes of one run's outputs.
    pub(crate) output_bytes: u64,
    /// The node's process: the worker ends when its parent is another one.
    pub(crate) parent: i32,
}

/// Which engine a worker starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EngineChoice {
    /// ONNX Runtime, from this library.
    OnnxRuntime { library: PathBuf },
    /// The one that is part of the binary.
    Embedded,
}

/// What the node asks for. `slot` names one loaded session and is chosen by the node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Loads a model into a new session; answered by `Loaded` or `Failed`.
    Load { id: u64, slot: u32, model: ModelSource },
    /// Runs a session that does nothing else; answered by `Done` or `Failed`.
    Run { id: u64, slot: u32, work: Work },
    /// Drops a session.
    Unload { slot: u32 },
    /// Ends a run early; it is still answered.
    Cancel { id: u64 },
    /// The outputs of a run have been read.
    Release { id: u64 },
}

/// Where a model lies and what it must be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModelSource {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    /// Bytes that the file has.
    pub(crate) bytes: u64,
    /// The tokenizer, and what to do with the outputs, for models of text.
    pub(crate) text: Option<TextSource>,
}

/// What a model of text has beside the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TextSource {
    pub(crate) tokenizer: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) model: TextModel,
}

/// What a session is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Tensors in, tensors out: the named ones, or all.
    Tensors { inputs: Vec<WireTensor>, outputs: Vec<String> },
    /// Texts, or pairs of texts, in postcard: one row of the result for each.
    Texts { rows: Place },
}

/// Rows of text: the second one is the passage where the first is a query.
pub(crate) type TextRows = Vec<(String, Option<String>)>;

/// A tensor without its elements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireTensor {
    pub(crate) name: String,
    pub(crate) element_type: ElementType,
    pub(crate) shape: Vec<u32>,
    /// The bytes of its elements; texts are in postcard.
    pub(crate) place: Place,
}

/// Where bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In the message's body, behind those that came before.
    Body { length: u64 },
    /// In the sender's shared memory.
    Shared(Range),
}

/// What the worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The engine runs; its name and version.
    Ready { engine: String },
    /// A model is loaded.
    Loaded { id: u64, model: LoadedModel },
    /// A run is done.
    Done { id: u64, run_us: u64, outputs: Vec<WireTensor> },
    /// A load or run failed; 0 is the engine itself.
    Failed { id: u64, error: InferenceError },
}

/// What a model says of itself, as the engine and the scan found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadedModel {
    pub(crate) inputs: Vec<ValueInfo>,
    pub(crate) outputs: Vec<ValueInfo>,
    pub(crate) metadata: Vec<(String, String)>,
}
