//! Places for the calls of one plugin: so many run at once, so many wait, the rest is told that
//! it is busy. A call from inside the plugin's own chain never waits: it would wait for itself.

use std::{
    sync::{
        Arc,
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
    concurrency: u32,
    waiting: AtomicU32,
    waiting_max: u32,
}

/// A taken place; dropping it frees it.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
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
        let places = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        let free = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { free, concurrency, waiting: AtomicU32::new(0), waiting_max }
    }

    /// Whether these are the places that such numbers make.
    #[must_use]
    pub const fn are(&self, concurrency: u32, waiting_max: u32) -> bool {
        self.concurrency == concurrency && self.waiting_max == waiting_max
    }

    /// Takes a place, waiting at most `patience` when `may_wait`.
    ///
    /// # Errors
    /// [`Code::Busy`] when the queue is full, the patience is over, or the call may not wait.
    pub async fn take(&self, may_wait: bool, patience: Duration) -> Result<Place, Refusal> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        if !may_wait {
            return Err(busy(
                "all places of the plugin are taken, and a nested call does not wait",
            ));
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.waiting_max {
            return Err(busy("all places of the plugin are taken and its queue is full"));
        }
        match tokio::time::timeout(patience, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            Ok(Err(_)) | Err(_) => {
                Err(busy("no place of the plugin became free before the call's deadline"))
            }
        }
    }
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
}
