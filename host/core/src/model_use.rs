//! Which models ran for one call: part of its result and of its evidence.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{id::Digest, inference::RunReport};

/// Models that are told apart for one call; the runs of further ones are counted with the last.
const MODELS_MAX: usize = 32;

/// The runs of one model for one call, on one engine and provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The model.
    pub model: Digest,
    /// The engine and its version.
    pub engine: Arc<str>,
    /// The execution provider that really ran it.
    pub provider: Arc<str>,
    /// How many runs.
    pub runs: u64,
    /// Microseconds that they waited, in all.
    pub queue_us: u64,
    /// Microseconds in the engine, in all. A run that shared a batch counts the whole batch.
    pub run_us: u64,
    /// The most runs that one batch put together.
    pub batch_max: u32,
}

/// Counts a run to those of its model.
pub fn count_run(uses: &mut Vec<ModelUse>, report: &RunReport) {
    let same = |used: &ModelUse| {
        used.model == report.model
            && used.engine == report.engine
            && used.provider == report.provider
    };
    let known = match uses.iter().position(same) {
        None if uses.len() < MODELS_MAX => {
            uses.push(ModelUse {
                model: report.model,
                engine: Arc::clone(&report.engine),
                provider: Arc::clone(&report.provider),
                runs: 0,
                queue_us: 0,
                run_us: 0,
                batch_max: 0,
            });
            uses.last_mut()
        }
        None => uses.last_mut(),
        Some(at) => uses.get_mut(at),
    };
    if let Some(used) = known {
        used.runs = used.runs.saturating_add(1);
        used.queue_us = used.queue_us.saturating_add(report.queue_us);
        used.run_us = used.run_us.saturating_add(report.run_us);
        used.batch_max = used.batch_max.max(report.batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(model: &[u8], batch: u32) -> RunReport {
        let (engine, provider) = ("engine 1".into(), "cpu".into());
        RunReport { model: Digest::of(model), engine, provider, queue_us: 2, run_us: 3, batch }
    }

    #[test]
    fn runs_are_counted_by_model_and_the_list_is_bounded() {
        let mut uses = Vec::new();
        for batch in [1, 4, 2] {
            count_run(&mut uses, &report(b"one", batch));
        }
        count_run(&mut uses, &report(b"two", 1));
        assert_eq!(uses.len(), 2);
        let first = (uses[0].runs, uses[0].queue_us, uses[0].run_us, uses[0].batch_max);
        assert_eq!(first, (3, 6, 9, 4));
        for number in 0..100_u8 {
            count_run(&mut uses, &report(&[number, 0, 0], 1));
        }
        assert_eq!(uses.len(), MODELS_MAX);
        assert_eq!(uses.iter().map(|used| used.runs).sum::<u64>(), 104);
    }
}
