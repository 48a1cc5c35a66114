//! Walks a tree in the order of its paths, without recursion and within bounds.

use std::fs;
use std::path::PathBuf;

use meshhost_sdk::path::absolute;

use crate::failure::failure;
use crate::files::Error;
use crate::listing::join;

/// Entries that one walk looks at.
const VISITS_MAX: usize = 200_000;
/// Folders within folders.
const DEPTH_MAX: usize = 128;

/// Something found on the way.
#[derive(Debug)]
pub(crate) struct Found {
    /// As the caller writes paths.
    pub(crate) path: String,
    /// From the root of the walk; empty for the root itself.
    pub(crate) relative: String,
    /// Where it is.
    pub(crate) place: PathBuf,
    /// A folder, and no link to one.
    pub(crate) is_folder: bool,
    /// A regular file.
    pub(crate) is_file: bool,
    depth: usize,
}

/// A walk. It yields what lies below the root, parents before children.
#[derive(Debug)]
pub(crate) struct Walk<F> {
    pending: Vec<Found>,
    visits: usize,
    truncated: bool,
    wanted: F,
}

impl<F: Fn(&Found) -> bool> Walk<F> {
    /// Begins at `path`. What `wanted` refuses is neither yielded nor entered.
    pub(crate) fn new(path: &str, wanted: F) -> Result<Self, Error> {
        let place = absolute(path);
        let metadata = fs::metadata(&place).map_err(|error| failure(path, &error))?;
        let root = Found {
            path: path.to_owned(),
            relative: String::new(),
            place,
            is_folder: metadata.is_dir(),
            is_file: metadata.is_file(),
            depth: 0,
        };
        let mut walk = Self { pending: Vec::new(), visits: 0, truncated: false, wanted };
        if root.is_folder {
            walk.enter(&root).map_err(|error| failure(path, &error))?;
        } else {
            walk.pending.push(root);
        }
        Ok(walk)
    }

    /// Whether a bound left something out.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    fn enter(&mut self, folder: &Found) -> std::io::Result<()> {
        if folder.depth >= DEPTH_MAX {
            self.truncated = true;
            return Ok(());
        }
        let first = self.pending.len();
        for entry in fs::read_dir(&folder.place)? {
            let entry = entry?;
            self.visits += 1;
            if self.visits > VISITS_MAX {
                self.truncated = true;
                break;
            }
            let file_type = entry.file_type()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let found = Found {
                path: join(&folder.path, &name),
                relative: join(&folder.relative, &name),
                place: entry.path(),
                is_folder: file_type.is_dir(),
                is_file: file_type.is_file(),
                depth: folder.depth + 1,
            };
            if (self.wanted)(&found) {
                self.pending.push(found);
            }
        }
        // Folders sort as if their name ended with `/`: so the whole walk is in the order of paths.
        if let Some(added) = self.pending.get_mut(first..) {
            added.sort_by(|a, b| sort_key(b).cmp(sort_key(a)));
        }
        Ok(())
    }
}

fn sort_key(found: &Found) -> impl Iterator<Item = u8> {
    found.relative.bytes().chain(found.is_folder.then_some(b'/'))
}

impl<F: Fn(&Found) -> bool> Iterator for Walk<F> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let found = self.pending.pop()?;
        // A folder that cannot be read, or is gone, is passed over and counts as left out.
        if found.is_folder && self.enter(&found).is_err() {
            self.truncated = true;
        }
        Some(found)
    }
}
