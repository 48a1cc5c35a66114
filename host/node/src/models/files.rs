//! The files of models: one for each digest, written to a temporary name, synced and renamed in.
//! Nothing here knows which file belongs to what.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use meshhost_core::{code::Code, id::Digest, outcome::Refusal};

use crate::{
    copy::{self, Copying},
    regular_file::Links,
    store::error::StoreError,
};

const COPYING: Copying =
    Copying { invalid: Code::ModelInvalid, operation: "keep the files of a model" };
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
    let temporary = folder.join(TEMPORARY);
    let (digest, length) = COPYING.copy(source, links, &temporary, bytes_max)?;
    // Also where there is such a file: the one there may have been damaged.
    let renamed = fs::rename(&temporary, path(folder, &digest));
    renamed.map_err(|error| StoreError::io(COPYING.operation)(error).refusal())?;
    Ok((digest, length))
}

/// Makes the names of what was copied in survive a loss of power.
pub(super) fn sync(folder: &Path) -> Result<(), Refusal> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| StoreError::io(COPYING.operation)(error).refusal())
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
    match copy::digest(&path(folder, digest), length) {
        Ok(found) => (found != (*digest, length)).then_some("changed"),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
            Some("missing")
        }
        Err(_) => Some("unreadable"),
    }
}

#[cfg(test)]
mod tests;
