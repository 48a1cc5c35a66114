//! What has to happen in time: runs and loads that take too long, and what nobody uses.

use std::time::Instant;

use meshhost_core::id::Digest;

use super::{State, Worker};
use crate::{process::Order, serving::model::Phase};

/// How soon to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serving) enum Busy {
    /// Something loads or runs.
    Running,
    /// Models are loaded, and nothing happens.
    Idle,
    /// There is no worker.
    Absent,
}

impl State {
    /// Ends what takes too long and unloads what is not used.
    pub(in crate::serving) fn maintain(&mut self, now: Instant, now_us: i64) -> Busy {
        self.quotas.prune(now_us);
        if self.end_slow_runs(now) || self.loads_too_long(now) {
            // Its end is told by its own thread, and everything else follows from that.
            if let Worker::Ready { process, .. } | Worker::Starting(process) = &self.worker {
                process.kill();
            }
            return Busy::Running;
        }
        self.unload_unused(now);
        let loads = self.models.values().any(|model| model.slots.iter().any(|it| it.is_loading()));
        match &self.worker {
            Worker::Absent { .. } => Busy::Absent,
            Worker::Starting(_) => Busy::Running,
            Worker::Ready { .. } if loads || !self.runs.is_empty() => Busy::Running,
            Worker::Ready { .. } => Busy::Idle,
        }
    }

    /// Cancels runs over their time. True when one did not end although it was cancelled.
    pub(super) fn end_slow_runs(&mut self, now: Instant) -> bool {
        let mut slow = Vec::new();
        for (id, run) in &mut self.runs {
            match run.cancelled {
                Some(since) if now.saturating_duration_since(since) > self.settings.cancel => {
                    return true;
                }
                None if now.saturating_duration_since(run.since) > self.settings.run => {
                    (run.cancelled, run.slow) = (Some(now), true);
                    slow.push(*id);
                }
                Some(_) | None => {}
            }
        }
        for id in slow {
            self.tell(Order::Cancel { id });
        }
        false
    }

    pub(super) fn loads_too_long(&self, now: Instant) -> bool {
        let mut slots = self.models.values().flat_map(|model| &model.slots);
        slots.any(|slot| match slot.phase {
            Phase::Loading { since, .. } => {
                now.saturating_duration_since(since) > self.settings.load
            }
            Phase::Idle | Phase::Running { .. } => false,
        })
    }

    fn unload_unused(&mut self, now: Instant) {
        let queued = self.schedule.models();
        let idle = self.settings.idle;
        let unused = self.models.iter().filter(|(digest, model)| {
            model.is_idle()
                && !queued.contains(*digest)
                && now.saturating_duration_since(model.used) > idle
        });
        let unused: Vec<Digest> = unused.map(|(digest, _)| *digest).collect();
        for digest in unused {
            self.unload_model(digest);
            self.models.remove(&digest);
        }
        // Without models the worker only takes memory.
        if self.models.is_empty() && matches!(self.worker, Worker::Ready { .. }) {
            self.generation += 1;
            self.worker = Worker::Absent { until: None, reason: None };
        }
    }
}
