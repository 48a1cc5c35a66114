//! What a path leads to, and what a folder holds.

use std::collections::BinaryHeap;
use std::fs::{self, Metadata};

use jiff::Timestamp;
use meshhost_sdk::path::absolute;

use crate::failure::failure;
use crate::files::{Entry, Error, Kind, Listing};

/// Entries when the caller names no limit.
const LIMIT_DEFAULT: u32 = 1_000;
/// The most entries.
const LIMIT_MAX: u32 = 10_000;

/// The caller's limit within ours.
pub(crate) fn bounded(limit: Option<u32>) -> usize {
    limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize
}

/// What a path leads to.
pub(crate) fn stat(path: &str, follow: bool) -> Result<Entry, Error> {
    let place = absolute(path);
    let metadata = if follow { fs::metadata(place) } else { fs::symlink_metadata(place) };
    metadata.map(|metadata| entry(path, &metadata)).map_err(|error| failure(path, &error))
}

/// A page of a folder, sorted by name.
pub(crate) fn list(path: &str, limit: Option<u32>, after: Option<&str>) -> Result<Listing, Error> {
    let failed = |error: std::io::Error| failure(path, &error);
    let limit = bounded(limit);
    // The smallest names seen so far, the largest of them on top: the memory stays bounded
    // however many entries the folder has.
    let mut names = BinaryHeap::new();
    let mut truncated = false;
    for found in fs::read_dir(absolute(path)).map_err(failed)? {
        let name = found.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if after.is_some_and(|after| name.as_str() <= after) {
            continue;
        }
        names.push(name);
        if names.len() > limit {
            names.pop();
            truncated = true;
        }
    }
    let mut entries = Vec::with_capacity(names.len());
    for name in names.into_sorted_vec() {
        match stat(&join(path, &name), false) {
            // It went away while the folder was read.
            Err(Error::NotFound(_)) => {}
            found => entries.push(found?),
        }
    }
    Ok(Listing { entries, truncated })
}

/// A path below `path`, written as the caller writes paths.
pub(crate) fn join(path: &str, name: &str) -> String {
    match path {
        "" | "." => name.to_owned(),
        _ if path.ends_with('/') => format!("{path}{name}"),
        _ => format!("{path}/{name}"),
    }
}

fn entry(path: &str, metadata: &Metadata) -> Entry {
    let file_type = metadata.file_type();
    let kind = if file_type.is_symlink() {
        Kind::Link
    } else if file_type.is_dir() {
        Kind::Folder
    } else if file_type.is_file() {
        Kind::File
    } else {
        Kind::Other
    };
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    Entry {
        path: path.to_owned(),
        kind,
        size: if kind == Kind::Folder { 0 } else { metadata.len() },
        modified: modified.map(|time| time.to_string()),
    }
}
