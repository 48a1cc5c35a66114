//! `tree` and `file`: what a revision holds.

use gix::bstr::{BString, ByteSlice};
use gix::object::tree::EntryKind as Kind;
use gix::{ObjectId, Repository, Tree};

use crate::content::content;
use crate::failure::fault;
use crate::open;
use crate::repository::{EntryKind, Error, FileContent, TreeEntry, TreeListing};

/// Folders within folders.
const DEPTH_MAX: usize = 512;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) revision: &'a str,
    pub(crate) file: Option<&'a str>,
    pub(crate) recursive: bool,
    pub(crate) limit: usize,
}

/// The parts of a path inside a repository.
pub(crate) fn components(file: &str) -> Result<Vec<&[u8]>, Error> {
    let file = file.strip_suffix('/').unwrap_or(file);
    let parts: Vec<_> = file.split('/').map(str::as_bytes).collect();
    let wrong = |part: &&[u8]| part.is_empty() || *part == b"." || *part == b"..";
    if parts.iter().any(wrong) {
        return Err(Error::Invalid(format!("{file}: a path begins at the repository's root")));
    }
    Ok(parts)
}

/// What is at a path of a tree.
pub(crate) fn entry_id(
    repo: &Repository,
    tree: ObjectId,
    path: &[&[u8]],
) -> Result<Option<(ObjectId, u16)>, Error> {
    let tree = repo.find_tree(tree).map_err(fault)?;
    let entry = tree.lookup_entry(path.iter().copied()).map_err(fault)?;
    Ok(entry.map(|entry| (entry.object_id(), entry.mode().value())))
}

/// The tree of a revision, which may be a commit, a tag or a tree.
pub(crate) fn root<'repo>(repo: &'repo Repository, revision: &str) -> Result<Tree<'repo>, Error> {
    let object = repo.find_object(open::object(repo, revision)?).map_err(fault)?;
    object.peel_to_tree().map_err(|_| Error::UnknownRevision(format!("{revision} has no tree")))
}

/// Lists a folder.
pub(crate) fn tree(repo: &Repository, query: &Query<'_>) -> Result<TreeListing, Error> {
    let mut folder = root(repo, query.revision)?;
    let mut prefix = BString::default();
    if let Some(file) = query.file.filter(|file| !file.is_empty() && *file != "/") {
        let parts = components(file)?;
        let entry = folder.lookup_entry(parts.iter().copied()).map_err(fault)?;
        let entry = entry.ok_or_else(|| Error::UnknownFile(file.to_owned()))?;
        if !entry.mode().is_tree() {
            return Err(Error::Invalid(format!("{file} is no folder")));
        }
        folder = repo.find_tree(entry.object_id()).map_err(fault)?;
        prefix = parts.join(&b'/').into();
        prefix.push(b'/');
    }
    let mut listing = TreeListing { entries: Vec::new(), truncated: false };
    let mut pending = vec![children(&folder, &prefix)?];
    while let Some(level) = pending.last_mut() {
        let Some((path, kind, id)) = level.next() else {
            pending.pop();
            continue;
        };
        if query.recursive && kind == Kind::Tree {
            if pending.len() >= DEPTH_MAX {
                return Err(Error::Unsupported("folders nested too deeply".to_owned()));
            }
            let mut prefix = path;
            prefix.push(b'/');
            pending.push(children(&repo.find_tree(id).map_err(fault)?, &prefix)?);
            continue;
        }
        if listing.entries.len() == query.limit {
            listing.truncated = true;
            return Ok(listing);
        }
        listing.entries.push(TreeEntry {
            path: path.to_str_lossy().into_owned(),
            kind: entry_kind(kind),
            id: id.to_string(),
            size: size(repo, kind, id)?,
        });
    }
    Ok(listing)
}

type Children = std::vec::IntoIter<(BString, Kind, ObjectId)>;

fn children(folder: &Tree<'_>, prefix: &BString) -> Result<Children, Error> {
    let mut children = Vec::new();
    for entry in folder.iter() {
        let entry = entry.map_err(fault)?;
        let mut path = prefix.clone();
        path.extend_from_slice(entry.filename());
        children.push((path, entry.kind(), entry.object_id()));
    }
    Ok(children.into_iter())
}

fn size(repo: &Repository, kind: Kind, id: ObjectId) -> Result<Option<u64>, Error> {
    match kind {
        Kind::Tree | Kind::Commit => Ok(None),
        _ => repo.find_header(id).map(|header| Some(header.size())).map_err(fault),
    }
}

/// Reads a file.
pub(crate) fn file(repo: &Repository, file: &str, revision: &str) -> Result<FileContent, Error> {
    let parts = components(file)?;
    let entry = root(repo, revision)?.lookup_entry(parts.iter().copied()).map_err(fault)?;
    let entry = entry.ok_or_else(|| Error::UnknownFile(file.to_owned()))?;
    let kind = entry.mode().kind();
    if matches!(kind, Kind::Tree | Kind::Commit) {
        return Err(Error::Invalid(format!("{file} is no file")));
    }
    let id = entry.object_id();
    let bytes = repo.find_blob(id).map_err(fault)?.take_data();
    let size = bytes.len() as u64;
    Ok(FileContent { content: content(bytes)?, id: id.to_string(), size, kind: entry_kind(kind) })
}

fn entry_kind(kind: Kind) -> EntryKind {
    match kind {
        Kind::Tree => EntryKind::Folder,
        Kind::Blob => EntryKind::File,
        Kind::BlobExecutable => EntryKind::Executable,
        Kind::Link => EntryKind::Link,
        Kind::Commit => EntryKind::Submodule,
    }
}
