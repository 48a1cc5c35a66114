//! Copies files that a person named into the data directory: only regular ones, bounded, and with
//! the digest of what was read, once, whatever happens to the source meanwhile.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use meshhost_core::{code::Code, id::Digest, outcome::Refusal};

use crate::{
    regular_file::{self, Links},
    store::{directory::no_follow, error::StoreError},
};

/// Bytes moved in one piece.
const PIECE_BYTES: usize = 256 * 1024;

/// What is copied, for refusals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copying {
    /// The code of a source that is not right.
    pub(crate) invalid: Code,
    /// What the store does, a verb phrase.
    pub(crate) operation: &'static str,
}

impl Copying {
    /// Copies `source` to `target`, which is made or overwritten, and syncs it. Gives its digest and
    /// length in bytes.
    ///
    /// # Errors
    /// `invalid` when the source cannot be read, is no regular file or has more than `bytes_max`
    /// bytes; the fault of the store when the target cannot be written.
    pub(crate) fn copy(
        self,
        source: &Path,
        links: Links,
        target: &Path,
        bytes_max: u64,
    ) -> Result<(Digest, u64), Refusal> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                Refusal::new(Code::NotFound, format!("there is no file {}", source.display()))
            }
            _ => {
                let message = format!("{} cannot be read: {error}", source.display());
                Refusal::new(self.invalid, message)
            }
        };
        let unwritable = |error| StoreError::io(self.operation)(error).refusal();
        let too_large = || {
            let message = format!(
                "{} is larger than {bytes_max} bytes, the most it may have",
                source.display()
            );
            Refusal::new(self.invalid, message)
        };
        let source_file = regular_file::open(source, links).map_err(unreadable)?;
        if source_file.metadata().map_err(unreadable)?.len() > bytes_max {
            return Err(too_large());
        }
        let mut target = create(target).map_err(unwritable)?;
        let mut pieces = Pieces::new(source_file);
        while let Some(piece) = pieces.read().map_err(unreadable)? {
            target.write_all(piece).map_err(unwritable)?;
            // It may grow while it is read.
            if pieces.length > bytes_max {
                return Err(too_large());
            }
        }
        target.sync_all().map_err(unwritable)?;
        Ok((pieces.digest(), pieces.length))
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow());
    options.open(path)
}

/// Digest and length in bytes of a file, which is read until it has more than `bytes_max` bytes.
///
/// # Errors
/// As [`regular_file::open`], and when it cannot be read.
pub(crate) fn digest(path: &Path, bytes_max: u64) -> io::Result<(Digest, u64)> {
    let mut pieces = Pieces::new(regular_file::open(path, Links::Refuse)?);
    while pieces.length <= bytes_max && pieces.read()?.is_some() {}
    Ok((pieces.digest(), pieces.length))
}

/// A file in pieces, counted.
struct Pieces {
    file: File,
    piece: Vec<u8>,
    hasher: blake3::Hasher,
    length: u64,
}

impl Pieces {
    fn new(file: File) -> Self {
        Self { file, piece: vec![0; PIECE_BYTES], hasher: blake3::Hasher::new(), length: 0 }
    }

    fn read(&mut self) -> io::Result<Option<&[u8]>> {
        let count = self.file.read(&mut self.piece)?;
        let Some(bytes) = self.piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(Some(bytes))
    }

    fn digest(&self) -> Digest {
        Digest::from_bytes(*self.hasher.finalize().as_bytes())
    }
}
