//! Reading and writing a file as a stream. The store's thread never touches the file: each piece
//! is a job of the file pool, one at a time for each stream.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::{
    p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult},
    runtime::AbortOnDropJoinHandle,
};

use super::{failure::Failure, node::OpenFile};
use crate::imports::Context;

/// Bytes that one stream reads or takes at once.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// The error inside `last-operation-failed`, from which `filesystem-error-code` reads the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file could not be read or written: {0:?}")]
pub(super) struct FileStreamError(pub(super) super::bindings::wasi::filesystem::types::ErrorCode);

fn failed(failure: Failure) -> StreamError {
    StreamError::LastOperationFailed(FileStreamError(failure.code).into())
}

/// A file, read from an offset.
pub(super) struct FileInput {
    context: Context,
    file: Arc<OpenFile>,
    offset: u64,
    state: Input,
}

enum Input {
    Idle,
    Reading(AbortOnDropJoinHandle<Result<Vec<u8>, Failure>>),
    Ready(Bytes),
    Failed(Failure),
    Ended,
}

impl FileInput {
    pub(super) fn new(context: Context, file: Arc<OpenFile>, offset: u64) -> Self {
        Self { context, file, offset, state: Input::Idle }
    }

    fn begin(&mut self, size: usize) {
        let (context, file, offset) = (self.context.clone(), Arc::clone(&self.file), self.offset);
        let length = size.clamp(1, PIECE_BYTES);
        self.state = Input::Reading(wasmtime_wasi::runtime::spawn(async move {
            context.file_job(move || file.read(offset, length)).await
        }));
    }
}

#[async_trait::async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.file.folder().is_revoked() {
            self.state = Input::Ended;
        }
        match &mut self.state {
            Input::Idle if size == 0 => Ok(Bytes::new()),
            Input::Idle => {
                self.begin(size);
                Ok(Bytes::new())
            }
            Input::Reading(_) => Ok(Bytes::new()),
            Input::Ready(bytes) => {
                let piece = bytes.split_to(size.min(bytes.len()));
                if bytes.is_empty() {
                    self.state = Input::Idle;
                }
                self.offset = self.offset.saturating_add(piece.len() as u64);
                Ok(piece)
            }
            Input::Failed(failure) => {
                let error = failed(*failure);
                self.state = Input::Ended;
                Err(error)
            }
            Input::Ended => Err(StreamError::Closed),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size > 0 && matches!(self.state, Input::Idle) {
            self.begin(size);
        }
        self.ready().await;
        self.read(size)
    }
}

#[async_trait::async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {
        if matches!(self.state, Input::Idle) {
            self.begin(PIECE_BYTES);
        }
        if let Input::Reading(job) = &mut self.state {
            self.state = match job.await {
                Ok(bytes) if bytes.is_empty() => Input::Ended,
                Ok(bytes) => Input::Ready(bytes.into()),
                Err(failure) => Input::Failed(failure),
            };
        }
    }
}

/// A file, written from an offset or at its end.
pub(super) struct FileOutput {
    context: Context,
    file: Arc<OpenFile>,
    /// `None` appends.
    offset: Option<u64>,
    state: Output,
}

enum Output {
    Ready,
    Writing(AbortOnDropJoinHandle<Result<(), Failure>>),
    Failed(Failure),
    Ended,
}

impl FileOutput {
    pub(super) fn new(context: Context, file: Arc<OpenFile>, offset: Option<u64>) -> Self {
        Self { context, file, offset, state: Output::Ready }
    }

    /// The error that waits to be told; telling it ends the stream.
    fn check(&mut self) -> StreamResult<()> {
        match &self.state {
            Output::Ready | Output::Writing(_) => Ok(()),
            Output::Failed(failure) => {
                let error = failed(*failure);
                self.state = Output::Ended;
                Err(error)
            }
            Output::Ended => Err(StreamError::Closed),
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.check()?;
        if matches!(self.state, Output::Writing(_)) || bytes.len() > PIECE_BYTES {
            return Err(StreamError::trap("more was written than check-write allowed"));
        }
        let (context, file, offset) = (self.context.clone(), Arc::clone(&self.file), self.offset);
        self.offset = offset.map(|offset| offset.saturating_add(bytes.len() as u64));
        let effect = context.record.begin_effect();
        self.state = Output::Writing(wasmtime_wasi::runtime::spawn(async move {
            let job = move || {
                let result = file.write(offset, &bytes);
                effect.complete();
                result
            };
            context.file_job(job).await
        }));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(if matches!(self.state, Output::Writing(_)) { 0 } else { PIECE_BYTES })
    }

    /// What was accepted is written before the stream is gone.
    async fn cancel(&mut self) {
        self.ready().await;
        self.state = Output::Ended;
    }
}

#[async_trait::async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {
        if let Output::Writing(job) = &mut self.state {
            self.state = match job.await {
                Ok(()) => Output::Ready,
                Err(failure) => Output::Failed(failure),
            };
        }
    }
}

impl std::fmt::Debug for FileInput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileInput").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FileOutput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileOutput").field("offset", &self.offset).finish_non_exhaustive()
    }
}
