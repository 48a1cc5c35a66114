//! The engines: their configuration, the pool of instance slots, and the places before the pool.
//!
//! Everything here was decided and measured; `host/decisions/0001-engine.md` says why, and
//! `0006-second-engine.md` why there are two. Each has a configuration for serving and one for the
//! child process that compiles and needs no pool; both agree in everything that reaches the code,
//! and a test holds that.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use meshhost_core::limits::Limits;
use serde::Serialize;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};
use wasmparser::WasmFeatures;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig,
    VariableOperatorCost, component::Component,
};

/// Which engine runs a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// The first: pooled, and without the component model's concurrency, which would make each
    /// call three to five times as expensive.
    Plain,
    /// The second, for what the first leaves out: asynchronous functions, streams and futures
    /// (WASI 0.3), and lists of fixed length. It is made when the first such component is loaded.
    Concurrent,
}

/// Fuel after which a guest hands control back: about 0.1 ms of work, so that the deadline and
/// cancelling take effect and other calls get the thread.
pub(crate) const YIELD_FUEL: u64 = 250_000;

/// Bytes of a guest's native stack; deeper recursion traps.
const GUEST_STACK_BYTES: usize = 1024 * 1024;
/// Bytes of the stack that a call runs on: the guest's, and 1 MiB for host functions.
const CALL_STACK_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of one memory that are reset by writing zeros instead of by the kernel: at least what a
/// guest from our templates has, and a default Rust guest (1.1 MiB) too.
const KEEP_RESIDENT_BYTES: usize = 2 * 1024 * 1024;
/// The same for tables.
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 * 1024;
/// Unused slots that stay warm for the component that used them last; bounds idle memory.
const WARM_SLOTS: u32 = 32;
/// Bytes of the administrative structures of one component's instances.
const INSTANCE_STRUCTURE_BYTES: usize = 4 * 1024 * 1024;

/// Proposals that no supported toolchain emits unasked, and that have had advisories. Garbage
/// collection, exceptions and threads are not even compiled in; they stand here all the same.
const SWITCHED_OFF: WasmFeatures = WasmFeatures::GC
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES);

/// What the second engine runs besides what the first does. `map` is not here: it is a list of
/// pairs under another name, and costs the first engine nothing.
const SECOND_ENGINE_ONLY: WasmFeatures = WasmFeatures::CM_ASYNC
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS);

/// Tables that one place in the pool holds; a component with more takes more places.
const TABLES_PER_PLACE: u32 = 4;
/// Places that one component may take: a component with more memories or tables is refused.
const PLACES_PER_COMPONENT: u32 = 8;

/// An engine of a process that runs components, with slots for `places` plain components. Only
/// the first has a pool: a call on the second may take many stacks, so that no number of places
/// would say how many the pool needs, and its components are few.
///
/// # Errors
/// When the machine cannot reserve the address space.
pub(crate) fn serving(kind: EngineKind, places: u32) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = code_settings(kind);
    if kind == EngineKind::Plain {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(places)));
    }
    wasmtime::Engine::new(&config)
}

/// An engine of the child process that compiles: the same code, no pool.
///
/// # Errors
/// When wasmtime refuses the configuration.
pub(crate) fn compiling(kind: EngineKind) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code_settings(kind))
}

/// The engine as wasmtime's documentation suggests it to begin with: pooling and nothing tuned.
/// Only the benchmark uses it, to show what the tuning is worth.
///
/// # Errors
/// When the machine cannot reserve the address space.
#[cfg(feature = "bench")]
pub(crate) fn stock() -> wasmtime::Result<wasmtime::Engine> {
    let mut config = code_settings(EngineKind::Plain);
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    wasmtime::Engine::new(&config)
}

/// Everything that the compiled code depends on.
fn code_settings(kind: EngineKind) -> Config {
    let concurrent = kind == EngineKind::Concurrent;
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(operator_cost())
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(CALL_STACK_BYTES)
        // Traps are told by kind; a backtrace of guest functions would only cost.
        .wasm_backtrace_max_frames(None)
        // Nobody unwinds through a guest's frames: a panic of the host ends where it was called.
        // Telling the system's unwinder of every function takes long when code is loaded.
        .native_unwind_info(false)
        .generate_address_map(false)
        .concurrency_support(concurrent)
        .wasm_features(SWITCHED_OFF, false)
        .wasm_features(WasmFeatures::CM_MAP, true)
        .wasm_features(SECOND_ENGINE_ONLY, concurrent);
    config
}

/// What an instruction costs in fuel. The default charges one unit for leaving the guest, which
/// takes as long as dozens of instructions, and nothing for the pages that growing touches.
fn operator_cost() -> OperatorCost {
    OperatorCost {
        MemoryGrow: 100,
        TableGrow: 100,
        MemoryCopy: 20,
        MemoryFill: 20,
        MemoryInit: 20,
        TableCopy: 20,
        TableFill: 20,
        TableInit: 20,
        variable: VariableOperatorCost { memory_grow_per_page: 255, ..VariableOperatorCost::new() },
        ..OperatorCost::new()
    }
}

fn pool(places: u32) -> PoolingAllocationConfig {
    // The largest component runs alone on a node with fewer places than it takes.
    let places = places.max(PLACES_PER_COMPONENT);
    let ceiling = Limits::CEILING;
    let memory_bytes = usize::try_from(ceiling.memory_bytes).unwrap_or(usize::MAX);
    let table_elements = usize::try_from(ceiling.table_elements).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(places)
        .total_memories(places)
        .total_tables(places.saturating_mul(TABLES_PER_PLACE))
        .total_stacks(places)
        .total_core_instances(places.saturating_mul(ceiling.instances))
        .max_core_instances_per_component(ceiling.instances)
        .max_memories_per_component(PLACES_PER_COMPONENT)
        .max_tables_per_component(PLACES_PER_COMPONENT * TABLES_PER_PLACE)
        .max_tables_per_module(TABLES_PER_PLACE)
        .max_component_instance_size(INSTANCE_STRUCTURE_BYTES)
        .max_memory_size(memory_bytes)
        .table_elements(table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .max_unused_warm_slots(WARM_SLOTS)
        // Off for good: dirty pages that were swapped out would survive into the next instance.
        .pagemap_scan(Enabled::No);
    pool
}

/// How many places of the pool one instance of the component takes; `None` when it has more
/// memories or tables than any instance may.
pub(crate) fn places_of(component: &Component) -> Option<u32> {
    let resources = component.resources_required()?;
    let places = resources.num_memories.max(resources.num_tables.div_ceil(TABLES_PER_PLACE)).max(1);
    (places <= PLACES_PER_COMPONENT).then_some(places)
}

/// The places before the pool. Who holds places finds a slot: a pool that is exhausted all the
/// same is a defect, counted here.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// All there are.
    count: u32,
    pool_exhausted: AtomicU64,
}

impl Places {
    pub(crate) fn new(count: u32) -> Self {
        let places = usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { free, count, pool_exhausted: AtomicU64::new(0) }
    }

    /// Takes `count` places, or all where there are fewer, waiting for them.
    pub(crate) async fn wait(&self, count: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.free).acquire_many_owned(count.min(self.count)).await
    }

    /// Takes `count` places, or all where there are fewer, that are free now.
    pub(crate) fn try_take(&self, count: u32) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.free).try_acquire_many_owned(count.min(self.count))
    }

    /// Free places, and all.
    pub(crate) fn counts(&self) -> (u32, u32) {
        let free = u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX);
        (free.min(self.count), self.count)
    }

    /// Notes that the pool had no slot although places were held.
    pub(crate) fn note_pool_exhausted(&self) {
        self.pool_exhausted.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that happened; anything but 0 is a defect of this crate.
    pub(crate) fn pool_exhausted(&self) -> u64 {
        self.pool_exhausted.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }
}

/// A number that changes with everything that compiled code depends on: wasmtime's version, the
/// settings above, the processor's features.
pub(crate) fn code_fingerprint(engine: &wasmtime::Engine) -> [u8; 32] {
    struct Blake3(blake3::Hasher);
    impl std::hash::Hasher for Blake3 {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0 // Never asked for: the digest is taken from the inner hasher.
        }
    }
    let mut hasher = Blake3(blake3::Hasher::new_derive_key("meshhost 2026-01 code fingerprint"));
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
    *hasher.0.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_makes_code_that_each_engine_runs_and_no_other() {
        let prints = [EngineKind::Plain, EngineKind::Concurrent].map(|kind| {
            let (serving, compiling) = (serving(kind, 2).unwrap(), compiling(kind).unwrap());
            assert_eq!(code_fingerprint(&serving), code_fingerprint(&compiling));
            code_fingerprint(&serving)
        });
        assert_ne!(prints[0], prints[1]);
    }

    #[test]
    fn what_is_switched_off_does_not_compile() {
        let engines = [EngineKind::Plain, EngineKind::Concurrent].map(|k| compiling(k).unwrap());
        for (feature, text) in [
            ("tail calls", "(func $f return_call $f)"),
            ("memory64", "(memory i64 1)"),
            ("multi-memory", "(memory 1) (memory 1)"),
            ("threads", "(memory 1 1 shared)"),
            ("exceptions", "(tag $e)"),
            ("gc", "(type (struct))"),
            ("function references", "(func (param (ref null func))) (func (param (ref func)))"),
        ] {
            let wat = format!("(component (core module {text}))");
            let bytes = wat::parse_str(&wat).unwrap();
            for engine in &engines {
                assert!(engine.precompile_component(&bytes).is_err(), "{feature} must be off");
            }
        }
    }
}
