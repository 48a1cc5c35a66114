//! How the last calls of one capability on one peer went.

/// Calls that are counted; nothing is judged by fewer.
pub const CALLS_COUNTED: u32 = 100;
/// Times that are kept.
const TIMES: usize = 32;

/// How a capability of a peer has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Share of the last [`CALLS_COUNTED`] calls, or of those that there were, that went well, in
    /// thousandths. `None` before the first.
    pub success: Option<u32>,
    /// Half of the last calls took no longer, in microseconds. `None` before the first.
    pub median_us: Option<u64>,
}

/// The last calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// One bit for each call, the last one lowest.
    well: u128,
    calls: u32,
    times_us: [u64; TIMES],
    timed: usize,
}

impl Window {
    pub(super) fn count(&mut self, well: bool, took_us: u64) {
        let last_of_all = (1_u128 << CALLS_COUNTED) - 1;
        self.well = ((self.well << 1) | u128::from(well)) & last_of_all;
        self.calls = self.calls.saturating_add(1).min(CALLS_COUNTED);
        if let Some(place) = self.times_us.get_mut(self.timed % TIMES) {
            *place = took_us;
        }
        self.timed = self.timed.wrapping_add(1);
    }

    /// The share that went well, in thousandths, once enough calls are counted to judge by.
    pub(super) fn full_share(&self) -> Option<u32> {
        (self.calls == CALLS_COUNTED).then(|| self.share()).flatten()
    }

    fn share(&self) -> Option<u32> {
        (self.well.count_ones() * 1_000).checked_div(self.calls)
    }

    pub(super) fn health(&self) -> Health {
        let mut times: Vec<_> = self.times_us.iter().take(self.timed.min(TIMES)).copied().collect();
        times.sort_unstable();
        let median = times.len().saturating_sub(1) / 2;
        Health { success: self.share(), median_us: times.get(median).copied() }
    }
}
