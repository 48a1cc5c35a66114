//! Every bound that a call runs under, with its default, its unit and the reason for the number.
//!
//! A limit stands here only when something enforces it: [`LimitKind`] names the enforcer's
//! verdict, and each kind has a hostile component in `tests/guests` that runs into it.

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

/// The limits of one call. All fields are required: an instance cannot be made without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes over all linear memories of all core instances of the call.
    pub memory_bytes: u64,
    /// Elements of one table; a Python component needs about 11,000.
    pub table_elements: u64,
    /// Core instances of one component.
    pub instances: u32,
    /// Fuel: about one unit for one guest instruction.
    pub fuel: u64,
    /// Wall-clock milliseconds, awaited host calls included.
    pub deadline_ms: u64,
    /// Number of host calls.
    pub host_calls: u64,
    /// Open resource handles at once.
    pub handles: u32,
    /// Hostcall fuel: bytes that values lifted from the guest may take on the host, per host call.
    pub hostcall_fuel: u64,
    /// Bytes that host imports buffer for the call at once (bodies, listings, streams).
    pub host_buffer_bytes: u64,
    /// Bytes of the call's output, blobs apart.
    pub output_bytes: u64,
    /// Bytes of one `list<u8>` in input or output; larger data goes as a blob.
    pub list_bytes: u64,
    /// Bytes of log and standard error text per call; the rest is counted and dropped.
    pub log_bytes: u64,
    /// Bytes that the call may write into blobs.
    pub blob_bytes: u64,
    /// Calls of the plugin that run at once.
    pub concurrency: u32,
    /// Calls of the plugin that wait for a free place.
    pub waiting: u32,
    /// How deep plugins may call plugins, this call included.
    pub call_depth: u32,
}

impl Limits {
    /// What a call gets when nobody says anything else.
    pub const DEFAULT: Self = Self {
        memory_bytes: 256 * MIB,
        table_elements: 20_000,
        instances: 64,
        fuel: 10_000_000_000,
        deadline_ms: 30_000,
        host_calls: 100_000,
        handles: 4_096,
        hostcall_fuel: 16 * MIB,
        host_buffer_bytes: 16 * MIB,
        output_bytes: 8 * MIB,
        list_bytes: 64 * KIB,
        log_bytes: 64 * KIB,
        blob_bytes: 1024 * MIB,
        concurrency: 16,
        waiting: 32,
        call_depth: 8,
    };

    /// The most that a node allows when its configuration does not say otherwise. The memory
    /// ceiling is what one slot of the pool holds.
    pub const CEILING: Self = Self {
        memory_bytes: 512 * MIB,
        table_elements: 20_000,
        instances: 64,
        fuel: 1_000_000_000_000,
        deadline_ms: 600_000,
        host_calls: 10_000_000,
        handles: 4_096,
        hostcall_fuel: 128 * MIB,
        host_buffer_bytes: 64 * MIB,
        output_bytes: 64 * MIB,
        list_bytes: MIB,
        log_bytes: MIB,
        blob_bytes: 16 * 1024 * MIB,
        concurrency: 64,
        waiting: 1_024,
        call_depth: 16,
    };

    /// Field by field the smaller of the two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            table_elements: self.table_elements.min(other.table_elements),
            instances: self.instances.min(other.instances),
            fuel: self.fuel.min(other.fuel),
            deadline_ms: self.deadline_ms.min(other.deadline_ms),
            host_calls: self.host_calls.min(other.host_calls),
            handles: self.handles.min(other.handles),
            hostcall_fuel: self.hostcall_fuel.min(other.hostcall_fuel),
            host_buffer_bytes: self.host_buffer_bytes.min(other.host_buffer_bytes),
            output_bytes: self.output_bytes.min(other.output_bytes),
            list_bytes: self.list_bytes.min(other.list_bytes),
            log_bytes: self.log_bytes.min(other.log_bytes),
            blob_bytes: self.blob_bytes.min(other.blob_bytes),
            concurrency: self.concurrency.min(other.concurrency),
            waiting: self.waiting.min(other.waiting),
            call_depth: self.call_depth.min(other.call_depth),
        }
    }
}

/// Limits as somebody wishes them: what is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is the one of `Limits` with the same name")]
pub struct LimitsWanted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_elements: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handles: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostcall_fuel: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_buffer_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_depth: Option<u32>,
}

impl LimitsWanted {
    /// Field by field this wish, and the other where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.or(other.memory_bytes),
            table_elements: self.table_elements.or(other.table_elements),
            instances: self.instances.or(other.instances),
            fuel: self.fuel.or(other.fuel),
            deadline_ms: self.deadline_ms.or(other.deadline_ms),
            host_calls: self.host_calls.or(other.host_calls),
            handles: self.handles.or(other.handles),
            hostcall_fuel: self.hostcall_fuel.or(other.hostcall_fuel),
            host_buffer_bytes: self.host_buffer_bytes.or(other.host_buffer_bytes),
            output_bytes: self.output_bytes.or(other.output_bytes),
            list_bytes: self.list_bytes.or(other.list_bytes),
            log_bytes: self.log_bytes.or(other.log_bytes),
            blob_bytes: self.blob_bytes.or(other.blob_bytes),
            concurrency: self.concurrency.or(other.concurrency),
            waiting: self.waiting.or(other.waiting),
            call_depth: self.call_depth.or(other.call_depth),
        }
    }

    /// `base` with every wished field replaced.
    #[must_use]
    pub fn over(self, base: Limits) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes.unwrap_or(base.memory_bytes),
            table_elements: self.table_elements.unwrap_or(base.table_elements),
            instances: self.instances.unwrap_or(base.instances),
            fuel: self.fuel.unwrap_or(base.fuel),
            deadline_ms: self.deadline_ms.unwrap_or(base.deadline_ms),
            host_calls: self.host_calls.unwrap_or(base.host_calls),
            handles: self.handles.unwrap_or(base.handles),
            hostcall_fuel: self.hostcall_fuel.unwrap_or(base.hostcall_fuel),
            host_buffer_bytes: self.host_buffer_bytes.unwrap_or(base.host_buffer_bytes),
            output_bytes: self.output_bytes.unwrap_or(base.output_bytes),
            list_bytes: self.list_bytes.unwrap_or(base.list_bytes),
            log_bytes: self.log_bytes.unwrap_or(base.log_bytes),
            blob_bytes: self.blob_bytes.unwrap_or(base.blob_bytes),
            concurrency: self.concurrency.unwrap_or(base.concurrency),
            waiting: self.waiting.unwrap_or(base.waiting),
            call_depth: self.call_depth.unwrap_or(base.call_depth),
        }
    }
}

/// What a call really used; part of its evidence and of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Fuel consumed.
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
