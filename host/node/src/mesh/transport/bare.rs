//! An echo over the same transport and nothing else: what the benchmark compares calls with.

use std::{io, time::Duration};

use meshhost_core::evidence::sign::Signer;

use super::{CALLS_KEEP_ALIVE, Channel, KEEP_ALIVE, Protocol, Stream, Transport};
use crate::mesh::{links::WATCHED, tls::Tls};

/// Most bytes of one echo.
const BYTES_MAX: usize = 64 * 1024;
/// Bytes that a stream carries are sent and read in pieces of so many.
const PIECE_BYTES: usize = 256 * 1024;

/// Two ends on loopback, one of which gives back what it is sent.
#[derive(Debug)]
pub struct Bare {
    channel: Channel,
    _ends: [Transport; 2],
}

impl Bare {
    /// How often an idle connection is kept alive: that of control, and that for calls.
    pub const KEEP_ALIVE: [Duration; 2] = [KEEP_ALIVE, CALLS_KEEP_ALIVE];
    /// How many peers a node watches.
    pub const WATCHED: usize = WATCHED;

    /// Binds and connects both.
    ///
    /// # Errors
    /// When that fails.
    pub async fn new() -> io::Result<Self> {
        let (here, there) = (end(1)?, end(2)?);
        let address = there.address().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let key = Signer::from_seed(&[2; 32]).node_key();
        let accepting = there.clone();
        tokio::spawn(async move {
            let channel = accepting.accept().await?.finish().await?;
            channel.admit();
            while let Ok(stream) = channel.accept().await {
                tokio::spawn(echo(stream));
            }
            Some(())
        });
        let dialled = here.dial(address, key, Protocol::Calls).await;
        let channel = dialled.map_err(io::Error::other)?;
        Ok(Self { channel, _ends: [here, there] })
    }

    /// Has the other end send so many bytes on a new stream, and takes them.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn stream(&self, bytes: u64) -> io::Result<()> {
        let Stream { sending, receiving } = self.channel.open().await?;
        let (mut sending, mut receiving) = (sending.0, receiving.0);
        sending.write_all(&bytes.to_le_bytes()).await.map_err(io::Error::other)?;
        sending.finish().map_err(io::Error::other)?;
        let mut left = bytes;
        while left > 0 {
            let piece = receiving.read_chunk(PIECE_BYTES, true).await.map_err(io::Error::other)?;
            let piece = piece.ok_or(io::ErrorKind::UnexpectedEof)?;
            left = left.saturating_sub(piece.bytes.len() as u64);
        }
        Ok(())
    }

    /// Sends these bytes on a new stream and reads as many back.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn echo(&self, bytes: &[u8]) -> io::Result<usize> {
        let Stream { sending, receiving } = self.channel.open().await?;
        let (mut sending, mut receiving) = (sending.0, receiving.0);
        sending.write_all(bytes).await.map_err(io::Error::other)?;
        sending.finish().map_err(io::Error::other)?;
        Ok(receiving.read_to_end(BYTES_MAX).await.map_err(io::Error::other)?.len())
    }
}

fn end(seed: u8) -> io::Result<Transport> {
    let key = Signer::from_seed(&[seed; 32]).node_key();
    let tls = Tls::new(&[seed; 32], &key).map_err(io::Error::other)?;
    Transport::bind(([127, 0, 0, 1], 0).into(), tls).map_err(io::Error::other)
}

async fn echo(stream: Stream) -> io::Result<()> {
    let (mut sending, mut receiving) = (stream.sending.0, stream.receiving.0);
    let bytes = receiving.read_to_end(BYTES_MAX).await.map_err(io::Error::other)?;
    // Eight bytes ask for as many as they say.
    if let Ok(wanted) = <[u8; 8]>::try_from(bytes.as_slice()) {
        let piece = vec![7; PIECE_BYTES];
        let mut left = u64::from_le_bytes(wanted);
        while left > 0 {
            let count = left.min(PIECE_BYTES as u64);
            let piece = piece.get(..usize::try_from(count).unwrap_or_default()).unwrap_or_default();
            sending.write_all(piece).await.map_err(io::Error::other)?;
            left -= count;
        }
    } else {
        sending.write_all(&bytes).await.map_err(io::Error::other)?;
    }
    sending.finish().map_err(io::Error::other)
}
