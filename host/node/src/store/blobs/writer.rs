//! Writing one blob: into a temporary file, hashed on the way, renamed in at the end.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    mem,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    ports::{BlobWriter, PortError},
};

use super::{PIECE_BYTES, Shared, fault, index, scope::CallBlobs};
use crate::store::error::StoreError;

/// A blob that is being written for a call.
#[derive(Debug)]
pub(super) struct Writer {
    call: Arc<CallBlobs>,
    buffer: Vec<u8>,
    bytes_left: u64,
    /// Away while a piece is written, and for good after a failure.
    sink: Option<Sink>,
}

/// The file, what was hashed of it, and what it takes of the quota. Dropping it gives all back.
#[derive(Debug)]
struct Sink {
    shared: Arc<Shared>,
    path: PathBuf,
    file: File,
    /// None of a blob whose pieces were checked before they came here: its name is known.
    hasher: Option<blake3::Hasher>,
    length: u64,
    reserved: u64,
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Renamed away when the blob was finished; then there is nothing here.
        let _ = fs::remove_file(&self.path);
        self.shared.shelf.release(self.reserved);
    }
}

impl Writer {
    pub(super) async fn begin(call: Arc<CallBlobs>, bytes_max: u64) -> Result<Self, PortError> {
        Self::open(call, bytes_max, Some(blake3::Hasher::new())).await
    }

    /// As [`Self::begin`], of bytes that are not hashed here: [`Self::finish_as`] ends it.
    pub(super) async fn begin_checked(
        call: Arc<CallBlobs>,
        bytes_max: u64,
    ) -> Result<Self, PortError> {
        Self::open(call, bytes_max, None).await
    }

    async fn open(
        call: Arc<CallBlobs>,
        bytes_max: u64,
        hasher: Option<blake3::Hasher>,
    ) -> Result<Self, PortError> {
        let shared = Arc::clone(call.shared());
        let made = Arc::clone(&shared);
        let sink = shared.work(move || Sink::new(made, hasher)).await.map_err(fault)?;
        Ok(Self { call, buffer: Vec::new(), bytes_left: bytes_max, sink: Some(sink) })
    }

    /// The file that is written, for reading what is there of it.
    pub(super) fn file(&self) -> Result<File, StoreError> {
        let away = || StoreError::Fault { operation: "read a blob", source: "it failed".into() };
        let sink = self.sink.as_ref().ok_or_else(away)?;
        sink.file.try_clone().map_err(StoreError::io("read a blob"))
    }

    /// Counts bytes against the quota, taking away kept blobs when there is no room.
    async fn reserve(&mut self, bytes: u64) -> Result<(), PortError> {
        let shared = Arc::clone(self.call.shared());
        let victims = shared.shelf.reserve(bytes)?;
        match self.sink.as_mut() {
            Some(sink) => sink.reserved += bytes,
            None => shared.shelf.release(bytes),
        }
        if victims.is_empty() {
            return Ok(());
        }
        let (removing, evicted) = (Arc::clone(&shared), victims.clone());
        let removed = shared.work(move || {
            for digest in &evicted {
                removing.discard(removing.shelf.evict(digest, removing.number()));
            }
            Ok(())
        });
        removed.await.map_err(fault)?;
        index::forget(&shared.database, &victims).await.map_err(fault)
    }

    /// Moves the buffer into the file.
    async fn flush(&mut self) -> Result<(), PortError> {
        let mut sink = self.sink.take().ok_or(PortError::Fault)?;
        let piece = mem::take(&mut self.buffer);
        let shared = Arc::clone(self.call.shared());
        let written = shared.work(move || {
            if let Some(hasher) = &mut sink.hasher {
                hasher.update(&piece);
            }
            sink.file.write_all(&piece).map_err(StoreError::io("write a blob"))?;
            sink.length += piece.len() as u64;
            Ok(sink)
        });
        self.sink = Some(written.await.map_err(fault)?);
        Ok(())
    }
}

impl Sink {
    fn new(shared: Arc<Shared>, hasher: Option<blake3::Hasher>) -> Result<Self, StoreError> {
        let path = shared.temporary();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(StoreError::io("make a blob"))?;
        Ok(Self { shared, path, file, hasher, length: 0, reserved: 0 })
    }

    /// Puts the blob in its place, held once, under `known` or what its bytes hash to.
    fn place(mut self, known: Option<Digest>) -> Result<(Digest, u64), StoreError> {
        let hashed = self.hasher.as_ref().map(|it| Digest::from_bytes(*it.finalize().as_bytes()));
        let digest = hashed.or(known).ok_or(StoreError::Damaged { what: "the blob" })?;
        let now_us = self.shared.clock.now_us();
        let placed = self.shared.shelf.place(digest, self.length, &self.path, now_us);
        if placed.map_err(StoreError::io("put a blob in its place"))? {
            // The bytes are the blob's from here on.
            self.reserved = self.reserved.saturating_sub(self.length);
        }
        Ok((digest, self.length))
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        for piece in bytes.chunks(PIECE_BYTES) {
            let length = piece.len() as u64;
            self.bytes_left = self.bytes_left.checked_sub(length).ok_or(PortError::Quota)?;
            self.reserve(length).await?;
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= PIECE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(Digest, u64), PortError> {
        self.finish_as(None).await
    }
}

impl Writer {
    /// Ends the blob, which is `known` when its bytes were not hashed here.
    pub(super) async fn finish_as(
        mut self: Box<Self>,
        known: Option<Digest>,
    ) -> Result<(Digest, u64), PortError> {
        self.flush().await?;
        let sink = self.sink.take().ok_or(PortError::Fault)?;
        let call = Arc::clone(&self.call);
        let shared = Arc::clone(call.shared());
        // The hold is entered where the blob is placed, so that it is given back even when
        // nobody waits for the work any more.
        let placed = shared.work(move || {
            let (digest, length) = sink.place(known)?;
            call.entered(digest, length);
            Ok((digest, length))
        });
        placed.await.map_err(fault)
    }
}
