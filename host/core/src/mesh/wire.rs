//! The frames that nodes send each other, as values and as bytes. `docs/wire.md` describes them so
//! that another program could be a peer.
//!
//! A frame is a byte that says its kind, the length of its body in four bytes, least significant
//! first, and the body in postcard. The first five bytes are checked before anything else is read:
//! [`Frame::head`] knows which kinds there are on a channel and how long each may be. What is decoded
//! has exactly one way to be written; any other bytes are refused.

use serde::{Serialize, de::DeserializeOwned};

pub use answer::{Accepted, Answer, CallRefusal, Ended, Items};
pub use bounded::{Bytes, Secret};
pub use call::{Body, Caller, Invoke, TraceContext};
pub use control::{Hello, Leaving, Missed, Number, Records, Refused, Statements, Welcome};
pub use fetch::{
    BlobFound, BlobGroup, BlobWanted, Declined, Describe, Described, Receipts, TypeFound,
    TypeWanted,
};
pub use work::{
    ABSENT_MAX, Absent, NodeRecord, RECORD_BYTES_MAX, RECORD_HOPS_MAX, RECORDS_BYTES_MAX,
    RECORDS_MAX, RecordFound, RecordWanted, TAKEN_MAX, Taken, Why,
};

use bounded::Check;

mod answer;
mod bounded;
mod call;
mod control;
mod fetch;
#[cfg(test)]
mod tests;
mod work;

/// The version of the protocol that is spoken here; [`Hello`] carries it.
pub const PROTOCOL: u16 = 1;
/// Bytes before a body: its kind and its length.
pub const HEAD_BYTES: usize = 5;
/// Most bytes of the input or the output of a call.
pub const BODY_BYTES_MAX: usize = 16 << 20;

const KIB: usize = 1024;

/// Why bytes are no frame, or a value cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No frame of this kind is sent on this channel.
    #[error("no frame of kind {0} is sent on this channel")]
    Kind(u8),
    /// A frame of this kind is never that long.
    #[error("a frame of kind {kind} has at most {max} bytes, and this one {length}")]
    Length {
        /// The kind of frame.
        kind: u8,
        /// Bytes of its body.
        length: usize,
        /// Most bytes that it may have.
        max: usize,
    },
    /// The bytes are no body of this kind, end too early or too late, or are written otherwise than
    /// they would be here.
    #[error("the body of a frame of kind {0} cannot be read")]
    Form(u8),
    /// One part of it is not what it may be.
    #[error("a frame of kind {kind} is refused: {problem}")]
    Bound {
        /// The kind of frame.
        kind: u8,
        /// Which part, and what it may be.
        problem: &'static str,
    },
}

impl WireError {
    /// The code of this error.
    #[must_use]
    pub const fn code(self) -> crate::code::Code {
        crate::code::Code::PeerProtocol
    }
}

/// The first five bytes of a frame, found to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its kind.
    pub kind: u8,
    /// Bytes of its body; at most what the kind may have.
    pub length: usize,
}

/// The frames of one channel.
pub trait Frame: Sized {
    /// Most bytes of the body of a frame of this kind; `None` when there is no such kind here.
    fn max(kind: u8) -> Option<usize>;

    /// The frame as it is sent: head and body.
    ///
    /// # Errors
    /// [`WireError`] when a part is not what it may be, or all of it is too long.
    fn encode(&self) -> Result<Vec<u8>, WireError>;

    /// The frame of this kind with this body.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not exactly one body of this kind.
    fn decode(kind: u8, body: &[u8]) -> Result<Self, WireError>;

    /// What the first five bytes of a frame say: how much there is to read.
    ///
    /// # Errors
    /// [`WireError::Kind`] and [`WireError::Length`]: then nothing more is to be read.
    fn head(bytes: [u8; HEAD_BYTES]) -> Result<Head, WireError> {
        let [kind, length @ ..] = bytes;
        let max = Self::max(kind).ok_or(WireError::Kind(kind))?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > max {
            return Err(WireError::Length { kind, length, max });
        }
        Ok(Head { kind, length })
    }
}

/// Makes the enum of a channel's frames from a list of kind, number and longest body.
macro_rules! frames {
    ($(#[$doc:meta])* $frame:ident {
        $($(#[$says:meta])* $kind:ident($body:ty) = $number:literal, at most $max:expr;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $frame {
            $($(#[$says])* $kind($body),)*
        }

        impl Frame for $frame {
            fn max(kind: u8) -> Option<usize> {
                match kind {
                    $($number => Some($max),)*
                    _ => None,
                }
            }

            fn encode(&self) -> Result<Vec<u8>, WireError> {
                match self {
                    $(Self::$kind(body) => write($number, $max, body),)*
                }
            }

            fn decode(kind: u8, body: &[u8]) -> Result<Self, WireError> {
                match kind {
                    $($number => read($number, $max, body).map(Self::$kind),)*
                    _ => Err(WireError::Kind(kind)),
                }
            }
        }
    };
}

frames! {
    /// What is sent on the one stream of `meshhost-control/1`, by either side.
    ControlFrame {
        /// Who one is and what for one comes: the first frame of the side that dialled.
        Hello(Hello) = 1, at most 4 * KIB;
        /// The answer to a member.
        Welcome(Welcome) = 2, at most 256 * KIB;
        /// The answer to everybody else, whatever the reason.
        Refused(Refused) = 3, at most 0;
        /// Who belongs to the community.
        Statements(Statements) = 4, at most 256 * KIB;
        /// What nodes say of themselves.
        Records(Records) = 5, at most 1024 * KIB;
        /// Asks whether the other side is there.
        Ping(Number) = 6, at most 10;
        /// The answer, with the same number.
        Pong(Number) = 7, at most 10;
        /// This side is about to close, and means it.
        Leaving(Leaving) = 8, at most 0;
        /// Another node does not answer the sender any more.
        Missed(Missed) = 9, at most 32;
    }
}

frames! {
    /// What is sent on the streams of `meshhost/1`. The first frame of a stream says what it is for.
    CallFrame {
        /// A call: the first frame of its stream.
        Invoke(Box<Invoke>) = 32, at most BODY_BYTES_MAX + 128 * KIB;
        /// The call has begun; that it has is written down.
        Accepted(Accepted) = 33, at most 0;
        /// How the call ended: the last frame of its stream.
        Answer(Box<Answer>) = 34, at most BODY_BYTES_MAX + 512 * KIB;
        /// What the function streams, as it comes: only between the two before, when the call asks for it.
        Items(Items) = 35, at most BODY_BYTES_MAX + 16;
        /// Asks for a blob: the first frame of its stream.
        BlobWanted(BlobWanted) = 40, at most KIB;
        /// The blob is there, and this is what its groups are checked with.
        BlobFound(BlobFound) = 41, at most 2048 * KIB + 16;
        /// One group of it; they come in order.
        BlobGroup(BlobGroup) = 42, at most 256 * KIB + 3;
        /// Asks how a capability is called: the first frame of its stream.
        Describe(Describe) = 48, at most KIB;
        /// That, as JSON: the last frame of its stream.
        Described(Described) = 49, at most 1024 * KIB;
        /// Asks for what is recorded of a piece of work: the first frame of its stream.
        RecordWanted(RecordWanted) = 52, at most KIB;
        /// That, as signed bundles: the last frame of its stream.
        RecordFound(RecordFound) = 53, at most RECORD_BYTES_MAX;
        /// Asks for the type of a capability: the first frame of its stream.
        TypeWanted(TypeWanted) = 54, at most KIB;
        /// That, as text: the last frame of its stream.
        TypeFound(TypeFound) = 55, at most 256 * KIB + 3;
        /// What the sender signs about calls that it has answered: the only frame of its stream.
        Receipts(Receipts) = 56, at most 64 * KIB;
        /// The answer to what else was asked when there is none: the last frame of its stream.
        Declined(Declined) = 50, at most 128 * KIB;
    }
}

fn write<T: Serialize + Check>(kind: u8, max: usize, body: &T) -> Result<Vec<u8>, WireError> {
    body.check().map_err(|problem| WireError::Bound { kind, problem })?;
    let mut frame =
        postcard::to_extend(body, vec![kind, 0, 0, 0, 0]).map_err(|_| WireError::Form(kind))?;
    let length = frame.len().saturating_sub(HEAD_BYTES);
    let (true, Ok(written)) = (length <= max, u32::try_from(length)) else {
        return Err(WireError::Length { kind, length, max });
    };
    for (byte, length) in frame.iter_mut().skip(1).zip(written.to_le_bytes()) {
        *byte = length;
    }
    Ok(frame)
}

fn read<T: Serialize + DeserializeOwned + Check>(
    kind: u8,
    max: usize,
    bytes: &[u8],
) -> Result<T, WireError> {
    if bytes.len() > max {
        return Err(WireError::Length { kind, length: bytes.len(), max });
    }
    let (body, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| WireError::Form(kind))?;
    if !rest.is_empty() {
        return Err(WireError::Form(kind));
    }
    body.check().map_err(|problem| WireError::Bound { kind, problem })?;
    // A number may be written longer than it has to be. One value has one form.
    match postcard::serialize_with_flavor(&body, bounded::Same(bytes)) {
        Ok(()) => Ok(body),
        Err(_) => Err(WireError::Form(kind)),
    }
}
