//! The journal: what is committed before it stands in the database. A commit is one write at the
//! end of a file, so that a call waits for neither the pages nor the thread of the database; the
//! writer takes what is committed over into the database beside the calls, many groups at once.
//!
//! ```text
//! journal/SEQUENCE      a segment, named by the sequence that its first frame begins with
//!   "mhjrnl01"          what the file is
//!   frame …             length u32 | first u64 | last u64 | BLAKE3 of what follows the length
//!                       and of the sequences | payload
//! ```
//!
//! Integers are little-endian. Frames say which sequences of the record they hold, so what the
//! database has already is known by its last sequence. A segment goes when all of it is safe in
//! the database. A frame that was not written whole was never acknowledged: reading ends there.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use meshhost_core::config::Durability;

use super::{directory, error::StoreError};

mod read;

pub(super) use read::Frames;

/// What a segment begins with.
const MAGIC: &[u8; 8] = b"mhjrnl01";
/// Bytes before the payload of a frame.
const HEADER_BYTES: usize = 4 + 8 + 8 + 32;
/// Bytes of one payload. A group of the writer is bounded below this.
const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// Bytes after which a new segment is begun.
const SEGMENT_BYTES: u64 = 16 << 20;

/// The sequences of the record that one frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The first.
    pub(super) first: u64,
    /// The last.
    pub(super) last: u64,
}

/// The end of the journal, for the one who writes.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    durability: Durability,
    current: Option<Segment>,
    /// Segments that are complete, oldest first, each with the last sequence in it.
    complete: VecDeque<(PathBuf, u64)>,
    frame: Vec<u8>,
    /// A frame of which nobody knows whether it is in the file could not be taken back.
    unsure: bool,
}

#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    bytes: u64,
    last: u64,
}

impl Journal {
    /// A journal in `folder`, which is made when it is not there. What lies in it already is for
    /// [`Frames`] to read, and goes with [`Self::retire`].
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub(super) fn open(folder: &Path, durability: Durability) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(StoreError::io("make the folder of the journal"))?;
        let complete = read::segments(folder)?.into_iter().map(|path| (path, 0)).collect();
        Ok(Self {
            folder: folder.to_owned(),
            durability,
            current: None,
            complete,
            frame: Vec::new(),
            unsure: false,
        })
    }

    /// Whether segments lie in the folder from before.
    pub(super) fn leftovers(&self) -> bool {
        !self.complete.is_empty()
    }

    /// Whether an append syncs the disk, which takes milliseconds and does not belong on a thread
    /// of the executor.
    pub(super) const fn syncs(&self) -> bool {
        matches!(self.durability, Durability::Power)
    }

    /// Appends one frame. When this returns, it outlives the process; with
    /// [`Durability::Power`] the machine's power too.
    ///
    /// # Errors
    /// When it cannot be written; nothing was appended then. After a failure that could not be
    /// undone every further append fails until the store is opened anew.
    pub(super) fn append(&mut self, span: Span, payload: &[u8]) -> Result<(), StoreError> {
        const OPERATION: &str = "write the journal";
        let fault =
            |reason: &str| StoreError::Fault { operation: OPERATION, source: reason.into() };
        if self.unsure {
            return Err(fault("an earlier write failed and could not be undone; restart the node"));
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(fault("the group is too large"));
        }
        if self.current.as_ref().is_some_and(|segment| segment.bytes >= SEGMENT_BYTES) {
            self.rotate();
        }
        write_frame(span, payload, &mut self.frame);
        let (folder, durability) = (&self.folder, self.durability);
        let segment = match &mut self.current {
            Some(segment) => segment,
            none => none.insert(
                Segment::begin(folder, span.first, durability)
                    .map_err(StoreError::io("begin a segment of the journal"))?,
            ),
        };
        if let Err(error) = segment.append(&self.frame, span, durability) {
            // What was written of it must not be taken for a commit when the journal is read.
            self.unsure = segment.file.set_len(segment.bytes).is_err();
            self.rotate();
            return Err(StoreError::io(OPERATION)(error));
        }
        Ok(())
    }

    /// Begins a new segment with the next frame.
    pub(super) fn rotate(&mut self) {
        if let Some(segment) = self.current.take() {
            self.complete.push_back((segment.path, segment.last));
        }
    }

    /// Removes the complete segments whose frames all end at or before `safe`, the last sequence
    /// that the database is sure to keep.
    ///
    /// # Errors
    /// When a file cannot be removed; it is tried again the next time.
    pub(super) fn retire(&mut self, safe: u64) -> Result<(), StoreError> {
        while let Some((path, last)) = self.complete.front() {
            // A new segment may have the name of one that a failed write left behind.
            let in_use = self.current.as_ref().is_some_and(|segment| segment.path == *path);
            if *last > safe {
                return Ok(());
            }
            if !in_use {
                directory::remove_if_there(path)?;
            }
            self.complete.pop_front();
        }
        Ok(())
    }
}

impl Segment {
    fn begin(folder: &Path, first: u64, durability: Durability) -> io::Result<Self> {
        let path = folder.join(format!("{first:020}"));
        let mut options = OpenOptions::new();
        // One with this name holds at most what was never acknowledged, or what stands in the
        // database by now.
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.custom_flags(directory::no_follow()).open(&path)?;
        file.write_all(MAGIC)?;
        if durability == Durability::Power {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, path, bytes: MAGIC.len() as u64, last: 0 })
    }

    fn append(&mut self, frame: &[u8], span: Span, durability: Durability) -> io::Result<()> {
        self.file.write_all(frame)?;
        if durability == Durability::Power {
            self.file.sync_data()?;
        }
        self.bytes += frame.len() as u64;
        self.last = span.last;
        Ok(())
    }
}

/// Puts a frame into `out`.
fn write_frame(span: Span, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.clear();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&span.first.to_le_bytes());
    out.extend_from_slice(&span.last.to_le_bytes());
    out.extend_from_slice(check(span, payload).as_bytes());
    out.extend_from_slice(payload);
}

/// What shows that a frame was written whole.
fn check(span: Span, payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&span.first.to_le_bytes());
    hasher.update(&span.last.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Reads as much as `buffer` holds, or says that the file ends before.
fn read_whole(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The segments of a folder, oldest first.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let digits = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        found.extend(digits.map(|name| folder.join(name)));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
