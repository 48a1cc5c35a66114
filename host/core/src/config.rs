//! The node's configuration, `meshhost.toml`: what the operator sets for all plugins. Without the
//! file everything has the default; every key is optional.
//!
//! ```toml
//! durability = "process"                   # or "power"
//! concurrency = 32
//! file_threads = 4
//! blob_bytes = 17_179_869_184
//! result_cache_bytes = 67_108_864
//! index_memory_bytes = 1_073_741_824
//!
//! [limits]                                 # for plugins that wish nothing else
//! deadline_ms = 30_000
//!
//! [ceiling]                                # no plugin gets more
//! folders = "rw"                           # none, ro, git, rw, rw+exec
//! network = true
//! key_value_bytes = 67_108_864
//! index_bytes = 4_294_967_296
//!
//! [ceiling.limits]
//! deadline_ms = 120_000
//!
//! [ceiling.risk]                           # above it, calls are denied
//! user = "high"
//! plugin = "medium"
//!
//! [compile]
//! memory_bytes = 2_147_483_648
//! time_ms = 120_000
//! code_bytes = 268_435_456
//! component_bytes = 67_108_864
//!
//! [inference]                              # models; see `docs/configuration.md` for all keys
//! engines = "any"                          # onnx-runtime, embedded
//! provider = "cpu"
//!
//! [mesh]                                   # where calls run
//! strategy = "least_loaded"
//! ```

use serde::Deserialize;
use toml::Spanned;

use crate::{
    capability::Risk,
    code::Code,
    diagnostic::{Diagnostic, Source, read_toml},
    grant::Ceiling,
    limits::{KIB, Limits, MIB},
    manifest::RawLimits,
    permission::FolderMode,
};

mod inference;
mod mesh;

use inference::RawInference;
pub use inference::{
    InferenceConfig, InferenceEngines, InferenceProvider, UnknownEngines, UnknownProvider,
};
use mesh::RawMesh;
pub use mesh::{Discovery, MeshConfig, RoutingStrategy};

/// Largest configuration file in bytes.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;

/// Largest component in bytes that any configuration allows.
pub const COMPONENT_BYTES_MAX: usize = 100 * 1024 * 1024;

/// What a node runs with. Each field names who enforces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// What a recorded event survives. The store's writer enforces it.
    pub durability: Durability,
    /// Calls that run at once on this node; more wait or are answered busy. The semaphore before
    /// the runtime's pool enforces it.
    pub concurrency: u32,
    /// Threads for file work of all plugins. The runtime's file pool enforces it.
    pub file_threads: u32,
    /// Bytes of all blobs on this node. The blob store enforces it.
    pub blob_bytes: u64,
    /// Bytes of kept results of idempotent calls. The store's result cache enforces it.
    pub result_cache_bytes: u64,
    /// Bytes of vectors that are kept in memory to search in, over all plugins. The index enforces it.
    pub index_memory_bytes: u64,
    /// Bounds of the child process that compiles components.
    pub compile: CompileLimits,
    /// The most that a plugin gets. [`crate::grant::effective`] enforces it.
    pub ceiling: Ceiling,
    /// The highest risk of calls. The entrances put it into the caller's scope, and the policy gate
    /// enforces it.
    pub risk: RiskCeilings,
    /// How models run. The supervisor of the process that runs them and the store of models enforce
    /// it.
    pub inference: InferenceConfig,
    /// Where calls run. [`crate::mesh::route`] chooses by it, and the node's record says its roles.
    pub mesh: MeshConfig,
}

/// What a recorded event survives before its call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// The end of the process: the operating system has it.
    #[default]
    Process,
    /// The loss of power: the disk has it. Slower.
    Power,
}

/// Bounds of compiling. The node sets the first three on the child process, and reads no more of a
/// component than the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of memory; a component made from Python needs about 400 MiB.
    pub memory_bytes: u64,
    /// Milliseconds.
    pub time_ms: u64,
    /// Bytes of machine code.
    pub code_bytes: u64,
    /// Bytes of a component.
    pub component_bytes: u64,
}

/// The highest risk that a caller reaches without further consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskCeilings {
    /// The node's own user.
    pub user: Risk,
    /// A plugin that calls others.
    pub plugin: Risk,
}

impl NodeConfig {
    /// What holds when nothing is configured.
    pub const DEFAULT: Self = Self {
        durability: Durability::Process,
        concurrency: 32,
        file_threads: 4,
        blob_bytes: 16 * 1024 * MIB,
        result_cache_bytes: 64 * MIB,
        index_memory_bytes: 1024 * MIB,
        compile: CompileLimits {
            memory_bytes: 2 * 1024 * MIB,
            time_ms: 120_000,
            code_bytes: 256 * MIB,
            component_bytes: 64 * MIB,
        },
        ceiling: Ceiling::DEFAULT,
        risk: RiskCeilings { user: Risk::High, plugin: Risk::Medium },
        inference: InferenceConfig::DEFAULT,
        mesh: MeshConfig::DEFAULT,
    };

    /// The highest numbers that can be configured for [`Ceiling::limits`]. Memory, tables,
    /// instances and handles are what a slot of the pool holds.
    pub const LIMITS_MAX: Limits = Limits {
        fuel: 1_000_000_000_000_000,
        deadline_ms: 24 * 60 * 60 * 1_000,
        blob_bytes: 1024 * 1024 * MIB,
        model_runs_per_minute: 10_000_000,
        // Many sessions at once compute more than a day in a day.
        model_compute_ms_per_day: 365 * 24 * 60 * 60 * 1_000,
        model_calls: 65_536,
        ..Limits::CEILING
    };

    /// Reads a configuration. `file` is its name as given, for errors.
    ///
    /// # Errors
    /// When it is too large, is not TOML, has unknown keys or wrong values; with the place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let source = Source { code: Code::ConfigInvalid, file, text };
        let raw: RawConfig = read_toml(&source, CONFIG_BYTES_MAX)?;
        validate(&source, &raw)
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    durability: Durability,
    concurrency: Option<Spanned<u64>>,
    file_threads: Option<Spanned<u64>>,
    blob_bytes: Option<Spanned<u64>>,
    result_cache_bytes: Option<Spanned<u64>>,
    index_memory_bytes: Option<Spanned<u64>>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    ceiling: RawCeiling,
    #[serde(default)]
    compile: RawCompile,
    #[serde(default)]
    inference: RawInference,
    #[serde(default)]
    mesh: RawMesh,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCeiling {
    folders: Option<RawFolders>,
    network: Option<bool>,
    key_value_bytes: Option<Spanned<u64>>,
    index_bytes: Option<Spanned<u64>>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    risk: RawRisk,
}

#[derive(Clone, Copy, Deserialize)]
enum RawFolders {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "ro")]
    Ro,
    #[serde(rename = "git")]
    Git,
    #[serde(rename = "rw")]
    Rw,
    #[serde(rename = "rw+exec")]
    RwExec,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRisk {
    user: Option<Spanned<Risk>>,
    plugin: Option<Spanned<Risk>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCompile {
    memory_bytes: Option<Spanned<u64>>,
    time_ms: Option<Spanned<u64>>,
    code_bytes: Option<Spanned<u64>>,
    component_bytes: Option<Spanned<u64>>,
}

fn validate(source: &Source<'_>, raw: &RawConfig) -> Result<NodeConfig, Diagnostic> {
    let default = NodeConfig::DEFAULT;
    let read = Reader { source };
    let ceiling = read.ceiling(raw)?;
    Ok(NodeConfig {
        durability: raw.durability,
        concurrency: read.narrow(&raw.concurrency, "concurrency", 1, 1_024, default.concurrency)?,
        file_threads: read.narrow(
            &raw.file_threads,
            "file_threads",
            1,
            64,
            default.file_threads,
        )?,
        blob_bytes: read.number(
            &raw.blob_bytes,
            "blob_bytes",
            MIB,
            1024 * 1024 * MIB,
            default.blob_bytes,
        )?,
        result_cache_bytes: read.number(
            &raw.result_cache_bytes,
            "result_cache_bytes",
            0,
            64 * 1024 * MIB,
            default.result_cache_bytes,
        )?,
        index_memory_bytes: read.number(
            &raw.index_memory_bytes,
            "index_memory_bytes",
            0,
            1024 * 1024 * MIB,
            default.index_memory_bytes,
        )?,
        compile: read.compile(&raw.compile)?,
        ceiling,
        risk: RiskCeilings {
            user: read.risk(raw.ceiling.risk.user.as_ref(), default.risk.user)?,
            plugin: read.risk(raw.ceiling.risk.plugin.as_ref(), default.risk.plugin)?,
        },
        inference: read.inference(&raw.inference)?,
        mesh: read.mesh(&raw.mesh)?,
    })
}

/// Reads single values of one file.
struct Reader<'source> {
    source: &'source Source<'source>,
}

impl Reader<'_> {
    fn number(
        &self,
        value: &Option<Spanned<u64>>,
        name: &str,
        lowest: u64,
        highest: u64,
        default: u64,
    ) -> Result<u64, Diagnostic> {
        let Some(value) = value else { return Ok(default) };
        let number = *value.get_ref();
        if (lowest..=highest).contains(&number) {
            return Ok(number);
        }
        let message = format!("`{name}` is {number}");
        let hint = format!("write a number from {lowest} to {highest}");
        Err(self.source.error_with_hint(value.span(), message, hint))
    }

    fn narrow(
        &self,
        value: &Option<Spanned<u64>>,
        name: &str,
        lowest: u32,
        highest: u32,
        default: u32,
    ) -> Result<u32, Diagnostic> {
        let bounds = (u64::from(lowest), u64::from(highest), u64::from(default));
        let number = self.number(value, name, bounds.0, bounds.1, bounds.2)?;
        Ok(u32::try_from(number).unwrap_or(default))
    }

    fn ceiling(&self, raw: &RawConfig) -> Result<Ceiling, Diagnostic> {
        let default = Ceiling::DEFAULT;
        let own = &raw.ceiling;
        let highest = &NodeConfig::LIMITS_MAX;
        let limits =
            own.limits.validate_within(self.source, highest, "the highest that can be,")?;
        let limits = limits.over(default.limits);
        let wanted = raw.limits.validate_within(self.source, &limits, "the node's ceiling")?;
        Ok(Ceiling {
            limits,
            // A lowered ceiling lowers what is not named.
            default_limits: wanted.over(default.default_limits.min(limits)),
            folders: match own.folders {
                None => default.folders,
                Some(RawFolders::None) => None,
                Some(RawFolders::Ro) => Some(FolderMode::Ro),
                Some(RawFolders::Git) => Some(FolderMode::Git),
                Some(RawFolders::Rw) => Some(FolderMode::Rw),
                Some(RawFolders::RwExec) => Some(FolderMode::RwExec),
            },
            network: own.network.unwrap_or(default.network),
            key_value_bytes: self.number(
                &own.key_value_bytes,
                "key_value_bytes",
                0,
                1024 * 1024 * MIB,
                default.key_value_bytes,
            )?,
            index_bytes: self.number(
                &own.index_bytes,
                "index_bytes",
                0,
                1024 * 1024 * MIB,
                default.index_bytes,
            )?,
        })
    }

    fn compile(&self, raw: &RawCompile) -> Result<CompileLimits, Diagnostic> {
        let default = NodeConfig::DEFAULT.compile;
        let gib = 1024 * MIB;
        Ok(CompileLimits {
            memory_bytes: self.number(
                &raw.memory_bytes,
                "memory_bytes",
                gib,
                64 * gib,
                default.memory_bytes,
            )?,
            time_ms: self.number(&raw.time_ms, "time_ms", 1_000, 3_600_000, default.time_ms)?,
            code_bytes: self.number(
                &raw.code_bytes,
                "code_bytes",
                MIB,
                4 * gib,
                default.code_bytes,
            )?,
            component_bytes: self.number(
                &raw.component_bytes,
                "component_bytes",
                64 * KIB,
                COMPONENT_BYTES_MAX as u64,
                default.component_bytes,
            )?,
        })
    }

    /// Critical calls are asked for each time, so no ceiling reaches them.
    fn risk(&self, value: Option<&Spanned<Risk>>, default: Risk) -> Result<Risk, Diagnostic> {
        let Some(value) = value else { return Ok(default) };
        if *value.get_ref() == Risk::Critical {
            let message = "no ceiling reaches critical calls: they are asked for each time";
            let hint = "write \"high\" or less";
            return Err(self.source.error_with_hint(value.span(), message, hint));
        }
        Ok(*value.get_ref())
    }
}

#[cfg(test)]
mod tests;
