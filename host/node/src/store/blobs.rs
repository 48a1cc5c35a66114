//! Blobs: content-addressed bytes in files named by their BLAKE3 digest.
//!
//! A blob lives as long as the call that made it ([`CallBlobs`]), unless it is kept. Kept blobs
//! stand in the database and are removed, least recently used first, when room is needed; pinned
//! ones stay until unpinned. The quota covers all bytes, also of blobs that are being written.
//!
//! File work runs on the blocking pool, at most [`WORK_MAX`] pieces at once. Deliberately absent:
//! syncing to disk. A blob that a power cut tears is found when it is copied out, and every use
//! of one names its digest.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use meshhost_core::{
    id::Digest,
    ports::{BlobStore, Clock, PortError},
};
use tokio::sync::Semaphore;

use super::{database::Database, directory, error::StoreError};

mod arrival;
mod index;
mod scope;
mod shelf;
mod writer;

pub use arrival::{Arrival, Arrived};
pub use scope::CallBlobs;
use shelf::Shelf;

/// Pieces of file work at once.
const WORK_MAX: usize = 16;
/// Bytes moved in one piece.
const PIECE_BYTES: usize = 256 * 1024;

/// All blobs of the node.
#[derive(Debug, Clone)]
pub struct Blobs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    shelf: Shelf,
    database: Database,
    clock: Arc<dyn Clock>,
    work: Semaphore,
    temporaries: AtomicU64,
}

impl Blobs {
    /// Opens the folder of blobs: forgets kept blobs whose file is gone and removes files that no
    /// call and no index row hold any more. `quota_bytes` bounds all blobs together.
    ///
    /// # Errors
    /// When the folder or the index cannot be read or cleaned.
    pub async fn open(
        folder: PathBuf,
        database: Database,
        clock: Arc<dyn Clock>,
        quota_bytes: u64,
    ) -> Result<Self, StoreError> {
        let kept = index::load(&database).await?;
        let shelf = Shelf::new(folder, quota_bytes);
        let lost = shelf.fill(kept)?;
        index::forget(&database, &lost).await?;
        let work = Semaphore::new(WORK_MAX);
        let temporaries = AtomicU64::new(0);
        Ok(Self { shared: Arc::new(Shared { shelf, database, clock, work, temporaries }) })
    }

    /// The blobs of one call. What the call makes is gone with the value, unless it is kept.
    #[must_use]
    pub fn for_call(&self) -> Arc<CallBlobs> {
        CallBlobs::new(Arc::clone(&self.shared))
    }

    /// Keeps a blob beyond the call that made it, for as long as there is room.
    ///
    /// # Errors
    /// [`PortError::NotFound`] when the node does not have it.
    pub async fn keep(&self, digest: &Digest) -> Result<(), PortError> {
        self.set(digest, None).await
    }

    /// Keeps a blob until it is unpinned.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub async fn pin(&self, digest: &Digest) -> Result<(), PortError> {
        self.set(digest, Some(true)).await
    }

    /// Lets a blob go when room is needed.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub async fn unpin(&self, digest: &Digest) -> Result<(), PortError> {
        self.set(digest, Some(false)).await
    }

    async fn set(&self, digest: &Digest, pinned: Option<bool>) -> Result<(), PortError> {
        let shared = &self.shared;
        let row = shared.shelf.keep(digest, pinned, shared.clock.now_us())?;
        index::save(&shared.database, digest, row).await.map_err(fault)
    }

    /// Makes a blob of a file and keeps it. The file is read once.
    ///
    /// # Errors
    /// When it is no regular file or cannot be read, or the quota is used up.
    pub async fn put_file(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let operation = "copy the file into a blob";
        let call = self.for_call();
        let path = path.to_owned();
        let mut file = self.shared.work(move || open_regular(&path)).await?;
        let mut writer = call.begin(u64::MAX).await.map_err(port(operation))?;
        loop {
            let (back, piece) = self.shared.work(move || read_piece(file)).await?;
            file = back;
            if piece.is_empty() {
                break;
            }
            writer.write(&piece).await.map_err(port(operation))?;
        }
        let (digest, length) = writer.finish().await.map_err(port(operation))?;
        self.keep(&digest).await.map_err(port(operation))?;
        Ok((digest, length))
    }

    /// Copies a blob into a new file and checks it against its digest on the way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the node does not have it, [`StoreError::Damaged`] when the
    /// bytes are not what the digest says (no file stays then), else the I/O error, also when the
    /// file is there already.
    pub async fn get_to_file(&self, digest: &Digest, path: &Path) -> Result<u64, StoreError> {
        let call = self.for_call();
        let source = call.file(digest).await.map_err(port("read the blob"))?;
        let (path, digest) = (path.to_owned(), *digest);
        self.shared.work(move || copy_out(&source, &digest, &path)).await
    }
}

impl Shared {
    /// Runs file work on the blocking pool, within the share that blobs have of it. The work goes
    /// on when nobody waits for it any more.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let operation = "work on a blob";
        let place = self.work.acquire().await;
        let place = place.map_err(|source| StoreError::Fault { operation, source: source.into() });
        let _place = place?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|source| StoreError::Fault { operation, source: source.into() })?
    }

    /// A name that no other file has, for bytes that are not a blob yet.
    fn temporary(&self) -> PathBuf {
        self.shelf.temporary(self.number())
    }

    fn number(&self) -> u64 {
        self.temporaries.fetch_add(1, Ordering::Relaxed)
    }
}

/// What the store says about a failure of a port.
fn port(operation: &'static str) -> impl FnOnce(PortError) -> StoreError {
    move |error| match error {
        PortError::NotFound => StoreError::NotFound("blob"),
        PortError::Quota => StoreError::BlobQuota,
        other => StoreError::Fault { operation, source: other.into() },
    }
}

/// What a guest learns of a failure of the store; the log gets the rest.
fn fault(error: StoreError) -> PortError {
    tracing::error!(error = &error as &dyn std::error::Error, "a blob could not be used");
    PortError::Fault
}

fn open_regular(path: &Path) -> Result<File, StoreError> {
    let operation = "open the file";
    let mut options = OpenOptions::new();
    // Without waiting: a FIFO would otherwise hold the thread until somebody writes.
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).map_err(StoreError::io(operation))?;
    if !file.metadata().map_err(StoreError::io(operation))?.is_file() {
        return Err(StoreError::Fault { operation, source: "it is no regular file".into() });
    }
    Ok(file)
}

/// The next piece of a file; empty at its end. The file travels along, because the work runs on
/// another thread.
fn read_piece(mut file: File) -> Result<(File, Vec<u8>), StoreError> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
    read.map_err(StoreError::io("read the file"))?;
    Ok((file, piece))
}

/// Copies all of `source` into a new file, unless its bytes are not what the digest says.
fn copy_out(source: &File, digest: &Digest, path: &Path) -> Result<u64, StoreError> {
    let mut options = OpenOptions::new();
    let target = options.write(true).create_new(true).open(path);
    let mut target = target.map_err(StoreError::io("make the file"))?;
    let copied = copy_checked(source, digest, &mut target);
    if copied.is_err() {
        directory::remove_if_there(path)?;
    }
    copied
}

fn copy_checked(source: &File, digest: &Digest, target: &mut File) -> Result<u64, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut length = 0;
    loop {
        let count = source.read_at(&mut piece, length).map_err(StoreError::io("read the blob"))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        target.write_all(bytes).map_err(StoreError::io("write the file"))?;
        length += bytes.len() as u64;
    }
    if hasher.finalize().as_bytes() == digest.as_bytes() {
        Ok(length)
    } else {
        Err(StoreError::Damaged { what: "the blob" })
    }
}

#[cfg(test)]
mod tests;
