//! The blobs of one call, for a store that outlives the call: when it has ended, nothing in the
//! store reaches them or keeps them.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    ports::{BlobStore, BlobWriter, PortError},
};

/// Blobs until their call has ended; then there are none.
#[derive(Debug)]
pub(super) struct LentBlobs(RwLock<Option<Arc<dyn BlobStore>>>);

impl LentBlobs {
    pub(super) fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self(RwLock::new(Some(blobs)))
    }

    /// The call has ended.
    pub(super) fn end(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self) -> Result<Arc<dyn BlobStore>, PortError> {
        let blobs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        blobs.clone().ok_or(PortError::NotFound)
    }
}

#[async_trait]
impl BlobStore for LentBlobs {
    async fn length(&self, digest: &Digest) -> Result<u64, PortError> {
        self.get()?.length(digest).await
    }

    async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Vec<u8>, PortError> {
        self.get()?.read(digest, offset, length).await
    }

    async fn ready(&self, digest: &Digest) -> Result<(), PortError> {
        self.get()?.ready(digest).await
    }

    async fn begin(&self, bytes_max: u64) -> Result<Box<dyn BlobWriter>, PortError> {
        self.get()?.begin(bytes_max).await
    }
}
