//! Memories, tables and instances of one store, summed. Each refusal is noted in the call's
//! record before it happens, because the trap that follows does not say what it was.

use std::sync::Arc;

use meshhost_core::limits::{LimitKind, Limits};
use wasmtime::ResourceLimiter;

use crate::state::CallRecord;

/// Tables and memories that one store may have, whatever their size.
const OBJECTS_MAX: usize = 64;

/// Bounds what one store may allocate for its guest.
#[derive(Debug)]
pub(crate) struct Limiter {
    record: Arc<CallRecord>,
    memory_bytes_max: u64,
    table_elements_max: u64,
    instances_max: usize,
    memory_bytes: u64,
    memory_bytes_peak: u64,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, record: Arc<CallRecord>) -> Self {
        Self {
            record,
            memory_bytes_max: limits.memory_bytes,
            table_elements_max: limits.table_elements,
            instances_max: usize::try_from(limits.instances).unwrap_or(usize::MAX),
            memory_bytes: 0,
            memory_bytes_peak: 0,
        }
    }

    /// The largest sum of memories so far, in bytes.
    pub(crate) const fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes_peak
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let sum = self.memory_bytes.saturating_add(growth);
        if sum > self.memory_bytes_max {
            self.record.reach(LimitKind::Memory);
            return Ok(false);
        }
        // The memory's own maximum refuses without asking again; then nothing has grown.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.memory_bytes = sum;
            self.memory_bytes_peak = self.memory_bytes_peak.max(sum);
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.record.reach(LimitKind::Memory);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired as u64 > self.table_elements_max {
            self.record.reach(LimitKind::Table);
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances_max
    }

    fn tables(&self) -> usize {
        OBJECTS_MAX
    }

    fn memories(&self) -> usize {
        OBJECTS_MAX
    }
}
