//! Frames on the admin socket: a `u32` length, little-endian, then that many bytes of JSON.
//! [`crate::api::Request`] goes in, [`crate::api::Reply`] comes out, one at a time on a
//! connection; before the reply to a call that streams come as many with items as there are.
//! Dropping the connection cancels the call in progress.
//!
//! There is no handshake: both ends are the same user's, and a message that one end does not
//! know is answered as an error.

use std::io;

use meshhost_core::{code::Code, json, outcome::Refusal};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::blocking;

/// Most bytes of JSON in one frame. Output is at most 8 MiB by default; more goes as a blob.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How frames are read: a call's own bounds and some room for what stands around it.
const BOUNDS: json::Bounds =
    json::Bounds { bytes_max: FRAME_BYTES_MAX, depth_max: json::DEPTH_MAX, values_max: 2_000_000 };

/// Bytes of a frame that are read where the connection is served; parsing more takes so long that
/// it is done on a thread of its own.
const AT_ONCE_BYTES: u32 = 256 * 1024;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other end went away in the middle of a frame, or the socket failed.
    #[error("the connection to the node broke")]
    Io(#[from] io::Error),
    /// The message does not fit a frame: large data goes as a blob.
    #[error("the message has more than {FRAME_BYTES_MAX} bytes; large data goes as a blob")]
    TooLarge,
    /// The frame is not JSON, or not as it is read here: a key twice, too deep.
    #[error("the message is not JSON as it is read here")]
    NotJson(#[source] json::JsonError),
    /// The frame is not the JSON that is expected here: another version of meshhost.
    #[error("the message is not understood; both ends must be the same version of meshhost")]
    NotUnderstood(#[source] serde_json::Error),
}

impl WireError {
    /// The error as a node or command reports it.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let code = match self {
            Self::Io(_) => Code::NodeUnreachable,
            Self::TooLarge | Self::NotJson(_) | Self::NotUnderstood(_) => Code::UsageError,
        };
        Refusal::new(code, self.to_string())
    }
}

/// Reads one frame. `None` when the other end closed between two frames.
///
/// # Errors
/// When the connection breaks, the length is above the bound, or the JSON is another type's.
pub async fn read<T: DeserializeOwned + Send + 'static>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, WireError> {
    let mut head = [0_u8; 4];
    let first = stream.read(&mut head).await?;
    if first == 0 {
        return Ok(None);
    }
    if let Some(rest) = head.get_mut(first..) {
        stream.read_exact(rest).await?;
    }
    let length = u32::from_le_bytes(head);
    if usize::try_from(length).map_or(true, |length| length > FRAME_BYTES_MAX) {
        return Err(WireError::TooLarge);
    }
    // The buffer grows with what really arrives, never with what the length merely claims.
    let mut bytes = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(WireError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    if length <= AT_ONCE_BYTES {
        return message(&bytes).map(Some);
    }
    let parsed = blocking::run(move || message(&bytes)).await;
    parsed.map_err(io::Error::other)?.map(Some)
}

/// Read strictly first: a key given twice would be taken as whoever reads it likes.
fn message<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let value = json::parse(bytes, BOUNDS).map_err(WireError::NotJson)?;
    serde_json::from_value(value).map_err(WireError::NotUnderstood)
}

/// Writes one frame.
///
/// # Errors
/// When the connection breaks, or the message is above the bound.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> Result<(), WireError> {
    let body = serde_json::to_vec(message).map_err(WireError::NotUnderstood)?;
    if body.len() > FRAME_BYTES_MAX {
        return Err(WireError::TooLarge);
    }
    let length = u32::try_from(body.len()).map_err(|_| WireError::TooLarge)?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    async fn read_from(bytes: &[u8]) -> Result<Option<Value>, WireError> {
        let mut stream = bytes;
        read(&mut stream).await
    }

    #[tokio::test]
    async fn the_bytes_of_a_frame_are_fixed() {
        let mut bytes = Vec::new();
        write(&mut bytes, &json!({"a": 1})).await.unwrap();
        assert_eq!(bytes, b"\x07\0\0\0{\"a\":1}");
    }

    #[tokio::test]
    async fn an_end_between_frames_is_no_error_and_one_inside_is() {
        assert!(read_from(b"").await.unwrap().is_none());
        for broken in [&b"\x07"[..], b"\x07\0\0\0", b"\x07\0\0\0{\"a\""] {
            assert!(matches!(read_from(broken).await, Err(WireError::Io(_))), "{broken:?}");
        }
    }

    #[tokio::test]
    async fn a_length_above_the_bound_is_refused_before_the_bytes_are_read() {
        let claim = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
        assert!(matches!(read_from(&claim).await, Err(WireError::TooLarge)));
        let text = "x".repeat(FRAME_BYTES_MAX);
        assert!(matches!(write(&mut Vec::new(), &text).await, Err(WireError::TooLarge)));
    }

    #[tokio::test]
    async fn a_long_frame_is_read_like_a_short_one() {
        let text = "x".repeat(1024 * 1024);
        let mut bytes = Vec::new();
        write(&mut bytes, &text).await.unwrap();
        assert_eq!(read_from(&bytes).await.unwrap(), Some(json!(text)));
        let last = bytes.len() - 1;
        bytes[last] = b'x';
        assert!(matches!(read_from(&bytes).await, Err(WireError::NotJson(_))));
    }

    #[tokio::test]
    async fn json_of_another_shape_is_named_as_such() {
        let mut stream = &b"\x02\0\0\0{}"[..];
        let found = read::<Vec<u8>>(&mut stream).await;
        assert!(matches!(found, Err(WireError::NotUnderstood(_))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(texts in proptest::collection::vec(".*", 0..8)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut bytes = Vec::new();
                for text in &texts {
                    write(&mut bytes, text).await.unwrap();
                }
                let mut stream = bytes.as_slice();
                for text in &texts {
                    let found: Option<String> = read(&mut stream).await.unwrap();
                    assert_eq!(found.as_ref(), Some(text));
                }
                assert!(read::<String>(&mut stream).await.unwrap().is_none());
            });
        }
    }
}
