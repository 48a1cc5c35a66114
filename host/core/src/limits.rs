//! Every bound that a call runs under, with its default, its unit and the reason for the number.
//!
//! A limit stands here only when something enforces it: [`LimitKind`] names the enforcer's
//! verdict, and each kind has a hostile component in `tests/guests` that runs into it. Those of models
//! are kept where the runs are queued, over all calls of a plugin, and a component that reaches one
//! is told so by the run's error.

use serde::{Deserialize, Serialize};

/// One mebibyte in bytes.
pub const MIB: u64 = 1024 * 1024;
/// One kibibyte in bytes.
pub const KIB: u64 = 1024;

/// Which limit ended or refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// Sum of all linear memories of the call.
    Memory,
    /// Elements of one table, or the number of tables.
    Table,
    /// Core instances, counted from the binary at install.
    Instances,
    /// Guest instructions, and the priced memory and bulk operations.
    Fuel,
    /// Wall-clock time from the call's start, awaited host calls included.
    Deadline,
    /// The guest's stack.
    Recursion,
    /// Bytes that the host allocates on the guest's behalf.
    HostMemory,
    /// Open resource handles.
    Handles,
    /// Number of host calls.
    HostCalls,
    /// Bytes of output (blobs apart).
    Output,
    /// Bytes of input that are given as a list instead of a blob.
    ListBytes,
    /// Calls at once, or waiting, for one plugin.
    Concurrency,
    /// Depth of plugins calling plugins.
    CallDepth,
    /// Bytes kept in the plugin's key-value store.
    KeyValueBytes,
    /// Bytes kept in the plugin's corpora of documents.
    IndexBytes,
    /// Bytes written into blobs.
    BlobBytes,
}

/// Makes [`Limits`] and [`LimitsWanted`] of one list: name, default, and the ceiling of a node whose
/// configuration says nothing else.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $number:ty = $default:expr, at most $ceiling:expr;)*) => {
        /// The limits of one call. All fields are required: an instance cannot be made without them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Limits {
            $($(#[$doc])* pub $name: $number,)*
        }

        impl Limits {
            /// What a call gets when nobody says anything else.
            pub const DEFAULT: Self = Self { $($name: $default,)* };

            /// The most that a node allows when its configuration does not say otherwise. The
            /// memory ceiling is what one slot of the pool holds.
            pub const CEILING: Self = Self { $($name: $ceiling,)* };

            /// Field by field the smaller of the two.
            #[must_use]
            pub fn min(self, other: Self) -> Self {
                Self { $($name: self.$name.min(other.$name),)* }
            }
        }

        /// Limits as somebody wishes them: what is absent stays as it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct LimitsWanted {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $name: Option<$number>,
            )*
        }

        impl LimitsWanted {
            /// Field by field this wish, and the other where there is none.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)* }
            }

            /// `base` with every wished field replaced.
            #[must_use]
            pub fn over(self, base: Limits) -> Limits {
                Limits { $($name: self.$name.unwrap_or(base.$name),)* }
            }
        }
    };
}

limits! {
    /// Bytes over all linear memories of all core instances of the call.
    memory_bytes: u64 = 256 * MIB, at most 512 * MIB;
    /// Elements of one table; a Python component needs about 11,000.
    table_elements: u64 = 20_000, at most 20_000;
    /// Core instances of one component.
    instances: u32 = 64, at most 64;
    /// Fuel: about one unit for one guest instruction.
    fuel: u64 = 10_000_000_000, at most 1_000_000_000_000;
    /// Wall-clock milliseconds, awaited host calls included.
    deadline_ms: u64 = 30_000, at most 600_000;
    /// Number of host calls.
    host_calls: u64 = 100_000, at most 10_000_000;
    /// Open resource handles at once.
    handles: u32 = 4_096, at most 4_096;
    /// Hostcall fuel: bytes that values lifted from the guest may take on the host, per host call.
    hostcall_fuel: u64 = 16 * MIB, at most 128 * MIB;
    /// Bytes that host imports buffer for the call at once (bodies, listings, streams).
    host_buffer_bytes: u64 = 16 * MIB, at most 64 * MIB;
    /// Bytes of the call's output, blobs apart.
    output_bytes: u64 = 8 * MIB, at most 64 * MIB;
    /// Bytes of one `list<u8>` in input or output; larger data goes as a blob.
    list_bytes: u64 = 64 * KIB, at most MIB;
    /// Bytes of log and standard error text per call; the rest is counted and dropped.
    log_bytes: u64 = 64 * KIB, at most MIB;
    /// Bytes that the call may write into blobs.
    blob_bytes: u64 = 1024 * MIB, at most 16 * 1024 * MIB;
    /// Calls of the plugin that run at once.
    concurrency: u32 = 16, at most 64;
    /// Calls of the plugin that wait for a free place.
    waiting: u32 = 32, at most 1_024;
    /// How deep plugins may call plugins, this call included.
    call_depth: u32 = 8, at most 16;
    /// Runs of models in a minute; one call of `run`, `embed` or `rerank` is one.
    model_runs_per_minute: u32 = 6_000, at most 60_000;
    /// Milliseconds of compute by models in a day of UTC.
    model_compute_ms_per_day: u64 = 14_400_000, at most 604_800_000;
    /// Calls to models that wait or run at once.
    model_calls: u32 = 32, at most 1_024;
    /// Bytes of tensors or texts into one run of a model, and out of it.
    tensor_bytes: u64 = 64 * MIB, at most 512 * MIB;
}

/// What a call really used; part of its evidence and of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Fuel consumed, that of calls below included.
    pub fuel: u64,
    /// Wall-clock microseconds from permit to end.
    pub wall_us: u64,
    /// Largest sum of linear memories, in bytes.
    pub memory_bytes: u64,
    /// Host calls made.
    pub host_calls: u64,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Bytes of log text offered, dropped ones included.
    pub log_bytes: u64,
}
