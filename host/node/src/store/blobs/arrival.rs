//! A blob that comes from somewhere else, piece by piece: what is here of it can be read before the
//! rest has come. Who writes it has checked each piece.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use meshhost_core::{
    id::Digest,
    mesh::blob::{ChainingValue, GROUP_BYTES, chaining_value, group_bytes, groups},
    ports::{BlobWriter as _, PortError},
};

use super::{fault, scope::CallBlobs, writer::Writer};
use crate::store::error::StoreError;

/// A blob that is being written while it is read.
#[derive(Debug)]
pub struct Arrival {
    writer: Box<Writer>,
}

/// What has come of a blob so far.
#[derive(Debug, Clone)]
pub struct Arrived {
    call: Arc<CallBlobs>,
    file: Arc<File>,
}

impl Arrival {
    /// Appends a whole group; from here on it can be read, the last one after [`Self::finish`].
    ///
    /// # Errors
    /// As writing a blob.
    pub async fn append(&mut self, group: &[u8]) -> Result<(), PortError> {
        self.writer.write(group).await
    }

    /// Ends the blob, whose groups were all found to be those of `digest`; the call holds it.
    ///
    /// # Errors
    /// As writing a blob.
    pub async fn finish(self, digest: &Digest) -> Result<(), PortError> {
        self.writer.finish_as(Some(*digest)).await.map(drop)
    }
}

impl Arrived {
    /// Bytes that have been written already.
    ///
    /// # Errors
    /// [`PortError::Fault`] when they have not, or cannot be read.
    pub async fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>, PortError> {
        let file = Arc::clone(&self.file);
        let read = move || {
            let mut bytes = vec![0; count];
            file.read_exact_at(&mut bytes, offset).map_err(StoreError::io("read a blob"))?;
            Ok(bytes)
        };
        self.call.shared().work(read).await.map_err(fault)
    }
}

impl CallBlobs {
    /// Begins a blob of at most `bytes_max` bytes that comes from somewhere else.
    ///
    /// # Errors
    /// When no file can be made for it.
    pub async fn arrive(self: &Arc<Self>, bytes_max: u64) -> Result<(Arrival, Arrived), PortError> {
        let writer = Box::new(Writer::begin_checked(Arc::clone(self), bytes_max).await?);
        let file = writer.file().map_err(fault)?;
        Ok((Arrival { writer }, Arrived { call: Arc::clone(self), file: Arc::new(file) }))
    }

    /// The chaining values of a blob's groups; none for a blob of one.
    ///
    /// # Errors
    /// [`PortError::NotFound`] when the node does not have it; [`PortError::Fault`] when it cannot be
    /// read, or is too long to travel.
    pub async fn chaining_values(&self, digest: &Digest) -> Result<Vec<ChainingValue>, PortError> {
        let length = self.hold(digest)?.length;
        let count = groups(length).map_err(|_| PortError::Fault)?;
        if count == 1 {
            return Ok(Vec::new());
        }
        let file = self.file(digest).await?;
        self.shared().work(move || values_of(&file, length, count)).await.map_err(fault)
    }
}

fn values_of(file: &File, length: u64, count: usize) -> Result<Vec<ChainingValue>, StoreError> {
    let operation = "read a blob";
    let strange = |source: meshhost_core::mesh::blob::BlobError| StoreError::Fault {
        operation,
        source: source.into(),
    };
    let mut group = vec![0; GROUP_BYTES];
    let mut values = Vec::with_capacity(count);
    let mut offset = 0;
    for index in 0..count {
        group.resize(group_bytes(length, index).map_err(strange)?, 0);
        file.read_exact_at(&mut group, offset).map_err(StoreError::io(operation))?;
        values.push(chaining_value(index, &group).map_err(strange)?);
        offset += group.len() as u64;
    }
    Ok(values)
}
