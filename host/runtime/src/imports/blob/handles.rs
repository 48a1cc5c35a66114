//! Blobs as parameters and results: what the conversion between JSON and WIT values asks of the
//! store. What must be waited for is done before ([`InputBlobs::read`]) and after
//! ([`BlobTable::finish`]).

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use meshhost_core::{
    code::Code,
    id::Digest,
    ports::{BlobStore, PortError},
};
use serde_json::Value;
use wasmtime::{
    StoreContextMut,
    component::{Resource, ResourceAny},
};

use super::Blob;
use crate::{
    convert::{BlobHandles, BlobSource, ConvertError, referenced_blobs},
    state::HostState,
};

/// What is known of the blobs that an input names.
#[derive(Debug, Default)]
pub(crate) struct InputBlobs {
    known: HashMap<Digest, Known>,
}

#[derive(Debug)]
struct Known {
    length: u64,
    /// The bytes, when they are few enough to stand where the WIT says `list<u8>`.
    bytes: Option<Bytes>,
}

impl InputBlobs {
    /// Looks up every blob that `input` names, and reads those of at most `list_bytes`. One that the node
    /// does not have is missed where the function's type has a blob: elsewhere it is text like any other.
    ///
    /// # Errors
    /// When the input names too many, or one that cannot be read.
    pub(crate) async fn read(
        store: &Arc<dyn BlobStore>,
        input: &Value,
        list_bytes: u64,
    ) -> Result<Self, ConvertError> {
        let mut known = HashMap::new();
        for digest in referenced_blobs(input)? {
            let length = match store.length(&digest).await {
                Ok(length) => length,
                Err(PortError::NotFound) => continue,
                Err(error) => return Err(refused(&digest, &error)),
            };
            let small = u32::try_from(length).ok().filter(|_| length <= list_bytes);
            let bytes = match small {
                None => None,
                Some(size) => {
                    let read = store.read(&digest, 0, size).await;
                    Some(Bytes::from(read.map_err(|error| refused(&digest, &error))?))
                }
            };
            known.insert(digest, Known { length, bytes });
        }
        Ok(Self { known })
    }

    fn get(&self, digest: &Digest) -> Result<&Known, ConvertError> {
        self.known.get(digest).ok_or_else(|| refused(digest, &PortError::NotFound))
    }
}

/// What a person is told when a blob of the input cannot be had.
fn refused(digest: &Digest, error: &PortError) -> ConvertError {
    match error {
        PortError::NotFound => {
            let message = format!("this node does not have the blob {digest}; send it with @file");
            ConvertError::new(Code::InputInvalid, message)
        }
        PortError::Quota => {
            ConvertError::new(Code::LimitBlob, "the node may not write more blob bytes".to_owned())
        }
        PortError::Invalid(_) | PortError::Fault => {
            ConvertError::new(Code::StoreFault, "the node's blobs could not be read".to_owned())
        }
    }
}

/// The blobs of one call, as the conversion sees them.
pub(crate) struct BlobTable<'a> {
    store: StoreContextMut<'a, HostState>,
    inputs: &'a InputBlobs,
    unsaved: Vec<Bytes>,
    lent: Vec<ResourceAny>,
}

impl<'a> BlobTable<'a> {
    /// The blobs of the call in `store`.
    pub(crate) fn new(store: StoreContextMut<'a, HostState>, inputs: &'a InputBlobs) -> Self {
        Self { store, inputs, unsaved: Vec::new(), lent: Vec::new() }
    }

    /// The handles that were made for parameters; see [`take_back`].
    pub(crate) fn into_lent(self) -> Vec<ResourceAny> {
        self.lent
    }

    /// The bytes behind results that the node's store does not have yet: blobs that came with the
    /// call and that the guest returned. Write them with [`save`].
    pub(crate) fn finish(self) -> Vec<Bytes> {
        self.unsaved
    }
}

/// Takes the handles back that were made for parameters and that the guest does not own now: it
/// only borrowed them, or was never entered.
pub(crate) fn take_back(mut store: StoreContextMut<'_, HostState>, lent: Vec<ResourceAny>) {
    for handle in lent {
        // A handle that went to the guest is no longer the host's, and this says so.
        if let Ok(own) = handle.try_into_resource::<Blob>(&mut store) {
            // It was in the table when it was lent, and nobody else could remove it.
            let _gone = store.data_mut().table.delete(own);
        }
    }
}

/// Writes what a result refers to into the node's store.
///
/// # Errors
/// When the store refuses.
pub(crate) async fn save(
    store: &Arc<dyn BlobStore>,
    unsaved: Vec<Bytes>,
) -> Result<(), ConvertError> {
    for bytes in unsaved {
        let written = async {
            let mut writer = store.begin(bytes.len() as u64).await?;
            writer.write(&bytes).await?;
            writer.finish().await
        };
        written.await.map_err(|error| refused(&Digest::of(&bytes), &error))?;
    }
    Ok(())
}

impl BlobHandles for BlobTable<'_> {
    fn lower(&mut self, source: BlobSource, _: bool) -> Result<ResourceAny, ConvertError> {
        let blob = match source {
            BlobSource::Bytes(bytes) => Blob::given(bytes.into()),
            BlobSource::Digest(digest) => {
                let length = self.inputs.get(&digest)?.length;
                Blob::stored(digest, length)
            }
        };
        let handles = |_| {
            let message = "the input holds more blobs than the call may hold handles".to_owned();
            ConvertError::new(Code::LimitHandles, message)
        };
        let handle = self.store.data_mut().table.push(blob).map_err(handles)?;
        let lowered = handle.try_into_resource_any(&mut self.store);
        let lowered = lowered.map_err(|_| {
            ConvertError::new(Code::HostFault, "a blob could not be given".to_owned())
        })?;
        self.lent.push(lowered);
        Ok(lowered)
    }

    fn lift(&mut self, handle: ResourceAny) -> Result<Digest, ConvertError> {
        let foreign = || {
            let message = "the plugin returned a handle that is no blob".to_owned();
            ConvertError::new(Code::OutputInvalid, message)
        };
        let handle: Resource<Blob> =
            handle.try_into_resource(&mut self.store).map_err(|_| foreign())?;
        let blob = self.store.data_mut().table.delete(handle).map_err(|_| foreign())?;
        self.unsaved.extend(blob.bytes.clone());
        Ok(*blob.digest())
    }

    fn bytes(&mut self, digest: &Digest, bytes_max: u64) -> Result<Vec<u8>, ConvertError> {
        let known = self.inputs.get(digest)?;
        match &known.bytes {
            Some(bytes) if bytes.len() as u64 <= bytes_max => Ok(bytes.to_vec()),
            _ => {
                let length = known.length;
                let message =
                    format!("a list may hold {bytes_max} bytes and the blob {digest} has {length}");
                Err(ConvertError::new(Code::LimitList, message))
            }
        }
    }
}
