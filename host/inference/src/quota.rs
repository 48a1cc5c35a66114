//! What each plugin has used of what it may use. Time comes in as a value.
//!
//! Counts are kept in memory: a node that starts again begins new ones.

use std::collections::HashMap;

use meshhost_core::{
    id::PluginName,
    inference::{InferenceCaller, InferenceError, InferenceErrorCode},
};

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;

/// What one plugin has used.
#[derive(Debug, Default)]
struct Used {
    /// Calls that wait or run now.
    calls: u32,
    /// When the minute began in which `runs` are counted, in microseconds since 1970.
    minute_us: i64,
    runs: u32,
    /// The day of UTC in which `compute_us` is counted.
    day: i64,
    compute_us: u64,
}

impl Used {
    fn roll(&mut self, now_us: i64) {
        // A clock that was set back begins a new minute as well.
        if !(self.minute_us..self.minute_us.saturating_add(MINUTE_US)).contains(&now_us) {
            (self.minute_us, self.runs) = (now_us, 0);
        }
        let day = now_us.div_euclid(DAY_US);
        if self.day != day {
            (self.day, self.compute_us) = (day, 0);
        }
    }
}

/// The use of all plugins.
#[derive(Debug)]
pub(crate) struct Quotas {
    plugins: HashMap<PluginName, Used>,
    /// Calls of all plugins.
    calls: u32,
    calls_max: u32,
}

/// Whether a call runs a model, or only asks about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Run,
    Description,
}

impl Quotas {
    pub(crate) fn new(calls_max: u32) -> Self {
        Self { plugins: HashMap::new(), calls: 0, calls_max }
    }

    /// Lets a call in, which [`Self::leave`] ends.
    pub(crate) fn enter(
        &mut self,
        caller: &InferenceCaller,
        asks: Asks,
        now_us: i64,
    ) -> Result<(), InferenceError> {
        let quota = &caller.quota;
        let used = self.plugins.entry(caller.plugin.clone()).or_default();
        used.roll(now_us);
        if used.calls >= quota.calls {
            let message = format!("{} calls of this plugin wait already: try later", used.calls);
            return Err(InferenceError::new(InferenceErrorCode::Busy, &message));
        }
        if self.calls >= self.calls_max {
            let message = "too many calls of all plugins wait for models: try later";
            return Err(InferenceError::new(InferenceErrorCode::Busy, message));
        }
        if asks == Asks::Run {
            if used.runs >= quota.runs_per_minute {
                let message = format!("this plugin's {} runs a minute are used up", used.runs);
                return Err(InferenceError::new(InferenceErrorCode::Quota, &message));
            }
            if used.compute_us >= quota.compute_ms_per_day.saturating_mul(1000) {
                let message = "this plugin's compute time for today is used up";
                return Err(InferenceError::new(InferenceErrorCode::Quota, message));
            }
            used.runs += 1;
        }
        used.calls += 1;
        self.calls += 1;
        Ok(())
    }

    /// Ends a call.
    pub(crate) fn leave(&mut self, plugin: &PluginName) {
        if let Some(used) = self.plugins.get_mut(plugin) {
            used.calls = used.calls.saturating_sub(1);
            self.calls = self.calls.saturating_sub(1);
        }
    }

    /// Counts time in the engine.
    pub(crate) fn charge(&mut self, plugin: &PluginName, compute_us: u64, now_us: i64) {
        if let Some(used) = self.plugins.get_mut(plugin) {
            used.roll(now_us);
            used.compute_us = used.compute_us.saturating_add(compute_us);
        }
    }

    /// Forgets plugins of which nothing counts any longer.
    pub(crate) fn prune(&mut self, now_us: i64) {
        self.plugins.retain(|_, used| {
            used.roll(now_us);
            used.calls > 0 || used.runs > 0 || used.compute_us > 0
        });
    }

    #[cfg(test)]
    const fn calls(&self) -> u32 {
        self.calls
    }
}

#[cfg(test)]
mod tests {
    use meshhost_core::inference::InferenceQuota;

    use super::*;

    fn caller(name: &str) -> InferenceCaller {
        let quota = InferenceQuota {
            runs_per_minute: 3,
            compute_ms_per_day: 10,
            calls: 2,
            tensor_bytes: 100,
        };
        InferenceCaller { plugin: name.parse().unwrap(), quota }
    }

    #[test]
    fn calls_at_once_are_bounded_for_each_plugin_and_in_all() {
        let mut quotas = Quotas::new(3);
        let (a, b) = (caller("a"), caller("b"));
        let mut enter = |caller: &InferenceCaller| quotas.enter(caller, Asks::Description, 0);
        assert_eq!((enter(&a), enter(&a)), (Ok(()), Ok(())));
        assert_eq!(enter(&a).unwrap_err().code, InferenceErrorCode::Busy);
        assert_eq!(enter(&b), Ok(()));
        assert_eq!(enter(&b).unwrap_err().code, InferenceErrorCode::Busy);
        quotas.leave(&a.plugin);
        assert_eq!(quotas.enter(&b, Asks::Description, 0), Ok(()));
        for plugin in [&a.plugin, &b.plugin, &b.plugin] {
            quotas.leave(plugin);
        }
        quotas.prune(0);
        assert_eq!((quotas.calls(), quotas.plugins.len()), (0, 0));
    }

    #[test]
    fn runs_come_back_with_the_next_minute() {
        let mut quotas = Quotas::new(9);
        let a = caller("a");
        let mut run = |now_us| {
            let result = quotas.enter(&a, Asks::Run, now_us);
            if result.is_ok() {
                quotas.leave(&a.plugin);
            }
            result.map_err(|error| error.code)
        };
        assert_eq!([run(0), run(1), run(2)], [Ok(()); 3]);
        assert_eq!(run(MINUTE_US - 1), Err(InferenceErrorCode::Quota));
        assert_eq!(run(MINUTE_US), Ok(()));
    }

    #[test]
    fn compute_time_comes_back_with_the_next_day() {
        let mut quotas = Quotas::new(9);
        let a = caller("a");
        quotas.enter(&a, Asks::Run, 0).unwrap();
        quotas.charge(&a.plugin, 10_000, 0);
        let refused = quotas.enter(&a, Asks::Run, MINUTE_US).unwrap_err();
        assert_eq!(refused.code, InferenceErrorCode::Quota);
        assert_eq!(quotas.enter(&a, Asks::Description, MINUTE_US), Ok(()));
        quotas.leave(&a.plugin);
        assert_eq!(quotas.enter(&a, Asks::Run, DAY_US), Ok(()));
    }
}
