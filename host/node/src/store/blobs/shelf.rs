//! Which blobs there are, who holds them, and the file of each. A file appears and goes by a
//! rename under the lock of the shelf, so that what the shelf says is there is there.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use meshhost_core::{id::Digest, ports::PortError};

use crate::store::error::StoreError;

/// Folder of bytes that are not a blob yet, or not any more.
const TEMPORARY: &str = "new";

/// What the index says of a kept blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) length: u64,
    pub(super) pinned: bool,
    pub(super) last_use_us: i64,
}

#[derive(Debug)]
struct Entry {
    row: Row,
    kept: bool,
    holders: u32,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Digest, Entry>,
    /// Bytes of all entries and of everything that is being written.
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    quota_bytes: u64,
    state: Mutex<State>,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, quota_bytes: u64) -> Self {
        Self { folder, quota_bytes, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the kept blobs whose file is there; removes every other file. Returns the
    /// digests whose file is gone.
    pub(super) fn fill(&self, kept: Vec<(Digest, Row)>) -> Result<Vec<Digest>, StoreError> {
        let fault = || StoreError::io("sweep the folder of blobs");
        let temporary = self.folder.join(TEMPORARY);
        remove_all(&temporary).map_err(fault())?;
        make_folder(&temporary).map_err(fault())?;
        let mut state = self.state();
        let mut lost = Vec::new();
        for (digest, row) in kept {
            let length = fs::metadata(self.path(&digest)).map(|metadata| metadata.len()).ok();
            if length == Some(row.length) {
                state.bytes = state.bytes.saturating_add(row.length);
                state.entries.insert(digest, Entry { row, kept: true, holders: 0 });
            } else {
                lost.push(digest);
            }
        }
        for folder in fs::read_dir(&self.folder).map_err(fault())? {
            let folder = folder.map_err(fault())?;
            if folder.file_name() != TEMPORARY {
                sweep(&folder.path(), &state.entries).map_err(fault())?;
            }
        }
        Ok(lost)
    }

    pub(super) fn temporary(&self, number: u64) -> PathBuf {
        self.folder.join(TEMPORARY).join(number.to_string())
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_hex();
        self.folder.join(name.get(..2).unwrap_or_default()).join(&name)
    }

    /// Counts `bytes` that will be written. Says which kept blobs have to go for that; the caller
    /// takes their files away.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Vec<Digest>, PortError> {
        let mut state = self.state();
        let wanted = state.bytes.saturating_add(bytes);
        let victims = victims(&state, wanted.saturating_sub(self.quota_bytes))?;
        state.bytes = wanted;
        Ok(victims)
    }

    /// Gives back what [`Self::reserve`] counted.
    pub(super) fn release(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Puts a written file in its place, held once by the caller. Its bytes were reserved before;
    /// returns whether they still are (`false`: the blob was there already).
    pub(super) fn place(
        &self,
        digest: Digest,
        length: u64,
        temporary: &Path,
        now_us: i64,
    ) -> Result<bool, io::Error> {
        let mut state = self.state();
        if let Some(entry) = state.entries.get_mut(&digest) {
            entry.holders += 1;
            return Ok(false);
        }
        let path = self.path(&digest);
        path.parent().map_or(Ok(()), make_folder)?;
        fs::rename(temporary, &path)?;
        let row = Row { length, pinned: false, last_use_us: now_us };
        state.entries.insert(digest, Entry { row, kept: false, holders: 1 });
        Ok(true)
    }

    /// Holds a blob, so that it stays as long as the call. Returns its length.
    pub(super) fn hold(&self, digest: &Digest, now_us: i64) -> Result<u64, PortError> {
        let mut state = self.state();
        let entry = state.entries.get_mut(digest).ok_or(PortError::NotFound)?;
        entry.holders += 1;
        entry.row.last_use_us = now_us;
        Ok(entry.row.length)
    }

    /// Keeps a blob and returns what the index has to say of it.
    pub(super) fn keep(
        &self,
        digest: &Digest,
        pinned: Option<bool>,
        now_us: i64,
    ) -> Result<Row, PortError> {
        let mut state = self.state();
        let entry = state.entries.get_mut(digest).ok_or(PortError::NotFound)?;
        entry.kept = true;
        entry.row.pinned = pinned.unwrap_or(entry.row.pinned);
        entry.row.last_use_us = now_us;
        Ok(entry.row)
    }

    /// Ends one hold. Returns where the file went when nobody has the blob any more; the caller
    /// removes it there.
    pub(super) fn let_go(&self, digest: &Digest, number: u64) -> Option<PathBuf> {
        let mut state = self.state();
        let entry = state.entries.get_mut(digest)?;
        entry.holders = entry.holders.saturating_sub(1);
        if entry.holders > 0 || entry.kept {
            return None;
        }
        self.take_away(&mut state, digest, number)
    }

    /// Takes a kept blob away that [`Self::reserve`] chose, unless a call holds it by now.
    pub(super) fn evict(&self, digest: &Digest, number: u64) -> Option<PathBuf> {
        let mut state = self.state();
        let entry = state.entries.get(digest)?;
        if entry.holders > 0 || entry.row.pinned {
            return None;
        }
        self.take_away(&mut state, digest, number)
    }

    fn take_away(&self, state: &mut State, digest: &Digest, number: u64) -> Option<PathBuf> {
        let entry = state.entries.remove(digest)?;
        state.bytes = state.bytes.saturating_sub(entry.row.length);
        let away = self.temporary(number);
        // A file that cannot be moved is a leftover; the next opening sweeps it.
        fs::rename(self.path(digest), &away).ok().map(|()| away)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }
}

/// The kept blobs, least recently used first, that together free `missing` bytes.
fn victims(state: &State, missing: u64) -> Result<Vec<Digest>, PortError> {
    if missing == 0 {
        return Ok(Vec::new());
    }
    let mut free: Vec<(&Digest, &Row)> = state
        .entries
        .iter()
        .filter(|(_, entry)| entry.kept && entry.holders == 0 && !entry.row.pinned)
        .map(|(digest, entry)| (digest, &entry.row))
        .collect();
    free.sort_unstable_by_key(|(digest, row)| (row.last_use_us, **digest));
    let mut freed = 0;
    let mut chosen = Vec::new();
    for (digest, row) in free {
        if freed >= missing {
            break;
        }
        freed += row.length;
        chosen.push(*digest);
    }
    if freed < missing { Err(PortError::Quota) } else { Ok(chosen) }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the files of one folder that are no known blob.
fn sweep(folder: &Path, known: &HashMap<Digest, Entry>) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name();
        let digest = name.to_str().and_then(|hex| format!("blake3:{hex}").parse::<Digest>().ok());
        if !digest.is_some_and(|digest| known.contains_key(&digest)) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}
