//! The one writer of evidence. Everything that many callers want to append at about the same time
//! is sealed as one group and written in one transaction.
//!
//! ```text
//! append → queue → [whoever gets the committer: seal a group → one statement batch → commit] → answers
//! ```
//!
//! The first caller that waits becomes the one who commits, in place; the others join the next
//! group. The group in progress belongs to the committer, not to the caller: when that caller
//! goes away, the next one goes on with the same group, so a committed event is never sealed
//! twice and a caller that stays is always answered.
//!
//! What is in memory (last sequence, tree, chain heads, counts) changes only after the commit. If
//! a commit fails, all of it is forgotten and read again before the next group.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use meshhost_core::{
    evidence::{event::Draft, hash::Hash},
    gates::Spent,
    id::{CorrelationId, InvocationId},
    invocation::Invocation,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{database::Database, error::StoreError, results::KeptResult};

mod condition;
mod group;
mod load;
mod memory;
mod purge;
mod rows;

pub use condition::{AppendError, Appended, InFlight, MandateUse, StartCondition};
pub(super) use load::select_subtree;
use memory::Memory;
pub use purge::PurgeError;

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
    /// Wakes whoever signs heads.
    sign_now: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// One caller's wish.
#[derive(Debug)]
struct Request {
    drafts: Vec<Draft>,
    start: Option<StartCondition>,
    result: Option<KeptResult>,
    /// The correlation whose events go when these are written.
    purge: Option<CorrelationId>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    _place: OwnedSemaphorePermit,
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
    /// A writer that continues the record in `database`.
    ///
    /// # Errors
    /// When the end of the record cannot be read.
    pub async fn open(database: Database) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            places: Arc::new(Semaphore::new(QUEUE_MAX)),
            committer: AsyncMutex::default(),
            memory: Mutex::new(Memory::new()),
            sign_now: Notify::new(),
            database,
        });
        load::refresh(&shared).await?;
        Ok(Self { shared })
    }

    /// Appends events that belong together, all or none, in their order. Returns when they are
    /// committed.
    ///
    /// # Errors
    /// [`AppendError::Seal`] when an event cannot be sealed, [`AppendError::Store`] when the
    /// store refused; nothing was appended then.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Appended, AppendError> {
        self.request(drafts, None, None).await
    }

    /// As [`Self::append`], keeping the result of the call in the same transaction: whoever waits
    /// for the call finds it.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_with_result(
        &self,
        drafts: Vec<Draft>,
        result: Option<KeptResult>,
    ) -> Result<Appended, AppendError> {
        self.request(drafts, None, result).await
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
        self.request(drafts, Some(condition), None).await
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
        result: Option<KeptResult>,
    ) -> Result<Appended, AppendError> {
        let places = Arc::clone(&self.shared.places);
        let place = match start {
            Some(_) => places.try_acquire_owned().map_err(|_| AppendError::Busy)?,
            None => places.acquire_owned().await.map_err(|_| AppendError::Busy)?,
        };
        let (answer, mut answered) = oneshot::channel();
        let request = Request { drafts, start, result, purge: None, answer, _place: place };
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

impl Shared {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Request>> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it holds the lock.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Seals, writes and answers one group. First it is taken for granted that ids which memory does
/// not know are new; the database's own uniqueness contradicts where they are not, and then they
/// are looked up and the group is sealed once more.
async fn commit(shared: Arc<Shared>, requests: Vec<Request>) {
    let mut requests = requests;
    let committed = commit_group(&shared, &mut requests).await;
    if let Err(error) = committed {
        shared.memory().forget();
        let error = Arc::new(error);
        for request in requests {
            let _ = request.answer.send(Err(AppendError::Store(Arc::clone(&error))));
        }
    }
}

async fn commit_group(shared: &Arc<Shared>, requests: &mut Vec<Request>) -> Result<(), StoreError> {
    load::refresh(shared).await?;
    let mut known = load::counts(shared, requests).await?;
    for look_up in [false, true] {
        if look_up {
            load::ids(shared, requests, &mut known).await?;
        }
        let Some((group, rows)) = group::seal(shared, requests, &known) else { return Ok(()) };
        match rows::insert_all(shared, rows).await {
            Ok(()) => {
                group.accept(shared, std::mem::take(requests));
                return Ok(());
            }
            Err(error) if !look_up && super::error::is_conflict(&error) => {}
            Err(error) => return Err(StoreError::database("write evidence")(error)),
        }
    }
    Ok(())
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
