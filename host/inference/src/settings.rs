//! How models are run: engine, device and bounds.

use std::{ffi::OsString, path::PathBuf, time::Duration};

pub use meshhost_core::config::{InferenceEngines as Engines, InferenceProvider as Provider};

/// How a child process of the node's own binary is started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// What comes before the worker's own arguments: nothing, or what a test needs.
    pub arguments: Vec<OsString>,
    /// The child's whole environment. Engines on a GPU look for `LD_LIBRARY_PATH` and
    /// `CUDA_VISIBLE_DEVICES`; on the processor nothing is needed.
    pub environment: Vec<(OsString, OsString)>,
}

/// How models are run. All fields are required.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The child's program.
    pub program: Program,
    /// Which engines may be used.
    pub engines: Engines,
    /// Where ONNX Runtime may lie, in the order of preference; see [`crate::library::candidates`].
    pub libraries: Vec<PathBuf>,
    /// What runs the nodes. A load fails when this one does not really run them.
    pub provider: Provider,
    /// Processor threads of one session.
    pub threads: u32,
    /// Sessions of one model: each holds the model's weights again, and runs beside the others.
    pub sessions: u32,
    /// Bytes of memory that the worker may have, all models together; with CUDA each session may
    /// have as much on the graphics card.
    pub memory_bytes: u64,
    /// Bytes of the files of all models that are loaded at once, counted once for each session:
    /// the longest unused make room for others.
    pub model_bytes: u64,
    /// Bytes of shared memory in each direction: an upper bound of the tensors in flight.
    pub shared_bytes: u64,
    /// Bytes of the outputs of one run, batches included.
    pub output_bytes: u64,
    /// Calls of all plugins that wait or run at once.
    pub calls: u32,
    /// How long a load may take.
    pub load: Duration,
    /// How long a run may take in the engine.
    pub run: Duration,
    /// How long a cancelled run may go on before the worker is ended.
    pub cancel: Duration,
    /// A model that was not used for so long is unloaded; without models the worker ends.
    pub idle: Duration,
}

const MIB: u64 = 1024 * 1024;

impl Settings {
    /// The settings for a node on which nobody says anything else. `threads` is the number of the
    /// machine's processors.
    #[must_use]
    pub const fn new(program: Program, libraries: Vec<PathBuf>, threads: u32) -> Self {
        Self {
            program,
            engines: Engines::Any,
            libraries,
            provider: Provider::Cpu,
            threads,
            sessions: 1,
            memory_bytes: 4096 * MIB,
            model_bytes: 2048 * MIB,
            shared_bytes: 512 * MIB,
            output_bytes: 128 * MIB,
            calls: 1024,
            load: Duration::from_secs(120),
            run: Duration::from_secs(120),
            cancel: Duration::from_secs(5),
            idle: Duration::from_secs(600),
        }
    }
}
