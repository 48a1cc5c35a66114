//! The one writer of evidence. Everything that many callers want to append at about the same time
//! is sealed as one group and committed by one write to the journal.
//!
//! ```text
//! append → queue → [whoever gets the committer: seal a group → journal] → answers
//!                                                        └→ pending → [apply: many groups, one transaction] → database
//! ```
//!
//! The first caller that waits becomes the one who commits, in place; the others join the next
//! group. The group in progress belongs to the committer, not to the caller: when that caller
//! goes away, the next one goes on with the same group, so a committed event is never sealed
//! twice and a caller that stays is always answered.
//!
//! What is in memory (last sequence, tree, chain heads, counts) changes only after the commit.
//! Committed groups wait in memory until they stand in the database as well; who reads the record
//! lets them arrive first ([`EvidenceWriter::settle`]). After a crash the journal has them.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use meshhost_core::{
    config::Durability,
    evidence::{event::Draft, hash::Hash},
    gates::Spent,
    id::{CorrelationId, InvocationId},
    invocation::Invocation,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, oneshot, watch};

use super::{database::Database, error::StoreError, journal::Journal, results::KeptResult};

mod apply;
mod batch;
mod condition;
// Twice, since the lints know what is for tests by this attribute alone.
#[cfg(all(fuzzing, not(test)))]
pub mod fuzz;
#[cfg(test)]
pub mod fuzz;
mod group;
mod load;
mod memory;
mod purge;
mod recover;
mod request;
mod rows;
mod seen;

use apply::Applying;
pub use condition::{AppendError, Appended, InFlight, MandateUse, NewIds, StartCondition};
pub(super) use load::select_subtree;
use memory::Memory;
pub use purge::PurgeError;
use request::Request;

/// Appends that may wait. Beyond that, calls that have not started are turned away, and calls
/// that have wait for their place, so that their end is written.
const QUEUE_MAX: usize = 4_096;
/// Appends in one group.
const GROUP_MAX: usize = 512;
/// Events after which the head is signed at once.
const SIGN_EVENTS: u64 = 1_000;

/// Appends events to the record. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EvidenceWriter {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    queue: Mutex<VecDeque<Request>>,
    places: Arc<Semaphore>,
    committer: AsyncMutex<Committer>,
    memory: Mutex<Memory>,
    journal: Arc<Mutex<Journal>>,
    applying: Applying,
    /// Wakes whoever signs heads.
    sign_now: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The right to commit, and the group that is being committed.
#[derive(Default)]
struct Committer {
    running: Option<BoxFuture<'static, ()>>,
}

/// Where the record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last sequence; 0 before the first event.
    pub sequence: u64,
    /// The root of the tree over all events.
    pub root: Hash,
}

impl EvidenceWriter {
    /// A writer that continues the record in `database`, after what the journal in the folder
    /// `journal` still has for it.
    ///
    /// # Errors
    /// When the journal or the end of the record cannot be read.
    pub async fn open(
        database: Database,
        journal: &Path,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let mut file = Journal::open(journal, durability)?;
        recover::replay(&database, journal).await?;
        if file.leftovers() {
            database.write_back().await?;
            file.retire(u64::MAX)?;
        }
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            places: Arc::new(Semaphore::new(QUEUE_MAX)),
            committer: AsyncMutex::default(),
            memory: Mutex::new(Memory::new()),
            journal: Arc::new(Mutex::new(file)),
            applying: Applying::default(),
            sign_now: Notify::new(),
            database,
        });
        load::refresh(&shared).await?;
        apply::begin(&shared);
        Ok(Self { shared })
    }

    /// Appends events that belong together, all or none, in their order. Returns when they are
    /// committed.
    ///
    /// # Errors
    /// [`AppendError::Seal`] when an event cannot be sealed, [`AppendError::Store`] when the
    /// store refused; nothing was appended then.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Appended, AppendError> {
        self.request(drafts, None, Append::default()).await
    }

    /// As [`Self::append`]. `new_correlation` says that the node has just made the id of the
    /// correlation, so that nothing has to be looked up.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_to(
        &self,
        drafts: Vec<Draft>,
        new_correlation: bool,
    ) -> Result<Appended, AppendError> {
        self.request(drafts, None, Append { new_correlation, result: None }).await
    }

    /// As [`Self::append`], keeping the result of the call with the same commit: whoever waits
    /// for the call finds it.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_with_result(
        &self,
        drafts: Vec<Draft>,
        result: Option<KeptResult>,
    ) -> Result<Appended, AppendError> {
        self.request(drafts, None, Append { result, ..Append::default() }).await
    }

    /// Appends the events that start a call, if its id is new, the correlation is the caller's,
    /// and budgets and mandate allow one more. The guest may run when this returns.
    ///
    /// # Errors
    /// The condition that does not hold; [`AppendError::Busy`] when too many wait; else as
    /// [`Self::append`].
    pub async fn start(
        &self,
        drafts: Vec<Draft>,
        condition: StartCondition,
    ) -> Result<Appended, AppendError> {
        let new_correlation = condition.new.correlation;
        self.request(drafts, Some(condition), Append { new_correlation, result: None }).await
    }

    /// Lets everything that is committed by now arrive in the database, for whoever reads there.
    ///
    /// # Errors
    /// When the database refuses; what is committed stays in the journal.
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.shared.settle().await
    }

    /// The last sequence that stands in the database.
    pub(super) fn applied(&self) -> u64 {
        self.shared.applying.sequence()
    }

    /// Says that the database keeps everything up to `sequence` for certain, so that the journal
    /// need not. With `all`, also the segment that is being written is given up after it.
    ///
    /// # Errors
    /// When a file of the journal cannot be removed.
    pub(super) fn safe(&self, sequence: u64, all: bool) -> Result<(), StoreError> {
        let mut journal = self.shared.journal();
        if all {
            journal.rotate();
        }
        journal.retire(sequence)
    }

    /// How many calls were started, as far as it is known without asking the disk: a first look
    /// for the gates. [`Self::start`] counts for certain.
    #[must_use]
    pub fn spent(&self, invocation: &Invocation, now_us: i64) -> Spent {
        let memory = self.shared.memory();
        Spent {
            in_correlation: memory.starts_in(&invocation.correlation_id),
            today: memory.starts_on(&invocation.subject.id, memory::day_of(now_us)),
        }
    }

    /// Where the committed record ends.
    ///
    /// # Errors
    /// When it has to be read again after a failure and cannot be.
    pub async fn end(&self) -> Result<End, StoreError> {
        let mut committer = self.shared.committer.lock().await;
        committer.finish_running().await;
        load::refresh(&self.shared).await?;
        let memory = self.shared.memory();
        let missing = StoreError::Damaged { what: "the end of the record" };
        memory
            .sealer()
            .map(|sealer| End { sequence: sealer.sequence(), root: sealer.root() })
            .ok_or(missing)
    }

    /// Waits until so many events were appended that the head should be signed now.
    pub(super) async fn signature_due(&self) {
        self.shared.sign_now.notified().await;
    }

    /// Says that the head up to `sequence` is signed.
    pub(super) fn signed(&self, sequence: u64) {
        self.shared.memory().signed = sequence;
    }

    pub(super) fn database(&self) -> &Database {
        &self.shared.database
    }

    async fn request(
        &self,
        drafts: Vec<Draft>,
        start: Option<StartCondition>,
        append: Append,
    ) -> Result<Appended, AppendError> {
        let places = Arc::clone(&self.shared.places);
        let place = match start {
            Some(_) => places.try_acquire_owned().map_err(|_| AppendError::Busy)?,
            None => places.acquire_owned().await.map_err(|_| AppendError::Busy)?,
        };
        let (answer, mut answered) = oneshot::channel();
        let Append { result, new_correlation } = append;
        let purge = None;
        let request =
            Request { drafts, start, result, new_correlation, purge, answer, _place: place };
        self.shared.queue().push_back(request);
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return answer.unwrap_or(Err(AppendError::Busy)),
                mut committer = self.shared.committer.lock() => {
                    committer.commit_next(&self.shared).await;
                }
            }
        }
    }
}

/// How events are appended that start nothing.
#[derive(Debug, Default)]
struct Append {
    result: Option<KeptResult>,
    new_correlation: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Request>> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it holds the lock.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        journal_of(&self.journal)
    }
}

impl Committer {
    /// Goes on with a group that somebody left, then commits the next one.
    async fn commit_next(&mut self, shared: &Arc<Shared>) {
        self.finish_running().await;
        let requests: Vec<Request> = {
            let mut queue = shared.queue();
            let count = queue.len().min(GROUP_MAX);
            queue.drain(..count).collect()
        };
        if !requests.is_empty() {
            self.running = Some(Box::pin(commit(Arc::clone(shared), requests)));
            self.finish_running().await;
        }
    }

    async fn finish_running(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.await;
            self.running = None;
        }
    }
}

/// Seals, commits and answers one group.
async fn commit(shared: Arc<Shared>, requests: Vec<Request>) {
    let mut requests = requests;
    if let Err(error) = commit_group(&shared, &mut requests).await {
        let error = Arc::new(error);
        let mut memory = shared.memory();
        for request in requests {
            request.refuse(&mut memory, AppendError::Store(Arc::clone(&error)));
        }
    }
}

async fn commit_group(shared: &Arc<Shared>, requests: &mut Vec<Request>) -> Result<(), StoreError> {
    shared.make_room().await?;
    load::refresh(shared).await?;
    let known = load::known(shared, requests).await?;
    let Some((group, rows)) = group::seal(shared, requests, &known) else { return Ok(()) };
    let Some(span) = rows.span() else { return Ok(()) };
    let payload = rows.encode(Vec::with_capacity(rows.bytes()))?;
    if shared.journal().syncs() {
        let journal = Arc::clone(&shared.journal);
        let append = move || journal_of(&journal).append(span, &payload);
        tokio::task::spawn_blocking(append).await.map_err(|source| StoreError::Fault {
            operation: "write the journal",
            source: source.into(),
        })??;
    } else {
        shared.journal().append(span, &payload)?;
    }
    group.accept(shared, std::mem::take(requests));
    shared.pend(rows);
    Ok(())
}

fn journal_of(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    // Nothing panics while it holds the lock.
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the database says of the ids in one group.
#[derive(Debug, Default)]
struct Known {
    /// Heads of correlations that were looked up; `None`: there is no such correlation.
    correlations: HashMap<CorrelationId, Option<memory::Chain>>,
    /// Calls that were started before.
    started: Vec<InvocationId>,
    /// Calls that each caller started on a day.
    days: HashMap<(String, i64), u64>,
    /// Uses of each mandate.
    mandates: HashMap<String, u64>,
}

/// Calls that run, each with what ends when it does.
type Running = HashMap<InvocationId, watch::Sender<()>>;

#[cfg(test)]
mod tests;
