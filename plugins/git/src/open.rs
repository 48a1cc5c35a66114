//! Finding and opening a repository, and finding commits in it.

use std::path::{Path, PathBuf};

use gix::{Commit, ObjectId, Repository, open::Options, sec::Trust};
use meshhost_sdk::path::absolute;

use crate::failure::fault;
use crate::repository::Error;

/// Bytes of decoded objects that are kept: trees and commits that are met again.
const OBJECT_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a revision's text.
const REVISION_BYTES_MAX: usize = 1_024;

/// What holds for every repository, whatever its own configuration says. A guest sees neither
/// execute bits nor inode numbers and change times, so they cannot tell what changed.
const OVERRIDES: &[&str] = &[
    "core.checkStat=minimal",
    "core.trustctime=false",
    "core.fsmonitor=false",
    "diff.renames=true",
    "status.renames=true",
];
#[cfg(target_family = "wasm")]
const OVERRIDES_OF_GUESTS: &[&str] = &["core.fileMode=false"];
#[cfg(not(target_family = "wasm"))]
const OVERRIDES_OF_GUESTS: &[&str] = &[];

/// Opens the repository that `path` lies in.
///
/// Its own configuration alone is read, without includes and with reduced trust: what would run a
/// program or lead to another file is not taken from it.
pub(crate) fn open(path: Option<&str>) -> Result<Repository, Error> {
    let shown = path.unwrap_or("the working folder");
    let start = absolute(path.unwrap_or("."));
    let Some(folder) = find(&start) else {
        return Err(Error::NotARepository(shown.to_owned()));
    };
    at(&folder)
}

/// Opens the repository in exactly this folder, as [`open`] does.
pub(crate) fn at(folder: &Path) -> Result<Repository, Error> {
    let overrides = OVERRIDES.iter().chain(OVERRIDES_OF_GUESTS).copied();
    let options = Options::isolated().with(Trust::Reduced).config_overrides(overrides);
    let mut repo = gix::open_opts(folder, options).map_err(|error| {
        // What is wrong stands in the causes, which only the long form shows.
        if format!("{error:?}").to_ascii_lowercase().contains("objectformat") {
            Error::Unsupported("a repository whose object names are not SHA-1".to_owned())
        } else {
            fault(error)
        }
    })?;
    repo.object_cache_size(OBJECT_CACHE_BYTES);
    Ok(repo)
}

/// The folder at or above `start` that is a repository or has one.
fn find(start: &Path) -> Option<PathBuf> {
    let has = |folder: &Path, name: &str| folder.join(name).symlink_metadata().is_ok();
    let is_bare = |folder: &Path| ["HEAD", "objects", "refs"].iter().all(|name| has(folder, name));
    let found = start.ancestors().find(|folder| has(folder, ".git") || is_bare(folder))?;
    Some(found.to_path_buf())
}

/// The object that a revision names.
pub(crate) fn object(repo: &Repository, revision: &str) -> Result<ObjectId, Error> {
    if revision.len() > REVISION_BYTES_MAX {
        return Err(Error::Invalid("the revision is too long".to_owned()));
    }
    match repo.rev_parse_single(revision) {
        Ok(id) => Ok(id.detach()),
        Err(_) if revision.starts_with("HEAD") && is_empty(repo) => Err(Error::EmptyRepository),
        Err(_) => Err(Error::UnknownRevision(revision.to_owned())),
    }
}

/// The commit that a revision names, tags followed.
pub(crate) fn commit<'repo>(
    repo: &'repo Repository,
    revision: &str,
) -> Result<Commit<'repo>, Error> {
    let object = repo.find_object(object(repo, revision)?).map_err(fault)?;
    object
        .peel_to_kind(gix::object::Kind::Commit)
        .map(gix::Object::into_commit)
        .map_err(|_| Error::UnknownRevision(format!("{revision} is no commit")))
}

/// Whether there is no commit at HEAD yet.
fn is_empty(repo: &Repository) -> bool {
    repo.head().is_ok_and(|head| head.is_unborn())
}
