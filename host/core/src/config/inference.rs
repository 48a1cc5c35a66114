//! How models run natively: the table `[inference]` of the configuration.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Reader;
use crate::{
    diagnostic::Diagnostic,
    limits::{KIB, MIB},
};

const GIB: u64 = 1024 * MIB;
/// Highest bytes of memory that can be configured.
const MEMORY_BYTES_MAX: u64 = 4096 * GIB;
/// Longest time that can be configured, in milliseconds: an hour.
const TIME_MS_MAX: u64 = 3_600_000;

/// How models run. The process that runs them is bounded by its node; the store of models keeps to
/// the last field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferenceConfig {
    /// Which engines may be used.
    pub engines: InferenceEngines,
    /// The library of ONNX Runtime, absolute; without it the node looks in the usual places.
    pub library: Option<PathBuf>,
    /// What runs the nodes of a model. A load fails when this one does not really run them.
    pub provider: InferenceProvider,
    /// Processor threads of one session; without a number, as many as the machine has processors.
    pub threads: Option<u32>,
    /// Sessions of one model: each holds its weights again, and runs beside the others.
    pub sessions: u32,
    /// Bytes of memory of the process that runs models; with CUDA each session may have as much on
    /// the graphics card.
    pub memory_bytes: u64,
    /// Bytes of the files of all models that are loaded at once, counted once for each session. No
    /// model's file may be larger.
    pub model_bytes: u64,
    /// Bytes of the outputs of one run.
    pub output_bytes: u64,
    /// Calls of all plugins that wait or run at once.
    pub calls: u32,
    /// Milliseconds that a load may take.
    pub load_ms: u64,
    /// Milliseconds that a run may take.
    pub run_ms: u64,
    /// Milliseconds after which an unused model is unloaded.
    pub idle_ms: u64,
    /// Bytes of all models that the node keeps.
    pub store_bytes: u64,
}

/// Which engines a node may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceEngines {
    /// ONNX Runtime where a usable library is found; else, on the processor, the embedded one.
    Any,
    /// ONNX Runtime alone.
    OnnxRuntime,
    /// The embedded one alone.
    Embedded,
}

impl InferenceEngines {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Any, Self::OnnxRuntime, Self::Embedded];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::OnnxRuntime => "onnx-runtime",
            Self::Embedded => "embedded",
        }
    }
}

/// There is no such choice of engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engines that run models are any, onnx-runtime or embedded")]
pub struct UnknownEngines;

impl FromStr for InferenceEngines {
    type Err = UnknownEngines;

    fn from_str(text: &str) -> Result<Self, UnknownEngines> {
        Self::ALL.into_iter().find(|engines| engines.name() == text).ok_or(UnknownEngines)
    }
}

/// What runs the nodes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceProvider {
    /// The processor.
    Cpu,
    /// NVIDIA, by CUDA.
    Cuda,
    /// NVIDIA, by TensorRT, and CUDA for what TensorRT leaves.
    Tensorrt,
    /// Apple.
    Coreml,
    /// Windows.
    Directml,
    /// Intel.
    Openvino,
}

impl InferenceProvider {
    /// Every choice.
    pub const ALL: [Self; 6] =
        [Self::Cpu, Self::Cuda, Self::Tensorrt, Self::Coreml, Self::Directml, Self::Openvino];

    /// Its name in the configuration and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
            Self::Coreml => "coreml",
            Self::Directml => "directml",
            Self::Openvino => "openvino",
        }
    }
}

/// There is no such provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the providers are cpu, cuda, tensorrt, coreml, directml and openvino")]
pub struct UnknownProvider;

impl FromStr for InferenceProvider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.into_iter().find(|provider| provider.name() == text).ok_or(UnknownProvider)
    }
}

impl fmt::Display for InferenceProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl InferenceConfig {
    /// What holds when nothing is configured.
    pub const DEFAULT: Self = Self {
        engines: InferenceEngines::Any,
        library: None,
        provider: InferenceProvider::Cpu,
        threads: None,
        sessions: 1,
        memory_bytes: 4 * GIB,
        model_bytes: 2 * GIB,
        output_bytes: 128 * MIB,
        calls: 1_024,
        load_ms: 120_000,
        run_ms: 120_000,
        idle_ms: 600_000,
        store_bytes: 32 * GIB,
    };
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInference {
    engines: Option<InferenceEngines>,
    library: Option<Spanned<PathBuf>>,
    provider: Option<Spanned<InferenceProvider>>,
    threads: Option<Spanned<u64>>,
    sessions: Option<Spanned<u64>>,
    memory_bytes: Option<Spanned<u64>>,
    model_bytes: Option<Spanned<u64>>,
    output_bytes: Option<Spanned<u64>>,
    calls: Option<Spanned<u64>>,
    load_ms: Option<Spanned<u64>>,
    run_ms: Option<Spanned<u64>>,
    idle_ms: Option<Spanned<u64>>,
    store_bytes: Option<Spanned<u64>>,
}

impl Reader<'_> {
    pub(super) fn inference(&self, raw: &RawInference) -> Result<InferenceConfig, Diagnostic> {
        let default = InferenceConfig::DEFAULT;
        let memory_bytes = self.number(
            &raw.memory_bytes,
            "memory_bytes",
            256 * MIB,
            MEMORY_BYTES_MAX,
            default.memory_bytes,
        )?;
        let time = |value, name, default| self.number(value, name, 1_000, TIME_MS_MAX, default);
        let threads = match &raw.threads {
            Some(_) => Some(self.narrow(&raw.threads, "threads", 1, 1_024, 1)?),
            None => None,
        };
        let engines = raw.engines.unwrap_or(default.engines);
        Ok(InferenceConfig {
            engines,
            library: self.library(engines, raw.library.as_ref())?,
            provider: self.provider(engines, raw.provider.as_ref())?,
            threads,
            sessions: self.narrow(&raw.sessions, "sessions", 1, 64, default.sessions)?,
            memory_bytes,
            // Lowered memory lowers what is not named.
            model_bytes: self.number(
                &raw.model_bytes,
                "model_bytes",
                MIB,
                memory_bytes,
                default.model_bytes.min(memory_bytes),
            )?,
            output_bytes: self.number(
                &raw.output_bytes,
                "output_bytes",
                64 * KIB,
                512 * MIB,
                default.output_bytes,
            )?,
            calls: self.narrow(&raw.calls, "calls", 1, 65_536, default.calls)?,
            load_ms: time(&raw.load_ms, "load_ms", default.load_ms)?,
            run_ms: time(&raw.run_ms, "run_ms", default.run_ms)?,
            idle_ms: time(&raw.idle_ms, "idle_ms", default.idle_ms)?,
            store_bytes: self.number(
                &raw.store_bytes,
                "store_bytes",
                0,
                MEMORY_BYTES_MAX,
                default.store_bytes,
            )?,
        })
    }

    /// A relative path would mean another file in each working folder.
    fn library(
        &self,
        engines: InferenceEngines,
        value: Option<&Spanned<PathBuf>>,
    ) -> Result<Option<PathBuf>, Diagnostic> {
        let Some(value) = value else { return Ok(None) };
        if !Path::has_root(value.get_ref()) {
            let message = "`library` is not an absolute path";
            let hint = "write the whole path, such as \"/opt/onnxruntime/libonnxruntime.so\"";
            return Err(self.source.error_with_hint(value.span(), message, hint));
        }
        if engines == InferenceEngines::Embedded {
            let message = "the embedded engine has no library";
            let hint = "leave `library` out, or write engines = \"onnx-runtime\"";
            return Err(self.source.error_with_hint(value.span(), message, hint));
        }
        Ok(Some(value.get_ref().clone()))
    }

    fn provider(
        &self,
        engines: InferenceEngines,
        value: Option<&Spanned<InferenceProvider>>,
    ) -> Result<InferenceProvider, Diagnostic> {
        let Some(value) = value else { return Ok(InferenceConfig::DEFAULT.provider) };
        if engines == InferenceEngines::Embedded && *value.get_ref() != InferenceProvider::Cpu {
            let message = "the embedded engine runs on the processor alone";
            let hint = "write provider = \"cpu\", or engines = \"onnx-runtime\"";
            return Err(self.source.error_with_hint(value.span(), message, hint));
        }
        Ok(*value.get_ref())
    }
}
