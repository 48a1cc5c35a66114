//! `diff` and `show`: which files differ between two states.
//!
//! States of commits are trees, compared as trees. Index and working folder are compared as
//! indices; changed files of the working folder are put into memory as objects, never on disk, so
//! that renames and patches treat all states alike.

use gix::bstr::{BString, ByteSlice};
use gix::diff::Rewrites;
use gix::diff::index::ChangeRef;
use gix::index::{State, entry::Mode};
use gix::object::tree::diff::ChangeDetached;
use gix::{ObjectId, Repository, Tree};

use crate::content::content;
use crate::describe;
use crate::failure::fault;
use crate::repository::{Change, ChangeKind, CommitChange, Difference, Error};
use crate::worktree;
use crate::{open, patch, tree};

/// Lines around each change when the caller does not say.
pub(crate) const CONTEXT_DEFAULT: u32 = 3;
/// The most lines around each change.
const CONTEXT_MAX: u32 = 100;
/// Files of one difference.
const FILES_MAX: usize = 5_000;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) old: Option<&'a str>,
    pub(crate) new: Option<&'a str>,
    pub(crate) staged: bool,
    pub(crate) file: Option<&'a str>,
    pub(crate) context: u32,
}

/// A file on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) path: BString,
    pub(crate) id: ObjectId,
    pub(crate) mode: u32,
}

/// A file that differs.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) old: Option<Side>,
    pub(crate) new: Option<Side>,
}

/// How renames are found: as git does without options, at half the content and 1,000 candidates.
pub(crate) fn rewrites() -> Rewrites {
    Rewrites { copies: None, percentage: Some(0.5), limit: 1_000, track_empty: true }
}

/// Compares two states.
pub(crate) fn diff(repo: Repository, query: &Query<'_>) -> Result<Difference, Error> {
    if query.new.is_none() && repo.is_bare() && !query.staged {
        return Err(Error::Invalid(
            "a bare repository has no working folder: name two revisions".into(),
        ));
    }
    let repo = repo.with_object_memory();
    let pairs = match (query.old, query.new, query.staged) {
        (Some(_) | None, Some(_), true) => {
            return Err(Error::Invalid("staged compares with the index: leave out new".into()));
        }
        (None, Some(_), false) => {
            return Err(Error::Invalid("new needs old".into()));
        }
        (Some(old), Some(new), false) => {
            let (old, new) = (tree::root(&repo, old)?, tree::root(&repo, new)?);
            trees(&repo, Some(&old), &new, query.file)?
        }
        (old, None, true) => {
            let old = match old {
                Some(old) => of_tree(&repo, tree::root(&repo, old)?.id)?,
                None => of_tree(&repo, repo.head_tree_id_or_empty().map_err(fault)?.detach())?,
            };
            indices(&repo, old, index(&repo)?, query.file)?
        }
        (old, None, false) => {
            let old = match old {
                Some(old) => of_tree(&repo, tree::root(&repo, old)?.id)?,
                None => index(&repo)?,
            };
            indices(&repo, old, worktree::state(&repo, index(&repo)?)?, query.file)?
        }
    };
    difference(&repo, pairs, query.context)
}

/// A commit and what it changed.
pub(crate) fn show(
    repo: &Repository,
    revision: &str,
    file: Option<&str>,
) -> Result<CommitChange, Error> {
    let commit = open::commit(repo, revision)?;
    let mut info = describe::commit(commit.id, &commit.decode().map_err(fault)?);
    let shallow = repo.shallow_commits().map_err(fault)?;
    if shallow.is_some_and(|shallow| shallow.binary_search(&commit.id).is_ok()) {
        info.parents.clear();
    }
    let new = commit.tree().map_err(fault)?;
    let pairs = match info.parents.as_slice() {
        [] => trees(repo, None, &new, file)?,
        [_] => {
            let parent = commit.parent_ids().next().ok_or_else(|| fault("a parent went away"))?;
            let old = repo.find_commit(parent).map_err(fault)?.tree().map_err(fault)?;
            trees(repo, Some(&old), &new, file)?
        }
        _ => Vec::new(),
    };
    let difference = difference(repo, pairs, CONTEXT_DEFAULT)?;
    Ok(CommitChange { commit: info, difference })
}

fn difference(repo: &Repository, mut pairs: Vec<Pair>, context: u32) -> Result<Difference, Error> {
    pairs.sort_by(|a, b| a.path().cmp(b.path()));
    let mut truncated = pairs.len() > FILES_MAX;
    pairs.truncate(FILES_MAX);
    let (patch, complete) = patch::patch(repo, &pairs, context.min(CONTEXT_MAX))?;
    truncated |= !complete;
    let changes = pairs.iter().map(Pair::shown).collect();
    Ok(Difference { changes, patch: content(patch)?, truncated })
}

/// Whether `path` is `folder` or lies in it.
fn is_within(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

fn index(repo: &Repository) -> Result<State, Error> {
    Ok((***repo.index_or_empty().map_err(fault)?).clone())
}

fn of_tree(repo: &Repository, id: ObjectId) -> Result<State, Error> {
    repo.index_from_tree(&id).map(State::from).map_err(fault)
}

fn trees(
    repo: &Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
    file: Option<&str>,
) -> Result<Vec<Pair>, Error> {
    if file.is_some() {
        let old = old.map_or_else(|| repo.empty_tree().id, |old| old.id);
        return indices(repo, of_tree(repo, old)?, of_tree(repo, new.id)?, file);
    }
    let options = gix::diff::Options::default().with_rewrites(Some(rewrites()));
    let changes = repo.diff_tree_to_tree(old, Some(new), options).map_err(fault)?;
    let side = |path: BString, id, mode: gix::objs::tree::EntryMode| Side {
        path,
        id,
        mode: u32::from(mode.value()),
    };
    let files = changes.into_iter().filter(|change| !change.entry_mode().is_tree());
    Ok(files
        .map(|change| match change {
            ChangeDetached::Addition { location, entry_mode, id, .. } => {
                Pair { old: None, new: Some(side(location, id, entry_mode)) }
            }
            ChangeDetached::Deletion { location, entry_mode, id, .. } => {
                Pair { old: Some(side(location, id, entry_mode)), new: None }
            }
            ChangeDetached::Modification {
                location,
                previous_entry_mode,
                previous_id,
                entry_mode,
                id,
            } => Pair {
                old: Some(side(location.clone(), previous_id, previous_entry_mode)),
                new: Some(side(location, id, entry_mode)),
            },
            ChangeDetached::Rewrite {
                source_location,
                source_entry_mode,
                source_id,
                location,
                entry_mode,
                id,
                ..
            } => Pair {
                old: Some(side(source_location, source_id, source_entry_mode)),
                new: Some(side(location, id, entry_mode)),
            },
        })
        .collect())
}

fn indices(
    repo: &Repository,
    mut old: State,
    mut new: State,
    file: Option<&str>,
) -> Result<Vec<Pair>, Error> {
    // As git does: with a path given, nothing else is looked at, not even for renames.
    if let Some(file) = file {
        let path = tree::components(file)?.join(&b'/');
        old.remove_entries(|_, other, _| !is_within(other, &path));
        new.remove_entries(|_, other, _| !is_within(other, &path));
    }
    let mut pairs = Vec::new();
    let mut cache = repo.diff_resource_cache_for_tree_diff().map_err(fault)?;
    let options = gix::diff::index::RewriteOptions {
        resource_cache: &mut cache,
        find: repo,
        rewrites: rewrites(),
    };
    let mut everything =
        gix::pathspec::Search::from_specs(None, None, std::path::Path::new("")).map_err(fault)?;
    gix::diff::index(
        &old,
        &new,
        |change| -> gix::Result<_> {
            pairs.push(pair(&change));
            Ok(std::ops::ControlFlow::Continue(()))
        },
        Some(options),
        &mut everything,
        &mut |_, _, _, _| false,
    )
    .map_err(fault)?;
    Ok(pairs)
}

fn pair(change: &ChangeRef<'_, '_>) -> Pair {
    let side = |path: &[u8], id: &gix::oid, mode: Mode| {
        Some(Side { path: path.into(), id: id.to_owned(), mode: mode.bits() })
    };
    match change {
        ChangeRef::Addition { location, entry_mode, id, .. } => {
            Pair { old: None, new: side(location, id, *entry_mode) }
        }
        ChangeRef::Deletion { location, entry_mode, id, .. } => {
            Pair { old: side(location, id, *entry_mode), new: None }
        }
        ChangeRef::Modification {
            location,
            previous_entry_mode,
            previous_id,
            entry_mode,
            id,
            ..
        } => Pair {
            old: side(location, previous_id, *previous_entry_mode),
            new: side(location, id, *entry_mode),
        },
        ChangeRef::Rewrite {
            source_location,
            source_entry_mode,
            source_id,
            location,
            entry_mode,
            id,
            ..
        } => Pair {
            old: side(source_location, source_id, *source_entry_mode),
            new: side(location, id, *entry_mode),
        },
    }
}

impl Pair {
    /// The path by which it is sorted: the new one, if there is one.
    fn path(&self) -> &[u8] {
        self.new.as_ref().or(self.old.as_ref()).map_or(b"", |side| side.path.as_slice())
    }

    /// Whether a file became a link, a link a submodule, or the like.
    pub(crate) fn is_type_change(&self) -> bool {
        let types = self.old.as_ref().zip(self.new.as_ref());
        types.is_some_and(|(old, new)| old.mode & 0o170_000 != new.mode & 0o170_000)
    }

    fn shown(&self) -> Change {
        let text = |side: &Side| side.path.to_str_lossy().into_owned();
        let id = |side: &Side| side.id.to_string();
        let mode = |side: &Side| format!("{:06o}", side.mode);
        let kind = match (&self.old, &self.new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            (Some(old), Some(new)) if old.path != new.path => ChangeKind::Renamed,
            _ if self.is_type_change() => ChangeKind::TypeChanged,
            _ => ChangeKind::Modified,
        };
        let old_path = self.old.as_ref().filter(|_| kind == ChangeKind::Renamed).map(text);
        Change {
            kind,
            path: self.path().to_str_lossy().into_owned(),
            old_path,
            old_id: self.old.as_ref().map(id),
            new_id: self.new.as_ref().map(id),
            old_mode: self.old.as_ref().map(mode),
            new_mode: self.new.as_ref().map(mode),
        }
    }
}
