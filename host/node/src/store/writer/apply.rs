//! Takes committed groups over into the database, beside the calls: many groups in one
//! transaction, because a page that is written once for all of them costs a fraction. What has
//! not arrived waits in memory, up to a bound, and in the journal.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::{Shared, batch, rows::Rows};
use crate::store::error::StoreError;

/// How long a group waits for others, unless many wait already or somebody reads.
const GATHER: Duration = Duration::from_millis(20);
/// Events of one transaction.
const BATCH_EVENTS: usize = 256;
/// Events that may wait. The chains of at least as many correlations are in memory, so none of
/// what waits is ever looked up.
const WAITING_EVENTS_MAX: usize = 8_192;
/// Bytes that may wait.
pub(super) const WAITING_BYTES_MAX: usize = 32 << 20;
/// How soon a failed transaction is tried again, at first and at last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is on its way into the database.
#[derive(Debug, Default)]
pub(super) struct Applying {
    waiting: Mutex<Waiting>,
    progress: watch::Sender<Progress>,
    signals: Arc<Signals>,
}

#[derive(Debug, Default)]
struct Waiting {
    groups: VecDeque<Arc<Rows>>,
    events: usize,
    bytes: usize,
    /// The last sequence that was committed.
    last: u64,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    /// The last sequence that stands in the database.
    sequence: u64,
    /// Transactions that failed so far, and why the last one did.
    failures: u64,
    failure: Option<Arc<StoreError>>,
}

#[derive(Debug, Default)]
struct Signals {
    /// Something waits.
    work: Notify,
    /// It should not wait for more.
    hurry: Notify,
}

impl Applying {
    /// The last sequence that stands in the database.
    pub(super) fn sequence(&self) -> u64 {
        self.progress.borrow().sequence
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The groups of the next transaction.
    fn next(&self) -> Vec<Arc<Rows>> {
        take_batch(self.waiting().groups.iter())
    }

    /// The first `count` groups stand in the database.
    fn arrived(&self, count: usize) {
        let mut waiting = self.waiting();
        let mut sequence = None;
        for _ in 0..count {
            let Some(rows) = waiting.groups.pop_front() else { break };
            waiting.events = waiting.events.saturating_sub(rows.events.len());
            waiting.bytes = waiting.bytes.saturating_sub(rows.bytes());
            sequence = rows.span().map(|span| span.last).or(sequence);
        }
        drop(waiting);
        self.progress.send_modify(|progress| {
            progress.sequence = sequence.unwrap_or(progress.sequence);
            progress.failure = None;
        });
    }

    fn failed(&self, error: StoreError) {
        tracing::error!(error = &error as &dyn std::error::Error, "evidence stays in the journal");
        self.progress.send_modify(|progress| {
            progress.failures += 1;
            progress.failure = Some(Arc::new(error));
        });
    }

    /// Waits until `done` holds, hurrying the work along. A failure of it ends the waiting.
    async fn until(&self, done: impl Fn(&Self, &Progress) -> bool) -> Result<(), StoreError> {
        let mut progress = self.progress.subscribe();
        let failures = progress.borrow().failures;
        loop {
            let seen = progress.borrow_and_update().clone();
            if done(self, &seen) {
                return Ok(());
            }
            if let Some(error) = seen.failure.filter(|_| seen.failures > failures) {
                return Err(StoreError::Shared(error));
            }
            self.signals.hurry.notify_one();
            if progress.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// As many groups as one transaction takes. A purge stands alone: it must not reach the events
/// that come after it.
pub(super) fn take_batch<'a>(groups: impl Iterator<Item = &'a Arc<Rows>>) -> Vec<Arc<Rows>> {
    let mut batch: Vec<Arc<Rows>> = Vec::new();
    let mut events = 0;
    for rows in groups {
        let alone = !rows.purged.is_empty();
        let full = events + rows.events.len() > BATCH_EVENTS;
        if !batch.is_empty() && (alone || full) {
            break;
        }
        events += rows.events.len();
        batch.push(Arc::clone(rows));
        if alone {
            break;
        }
    }
    batch
}

impl Shared {
    /// Hands a committed group over.
    pub(super) fn pend(&self, rows: Rows) {
        let mut waiting = self.applying.waiting();
        waiting.events += rows.events.len();
        waiting.bytes += rows.bytes();
        waiting.last = rows.span().map_or(waiting.last, |span| span.last);
        waiting.groups.push_back(Arc::new(rows));
        let many = waiting.events >= BATCH_EVENTS;
        drop(waiting);
        self.applying.signals.work.notify_one();
        if many {
            self.applying.signals.hurry.notify_one();
        }
    }

    /// Waits until everything that is committed by now stands in the database.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        let last = self.applying.waiting().last;
        self.applying.until(|_, progress| progress.sequence >= last).await
    }

    /// Waits until less waits than may.
    pub(super) async fn make_room(&self) -> Result<(), StoreError> {
        let room = |applying: &Applying, _: &Progress| {
            let waiting = applying.waiting();
            waiting.events < WAITING_EVENTS_MAX && waiting.bytes < WAITING_BYTES_MAX
        };
        if room(&self.applying, &Progress::default()) {
            return Ok(());
        }
        self.applying.until(room).await
    }

    /// One transaction. `false` when nothing waits.
    async fn apply_next(&self) -> Result<bool, StoreError> {
        let groups = self.applying.next();
        if groups.is_empty() {
            return Ok(false);
        }
        let mut writer = self.database.writer().await;
        let written = batch::write(&mut writer, &groups).await;
        drop(writer);
        written.map_err(StoreError::database("take evidence over into the database"))?;
        self.applying.arrived(groups.len());
        Ok(true)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Wakes the task, which then finds nobody to work for.
        self.applying.signals.work.notify_one();
        self.applying.signals.hurry.notify_one();
    }
}

/// Begins to take over what is committed, until the writer is dropped.
pub(super) fn begin(shared: &Arc<Shared>) {
    let signals = Arc::clone(&shared.applying.signals);
    tokio::spawn(run(Arc::downgrade(shared), signals));
}

async fn run(shared: Weak<Shared>, signals: Arc<Signals>) {
    let (mut wait, longest) = RETRY;
    loop {
        signals.work.notified().await;
        pause(&signals, GATHER).await;
        loop {
            let Some(shared) = shared.upgrade() else { return };
            match shared.apply_next().await {
                Ok(true) => wait = RETRY.0,
                Ok(false) => break,
                Err(error) => {
                    shared.applying.failed(error);
                    drop(shared);
                    pause(&signals, wait).await;
                    wait = (wait * 2).min(longest);
                }
            }
        }
    }
}

/// Waits for `time`, or until it should not wait any longer.
async fn pause(signals: &Signals, time: Duration) {
    tokio::select! {
        () = signals.hurry.notified() => {}
        () = tokio::time::sleep(time) => {}
    }
}
