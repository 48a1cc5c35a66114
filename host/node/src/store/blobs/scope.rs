//! The blobs of one call: what it makes and what it reads stays until the call is over.

use std::{
    collections::HashMap,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    ports::{BlobStore, BlobWriter, PortError},
};

use super::{Shared, fault, writer::Writer};
use crate::store::error::StoreError;

/// Files that a call keeps open; beyond that they are opened again.
const OPEN_FILES_MAX: usize = 16;

/// The blobs of one call. Each blob that the call touches is held until the value is dropped.
#[derive(Debug)]
pub struct CallBlobs {
    shared: Arc<Shared>,
    held: Mutex<HashMap<Digest, Held>>,
    this: Weak<Self>,
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) length: u64,
    file: Option<Arc<File>>,
}

impl CallBlobs {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { shared, held: Mutex::default(), this: this.clone() })
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Digest, Held>> {
        // Nothing panics while it holds the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a blob that the call has just placed, which holds it once already.
    pub(super) fn entered(&self, digest: Digest, length: u64) {
        if self.held().insert(digest, Held { length, file: None }).is_some() {
            self.shared.discard(self.shared.shelf.let_go(&digest, self.shared.number()));
        }
    }

    /// Holds a blob for the call, once.
    pub(super) fn hold(&self, digest: &Digest) -> Result<Held, PortError> {
        let mut held = self.held();
        if let Some(known) = held.get(digest) {
            return Ok(known.clone());
        }
        let length = self.shared.shelf.hold(digest, self.shared.clock.now_us())?;
        let new = Held { length, file: None };
        held.insert(*digest, new.clone());
        Ok(new)
    }

    /// The open file of a blob.
    pub(super) async fn file(&self, digest: &Digest) -> Result<Arc<File>, PortError> {
        if let Some(file) = self.hold(digest)?.file {
            return Ok(file);
        }
        let path = self.shared.shelf.path(digest);
        let open = move || File::open(path).map_err(StoreError::io("open a blob"));
        let file = Arc::new(self.shared.work(open).await.map_err(fault)?);
        let mut held = self.held();
        let open_files = held.values().filter(|held| held.file.is_some()).count();
        if let Some(known) = held.get_mut(digest).filter(|_| open_files < OPEN_FILES_MAX) {
            known.file = Some(Arc::clone(&file));
        }
        Ok(file)
    }
}

impl Drop for CallBlobs {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held());
        if held.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let let_go = move || {
            for digest in held.keys() {
                shared.discard(shared.shelf.let_go(digest, shared.number()));
            }
        };
        // Removing large files takes time that an executor thread does not have.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(let_go)),
            Err(_) => let_go(),
        }
    }
}

impl Shared {
    /// Removes a file that was taken away.
    pub(super) fn discard(&self, away: Option<PathBuf>) {
        if let Some(path) = away
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(%error, "a blob that is not used any more could not be removed");
        }
    }
}

#[async_trait]
impl BlobStore for CallBlobs {
    async fn length(&self, digest: &Digest) -> Result<u64, PortError> {
        self.hold(digest).map(|held| held.length)
    }

    async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Vec<u8>, PortError> {
        let blob_length = self.hold(digest)?.length;
        let left = blob_length.saturating_sub(offset);
        let count = usize::try_from(left.min(u64::from(length))).map_err(|_| PortError::Fault)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let file = self.file(digest).await?;
        let read = move || {
            let mut bytes = vec![0; count];
            file.read_exact_at(&mut bytes, offset).map_err(StoreError::io("read a blob"))?;
            Ok(bytes)
        };
        self.shared.work(read).await.map_err(fault)
    }

    async fn ready(&self, _: &Digest) -> Result<(), PortError> {
        // What is not here, whoever is called says.
        Ok(())
    }

    async fn begin(&self, bytes_max: u64) -> Result<Box<dyn BlobWriter>, PortError> {
        let call = self.this.upgrade().ok_or(PortError::Fault)?;
        Ok(Box::new(Writer::begin(call, bytes_max).await?))
    }
}
