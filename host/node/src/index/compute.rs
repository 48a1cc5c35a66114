//! The threads that search: a few, so that no executor thread is held up, made when they are first
//! needed. The only module that makes a pool of rayon's.

use std::{
    sync::{Arc, OnceLock},
    thread::available_parallelism,
};

use meshhost_core::index::IndexError;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};

/// Most threads.
const THREADS_MAX: usize = 4;
/// Pieces of work that wait or run at once; more wait for their turn.
const WORK_MAX: usize = 8;

/// The threads.
#[derive(Debug)]
pub(super) struct Compute {
    pool: OnceLock<Option<ThreadPool>>,
    turns: Arc<Semaphore>,
}

impl Default for Compute {
    fn default() -> Self {
        Self { pool: OnceLock::new(), turns: Arc::new(Semaphore::new(WORK_MAX)) }
    }
}

impl Compute {
    /// Runs `work` on the threads. Dropping the future ends the waiting; work that has begun runs to
    /// its end and keeps its turn until then.
    ///
    /// # Errors
    /// A fault when the work panicked or no thread could be made.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IndexError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| IndexError::fault())?;
        let pool = self.pool.get_or_init(make).as_ref().ok_or_else(IndexError::fault)?;
        let (tell, told) = oneshot::channel();
        pool.spawn(move || {
            // Nobody may be waiting any more.
            let _ = tell.send(work());
            drop(turn);
        });
        told.await.map_err(|_| IndexError::fault())
    }
}

fn make() -> Option<ThreadPool> {
    let processors = available_parallelism().map_or(1, usize::from);
    let pool = ThreadPoolBuilder::new()
        .num_threads(processors.min(THREADS_MAX))
        .thread_name(|number| format!("index-{number}"))
        // Whoever waits for the work is told by what it dropped.
        .panic_handler(|_| tracing::error!("work of the index panicked"));
    let made = pool.build();
    made.inspect_err(|error| tracing::error!("no threads for the index: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_a_fault_and_the_threads_go_on() {
        let compute = Compute::default();
        for _ in 0..2 * WORK_MAX {
            let failed: Result<(), _> = compute.run(|| panic!("on purpose")).await;
            assert_eq!(failed, Err(IndexError::fault()));
        }
        assert_eq!(compute.run(|| 7).await, Ok(7));
    }
}
