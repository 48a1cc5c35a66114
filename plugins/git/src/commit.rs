//! `commit`: files of the working folder, on a branch that is not protected.
//!
//! No hook runs, nothing is signed, and no filter of the repository's configuration converts:
//! a file that has one is refused.

use std::hash::{BuildHasher, Hasher, RandomState};

use gix::actor::Signature;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::date::Time;
use gix::index::entry::{Flags, Mode, Stage, Stat};
use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};

use crate::describe;
use crate::failure::{fault, write_failure};
use crate::lock::Lock;
use crate::repository::{CommitInfo, Error};
use crate::worktree::{self, OnDisk};
use crate::{branch, tree};

/// Files of one commit.
const FILES_MAX: usize = 10_000;
/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A number that differs from call to call. New objects are written under names that tempfile draws
/// with fastrand, whose own seed is the clock: in a component without one, each call would draw the
/// names of the call before, and meet what that one left behind when it was killed.
fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What is to be committed.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) branch: &'a str,
    pub(crate) message: &'a str,
    pub(crate) files: &'a [String],
    pub(crate) author_name: Option<&'a str>,
    pub(crate) author_email: Option<&'a str>,
}

/// Commits.
pub(crate) fn commit(repo: &Repository, wanted: &Wanted<'_>) -> Result<CommitInfo, Error> {
    check(repo, wanted)?;
    fastrand::seed(fresh());
    let branch = branch::allowed(repo, wanted.branch)?;
    let author = author(repo, wanted)?;
    let (tip, exists) = branch::tip(repo, &branch)?;
    let files = on_disk(repo, wanted.files)?;
    let before = match tip {
        Some(tip) => {
            repo.find_commit(tip).and_then(|c| Ok(c.tree_id()?.detach())).map_err(fault)?
        }
        None => repo.empty_tree().id,
    };
    let after = edited(repo, before, &files)?;
    if after == before {
        return Err(Error::NothingToCommit);
    }
    let mut message = wanted.message.trim_end().to_owned();
    message.push('\n');
    let info = gix::objs::Commit {
        message: message.into(),
        tree: after,
        author: author.clone(),
        committer: author,
        encoding: None,
        parents: tip.into_iter().collect(),
        extra_headers: Vec::new(),
    };
    let id = repo.write_object(&info).map_err(write_failure)?.detach();
    // Locked before the branch moves: where the index cannot follow, nothing is committed.
    let checked_out = repo.head_name().map_err(fault)?.as_ref() == Some(&branch);
    let lock = if checked_out {
        Some(Lock::take(&repo.index_path()).map_err(write_failure)?)
    } else {
        None
    };
    branch::advance(repo, &branch, id, (tip, exists), &info)?;
    if let Some(lock) = lock {
        update_index(repo, &files, lock)?;
    }
    let commit = repo.find_commit(id).map_err(fault)?;
    Ok(describe::commit(id, &commit.decode().map_err(fault)?))
}

fn check(repo: &Repository, wanted: &Wanted<'_>) -> Result<(), Error> {
    let wrong = if repo.workdir().is_none() {
        "a bare repository has no working folder to commit from"
    } else if wanted.message.trim().is_empty() || wanted.message.len() > MESSAGE_BYTES_MAX {
        "the message is empty or too long"
    } else if wanted.files.is_empty() || wanted.files.len() > FILES_MAX {
        "name 1 to 10000 files"
    } else {
        return Ok(());
    };
    Err(Error::Invalid(wrong.to_owned()))
}

fn author(repo: &Repository, wanted: &Wanted<'_>) -> Result<Signature, Error> {
    let config = repo.config_snapshot();
    let part = |given: Option<&str>, key: &str| {
        let text: BString = match given {
            Some(text) => text.into(),
            None => config.string(key).unwrap_or_default(),
        };
        let wrong = text.trim().is_empty() || text.find_byteset(b"<>\n\0").is_some();
        if wrong {
            Err(Error::Invalid(format!("the author needs a {key}: give it")))
        } else {
            Ok(text)
        }
    };
    Ok(Signature {
        name: part(wanted.author_name, "user.name")?,
        email: part(wanted.author_email, "user.email")?,
        time: Time::now_utc(),
    })
}

/// A file that is committed.
struct File {
    path: BString,
    found: OnDisk,
}

/// The files as the working folder has them, their content written as objects.
fn on_disk(repo: &Repository, files: &[String]) -> Result<Vec<File>, Error> {
    let (mut filters, index) = repo.filter_pipeline(None).map_err(fault)?;
    let mut attributes = repo
        .attributes_only(
            &index,
            gix::worktree::stack::state::attributes::Source::WorktreeThenIdMapping,
        )
        .map_err(fault)?;
    let mut filter = attributes.selected_attribute_matches(["filter"]);
    let mut found = Vec::new();
    for file in files {
        let parts = tree::components(file)?;
        if parts.iter().any(|part| part.eq_ignore_ascii_case(b".git")) {
            return Err(Error::Invalid(format!("{file}: not a file of the repository")));
        }
        beyond_link(repo, file)?;
        let path = BStr::new(file.as_str());
        let platform = attributes.at_entry(path, None).map_err(fault)?;
        platform.matching_attributes(&mut filter);
        if filter.iter_selected().any(|found| {
            !matches!(
                found.assignment.state,
                gix::attrs::StateRef::Unspecified | gix::attrs::StateRef::Unset
            )
        }) {
            return Err(Error::Unsupported(format!(
                "{file} has a content filter, which is never run"
            )));
        }
        let object = filters.worktree_file_to_object(path, &index).map_err(write_failure)?;
        let before = index.entry_by_path(path).map(|entry| entry.mode);
        let object = object.map(|(id, kind, _)| {
            let mode = worktree::mode(kind);
            (id, before.map_or(mode, |before| worktree::kept_mode(before, mode)))
        });
        found.push(File { path: path.to_owned(), found: object });
    }
    Ok(found)
}

/// A path through a symbolic link leads out of the repository; git refuses it too.
fn beyond_link(repo: &Repository, file: &str) -> Result<(), Error> {
    let Some(mut folder) = repo.workdir().map(std::path::Path::to_path_buf) else { return Ok(()) };
    let mut parts = file.split('/').peekable();
    while let Some(part) = parts.next() {
        folder.push(part);
        let is_link = folder.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if is_link && parts.peek().is_some() {
            return Err(Error::Invalid(format!("{file} lies beyond a symbolic link")));
        }
    }
    Ok(())
}

/// The tree with the files in it.
fn edited(repo: &Repository, tree: ObjectId, files: &[File]) -> Result<ObjectId, Error> {
    let mut editor = repo.edit_tree(tree).map_err(fault)?;
    for file in files {
        let path = file.path.as_bstr();
        match file.found {
            Some((id, mode)) => {
                let kind = match mode {
                    Mode::FILE_EXECUTABLE => EntryKind::BlobExecutable,
                    Mode::SYMLINK => EntryKind::Link,
                    Mode::COMMIT => EntryKind::Commit,
                    _ => EntryKind::Blob,
                };
                editor.upsert(path, kind, id).map_err(fault)?;
            }
            None => {
                editor.remove(path).map_err(fault)?;
            }
        }
    }
    editor.write().map(gix::Id::detach).map_err(write_failure)
}

/// Lets the index follow for the files, so that they are not seen as changed.
fn update_index(repo: &Repository, files: &[File], lock: Lock) -> Result<(), Error> {
    let mut index = (**repo.index_or_empty().map_err(fault)?).clone();
    index.remove_entries(|_, path, _| files.iter().any(|file| file.path == path));
    for file in files {
        let Some((id, mode)) = file.found else { continue };
        let stat = repo
            .workdir_path(file.path.as_bstr())
            .and_then(|path| gix::index::fs::Metadata::from_path_no_follow(&path).ok())
            .and_then(|metadata| Stat::from_fs(&metadata).ok())
            .unwrap_or_default();
        let flags = Flags::from_stage(Stage::Unconflicted);
        index.dangerously_push_entry(stat, id, flags, mode, file.path.as_bstr());
    }
    index.sort_entries();
    index.remove_tree();
    let mut bytes = Vec::new();
    index.write_to(&mut bytes, gix::index::write::Options::default()).map_err(fault)?;
    lock.finish(&bytes).map_err(write_failure)
}
