//! The files of models: one for each digest, written to a temporary name, synced and renamed in.
//! Nothing here knows which file belongs to what.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use meshhost_core::{code::Code, id::Digest, outcome::Refusal};

use crate::{
    regular_file::{self, Links},
    store::{directory::no_follow, error::StoreError},
};

/// Bytes moved in one piece.
const PIECE_BYTES: usize = 256 * 1024;
/// The name of a file whose digest is not known yet. One change happens at a time.
const TEMPORARY: &str = ".new";

/// Where the file with this digest is.
pub(super) fn path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(digest.to_hex())
}

/// Copies a file in. What it holds is what was read, once, whatever happens to it meanwhile.
///
/// # Errors
/// [`Code::ModelInvalid`] when it cannot be read, is no regular file or has more than `bytes_max`
/// bytes; the fault of the store when it cannot be written.
pub(super) fn copy_in(
    folder: &Path,
    source: &Path,
    links: Links,
    bytes_max: u64,
) -> Result<(Digest, u64), Refusal> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            Refusal::new(Code::NotFound, format!("there is no file {}", source.display()))
        }
        _ => {
            let message = format!("{} cannot be read: {error}", source.display());
            Refusal::new(Code::ModelInvalid, message)
        }
    };
    let mut source_file = regular_file::open(source, links).map_err(unreadable)?;
    let temporary = folder.join(TEMPORARY);
    let unwritable = |error| StoreError::io("keep the files of a model")(error).refusal();
    let mut target = create(&temporary).map_err(unwritable)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut length: u64 = 0;
    loop {
        let count = source_file.read(&mut piece).map_err(unreadable)?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        length += bytes.len() as u64;
        if length > bytes_max {
            let message = format!(
                "{} is larger than {bytes_max} bytes, the most it may have",
                source.display()
            );
            return Err(Refusal::new(Code::ModelInvalid, message));
        }
        hasher.update(bytes);
        target.write_all(bytes).map_err(unwritable)?;
    }
    let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
    target.sync_all().map_err(unwritable)?;
    // Also where there is such a file: the one there may have been damaged.
    fs::rename(&temporary, path(folder, &digest)).map_err(unwritable)?;
    Ok((digest, length))
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow());
    options.open(path)
}

/// Makes the names of what was copied in survive a loss of power.
pub(super) fn sync(folder: &Path) -> Result<(), Refusal> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| StoreError::io("keep the files of a model")(error).refusal())
}

/// Removes every file but these: what was removed, and what a change that did not end left behind.
pub(super) fn sweep(folder: &Path, kept: &BTreeSet<Digest>) -> Result<(), Refusal> {
    let swept = (|| {
        let kept: BTreeSet<String> = kept.iter().map(Digest::to_hex).collect();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_kept = entry.file_name().to_str().is_some_and(|name| kept.contains(name));
            // A folder is not ours, and whoever made it knows what it is for.
            if !is_kept && !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    })();
    swept.map_err(|error| StoreError::io("remove the files of a model")(error).refusal())
}

/// What became of a file that was copied in; `None` when it is as it was.
pub(super) fn problem(folder: &Path, digest: &Digest, length: u64) -> Option<&'static str> {
    let Ok(mut file) = regular_file::open(&path(folder, digest), Links::Refuse) else {
        return Some("missing");
    };
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut read: u64 = 0;
    loop {
        let Ok(count) = file.read(&mut piece) else { return Some("unreadable") };
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        read += bytes.len() as u64;
        if read > length {
            break;
        }
    }
    let same = read == length && hasher.finalize().as_bytes() == digest.as_bytes();
    (!same).then_some("changed")
}

#[cfg(test)]
mod tests;
