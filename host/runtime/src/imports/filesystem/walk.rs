//! Finds what a guest's path means below an open directory: one name at a time, each opened from
//! the descriptor before it and never following a link by itself. Links are read and walked like
//! the rest of the path, so that neither a link, `..` nor a race leads out of the directory, and
//! every directory on the way is compared with what no grant reaches.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use meshhost_core::permission::FolderMode;
use rustix::{
    fs::{AtFlags, Mode, OFlags, Stat},
    io::Errno,
};

use super::{
    bindings::wasi::filesystem::types::ErrorCode,
    failure::{Denied, Failure},
};
use crate::live::{Excluded, Folder, SEARCH};

/// Longest path and longest link target, in bytes.
const PATH_BYTES_MAX: usize = 4_096;
/// Links followed in one walk, as on Linux.
const LINKS_MAX: usize = 40;
/// Directories that one walk holds open at once.
const DEPTH_MAX: usize = 128;

/// An open directory in a granted folder.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// The grant that it was reached through.
    pub(super) folder: Arc<Folder>,
    /// The open directory.
    pub(super) handle: Arc<OwnedFd>,
    /// The names from the granted folder to here.
    pub(super) path: Vec<String>,
}

/// Where a path leads: the directory that holds the last name, and that name.
#[derive(Debug)]
pub(super) struct Place<'a> {
    directory: &'a Directory,
    parents: Vec<OwnedFd>,
    /// The last name; `.` when the path ends in a directory that was walked through.
    pub(super) name: String,
    /// The names from the granted folder to the place.
    pub(super) path: Vec<String>,
    /// Whether the path ends in `/` or `.`, which only a directory may.
    pub(super) must_be_directory: bool,
}

impl Directory {
    /// The granted folder itself.
    pub(super) fn root(folder: &Arc<Folder>) -> Self {
        Self {
            folder: Arc::clone(folder),
            handle: Arc::clone(folder.directory()),
            path: Vec::new(),
        }
    }

    /// Refuses when the grant was taken back.
    pub(super) fn check_granted(&self) -> Result<(), Failure> {
        if self.folder.is_revoked() { Err(Failure::denied(Denied::Read)) } else { Ok(()) }
    }

    /// Walks `path`. The last name is only looked through when it is a link and `follow` says so;
    /// it need not exist.
    pub(super) fn walk(&self, path: &str, follow: bool) -> Result<Place<'_>, Failure> {
        self.check_granted()?;
        check_path(path)?;
        let mut walk = Walk {
            directory: self,
            parents: Vec::new(),
            names: Vec::new(),
            pending: components(path),
            links: 0,
        };
        let mut must_be_directory = ends_in_directory(path);
        while let Some(name) = walk.pending.pop_front() {
            let last = walk.pending.is_empty();
            if name == ".." {
                walk.up()?;
            } else if !last {
                walk.down(name)?;
            } else if let Some(target) = walk.link_to_follow(&name, follow || must_be_directory)? {
                must_be_directory |= ends_in_directory(&target);
                walk.expand(&target)?;
            } else {
                return Ok(walk.end(name, must_be_directory));
            }
        }
        Ok(walk.end(".".to_owned(), true))
    }
}

struct Walk<'a> {
    directory: &'a Directory,
    parents: Vec<OwnedFd>,
    names: Vec<String>,
    pending: VecDeque<String>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn top(&self) -> BorrowedFd<'_> {
        self.parents.last().map_or_else(|| self.directory.handle.as_fd(), AsFd::as_fd)
    }

    fn up(&mut self) -> Result<(), Failure> {
        self.names.pop();
        self.parents.pop().map(|_| ()).ok_or_else(|| Failure::denied(Denied::Outside))
    }

    fn down(&mut self, name: String) -> Result<(), Failure> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(self.top(), &name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let target = self.read_link(&name)?.ok_or(ErrorCode::NotDirectory)?;
                return self.expand(&target);
            }
            Err(errno) => return Err(errno.into()),
        };
        if self.parents.len() >= DEPTH_MAX {
            return Err(ErrorCode::NameTooLong.into());
        }
        check_reachable(&self.directory.folder, &rustix::fs::fstat(&opened)?)?;
        self.parents.push(opened);
        self.names.push(name);
        Ok(())
    }

    fn link_to_follow(&self, name: &str, follow: bool) -> Result<Option<String>, Failure> {
        if follow { self.read_link(name) } else { Ok(None) }
    }

    /// The target of a link; `None` when it is none, or is not there.
    fn read_link(&self, name: &str) -> Result<Option<String>, Failure> {
        match rustix::fs::readlinkat(self.top(), name, Vec::new()) {
            Ok(target) => {
                let target = target.into_string().map_err(|_| ErrorCode::IllegalByteSequence)?;
                check_path(&target)?;
                Ok(Some(target))
            }
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn expand(&mut self, target: &str) -> Result<(), Failure> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(ErrorCode::Loop.into());
        }
        for component in components(target).into_iter().rev() {
            self.pending.push_front(component);
        }
        Ok(())
    }

    fn end(mut self, name: String, must_be_directory: bool) -> Place<'a> {
        let mut path = self.directory.path.clone();
        path.append(&mut self.names);
        if name != "." {
            path.push(name.clone());
        }
        Place { directory: self.directory, parents: self.parents, name, path, must_be_directory }
    }
}

impl Place<'_> {
    /// The directory that holds the name.
    pub(super) fn parent(&self) -> BorrowedFd<'_> {
        self.parents.last().map_or_else(|| self.directory.handle.as_fd(), AsFd::as_fd)
    }

    /// The granted folder.
    pub(super) fn folder(&self) -> &Arc<Folder> {
        &self.directory.folder
    }

    /// What is there now, without following a link.
    pub(super) fn look(&self) -> Result<Stat, Failure> {
        let stat = rustix::fs::statat(self.parent(), &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        check_reachable(self.folder(), &stat)?;
        Ok(stat)
    }

    /// Refuses unless this name may be made, changed or removed: the folder is granted for that,
    /// and for at least `least`, and the name is not out of reach.
    pub(super) fn check_mutable(&self, least: FolderMode) -> Result<(), Failure> {
        self.directory.check_granted()?;
        self.check_mode(self.folder().needed_to_change(&self.path).max(least))?;
        match self.look() {
            Ok(_) | Err(Failure { code: ErrorCode::NoEntry, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Refuses unless a link, or a folder with all that is in it, may come to this name.
    pub(super) fn check_may_bring(&self) -> Result<(), Failure> {
        self.check_mutable(self.folder().needed_to_bring(&self.path))
    }

    /// Refuses unless what has the name `from` may have this name too. Only of a file that lies in a
    /// repository already it is known that it stays one until then: elsewhere, another call of the
    /// plugin may put a link in its place.
    pub(super) fn check_takes(
        &self,
        from: &Self,
        is_file: bool,
        least: FolderMode,
    ) -> Result<(), Failure> {
        if is_file && from.folder().lies_in_repository(&from.path) {
            self.check_mutable(least)
        } else {
            self.check_may_bring()
        }
    }

    /// Refuses a name that may bring along names through which others execute, when it becomes
    /// anything but an empty folder: a file or link `.git` names another folder as the repository.
    pub(super) fn check_brings_nothing(&self) -> Result<(), Failure> {
        if self.folder().may_hold_executed(&self.path) {
            self.check_mode(FolderMode::RwExec)?;
        }
        Ok(())
    }

    /// Refuses unless the folder is granted for this.
    pub(super) fn check_mode(&self, needed: FolderMode) -> Result<(), Failure> {
        if self.folder().mode() < needed {
            return Err(Failure::denied(Denied::Change(needed)));
        }
        Ok(())
    }

    /// Refuses a path that ends in `/`, or in no name at all.
    pub(super) fn check_names_no_directory(&self) -> Result<(), Failure> {
        if self.must_be_directory { Err(ErrorCode::IsDirectory.into()) } else { Ok(()) }
    }

    /// Refuses a path that ends in no name: `.`, `a/..`.
    pub(super) fn check_has_name(&self) -> Result<(), Failure> {
        if self.name == "." { Err(ErrorCode::Invalid.into()) } else { Ok(()) }
    }
}

/// Refuses what no grant reaches.
pub(super) fn check_reachable(folder: &Folder, stat: &Stat) -> Result<(), Failure> {
    if folder.excludes(Excluded::from_stat(stat)) {
        return Err(Failure::denied(Denied::OutOfReach));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), Failure> {
    if path.is_empty() {
        return Err(ErrorCode::NoEntry.into());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(ErrorCode::NameTooLong.into());
    }
    if path.contains('\0') {
        return Err(ErrorCode::Invalid.into());
    }
    if path.starts_with('/') {
        return Err(Failure::denied(Denied::Outside));
    }
    Ok(())
}

/// Whether only a directory can be meant.
fn ends_in_directory(path: &str) -> bool {
    path.ends_with('/') || path == "." || path.ends_with("/.")
}

fn components(path: &str) -> VecDeque<String> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".").map(str::to_owned).collect()
}

/// Whether a link with this target, in a directory `depth` names below the granted folder, stays
/// inside as far as its text says. (What it leads to is decided at each walk.)
pub(super) fn target_stays_inside(target: &str, depth: usize) -> bool {
    if target.starts_with('/') {
        return false;
    }
    let mut left = depth;
    for name in components(target) {
        if name != ".." {
            left += 1;
        } else if let Some(up) = left.checked_sub(1) {
            left = up;
        } else {
            return false;
        }
    }
    true
}
