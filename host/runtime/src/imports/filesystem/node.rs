//! What a guest's descriptor stands for, and the operations on it that may block. Each runs on a
//! thread of the file pool, takes plain values and looks at the grant first.

use std::{os::fd::OwnedFd, sync::Arc};

use meshhost_core::permission::FolderMode;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timestamps};

use super::{
    bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags},
    failure::{Denied, Failure},
    walk::{Directory, Place, check_reachable, target_stays_inside},
};
use crate::live::{Folder, number};

/// The largest file that a guest may make, in bytes: 16 GiB. A sparse file costs nothing to make
/// and much to copy.
pub(super) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// What a descriptor of the guest stands for.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Descriptor {
    /// The empty read-only root, which stands for everything that is not granted.
    Nothing,
    /// A directory.
    Directory(Arc<Directory>),
    /// A regular file.
    File(Arc<OpenFile>),
}

/// An open regular file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    folder: Arc<Folder>,
    handle: OwnedFd,
    flags: DescriptorFlags,
    /// Whether the name that it was opened by may be changed.
    mutable: bool,
}

impl OpenFile {
    /// The grant that it was reached through.
    pub(super) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// How it was opened.
    pub(super) fn flags(&self) -> DescriptorFlags {
        self.flags
    }

    fn check(&self, needed: DescriptorFlags) -> Result<(), Failure> {
        if self.folder.is_revoked() {
            return Err(Failure::denied(Denied::Read));
        }
        if !self.flags.contains(needed) {
            return Err(ErrorCode::BadDescriptor.into());
        }
        Ok(())
    }

    /// Up to `length` bytes from `offset`; shorter than asked only when the file ends or the
    /// system says so.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
        self.check(DescriptorFlags::READ)?;
        check_offset(offset)?;
        let mut bytes = vec![0; length];
        let count = rustix::io::retry_on_intr(|| {
            rustix::io::pread(&self.handle, bytes.as_mut_slice(), offset)
        })?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes all of `bytes` at `offset`, or at the end when there is none.
    pub(super) fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Result<(), Failure> {
        self.check(DescriptorFlags::WRITE)?;
        let mut position = match offset {
            Some(offset) => offset,
            None => number(rustix::fs::fstat(&self.handle)?.st_size),
        };
        check_size(position.saturating_add(bytes.len() as u64))?;
        let mut left = bytes;
        while !left.is_empty() {
            let count =
                rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.handle, left, position))?;
            if count == 0 {
                return Err(ErrorCode::InsufficientSpace.into());
            }
            left = left.get(count..).unwrap_or_default();
            position = position.saturating_add(count as u64);
        }
        Ok(())
    }

    /// Cuts or extends the file.
    pub(super) fn set_size(&self, size: u64) -> Result<(), Failure> {
        self.check(DescriptorFlags::WRITE)?;
        check_size(size)?;
        Ok(rustix::fs::ftruncate(&self.handle, size)?)
    }

    /// Waits until the data, and with `all` what describes it, is on the disk.
    pub(super) fn sync(&self, all: bool) -> Result<(), Failure> {
        self.check(DescriptorFlags::empty())?;
        let result =
            if all { rustix::fs::fsync(&self.handle) } else { rustix::fs::fdatasync(&self.handle) };
        Ok(result?)
    }

    /// Sets the times.
    pub(super) fn set_times(&self, times: &Timestamps) -> Result<(), Failure> {
        self.check(DescriptorFlags::empty())?;
        if !self.mutable {
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(rustix::fs::futimens(&self.handle, times)?)
    }

    /// What the system says of it.
    pub(super) fn stat(&self) -> Result<Stat, Failure> {
        self.check(DescriptorFlags::empty())?;
        Ok(rustix::fs::fstat(&self.handle)?)
    }
}

/// Offsets above what a file may hold are an error of the guest's, never handed on.
fn check_offset(offset: u64) -> Result<(), Failure> {
    if i64::try_from(offset).is_err() { Err(ErrorCode::Overflow.into()) } else { Ok(()) }
}

fn check_size(size: u64) -> Result<(), Failure> {
    if size > FILE_BYTES_MAX { Err(ErrorCode::FileTooLarge.into()) } else { Ok(()) }
}

/// What `open-at` was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenRequest {
    /// Whether a link in the last place is followed.
    pub(super) follow: bool,
    /// Create, directory, exclusive, truncate.
    pub(super) open: OpenFlags,
    /// Read, write and how writes are synchronised.
    pub(super) flags: DescriptorFlags,
}

impl OpenRequest {
    /// Whether the request can change anything.
    pub(super) fn mutates(self) -> bool {
        self.open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || self.flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
    }
}

impl Directory {
    /// Opens a regular file or a directory; nothing else is ever opened.
    pub(super) fn open(&self, path: &str, request: OpenRequest) -> Result<Descriptor, Failure> {
        let OpenRequest { open, flags, follow } = request;
        let exclusive = open.contains(OpenFlags::EXCLUSIVE);
        let place = self.walk(path, follow && !exclusive)?;
        if request.mutates() {
            place.check_mutable(FolderMode::Git)?;
        }
        let kind = match place.look() {
            Ok(_) if exclusive && open.contains(OpenFlags::CREATE) => {
                return Err(ErrorCode::Exist.into());
            }
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Failure { code: ErrorCode::NoEntry, denied: None })
                if open.contains(OpenFlags::CREATE) =>
            {
                FileType::RegularFile
            }
            Err(failure) => return Err(failure),
        };
        match kind {
            FileType::Directory => open_directory(&place, request),
            FileType::RegularFile
                if open.contains(OpenFlags::DIRECTORY) || place.must_be_directory =>
            {
                Err(ErrorCode::NotDirectory.into())
            }
            FileType::RegularFile => {
                if request.mutates() {
                    place.check_brings_nothing()?;
                }
                open_file(&place, flags, open)
            }
            FileType::Symlink => Err(ErrorCode::Loop.into()),
            _ => Err(ErrorCode::NotPermitted.into()),
        }
    }

    /// Makes a directory.
    pub(super) fn create_directory(&self, path: &str) -> Result<(), Failure> {
        let place = self.walk(path, false)?;
        if place.name == "." {
            return Err(ErrorCode::Exist.into());
        }
        place.check_mutable(FolderMode::Git)?;
        Ok(rustix::fs::mkdirat(place.parent(), &place.name, Mode::from_raw_mode(0o777))?)
    }

    /// Removes an empty directory, or anything else but a directory.
    pub(super) fn remove(&self, path: &str, directory: bool) -> Result<(), Failure> {
        let place = self.walk(path, false)?;
        place.check_has_name()?;
        if !directory {
            place.check_names_no_directory()?;
        }
        place.check_mutable(FolderMode::Git)?;
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        Ok(rustix::fs::unlinkat(place.parent(), &place.name, flags)?)
    }

    /// Gives something another name, in this or another granted folder. Where only commits may be
    /// made, nothing but a file of the same folder moves: a link may lead anywhere, and in another
    /// folder one may take the file's place in time. For that reason nothing comes into a repository
    /// from outside, but with `fs:rw+exec`.
    pub(super) fn rename(&self, old: &str, to: &Self, new: &str) -> Result<(), Failure> {
        let (from, onto) = (self.walk(old, false)?, to.walk(new, false)?);
        from.check_has_name()?;
        onto.check_has_name()?;
        let kind = from.look().map(|stat| FileType::from_raw_mode(stat.st_mode));
        let here = Arc::ptr_eq(from.folder(), onto.folder());
        let is_file = matches!(kind, Ok(FileType::RegularFile));
        let least = if here && is_file { FolderMode::Git } else { FolderMode::Rw };
        from.check_mutable(least)?;
        onto.check_takes(&from, is_file, least)?;
        onto.check_brings_nothing()?;
        if kind? == FileType::Directory {
            from.check_brings_nothing()?;
        }
        Ok(rustix::fs::renameat(from.parent(), &from.name, onto.parent(), &onto.name)?)
    }

    /// Gives a regular file a second name. Both folders must be granted for writing: a name in
    /// a writable folder would make a read-only file writable. Making commits needs no links.
    pub(super) fn link(&self, old: &str, to: &Self, new: &str) -> Result<(), Failure> {
        let (from, onto) = (self.walk(old, false)?, to.walk(new, false)?);
        from.check_names_no_directory()?;
        onto.check_names_no_directory()?;
        from.check_mutable(FolderMode::Rw)?;
        onto.check_takes(&from, true, FolderMode::Rw)?;
        onto.check_brings_nothing()?;
        if FileType::from_raw_mode(from.look()?.st_mode) != FileType::RegularFile {
            return Err(ErrorCode::NotPermitted.into());
        }
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(from.parent(), &from.name, onto.parent(), &onto.name, flags)?)
    }

    /// Makes a symbolic link whose text stays inside the granted folder.
    pub(super) fn symlink(&self, target: &str, path: &str) -> Result<(), Failure> {
        let place = self.walk(path, false)?;
        place.check_names_no_directory()?;
        place.check_may_bring()?;
        place.check_brings_nothing()?;
        if target.is_empty() || target.contains('\0') {
            return Err(ErrorCode::Invalid.into());
        }
        if !target_stays_inside(target, place.path.len().saturating_sub(1)) {
            return Err(Failure::denied(Denied::Outside));
        }
        Ok(rustix::fs::symlinkat(target, place.parent(), &place.name)?)
    }

    /// The text of a symbolic link, when it stays inside the granted folder.
    pub(super) fn read_link(&self, path: &str) -> Result<String, Failure> {
        let place = self.walk(path, false)?;
        place.look()?;
        let target = rustix::fs::readlinkat(place.parent(), &place.name, Vec::new())?;
        let target = target.into_string().map_err(|_| ErrorCode::IllegalByteSequence)?;
        if !target_stays_inside(&target, place.path.len().saturating_sub(1)) {
            return Err(Failure::denied(Denied::Outside));
        }
        Ok(target)
    }

    /// What the system says of a name.
    pub(super) fn stat_at(&self, path: &str, follow: bool) -> Result<Stat, Failure> {
        let place = self.walk(path, follow)?;
        let stat = place.look()?;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if place.must_be_directory && !is_directory {
            return Err(ErrorCode::NotDirectory.into());
        }
        Ok(stat)
    }

    /// Sets the times of a name.
    pub(super) fn set_times_at(
        &self,
        path: &str,
        follow: bool,
        times: &Timestamps,
    ) -> Result<(), Failure> {
        let place = self.walk(path, follow)?;
        place.check_mutable(FolderMode::Git)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(place.parent(), &place.name, times, flags)?)
    }

    /// What the system says of the directory itself.
    pub(super) fn stat(&self) -> Result<Stat, Failure> {
        self.check_granted()?;
        Ok(rustix::fs::fstat(&*self.handle)?)
    }

    /// The directory, open for listing or waiting for the disk.
    pub(super) fn open_for_reading(&self) -> Result<OwnedFd, Failure> {
        self.check_granted()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*self.handle, ".", flags, Mode::empty())?)
    }
}

fn open_directory(place: &Place<'_>, request: OpenRequest) -> Result<Descriptor, Failure> {
    let refused = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    if request.open.intersects(refused) || request.flags.contains(DescriptorFlags::WRITE) {
        return Err(ErrorCode::IsDirectory.into());
    }
    let flags = crate::live::SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(place.parent(), &place.name, flags, Mode::empty())?;
    check_reachable(place.folder(), &rustix::fs::fstat(&handle)?)?;
    Ok(Descriptor::Directory(Arc::new(Directory {
        folder: Arc::clone(place.folder()),
        handle: Arc::new(handle),
        path: place.path.clone(),
    })))
}

/// Opens without waiting and without truncating, looks at what was really opened, and only then
/// truncates. A file is created without any execute bit.
fn open_file(
    place: &Place<'_>,
    flags: DescriptorFlags,
    open: OpenFlags,
) -> Result<Descriptor, Failure> {
    let truncate = open.contains(OpenFlags::TRUNCATE);
    let write = flags.contains(DescriptorFlags::WRITE) || truncate;
    let read = flags.contains(DescriptorFlags::READ) || !write;
    let mut how = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    how |= match (read, write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    if open.contains(OpenFlags::CREATE) {
        how |= OFlags::CREATE;
    }
    if open.contains(OpenFlags::EXCLUSIVE) {
        how |= OFlags::EXCL;
    }
    if flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC) {
        how |= OFlags::SYNC;
    }
    if flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC) {
        how |= OFlags::DSYNC;
    }
    let mode = Mode::from_raw_mode(0o666);
    let handle = rustix::fs::openat(place.parent(), &place.name, how, mode)?;
    let stat = rustix::fs::fstat(&handle)?;
    check_reachable(place.folder(), &stat)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ErrorCode::NotPermitted.into());
    }
    // Its other name may lie anywhere: repositories cloned on one disk share their objects so.
    if write && stat.st_nlink > 1 {
        place.check_mode(FolderMode::Rw)?;
    }
    if truncate {
        rustix::fs::ftruncate(&handle, 0)?;
    }
    let folder = Arc::clone(place.folder());
    let mutable = place.check_mutable(FolderMode::Git).is_ok();
    Ok(Descriptor::File(Arc::new(OpenFile { folder, handle, flags, mutable })))
}

/// Whether the guest may write below this directory at all, for `get-flags`: as far as one answer
/// can say, since each name is decided by itself.
pub(super) fn directory_flags(directory: &Directory) -> DescriptorFlags {
    let folder = &directory.folder;
    let executed = folder.needed_to_change(&directory.path) == FolderMode::RwExec;
    let writable = match folder.mode() {
        FolderMode::Ro => false,
        FolderMode::Git | FolderMode::Rw => !executed,
        FolderMode::RwExec => true,
    };
    if writable {
        DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY
    } else {
        DescriptorFlags::READ
    }
}
