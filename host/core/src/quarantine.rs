//! Rest for a plugin that traps again and again: a pure machine, time passed in.
//!
//! Failures are counted per caller, so that one caller's bad input does not take a plugin away
//! from the others. It rests for everybody when two callers have run into the bound, or when it
//! traps before its function is even entered. Each rest doubles, up to a cap; after it one
//! call is let through as a probe. A success ends the count. Deadlines do not count: a caller may
//! choose them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Traps in a row that make a plugin rest.
pub const TRAPS_IN_A_ROW_MAX: u32 = 5;
/// The first rest, in milliseconds.
pub const REST_MS_FIRST: u64 = 1_000;
/// The longest rest, in milliseconds.
pub const REST_MS_MAX: u64 = 300_000;
/// Callers that are told apart; the one that trapped longest ago is forgotten first.
pub const CALLERS_MAX: usize = 64;

/// The record of one plugin's traps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quarantine {
    everybody: Rest,
    callers: BTreeMap<String, Rest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Rest {
    traps_in_a_row: u32,
    rests: u32,
    until_us: i64,
    probing: bool,
    last_us: i64,
}

impl Rest {
    fn remaining_ms(&self, now_us: i64) -> Option<u64> {
        if self.rests == 0 {
            return None;
        }
        let left_us = self.until_us.saturating_sub(now_us);
        if left_us > 0 {
            return Some(u64::try_from(left_us).unwrap_or(0).div_ceil(1000));
        }
        // The rest is over: one probe may pass, the others wait for its end.
        self.probing.then_some(REST_MS_FIRST)
    }

    fn trap(&mut self, now_us: i64, at_once: bool) -> bool {
        self.traps_in_a_row = self.traps_in_a_row.saturating_add(1);
        self.last_us = now_us;
        let bound_met = at_once || self.traps_in_a_row >= TRAPS_IN_A_ROW_MAX || self.probing;
        if bound_met {
            let doubled = REST_MS_FIRST.saturating_mul(1 << self.rests.min(20));
            let rest_us = doubled.min(REST_MS_MAX).saturating_mul(1000);
            self.until_us = now_us.saturating_add(i64::try_from(rest_us).unwrap_or(i64::MAX));
            self.rests = self.rests.saturating_add(1);
            self.probing = false;
        }
        bound_met
    }
}

impl Quarantine {
    /// Milliseconds that `caller` has to wait, or `None` when a call may pass. Passing after a
    /// rest is the probe: until it ends, others wait.
    pub fn admit(&mut self, caller: &str, now_us: i64) -> Option<u64> {
        if let Some(wait) = self.remaining_ms(caller, now_us) {
            return Some(wait);
        }
        for rest in [Some(&mut self.everybody), self.callers.get_mut(caller)].into_iter().flatten()
        {
            rest.probing = rest.rests > 0;
        }
        None
    }

    /// As [`Self::admit`], without taking the probe.
    #[must_use]
    pub fn remaining_ms(&self, caller: &str, now_us: i64) -> Option<u64> {
        let own = self.callers.get(caller).and_then(|rest| rest.remaining_ms(now_us));
        own.max(self.everybody.remaining_ms(now_us))
    }

    /// Whether it rests for anybody.
    #[must_use]
    pub fn rests(&self, now_us: i64) -> bool {
        let mut all = self.callers.values().chain([&self.everybody]);
        all.any(|rest| rest.remaining_ms(now_us).is_some())
    }

    /// Whether anybody rests or a count runs: only then is there something to keep.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        *self == Self::default()
    }

    /// A call ended without a trap. Says whether anything changed.
    pub fn succeeded(&mut self, caller: &str) -> bool {
        let everybody_clear = self.everybody == Rest::default();
        let had_caller = self.callers.remove(caller).is_some();
        self.everybody = Rest::default();
        had_caller || !everybody_clear
    }

    /// A probe ended without saying anything about the plugin: cancelled, or denied later on.
    pub fn probe_ended(&mut self, caller: &str) {
        self.everybody.probing = false;
        if let Some(rest) = self.callers.get_mut(caller) {
            rest.probing = false;
        }
    }

    /// A call trapped. `at_start` says that its function was never entered.
    pub fn trapped(&mut self, caller: &str, at_start: bool, now_us: i64) {
        self.forget_oldest(caller);
        let rest = self.callers.entry(caller.to_owned()).or_default();
        rest.trap(now_us, false);
        let resting = self.callers.values().filter(|rest| rest.rests > 0).count();
        if at_start || resting >= 2 || self.everybody.probing {
            self.everybody.trap(now_us, true);
        }
    }

    fn forget_oldest(&mut self, caller: &str) {
        if self.callers.len() < CALLERS_MAX || self.callers.contains_key(caller) {
            return;
        }
        let oldest = self.callers.iter().min_by_key(|(_, rest)| rest.last_us);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.callers.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn trapped_times(quarantine: &mut Quarantine, caller: &str, times: u32, now_us: i64) {
        for _ in 0..times {
            quarantine.trapped(caller, false, now_us);
        }
    }

    #[test]
    fn five_traps_in_a_row_make_it_rest_for_that_caller_only() {
        let mut quarantine = Quarantine::default();
        trapped_times(&mut quarantine, "a", TRAPS_IN_A_ROW_MAX - 1, 0);
        assert_eq!(quarantine.admit("a", 0), None);
        quarantine.trapped("a", false, 0);
        assert_eq!(quarantine.admit("a", 0), Some(REST_MS_FIRST));
        assert_eq!(quarantine.admit("b", 0), None);
        assert!(quarantine.rests(0) && !quarantine.rests(SECOND_US));
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut quarantine = Quarantine::default();
        for _ in 0..10 {
            trapped_times(&mut quarantine, "a", TRAPS_IN_A_ROW_MAX - 1, 0);
            assert!(quarantine.succeeded("a"));
            assert_eq!(quarantine.admit("a", 0), None);
        }
        assert!(quarantine.is_clear());
    }

    #[test]
    fn two_callers_or_a_trap_at_start_make_it_rest_for_everybody() {
        let mut quarantine = Quarantine::default();
        trapped_times(&mut quarantine, "a", TRAPS_IN_A_ROW_MAX, 0);
        trapped_times(&mut quarantine, "b", TRAPS_IN_A_ROW_MAX, 0);
        assert!(quarantine.admit("c", 0).is_some());
        let mut quarantine = Quarantine::default();
        quarantine.trapped("a", true, 0);
        assert!(quarantine.admit("c", 0).is_some());
    }

    #[test]
    fn after_the_rest_one_probe_passes_and_its_end_decides() {
        let mut quarantine = Quarantine::default();
        trapped_times(&mut quarantine, "a", TRAPS_IN_A_ROW_MAX, 0);
        assert_eq!(quarantine.admit("a", SECOND_US), None);
        assert!(quarantine.admit("a", SECOND_US).is_some(), "a second one waits for the probe");
        quarantine.trapped("a", false, SECOND_US);
        assert_eq!(quarantine.admit("a", SECOND_US), Some(2 * REST_MS_FIRST));
        assert_eq!(quarantine.admit("a", 3 * SECOND_US), None);
        quarantine.succeeded("a");
        assert_eq!(quarantine.admit("a", 3 * SECOND_US), None);
        assert!(quarantine.is_clear());
    }

    #[test]
    fn rests_double_up_to_the_cap_and_callers_are_bounded() {
        let mut quarantine = Quarantine::default();
        let mut now_us = 0;
        for _ in 0..40 {
            trapped_times(&mut quarantine, "a", TRAPS_IN_A_ROW_MAX, now_us);
            now_us += i64::try_from(REST_MS_MAX).unwrap() * 1000;
        }
        assert!(quarantine.remaining_ms("a", now_us - 1).is_none_or(|wait| wait <= REST_MS_MAX));
        for caller in 0..1000 {
            quarantine.trapped(&format!("caller-{caller}"), false, now_us);
        }
        assert!(quarantine.callers.len() <= CALLERS_MAX);
    }
}
