//! Submodules in the working folder. gix opens one as the program of a user whose files it may
//! trust; a component has no user to ask for, so each is opened here as every repository is.

use gix::bstr::{BString, ByteSlice};
use gix::index::{State, entry::Mode, entry::Stage};
use gix::status::Submodule;
use gix::{ObjectId, Repository, submodule};

use crate::failure::fault;
use crate::repository::Error;
use crate::{open, status};

/// Submodules inside submodules that are looked at.
const DEPTH_MAX: usize = 8;

/// What gix is told about submodules: to leave them to [`changed`].
pub(crate) const LEFT_OUT: Submodule =
    Submodule::Given { ignore: submodule::config::Ignore::All, check_dirty: false };

/// A submodule that is not as the index says.
#[derive(Debug)]
pub(crate) struct Changed {
    /// Its place in the index.
    pub(crate) entry: usize,
    pub(crate) path: BString,
    /// What is checked out there; nothing when it has no commit.
    pub(crate) head: Option<ObjectId>,
}

/// The submodules where another commit is checked out, or something in their folder is changed.
pub(crate) fn changed(repo: &Repository, index: &State) -> Result<Vec<Changed>, Error> {
    changed_within(repo, index, DEPTH_MAX)
}

fn changed_within(repo: &Repository, index: &State, depth: usize) -> Result<Vec<Changed>, Error> {
    let Some(folder) = repo.workdir() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (number, entry) in index.entries().iter().enumerate() {
        if entry.mode != Mode::COMMIT || entry.stage() != Stage::Unconflicted {
            continue;
        }
        let path = entry.path(index);
        let Ok(relative) = path.to_path() else { continue };
        let inside = folder.join(relative);
        // A submodule that is not checked out is an empty folder.
        if inside.join(".git").symlink_metadata().is_err() {
            continue;
        }
        let submodule = open::at(&inside)?;
        let head = submodule.head_id().ok().map(gix::Id::detach);
        if head != Some(entry.id) || is_dirty(&submodule, depth)? {
            found.push(Changed { entry: number, path: path.to_owned(), head });
        }
    }
    Ok(found)
}

fn is_dirty(submodule: &Repository, depth: usize) -> Result<bool, Error> {
    if let Some(item) = status::items(submodule)?.next() {
        item.map_err(fault)?;
        return Ok(true);
    }
    let index = submodule.index_or_empty().map_err(fault)?;
    Ok(depth > 0 && !changed_within(submodule, &index, depth - 1)?.is_empty())
}
