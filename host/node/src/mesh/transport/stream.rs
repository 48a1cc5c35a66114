//! One stream between two nodes, as frames.

use std::{io, sync::Arc};

use futures::FutureExt as _;
use meshhost_core::mesh::wire::{Frame, HEAD_BYTES, Head, WireError};
use quinn::{ReadExactError, RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a frame did not come or go.
#[derive(Debug, thiserror::Error)]
pub(in crate::mesh) enum StreamError {
    /// The stream or its connection is gone.
    #[error("the connection to the peer broke")]
    Io(#[from] io::Error),
    /// What came is no frame, or what should go cannot be one.
    #[error("a frame is not as the protocol has it")]
    Wire(#[from] WireError),
}

/// What is said when a stream is ended before its end: nobody waits for the rest any more.
const CANCELLED: VarInt = VarInt::from_u32(1);
/// Bytes that are made room for before they have arrived.
const ROOM_BYTES: usize = 64 * 1024;

/// The half of a stream that this node writes.
#[derive(Debug)]
pub(in crate::mesh) struct Sending(pub(super) SendStream);

/// The half of a stream that this node reads.
#[derive(Debug)]
pub(in crate::mesh) struct Receiving(pub(super) RecvStream);

/// Both halves of a stream.
#[derive(Debug)]
pub(in crate::mesh) struct Stream {
    /// The half that this node writes.
    pub(in crate::mesh) sending: Sending,
    /// The half that this node reads.
    pub(in crate::mesh) receiving: Receiving,
}

impl Stream {
    pub(super) fn new((sending, receiving): (SendStream, RecvStream)) -> Self {
        Self { sending: Sending(sending), receiving: Receiving(receiving) }
    }
}

impl Sending {
    /// Sends one frame.
    ///
    /// # Errors
    /// When the stream is gone, or the value is none that may be sent.
    pub(in crate::mesh) async fn write(&mut self, frame: &impl Frame) -> Result<(), StreamError> {
        let bytes = frame.encode()?;
        self.0.write_all(&bytes).await.map_err(io::Error::other)?;
        Ok(())
    }

    /// Sends bytes that are no frame.
    #[cfg(test)]
    pub(in crate::mesh) async fn write_raw(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Says that nothing follows.
    pub(in crate::mesh) fn finish(&mut self) {
        // It fails when the stream is gone: then there is nobody to tell.
        let _ = self.0.finish();
    }

    /// Waits until the other end has taken everything, or is gone.
    pub(in crate::mesh) async fn taken(&mut self) {
        let _ = self.0.stopped().await;
    }

    /// Waits until the other end wants nothing more of it, or is gone.
    pub(in crate::mesh) fn gone(&self) -> impl Future<Output = ()> + use<> {
        let stopped = self.0.stopped();
        async move {
            let _ = stopped.await;
        }
    }

    /// Ends the stream without its rest.
    pub(in crate::mesh) fn cancel(&mut self) {
        let _ = self.0.reset(CANCELLED);
    }
}

impl Receiving {
    /// Reads one frame; `None` when the other end closed the stream between two.
    ///
    /// # Errors
    /// When the stream is gone, or what comes is no frame.
    pub(in crate::mesh) async fn read<F: Frame>(&mut self) -> Result<Option<F>, StreamError> {
        match self.head::<F>().await? {
            Some(head) => self.body(head).await.map(Some),
            None => Ok(None),
        }
    }

    async fn head<F: Frame>(&mut self) -> Result<Option<Head>, StreamError> {
        let mut head = [0; HEAD_BYTES];
        match self.0.read_exact(&mut head).await {
            Ok(()) => Ok(Some(F::head(head)?)),
            Err(ReadExactError::FinishedEarly(0)) => Ok(None),
            Err(error) => Err(io::Error::other(error).into()),
        }
    }

    async fn body<F: Frame>(&mut self, head: Head) -> Result<F, StreamError> {
        let mut body = Vec::with_capacity(head.length.min(ROOM_BYTES));
        while body.len() < head.length {
            // The buffer grows with what really arrives, never with what the length merely claims.
            let piece = self.0.read_chunk(head.length - body.len(), true).await;
            let Some(piece) = piece.map_err(io::Error::other)? else {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            };
            body.extend_from_slice(&piece.bytes);
        }
        Ok(F::decode(head.kind, &body)?)
    }

    /// As [`Self::read`], of a frame that is held for a while: it takes as much of `room` as it has
    /// KiB, and waits for that before it reads the body. Whoever sends meanwhile is held up by QUIC.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(in crate::mesh) async fn read_into<F: Frame>(
        &mut self,
        room: &Arc<Semaphore>,
    ) -> Result<Option<(F, OwnedSemaphorePermit)>, StreamError> {
        let Some(head) = self.head::<F>().await? else { return Ok(None) };
        let kib = u32::try_from(head.length.div_ceil(1024)).unwrap_or(u32::MAX).max(1);
        let place = Arc::clone(room).acquire_many_owned(kib).await.map_err(io::Error::other)?;
        Ok(Some((self.body(head).await?, place)))
    }

    /// Lets go of it after its last frame. Its end has mostly come with that, and is taken: of a stream that is let
    /// go before, the peer is told to stop sending, in a datagram of its own that it has to acknowledge.
    pub(in crate::mesh) fn end(mut self) {
        let _ = self.ended().now_or_never();
    }

    /// Waits until the other end has ended its half; what it sends instead is not taken.
    pub(in crate::mesh) async fn ended(&mut self) {
        let _ = self.0.read_chunk(1, true).await;
    }

    /// Says that nothing of the rest is wanted.
    pub(in crate::mesh) fn stop(&mut self) {
        let _ = self.0.stop(CANCELLED);
    }
}
