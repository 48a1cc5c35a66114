//! `meshhost:blob`: large data by handle. The bytes stay with the host; a guest reads ranges and
//! writes new blobs within the call's quota. There is nothing to grant: a guest reaches only blobs
//! that it was given or has made.
//!
//! [`handles`] gives blobs as parameters and takes them back from results.

pub(crate) mod handles;

use bytes::Bytes;
use meshhost_core::{
    id::Digest,
    limits::{LimitKind, MIB},
    ports::{BlobWriter, PortError},
};
use wasmtime::component::{Linker, Resource, ResourceTable};

use self::bindings::meshhost::blob::types::{self, BlobError};
use super::{Context, Imports, View};
use crate::state::HostState;

pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/blob/0.1.0",
        world: "meshhost:blob/imports",
        imports: { default: async | trappable },
        with: {
            "meshhost:blob/types.blob": super::Blob,
            "meshhost:blob/types.writer": super::Writer,
        },
        require_store_data_send: true,
    });
}

/// Bytes that one read returns at most.
const READ_BYTES_MAX: u64 = MIB;

type BlobResult<T> = wasmtime::Result<Result<T, BlobError>>;

/// Links `meshhost:blob`.
///
/// # Errors
/// When the name is linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Imports>(linker, View::of)
}

/// A blob that the guest holds.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Blob {
    digest: Digest,
    length: u64,
    /// The bytes, when they came with the call and are not in the node's store.
    bytes: Option<Bytes>,
}

impl Blob {
    /// A blob in the node's store.
    pub(crate) const fn stored(digest: Digest, length: u64) -> Self {
        Self { digest, length, bytes: None }
    }

    /// A blob that came with the call.
    pub(crate) fn given(bytes: Bytes) -> Self {
        Self { digest: Digest::of(&bytes), length: bytes.len() as u64, bytes: Some(bytes) }
    }

    /// Its name.
    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// A blob that the guest writes.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Writer {
    /// Nothing was written yet.
    Empty,
    /// It is being written.
    Open(Box<dyn BlobWriter>),
    /// It is finished, or has failed.
    Finished,
}

/// Takes from the guest's blobs what lives only as long as a call, when the store lives longer:
/// bytes that came with the call, and blobs that were not finished.
pub(crate) fn end_call(table: &mut ResourceTable) {
    for resource in table.iter_mut() {
        if let Some(blob) = resource.downcast_mut::<Blob>() {
            blob.bytes = None;
        } else if let Some(writer) = resource.downcast_mut::<Writer>() {
            *writer = Writer::Finished;
        }
    }
}

impl Context {
    /// What the guest is told. A quota may be the call's or the node's.
    fn blob_error(&self, error: &PortError) -> BlobError {
        match error {
            PortError::NotFound => BlobError::NotFound,
            PortError::Quota => {
                self.record.reach(LimitKind::BlobBytes);
                BlobError::Quota
            }
            PortError::Invalid(_) | PortError::Fault => BlobError::Fault,
        }
    }

    async fn open_writer(&self, writer: Writer) -> Result<Box<dyn BlobWriter>, BlobError> {
        match writer {
            Writer::Open(writer) => Ok(writer),
            Writer::Finished => Err(BlobError::Finished),
            Writer::Empty => {
                let begun = self.call.blobs.begin(self.call.limits.blob_bytes).await;
                begun.map_err(|error| self.blob_error(&error))
            }
        }
    }

    async fn read_blob(&self, blob: Blob, offset: u64, length: u64) -> BlobResult<Vec<u8>> {
        let Some(left) = blob.length.checked_sub(offset) else {
            return Ok(Err(BlobError::OutOfRange));
        };
        let length = length.min(left).min(READ_BYTES_MAX);
        if length == 0 {
            return Ok(Ok(Vec::new()));
        }
        let _held = self.record.charge_buffer(length)?;
        if let Some(bytes) = &blob.bytes {
            let start = usize::try_from(offset)?;
            let end = usize::try_from(offset.saturating_add(length))?;
            return Ok(bytes.get(start..end).map(<[u8]>::to_vec).ok_or(BlobError::OutOfRange));
        }
        let read = self.call.blobs.read(&blob.digest, offset, u32::try_from(length)?);
        Ok(read.await.map_err(|error| self.blob_error(&error)))
    }
}

impl types::Host for View<'_> {}

impl types::HostBlob for View<'_> {
    async fn length(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&blob)?.length)
    }

    async fn digest(&mut self, blob: Resource<Blob>) -> wasmtime::Result<String> {
        Ok(self.table.get(&blob)?.digest.to_string())
    }

    async fn read(
        &mut self,
        blob: Resource<Blob>,
        offset: u64,
        length: u32,
    ) -> BlobResult<Vec<u8>> {
        let blob = self.table.get(&blob)?.clone();
        self.context.read_blob(blob, offset, length.into()).await
    }

    async fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}

impl types::HostWriter for View<'_> {
    async fn new(&mut self) -> wasmtime::Result<Resource<Writer>> {
        Ok(self.table.push(Writer::Empty)?)
    }

    async fn write(&mut self, writer: Resource<Writer>, bytes: Vec<u8>) -> BlobResult<()> {
        if matches!(self.table.get(&writer)?, Writer::Finished) {
            return Ok(Err(BlobError::Finished));
        }
        if self.context.record.charge_blob(bytes.len() as u64).is_err() {
            return Ok(Err(BlobError::Quota));
        }
        let state = std::mem::replace(self.table.get_mut(&writer)?, Writer::Finished);
        let mut open = match self.context.open_writer(state).await {
            Ok(open) => open,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = open.write(&bytes).await {
            return Ok(Err(self.context.blob_error(&error)));
        }
        *self.table.get_mut(&writer)? = Writer::Open(open);
        Ok(Ok(()))
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> BlobResult<Resource<Blob>> {
        let state = std::mem::replace(self.table.get_mut(&writer)?, Writer::Finished);
        let open = match self.context.open_writer(state).await {
            Ok(open) => open,
            Err(error) => return Ok(Err(error)),
        };
        match open.finish().await {
            Ok((digest, length)) => Ok(Ok(self.table.push(Blob::stored(digest, length))?)),
            Err(error) => Ok(Err(self.context.blob_error(&error))),
        }
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
