//! Reads a file that lies beside a model.

use std::{fs::File, io::Read as _};

use meshhost_core::{
    id::Digest,
    inference::{InferenceError, InferenceErrorCode},
};

use crate::store::StoredFile;

/// The whole file, when it is still the one that was added. The caller bounds its length.
pub(super) async fn read(file: StoredFile) -> Result<Vec<u8>, InferenceError> {
    let read = tokio::task::spawn_blocking(move || {
        let opened = File::open(&file.path).ok()?;
        // A pipe would be waited for.
        if !opened.metadata().ok()?.is_file() {
            return None;
        }
        let mut content = Vec::new();
        opened.take(file.bytes.saturating_add(1)).read_to_end(&mut content).ok()?;
        let same = content.len() as u64 == file.bytes && Digest::of(&content) == file.digest;
        same.then_some(content)
    });
    read.await.ok().flatten().ok_or_else(|| {
        let message = "the file is not the one that was added: add the model again";
        InferenceError::new(InferenceErrorCode::Failed, message)
    })
}
