//! `wasi:clocks` 0.3: the clocks of 0.2, and waiting that a task awaits.

use std::time::Duration;

use wasmtime::component::{Accessor, Linker};
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock, types};

use crate::{
    imports::{Imports, View},
    state::HostState,
};

/// What one tick of both clocks is, in nanoseconds.
const RESOLUTION_NANOSECONDS: u64 = 1_000;

/// Links `wasi:clocks`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Imports>(linker, View::of)?;
    system_clock::add_to_linker::<_, Imports>(linker, View::of)?;
    monotonic_clock::add_to_linker::<_, Imports>(linker, View::of)
}

impl types::Host for View<'_> {}

impl system_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<system_clock::Instant> {
        let (seconds, nanoseconds) = self.wall_time("wasi:clocks/system-clock#now");
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Ok(system_clock::Instant { seconds, nanoseconds })
    }

    fn get_resolution(&mut self) -> wasmtime::Result<types::Duration> {
        Ok(RESOLUTION_NANOSECONDS)
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Mark> {
        let granted = self.clock_granted("wasi:clocks/monotonic-clock#now");
        Ok(if granted { self.elapsed() } else { 0 })
    }

    fn get_resolution(&mut self) -> wasmtime::Result<types::Duration> {
        Ok(RESOLUTION_NANOSECONDS)
    }
}

impl monotonic_clock::HostWithStore<HostState> for Imports {
    async fn wait_until(
        store: &Accessor<HostState, Self>,
        when: monotonic_clock::Mark,
    ) -> wasmtime::Result<()> {
        let wait = store.with(|mut access| {
            let view = access.get();
            let now = if view.context.rules().grants.clock { view.elapsed() } else { 0 };
            view.bounded(when.saturating_sub(now))
        });
        sleep(wait).await;
        Ok(())
    }

    async fn wait_for(
        store: &Accessor<HostState, Self>,
        duration: types::Duration,
    ) -> wasmtime::Result<()> {
        let wait = store.with(|mut access| access.get().bounded(duration));
        sleep(wait).await;
        Ok(())
    }
}

impl View<'_> {
    fn bounded(&self, nanoseconds: u64) -> Duration {
        Duration::from_nanos(nanoseconds).min(self.context.remaining())
    }
}

/// Waits; lets others run at least once, so that a guest that waits for nothing in a loop starves
/// nobody.
async fn sleep(wait: Duration) {
    tokio::task::yield_now().await;
    tokio::time::sleep(wait).await;
}
