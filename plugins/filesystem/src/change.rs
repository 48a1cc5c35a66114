//! Making, moving and removing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use meshhost_sdk::path::absolute;

use crate::failure::{failure, kind};
use crate::files::{Entry, Error, Existing};
use crate::listing;

/// Folders that one call removes: an end for a folder that somebody keeps filling.
const REMOVED_FOLDERS_MAX: usize = 1_000_000;

/// Makes a folder.
pub(crate) fn make_folder(path: &str, parents: bool) -> Result<Entry, Error> {
    let place = absolute(path);
    let made = if parents { make_all(&place) } else { fs::create_dir(&place) };
    made.map_err(|error| failure(path, &error))?;
    listing::stat(path, true)
}

/// Like `create_dir_all`, but asks first whether a parent is there: what lies above a granted
/// folder cannot be made and need not be.
fn make_all(place: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = place.ancestors().take_while(|folder| !folder.is_dir()).collect();
    missing.into_iter().rev().try_for_each(|folder| match fs::create_dir(folder) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    })
}

/// Moves a file or folder.
pub(crate) fn rename(path: &str, destination: &str, existing: Existing) -> Result<Entry, Error> {
    let target = absolute(destination);
    if existing == Existing::Keep && fs::symlink_metadata(&target).is_ok() {
        return Err(Error::AlreadyExists(destination.to_owned()));
    }
    fs::rename(absolute(path), &target).map_err(|error| match kind(&error) {
        io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => failure(destination, &error),
        _ => failure(path, &error),
    })?;
    listing::stat(destination, false)
}

/// Removes a file, a link or a folder.
pub(crate) fn remove(path: &str, recursive: bool) -> Result<(), Error> {
    let place = absolute(path);
    let removed = fs::symlink_metadata(&place).and_then(|metadata| {
        if !metadata.is_dir() {
            fs::remove_file(&place)
        } else if recursive {
            remove_all(place)
        } else {
            fs::remove_dir(&place)
        }
    });
    removed.map_err(|error| failure(path, &error))
}

/// Removes a folder and what is in it, without recursion: the depth is the caller's, the stack
/// is ours. Links are removed, never followed.
fn remove_all(root: PathBuf) -> io::Result<()> {
    let mut pending = vec![root];
    for _ in 0..REMOVED_FOLDERS_MAX {
        let Some(folder) = pending.last().cloned() else { return Ok(()) };
        let mut folders = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        if folders.is_empty() {
            fs::remove_dir(&folder)?;
            pending.pop();
        } else {
            pending.append(&mut folders);
        }
    }
    Err(io::Error::other("too many folders for one call"))
}
