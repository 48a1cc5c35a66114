//! The working folder as an index: what `git add --update` would make of it, in memory alone.

use gix::ObjectId;
use gix::Repository;
use gix::bstr::BStr;
use gix::index::{State, entry::Mode};
use gix::object::tree::EntryKind;
use gix::status::UntrackedFiles;
use gix::status::index_worktree::Item;
use gix::status::plumbing::index_as_worktree::{Change, EntryStatus};

use crate::failure::fault;
use crate::repository::Error;
use crate::submodule;

/// `index` with the files as the working folder has them. The repository must keep new objects in
/// memory.
pub(crate) fn state(repo: &Repository, mut index: State) -> Result<State, Error> {
    let (mut filters, attributes) = repo.filter_pipeline(None).map_err(fault)?;
    let changes = repo
        .status(gix::progress::Discard)
        .map_err(fault)?
        .untracked_files(UntrackedFiles::None)
        .index_worktree_rewrites(None)
        .index_worktree_submodules(submodule::LEFT_OUT)
        .into_index_worktree_iter(None)
        .map_err(fault)?;
    let mut removed = Vec::new();
    for item in changes {
        let Item::Modification { rela_path, entry_index, status, .. } = item.map_err(fault)? else {
            continue;
        };
        let path: &BStr = rela_path.as_ref();
        let now = match status {
            EntryStatus::Change(Change::Removed) => None,
            EntryStatus::Change(_) | EntryStatus::IntentToAdd => {
                let file = filters.worktree_file_to_object(path, &attributes).map_err(fault)?;
                file.map(|(id, kind, _)| (id, mode(kind)))
            }
            EntryStatus::Conflict { .. } | EntryStatus::NeedsUpdate(_) => continue,
        };
        match (now, index.entries_mut().get_mut(entry_index)) {
            (Some((id, mode)), Some(entry)) => {
                entry.id = id;
                entry.mode = kept_mode(entry.mode, mode);
            }
            _ => removed.push(entry_index),
        }
    }
    for changed in submodule::changed(repo, &index)? {
        if let Some((entry, head)) = index.entries_mut().get_mut(changed.entry).zip(changed.head) {
            entry.id = head;
        }
    }
    index.remove_entries(|number, _, _| removed.binary_search(&number).is_ok());
    Ok(index)
}

/// The mode of an index entry for what was found on disk.
pub(crate) fn mode(kind: EntryKind) -> Mode {
    match kind {
        EntryKind::BlobExecutable => Mode::FILE_EXECUTABLE,
        EntryKind::Link => Mode::SYMLINK,
        EntryKind::Commit => Mode::COMMIT,
        EntryKind::Blob | EntryKind::Tree => Mode::FILE,
    }
}

/// A guest sees no execute bits: a file keeps the one it had.
pub(crate) fn kept_mode(before: Mode, found: Mode) -> Mode {
    let keeps = cfg!(target_family = "wasm") && found == Mode::FILE;
    if keeps && before == Mode::FILE_EXECUTABLE { before } else { found }
}

/// The object of a file on disk: its id and mode, or nothing when it is gone.
pub(crate) type OnDisk = Option<(ObjectId, Mode)>;
