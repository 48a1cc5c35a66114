//! `status`: commit, index and working folder side by side.

use std::collections::BTreeMap;

use gix::Repository;
use gix::bstr::{BString, ByteSlice};
use gix::diff::index::Change as Staged;
use gix::status::index_worktree::Item as Unstaged;
use gix::status::plumbing::index_as_worktree::{Change, EntryStatus};
use gix::status::{Item, UntrackedFiles, tree_index::TrackRenames};

use crate::difference::rewrites;
use crate::failure::fault;
use crate::repository::{ChangeKind, Error, StatusEntry, WorkingState};
use crate::submodule;

/// The state of the working folder.
pub(crate) fn status(repo: &Repository, limit: usize) -> Result<WorkingState, Error> {
    if repo.is_bare() {
        return Err(Error::Invalid("a bare repository has no working folder".to_owned()));
    }
    let mut entries = BTreeMap::new();
    for item in items(repo)? {
        match item.map_err(fault)? {
            Item::TreeIndex(change) => staged(&mut entries, &change),
            Item::IndexWorktree(item) => unstaged(&mut entries, item),
        }
    }
    let index = repo.index_or_empty().map_err(fault)?;
    for changed in submodule::changed(repo, &index)? {
        entry(&mut entries, &changed.path).unstaged = Some(ChangeKind::Modified);
    }
    let head = repo.head().map_err(fault)?;
    let branch = head.referent_name().map(|name| name.shorten().to_str_lossy().into_owned());
    let truncated = entries.len() > limit;
    Ok(WorkingState {
        branch,
        head: head.id().map(|id| id.to_string()),
        entries: entries.into_values().take(limit).collect(),
        truncated,
    })
}

/// What differs between commit, index and working folder, submodules apart.
pub(crate) fn items(repo: &Repository) -> Result<gix::status::Iter, Error> {
    repo.status(gix::progress::Discard)
        .map_err(fault)?
        .untracked_files(UntrackedFiles::Collapsed)
        .index_worktree_rewrites(None)
        .index_worktree_submodules(submodule::LEFT_OUT)
        .tree_index_track_renames(TrackRenames::Given(rewrites()))
        .into_iter(None)
        .map_err(fault)
}

type Entries = BTreeMap<BString, StatusEntry>;

fn entry<'a>(entries: &'a mut Entries, path: &[u8]) -> &'a mut StatusEntry {
    entries.entry(path.into()).or_insert_with(|| StatusEntry {
        path: path.to_str_lossy().into_owned(),
        old_path: None,
        staged: None,
        unstaged: None,
    })
}

fn staged(entries: &mut Entries, change: &Staged) {
    let found = entry(entries, change.location());
    found.staged = Some(match change {
        Staged::Addition { .. } => ChangeKind::Added,
        Staged::Deletion { .. } => ChangeKind::Deleted,
        Staged::Modification { previous_entry_mode, entry_mode, .. } => {
            if file_type(*previous_entry_mode) == file_type(*entry_mode) {
                ChangeKind::Modified
            } else {
                ChangeKind::TypeChanged
            }
        }
        Staged::Rewrite { source_location, .. } => {
            found.old_path = Some(source_location.to_str_lossy().into_owned());
            ChangeKind::Renamed
        }
    });
}

/// A mode without its permissions.
fn file_type(mode: gix::index::entry::Mode) -> u32 {
    mode.bits() & 0o170_000
}

fn unstaged(entries: &mut Entries, item: Unstaged) {
    match item {
        Unstaged::Modification { rela_path, status, .. } => {
            let kind = match status {
                EntryStatus::Conflict { .. } => ChangeKind::Conflicted,
                EntryStatus::Change(Change::Removed) => ChangeKind::Deleted,
                EntryStatus::Change(Change::Type { .. }) => ChangeKind::TypeChanged,
                EntryStatus::Change(_) => ChangeKind::Modified,
                EntryStatus::IntentToAdd => ChangeKind::Added,
                EntryStatus::NeedsUpdate(_) => return,
            };
            entry(entries, &rela_path).unstaged = Some(kind);
        }
        Unstaged::DirectoryContents { entry: found, .. } => {
            if matches!(found.status, gix::dir::entry::Status::Untracked) {
                let mut path = found.rela_path;
                if found.disk_kind.is_some_and(|kind| kind.is_dir()) {
                    path.push(b'/');
                }
                entry(entries, &path).unstaged = Some(ChangeKind::Untracked);
            }
        }
        Unstaged::Rewrite { .. } => {}
    }
}
