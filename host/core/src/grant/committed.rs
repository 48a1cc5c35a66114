//! What making a commit writes below `.git`: all that `fs:git` lets a plugin change.
//!
//! This is a list of what is in, so what it does not know is left out: hooks and configuration, and
//! also `HEAD`, `info`, `modules`, `worktrees`, and the states of an unfinished rebase, whose list of
//! commands git obeys when it goes on.

use super::executed::{executes_for_others, same_name};
use crate::permission::FolderMode;

/// The folders, as components below `.git`; those on the way to them may be made too.
const FOLDERS: [&[&str]; 3] = [&["objects"], &["refs", "heads"], &["logs", "refs", "heads"]];
/// The files beside them. (`X.lock` is made first and renamed over `X`.)
const FILES: [&[&str]; 3] = [&["index"], &["index.lock"], &["logs", "HEAD"]];
/// Folders of `objects` that no commit writes: `info` names the objects of other repositories, and
/// `pack` holds most of the history in few files.
const LEFT_OUT: [&str; 2] = ["info", "pack"];

/// Whether making a commit writes this path. Give the components of the whole path, those of the
/// granted folder itself first, after symbolic links are resolved.
///
/// Never true for what [`executes_for_others`] names, so `fs:rw` includes all of it. And whatever
/// is written there, no new repository begins: it would need a `HEAD` or a `.git`.
#[must_use]
pub fn commit_writes<'path>(components: impl Iterator<Item = &'path str> + Clone) -> bool {
    // Case and the like are not forgiven here: another spelling is left out.
    let below = components.clone().skip_while(|name| *name != ".git").skip(1);
    let is_file = FILES.iter().any(|file| below.clone().eq(file.iter().copied()));
    (is_file || lies_in_folders(below)) && !executes_for_others(components)
}

/// Whether a path below `.git` is in the folders, or on the way to them.
fn lies_in_folders<'path>(below: impl Iterator<Item = &'path str> + Clone) -> bool {
    let along = |folder: &[&str]| folder.iter().zip(below.clone()).all(|(own, name)| *own == name);
    let known = below.clone().next().is_some() && FOLDERS.iter().any(|folder| along(folder));
    let left_out = below.clone().next() == Some("objects")
        && below.clone().nth(1).is_some_and(|name| is_one_of(&LEFT_OUT, name));
    let begins_repository = below.clone().any(|name| is_one_of(&["HEAD", ".git"], name));
    known && !left_out && !begins_repository
}

/// The least that a folder must be granted for before this path may be changed. Give the path as
/// for [`commit_writes`].
#[must_use]
pub fn needed_to_change<'path>(components: impl Iterator<Item = &'path str> + Clone) -> FolderMode {
    if executes_for_others(components.clone()) {
        FolderMode::RwExec
    } else if commit_writes(components) {
        FolderMode::Git
    } else {
        FolderMode::Rw
    }
}

/// The least that a folder must be granted for before anything but a regular file or a new folder may
/// come to this path: a link, or a folder that is moved with all that is in it. Inside a repository
/// that is `fs:rw+exec`, because git writes through the links that lie there: `COMMIT_EDITMSG` →
/// `config` would make configuration of the next commit's message. Give the path as for
/// [`commit_writes`].
#[must_use]
pub fn needed_to_bring<'path>(components: impl Iterator<Item = &'path str> + Clone) -> FolderMode {
    let needed = needed_to_change(components.clone());
    let least = if lies_in_repository(components) { FolderMode::RwExec } else { FolderMode::Rw };
    needed.max(least)
}

/// Whether the path lies in what git keeps of a repository, or is that itself.
#[must_use]
pub fn lies_in_repository<'path>(mut components: impl Iterator<Item = &'path str>) -> bool {
    components.any(|name| same_name("*.git", name))
}

fn is_one_of(list: &[&str], name: &str) -> bool {
    list.iter().any(|own| same_name(own, name))
}

#[cfg(test)]
mod tests;
