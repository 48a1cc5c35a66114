//! Places for the calls of one plugin: so many run at once, so many wait, the rest is told that
//! it is busy. A call from inside the plugin's own chain never waits: it would wait for itself.
//!
//! The places outlive the numbers that they were made for. When the operator allows fewer, the
//! calls that run too many give up their places as they end; nothing new begins before.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use meshhost_core::{code::Code, outcome::Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one plugin.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicU32,
    waiting_max: AtomicU32,
    size: Arc<Mutex<Size>>,
}

/// How many places there are.
#[derive(Debug, Clone, Copy)]
struct Size {
    concurrency: usize,
    /// Taken places that are too many: they vanish when they become free.
    owed: usize,
}

/// A taken place; dropping it frees it.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    size: Arc<Mutex<Size>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut size = lock(&self.size);
        if size.owed > 0
            && let Some(permit) = self.permit.take()
        {
            size.owed -= 1;
            permit.forget();
        }
    }
}

/// One waiting call, counted as long as it waits.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    /// Places for `concurrency` calls at once and `waiting_max` that wait.
    #[must_use]
    pub fn new(concurrency: u32, waiting_max: u32) -> Self {
        let concurrency = places(concurrency);
        Self {
            free: Arc::new(Semaphore::new(concurrency)),
            waiting: AtomicU32::new(0),
            waiting_max: AtomicU32::new(waiting_max),
            size: Arc::new(Mutex::new(Size { concurrency, owed: 0 })),
        }
    }

    /// Makes them as many as these numbers say. Calls that run keep their places, and calls that
    /// wait wait on, also when both are now too many.
    pub fn resize(&self, concurrency: u32, waiting_max: u32) {
        self.waiting_max.store(waiting_max, Ordering::Relaxed);
        let wanted = places(concurrency);
        let mut size = lock(&self.size);
        let fewer = size.concurrency.saturating_sub(wanted);
        size.owed += fewer - self.free.forget_permits(fewer);
        let more = wanted.saturating_sub(size.concurrency);
        let kept = more.min(size.owed);
        size.owed -= kept;
        self.free.add_permits(more - kept);
        size.concurrency = wanted;
    }

    /// Takes a place, waiting at most `patience` when `may_wait`.
    ///
    /// # Errors
    /// [`Code::Busy`] when the queue is full, the patience is over, or the call may not wait.
    pub async fn take(&self, may_wait: bool, patience: Duration) -> Result<Place, Refusal> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(self.place(permit));
        }
        if !may_wait {
            return Err(busy(
                "all places of the plugin are taken, and a nested call does not wait",
            ));
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.waiting_max.load(Ordering::Relaxed) {
            return Err(busy("all places of the plugin are taken and its queue is full"));
        }
        match tokio::time::timeout(patience, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.place(permit)),
            Ok(Err(_)) | Err(_) => {
                Err(busy("no place of the plugin became free before the call's deadline"))
            }
        }
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        Place { permit: Some(permit), size: Arc::clone(&self.size) }
    }
}

fn places(concurrency: u32) -> usize {
    usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

fn lock(size: &Mutex<Size>) -> MutexGuard<'_, Size> {
    size.lock().unwrap_or_else(PoisonError::into_inner)
}

fn busy(message: &str) -> Refusal {
    let mut refusal = Refusal::new(Code::Busy, message);
    refusal.retry_after_ms = Some(100);
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn the_queue_is_bounded_and_a_nested_call_never_waits() {
        let places = Arc::new(Places::new(1, 1));
        let first = places.take(true, LONG).await.unwrap();
        assert_eq!(places.take(false, LONG).await.unwrap_err().code, Code::Busy);
        let waiter = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(true, LONG).await.is_ok() }
        });
        while places.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(places.take(true, LONG).await.unwrap_err().code, Code::Busy);
        drop(first);
        assert!(waiter.await.unwrap());
        assert_eq!(places.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_patience() {
        let places = Places::new(1, 4);
        let _first = places.take(true, LONG).await.unwrap();
        let refused = places.take(true, Duration::from_millis(50)).await;
        assert_eq!(refused.unwrap_err().code, Code::Busy);
        assert_eq!(places.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn fewer_places_wait_for_the_calls_that_run() {
        let places = Places::new(3, 0);
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(places.take(false, LONG).await.unwrap());
        }
        places.resize(1, 0);
        for _ in 0..3 {
            assert!(places.take(false, LONG).await.is_err(), "{} calls run", taken.len());
            taken.pop();
        }
        let _only = places.take(false, LONG).await.unwrap();
        assert!(places.take(false, LONG).await.is_err());
    }

    #[tokio::test]
    async fn more_places_first_keep_those_that_were_to_vanish() {
        let places = Places::new(3, 0);
        let taken =
            [places.take(false, LONG).await.unwrap(), places.take(false, LONG).await.unwrap()];
        places.resize(1, 0);
        places.resize(2, 0);
        assert!(places.take(false, LONG).await.is_err(), "two run already");
        drop(taken);
        let _both =
            [places.take(false, LONG).await.unwrap(), places.take(false, LONG).await.unwrap()];
        assert!(places.take(false, LONG).await.is_err());
        places.resize(3, 0);
        assert!(places.take(false, LONG).await.is_ok());
    }
}
