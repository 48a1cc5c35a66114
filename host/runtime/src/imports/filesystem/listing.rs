//! Directory listings, read in batches: however large a directory is, the host holds a few names.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::Dir;

use super::{
    bindings::wasi::filesystem::types::{DirectoryEntry, ErrorCode},
    describe::kind_of,
    failure::{Denied, Failure},
    walk::Directory,
};
use crate::live::Folder;

/// Entries that are read at once.
const BATCH: usize = 64;

/// One entry, or why it cannot be told.
type Entry = Result<DirectoryEntry, Failure>;

/// A listing that the guest reads; `None` inside is the listing of the empty root.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Listing {
    source: Option<Source>,
    batch: VecDeque<Entry>,
    ended: bool,
}

#[derive(Debug, Clone)]
struct Source {
    folder: Arc<Folder>,
    entries: Arc<Mutex<Dir>>,
}

/// A job that reads the next batch, on a thread that may block.
#[derive(Debug)]
pub(super) struct NextBatch(Source);

impl Listing {
    /// The listing of nothing.
    pub(super) const fn empty() -> Self {
        Self { source: None, batch: VecDeque::new(), ended: true }
    }

    /// Opens a listing. Blocks.
    pub(super) fn open(directory: &Directory) -> Result<Self, Failure> {
        let entries = Dir::new(directory.open_for_reading()?)?;
        let folder = Arc::clone(&directory.folder);
        let source = Source { folder, entries: Arc::new(Mutex::new(entries)) };
        Ok(Self { source: Some(source), batch: VecDeque::new(), ended: false })
    }

    /// The next entry that is already here.
    pub(super) fn take(&mut self) -> Option<Entry> {
        self.batch.pop_front()
    }

    /// The job that reads on; `None` at the end.
    pub(super) fn more(&self) -> Option<NextBatch> {
        if self.ended { None } else { self.source.clone().map(NextBatch) }
    }

    /// Takes in what the job found.
    pub(super) fn refill(&mut self, batch: VecDeque<Entry>) {
        self.ended = batch.is_empty();
        self.batch = batch;
    }
}

impl NextBatch {
    /// The granted folder, for the record of a denial.
    pub(super) fn folder(&self) -> &Arc<Folder> {
        &self.0.folder
    }

    /// Reads on. Blocks.
    pub(super) fn read(&self) -> Result<VecDeque<Entry>, Failure> {
        if self.0.folder.is_revoked() {
            return Err(Failure::denied(Denied::Read));
        }
        let mut entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = VecDeque::with_capacity(BATCH);
        while batch.len() < BATCH {
            let Some(entry) = entries.read() else { break };
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) => batch.push_back(match entry.file_name().to_str() {
                    Ok(name) => Ok(DirectoryEntry {
                        type_: kind_of(entry.file_type()),
                        name: name.to_owned(),
                    }),
                    Err(_) => Err(ErrorCode::IllegalByteSequence.into()),
                }),
                Err(errno) => {
                    batch.push_back(Err(errno.into()));
                    break;
                }
            }
        }
        Ok(batch)
    }
}
