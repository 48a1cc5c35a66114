//! Threads for work on files: a bounded number for the node, and a share of them for each plugin,
//! so that one plugin's slow disk does not stop the others.
//!
//! A file operation cannot be cancelled: its place is free when it has really ended, even when
//! the call that began it is long gone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use meshhost_core::id::PluginName;
use tokio::sync::Semaphore;

/// The bounded pool.
#[derive(Debug)]
pub(crate) struct FilePool {
    threads: Arc<Semaphore>,
    share: usize,
    plugins: Mutex<HashMap<PluginName, Weak<Semaphore>>>,
}

/// Why a file job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileJobError {
    /// The job panicked, or the process is ending.
    #[error("the file job did not end")]
    Lost,
}

impl FilePool {
    /// A pool of `threads` (at least 2); one plugin gets at most half of them at once.
    pub(crate) fn new(threads: u32) -> Self {
        let threads = usize::try_from(threads).unwrap_or(usize::MAX).clamp(2, 512);
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            share: threads / 2,
            plugins: Mutex::new(HashMap::new()),
        }
    }

    /// Runs `job` on a thread that may block, after waiting for a place. Dropping the future
    /// before the job has begun takes it back; after that, the job runs to its end and holds its
    /// place until then.
    ///
    /// # Errors
    /// When the job panicked.
    pub(crate) async fn run<T, F>(&self, plugin: &PluginName, job: F) -> Result<T, FileJobError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let share = self.share_of(plugin).acquire_owned().await;
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let places =
            (share.map_err(|_| FileJobError::Lost)?, thread.map_err(|_| FileJobError::Lost)?);
        let work = tokio::task::spawn_blocking(move || {
            let result = job();
            drop(places);
            result
        });
        work.await.map_err(|_| FileJobError::Lost)
    }

    fn share_of(&self, plugin: &PluginName) -> Arc<Semaphore> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = plugins.get(plugin).and_then(Weak::upgrade) {
            return share;
        }
        plugins.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        plugins.insert(plugin.clone(), Arc::downgrade(&share));
        share
    }
}
