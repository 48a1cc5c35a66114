//! Which ids of calls and correlations stand in the record, as far as memory can tell. Nearly every id
//! that a peer or a caller names is new, and for a new one the database is not asked: that would wait
//! until everything that is committed has arrived there.
//!
//! A filter says of an id that it is certainly new, or that it may be known; only then it is looked up.
//! Until the filter has been read, which begins after a few questions, every id is looked up.

use std::sync::{Arc, Weak};

use fastbloom::BloomFilter;
use meshhost_core::id::{CorrelationId, InvocationId};
use sqlx::SqlitePool;

use super::Shared;
use crate::store::error::StoreError;

/// Ids of one query.
const PAGE: i64 = 4_096;
/// Ids that the filter has room for, at least (2 MiB) and at most (30 MiB). With more it says more
/// often that an id may be known, and those are looked up.
const IDS: (u64, u64) = (1 << 20, 1 << 24);
/// Groups that have to ask before it is read: a command asks once or twice and is gone.
const ASKED: u32 = 8;
/// How often it says so of a new id while there is room.
const FALSE_POSITIVES: f64 = 0.001;
/// Where ids stand: pages of each, after the id at which the last one ended.
const TABLES: [&str; 2] = [
    "SELECT DISTINCT invocation_id FROM events WHERE invocation_id > ?1 \
     ORDER BY invocation_id LIMIT ?2",
    "SELECT correlation_id FROM correlation_heads WHERE correlation_id > ?1 \
     ORDER BY correlation_id LIMIT ?2",
];

/// The ids that may stand in the record.
#[derive(Debug, Default)]
pub(super) struct Seen {
    filter: Option<BloomFilter>,
    /// Whether everything that stood in the database is in it.
    complete: bool,
    /// Ids that it has room for.
    room: u64,
    ids: u64,
    /// Groups that had to ask the database.
    asked: u32,
    /// How often reading has begun: what an earlier reading still brings is for another filter.
    reading: u64,
}

impl Seen {
    /// Whether a call with this id was certainly never started.
    pub(super) fn is_new_call(&self, id: &InvocationId) -> bool {
        self.is_new(id.as_str())
    }

    /// Whether nothing certainly stands in a correlation with this id.
    pub(super) fn is_new_correlation(&self, id: &CorrelationId) -> bool {
        self.is_new(id.as_str())
    }

    fn is_new(&self, id: &str) -> bool {
        self.complete && self.filter.as_ref().is_some_and(|filter| !filter.contains(id))
    }

    /// An id stands in the record from now on.
    pub(super) fn note(&mut self, id: &str) {
        let Some(filter) = &mut self.filter else { return };
        if !filter.insert(id) {
            self.ids += 1;
        }
        if self.ids > self.room && self.room < IDS.1 {
            // It is read anew, with more room, when somebody asks again.
            self.forget();
        }
    }

    fn forget(&mut self) {
        *self = Self { reading: self.reading, ..Self::default() };
    }

    #[cfg(test)]
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// As it is after a record of so many events was read, in which nothing stands.
    #[cfg(test)]
    pub(super) fn read_all(&mut self, events: u64) {
        while self.begin(events).is_none() {}
        self.complete = true;
    }

    /// Begins to read, unless that has begun. From here on what is committed is noted; what was
    /// committed before is in the database, once that has settled.
    fn begin(&mut self, events: u64) -> Option<u64> {
        self.asked = self.asked.saturating_add(1);
        if self.filter.is_some() || self.asked < ASKED {
            return None;
        }
        // A call has two events, and may have a correlation of its own.
        let room = events.saturating_mul(2).clamp(IDS.0, IDS.1);
        let expected = usize::try_from(room).unwrap_or(usize::MAX);
        let filter = BloomFilter::with_false_pos(FALSE_POSITIVES).expected_items(expected);
        let reading = self.reading + 1;
        *self = Self { filter: Some(filter), room, reading, ..Self::default() };
        Some(reading)
    }
}

/// Begins to read the ids of the record, unless that has begun. Only whoever commits may call it: no
/// group may be between journal and memory.
pub(super) fn begin(shared: &Arc<Shared>) {
    let mut memory = shared.memory();
    let events = memory.sealer().map_or(0, |sealer| sealer.sequence());
    let Some(reading) = memory.seen.begin(events) else { return };
    drop(memory);
    let (readers, shared) = (shared.database.readers().clone(), Arc::downgrade(shared));
    tokio::spawn(async move {
        if let Err(error) = read(&shared, reading, &readers).await {
            // Also a node that ends meanwhile comes here.
            tracing::debug!(error = &error as &dyn std::error::Error, "ids are looked up");
            of_reading(&shared, reading, Seen::forget);
        }
    });
}

async fn read(shared: &Weak<Shared>, reading: u64, readers: &SqlitePool) -> Result<(), StoreError> {
    match shared.upgrade() {
        Some(shared) => shared.settle().await?,
        None => return Ok(()),
    }
    for select in TABLES {
        let mut last = Some(String::new());
        while let Some(after) = last {
            let ids: Vec<String> = sqlx::query_scalar(select)
                .bind(after)
                .bind(PAGE)
                .fetch_all(readers)
                .await
                .map_err(StoreError::database("read the ids of the record"))?;
            let noted = of_reading(shared, reading, |seen| ids.iter().for_each(|id| seen.note(id)));
            if noted.is_none() {
                return Ok(());
            }
            last = ids.into_iter().next_back();
        }
    }
    of_reading(shared, reading, |seen| seen.complete = true);
    Ok(())
}

/// Changes the filter that this reading is for; `None` when it is gone.
fn of_reading<T>(
    shared: &Weak<Shared>,
    reading: u64,
    change: impl FnOnce(&mut Seen) -> T,
) -> Option<T> {
    let shared = shared.upgrade()?;
    let mut memory = shared.memory();
    let seen = &mut memory.seen;
    (seen.filter.is_some() && seen.reading == reading).then(|| change(seen))
}
