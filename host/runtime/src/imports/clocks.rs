//! `wasi:clocks`. Without the grant `clock` both clocks stand still: the wall clock at the start
//! of the call, the monotonic clock at zero. Waiting works all the same, within the deadline.

use std::time::Duration;

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::{
    DynPollable, Pollable,
    bindings::clocks::{
        monotonic_clock,
        wall_clock::{self, Datetime},
    },
    subscribe,
};

use super::{Imports, View};
use crate::state::HostState;

/// Links `wasi:clocks`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<_, Imports>(linker, View::of)?;
    monotonic_clock::add_to_linker::<_, Imports>(linker, View::of)
}

impl View<'_> {
    pub(super) fn clock_granted(&self, function: &str) -> bool {
        let granted = self.context.rules().grants.clock;
        if !granted {
            self.context.record.deny(Some("clock".to_owned()), function, "");
        }
        granted
    }

    /// Seconds and nanoseconds since 1970, as far as granted.
    pub(super) fn wall_time(&self, function: &str) -> (u64, u32) {
        let now = if self.clock_granted(function) {
            self.context.shared.ports.clock.now_us()
        } else {
            self.context.call.started_us
        };
        let now = u64::try_from(now).unwrap_or(0);
        let nanoseconds = u32::try_from(now % 1_000_000 * 1_000).unwrap_or(0);
        (now / 1_000_000, nanoseconds)
    }

    fn timer(&mut self, wait: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let bounded = wait.min(self.context.remaining());
        let until = tokio::time::Instant::now() + bounded;
        let timer = self.table.push(Timer { until, yielded: false })?;
        subscribe(self.table, timer)
    }

    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.context.call.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let (seconds, nanoseconds) = self.wall_time("wasi:clocks/wall-clock#now");
        Ok(Datetime { seconds, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        Ok(Datetime { seconds: 0, nanoseconds: 1_000 })
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        let granted = self.clock_granted("wasi:clocks/monotonic-clock#now");
        Ok(if granted { self.elapsed() } else { 0 })
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = if self.context.rules().grants.clock { self.elapsed() } else { 0 };
        self.timer(Duration::from_nanos(when.saturating_sub(now)))
    }

    fn subscribe_duration(&mut self, wait: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.timer(Duration::from_nanos(wait))
    }
}

/// Waits; lets others run at least once, so that a guest that polls in a loop starves nobody.
struct Timer {
    until: tokio::time::Instant,
    yielded: bool,
}

#[async_trait::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        if !self.yielded {
            self.yielded = true;
            tokio::task::yield_now().await;
        }
        tokio::time::sleep_until(self.until).await;
    }
}
