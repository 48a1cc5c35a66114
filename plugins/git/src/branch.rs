//! The branches that `commit` may move, and moving them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use gix::bstr::{BStr, ByteSlice};
use gix::refs::FullName;
use gix::{ObjectId, Repository};

use crate::failure::{fault, write_failure};
use crate::lock::Lock;
use crate::repository::Error;

/// Branches that nobody commits on through this plugin, and what lies under `release/`.
const PROTECTED: [&str; 6] = ["main", "master", "trunk", "develop", "production", "release"];
/// The branch's full name, when commits on it are allowed.
pub(crate) fn allowed(repo: &Repository, short: &str) -> Result<FullName, Error> {
    let name = FullName::try_from(format!("refs/heads/{short}"))
        .ok()
        .filter(|_| !short.starts_with('-') && short != "HEAD")
        .ok_or_else(|| Error::Invalid(format!("{short:?} is no name of a branch")))?;
    let protected = PROTECTED.iter().any(|one| one.eq_ignore_ascii_case(short))
        || short.to_ascii_lowercase().starts_with("release/")
        || is_default_of_a_remote(repo, short)?;
    if protected {
        return Err(Error::ProtectedBranch(format!("{short} is protected")));
    }
    if elsewhere(repo, &name)? {
        return Err(Error::ProtectedBranch(format!("{short} is checked out in another folder")));
    }
    Ok(name)
}

/// Whether some remote's HEAD, as last fetched, leads to the branch.
fn is_default_of_a_remote(repo: &Repository, short: &str) -> Result<bool, Error> {
    let references = repo.references().map_err(fault)?;
    let remotes = references.prefixed("refs/remotes/").map_err(fault)?;
    Ok(remotes.filter_map(Result::ok).any(|found| {
        let name = found.name().as_bstr().to_str_lossy().into_owned();
        let default = name.strip_suffix("/HEAD").map(|remote| format!("{remote}/{short}"));
        let target = found.target().try_name().map(|name| name.as_bstr().to_owned());
        default.zip(target).is_some_and(|(default, target)| target == default.as_str())
    }))
}

/// Whether another working folder of the repository has the branch checked out: it would look
/// changed there without anybody having changed it.
fn elsewhere(repo: &Repository, branch: &FullName) -> Result<bool, Error> {
    let wanted = format!("ref: {}", branch.as_bstr());
    let mut folders = vec![repo.common_dir().to_path_buf()];
    for other in repo.worktrees().map_err(fault)? {
        folders.push(other.git_dir().to_path_buf());
    }
    let here = std::fs::canonicalize(repo.git_dir()).ok();
    folders.retain(|folder| std::fs::canonicalize(folder).ok() != here);
    Ok(folders.iter().any(|folder| {
        std::fs::read_to_string(folder.join("HEAD")).is_ok_and(|head| head.trim() == wanted)
    }))
}

/// The commit to build on, and whether the branch exists. A new branch begins at HEAD.
pub(crate) fn tip(repo: &Repository, branch: &FullName) -> Result<(Option<ObjectId>, bool), Error> {
    if let Some(mut found) = repo.try_find_reference(branch.as_ref()).map_err(fault)? {
        return Ok((Some(found.peel_to_id().map_err(fault)?.detach()), true));
    }
    let head = repo.head().map_err(fault)?;
    Ok((head.id().map(gix::Id::detach), false))
}

/// Moves the branch from the commit that was built on, and notes it in the logs.
pub(crate) fn advance(
    repo: &Repository,
    branch: &FullName,
    id: ObjectId,
    (tip, exists): (Option<ObjectId>, bool),
    commit: &gix::objs::Commit,
) -> Result<(), Error> {
    let name = branch.to_path().map_err(fault)?;
    if !exists {
        free(repo, branch)?;
    }
    let lock = Lock::take(&repo.common_dir().join(name)).map_err(write_failure)?;
    // Nobody moves it from here on: is it still where it was?
    if self::tip(repo, branch)? != (tip, exists) {
        return Err(fault("the branch moved meanwhile: try again"));
    }
    lock.finish(format!("{id}\n").as_bytes()).map_err(write_failure)?;
    let before = tip.filter(|_| exists).unwrap_or_else(|| ObjectId::null(repo.object_hash()));
    let mut line = format!("{before} {id} ").into_bytes();
    let mut time = gix::date::parse::TimeBuf::default();
    commit.committer.to_ref(&mut time).write_to(&mut line).map_err(fault)?;
    line.extend_from_slice(b"\tcommit: ");
    line.extend_from_slice(commit.message.lines().next().unwrap_or_default());
    line.push(b'\n');
    note(&repo.common_dir().join("logs").join(name), &line)?;
    if repo.head_name().map_err(fault)?.as_ref() == Some(branch) {
        note(&repo.git_dir().join("logs/HEAD"), &line)?;
    }
    Ok(())
}

/// Appends a line to a log.
fn note(log: &Path, line: &[u8]) -> Result<(), Error> {
    let folder = log.parent().unwrap_or(log);
    let noted = std::fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().append(true).create(true).open(log))
        .and_then(|mut log| log.write_all(line));
    noted.map_err(write_failure)
}

/// A new branch cannot be the folder of another, nor lie in one.
fn free(repo: &Repository, branch: &FullName) -> Result<(), Error> {
    let name = branch.as_bstr();
    let is_within = |inner: &BStr, outer: &BStr| {
        inner.strip_prefix(outer.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    let references = repo.references().map_err(fault)?;
    for other in references.prefixed("refs/heads/").map_err(fault)?.filter_map(Result::ok) {
        let other = other.name().as_bstr();
        if is_within(name, other) || is_within(other, name) {
            return Err(Error::Invalid(format!("{} is in the way of that name", other)));
        }
    }
    Ok(())
}
