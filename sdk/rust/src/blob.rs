//! Large data: blobs of the host, read in ranges and written in pieces.

use std::fmt;
use std::io::{self, Read, Write};

use types::BlobError;
pub use types::{Blob, Writer};

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/blob/0.1.0", world: "imports" });
}

/// The generated types of `meshhost:blob/types@0.1.0`, for the `with` option of
/// [`plugin!`](crate::plugin).
pub use bindings::meshhost::blob::types;

/// Bytes that cross to the host at once.
const PIECE_BYTES: u32 = 256 * 1024;

/// Why a blob could not be read or made.
#[derive(Debug)]
pub enum Problem {
    /// The host refused.
    Host(BlobError),
    /// It has more bytes than the caller takes.
    TooLarge {
        /// Its length in bytes.
        length: u64,
        /// What the caller takes, in bytes.
        at_most: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(BlobError::NotFound) => f.write_str("the node does not have the blob"),
            Self::Host(BlobError::OutOfRange) => {
                f.write_str("the range lies beyond the blob's end")
            }
            Self::Host(BlobError::Quota) => f.write_str("no more blob bytes may be written"),
            Self::Host(BlobError::Finished) => f.write_str("the blob is finished already"),
            Self::Host(BlobError::Fault) => f.write_str("the node could not reach the blob"),
            Self::TooLarge { length, at_most } => {
                write!(f, "the blob has {length} bytes, more than {at_most}")
            }
        }
    }
}

impl std::error::Error for Problem {}

/// All bytes of a blob.
///
/// # Errors
/// When it has more than `at_most` bytes, or the host cannot read it.
pub fn read_all(blob: &Blob, at_most: u64) -> Result<Vec<u8>, Problem> {
    let length = blob.length();
    if length > at_most {
        return Err(Problem::TooLarge { length, at_most });
    }
    let mut bytes = Vec::new();
    let mut source = reader(blob);
    source.read_to_end(&mut bytes).map_err(|_| Problem::Host(BlobError::Fault))?;
    Ok(bytes)
}

/// Reads a blob from its beginning.
#[must_use]
pub fn reader(blob: &Blob) -> Reader<'_> {
    Reader { blob, offset: 0, piece: Vec::new(), used: 0 }
}

/// A blob with these bytes.
///
/// # Errors
/// When the host refuses: the quota is used up, or its store failed.
pub fn from_bytes(bytes: &[u8]) -> Result<Blob, Problem> {
    let writer = Writer::new();
    for piece in bytes.chunks(PIECE_BYTES as usize) {
        writer.write(piece).map_err(Problem::Host)?;
    }
    writer.finish().map_err(Problem::Host)
}

/// A blob with everything that `source` gives.
///
/// # Errors
/// When `source` cannot be read or the host refuses.
pub fn from_reader(mut source: impl Read) -> io::Result<Blob> {
    let writer = Writer::new();
    let mut piece = vec![0; PIECE_BYTES as usize];
    loop {
        let length = source.read(&mut piece)?;
        let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        writer.write(bytes).map_err(|error| io::Error::other(Problem::Host(error)))?;
    }
    writer.finish().map_err(|error| io::Error::other(Problem::Host(error)))
}

/// Copies a blob, piece by piece; answers how many bytes it had.
///
/// # Errors
/// When the host cannot read it or `target` does not take it.
pub fn copy_to(blob: &Blob, target: &mut impl Write) -> io::Result<u64> {
    io::copy(&mut reader(blob), target)
}

/// Reads a blob from its beginning, piece by piece.
pub struct Reader<'a> {
    blob: &'a Blob,
    offset: u64,
    piece: Vec<u8>,
    used: usize,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.piece.len() {
            self.piece = self
                .blob
                .read(self.offset, PIECE_BYTES)
                .map_err(|error| io::Error::other(Problem::Host(error)))?;
            self.used = 0;
            self.offset = self.offset.saturating_add(self.piece.len() as u64);
        }
        let mut rest = self.piece.get(self.used..).unwrap_or_default();
        let length = rest.read(buffer)?;
        self.used += length;
        Ok(length)
    }
}
