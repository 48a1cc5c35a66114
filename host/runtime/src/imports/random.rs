//! `wasi:random`. Secure numbers need the grant `random`; without it they trap as denied, because
//! the interface has no error and a number that only looks random is worse than none. The insecure
//! ones and their seed are always there: hash tables need them.

use meshhost_core::limits::{KIB, LimitKind};
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use super::{Context, Imports, View};
use crate::state::{HostState, Stop};

/// Bytes of one request at most.
const BYTES_MAX: u64 = 64 * KIB;

/// Links `wasi:random`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    random::add_to_linker::<_, Imports>(linker, View::of)?;
    insecure_seed::add_to_linker::<_, Imports>(linker, View::of)?;
    insecure::add_to_linker::<_, Insecure>(linker, Insecure::of)
}

impl Context {
    fn sized_buffer(&self, length: u64) -> Result<Vec<u8>, Stop> {
        let size = usize::try_from(length).ok().filter(|_| length <= BYTES_MAX);
        size.map(|size| vec![0; size]).ok_or_else(|| self.record.stop(LimitKind::HostMemory))
    }

    fn secure(&self, function: &str, bytes: &mut [u8]) -> Result<(), Stop> {
        if !self.rules().grants.random {
            let function = format!("wasi:random/random#{function}");
            self.record.deny(Some("random".to_owned()), &function, "");
            return Err(Stop::Denied);
        }
        self.shared.ports.entropy.fill(bytes);
        Ok(())
    }
}

impl random::Host for View<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = self.context.sized_buffer(length)?;
        self.context.secure("get-random-bytes", &mut bytes)?;
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.context.secure("get-random-u64", &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl insecure_seed::Host for View<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        let (mut low, mut high) = ([0; 8], [0; 8]);
        self.context.shared.ports.entropy.fill(&mut low);
        self.context.shared.ports.entropy.fill(&mut high);
        Ok((u64::from_le_bytes(low), u64::from_le_bytes(high)))
    }
}

/// The insecure numbers of one call: a BLAKE3 stream from a seed of its own.
#[derive(Debug, Default)]
pub(super) struct InsecureState(Option<blake3::OutputReader>);

pub(super) struct Insecure<'a> {
    context: &'a Context,
    state: &'a mut InsecureState,
}

impl Insecure<'_> {
    pub(super) fn of(state: &mut HostState) -> Insecure<'_> {
        let state = state.enter();
        Insecure { context: &state.imports.context, state: &mut state.imports.insecure }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        let entropy = &self.context.shared.ports.entropy;
        let reader = self.state.0.get_or_insert_with(|| {
            let mut seed = [0; 32];
            entropy.fill(&mut seed);
            blake3::Hasher::new_keyed(&seed).finalize_xof()
        });
        reader.fill(bytes);
    }
}

impl HasData for Insecure<'static> {
    type Data<'a> = Insecure<'a>;
}

impl insecure::Host for Insecure<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = self.context.sized_buffer(length)?;
        self.fill(&mut bytes);
        Ok(bytes)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
}
