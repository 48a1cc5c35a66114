//! `wasi:filesystem` over the granted folders: an implementation of our own, so that a folder is
//! opened once and never by path again, the node's own data stays out of reach, and a grant that
//! is taken back stops what was opened under it.
//!
//! Without a grant there is one empty read-only root, `/`. It also stands beside granted folders,
//! last, so that an absolute path outside of them comes here: it is recorded with the permission
//! that would allow it and refused with `access`.
//!
//! Absent on purpose: devices, pipes, sockets (refused, never opened), ownership, permission bits
//! (execute bits are never set), links that lead out of a folder. `advise` does nothing.

mod access;
mod describe;
mod failure;
mod listing;
mod node;
mod stream;
mod walk;

use std::sync::Arc;

use meshhost_core::limits::MIB;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::{
    TrappableError,
    p2::{DynInputStream, DynOutputStream},
};

use self::{
    access::Access,
    bindings::wasi::filesystem::{
        preopens,
        types::{
            self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
            ErrorCode, Filesize, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
        },
    },
    failure::Failure,
    listing::Listing,
    node::{Descriptor, OpenFile, OpenRequest},
    stream::{FileInput, FileStreamError},
    walk::Directory,
};
use super::{Imports, View};
use crate::state::HostState;

mod bindings {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/wasi-io",
            "../../wit/deps/wasi-clocks",
            "../../wit/deps/wasi-filesystem",
        ],
        world: "wasi:filesystem/imports",
        imports: { default: async | trappable },
        trappable_error_type: {
            "wasi:filesystem/types.error-code" => super::FileError,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": super::node::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": super::listing::Listing,
        },
        require_store_data_send: true,
    });
}

/// An error of the interface's, or a trap.
type FileError = TrappableError<ErrorCode>;
type FileResult<T> = Result<T, FileError>;

/// Bytes that one `read` returns at most.
const READ_BYTES_MAX: u64 = MIB;

/// Links `wasi:filesystem`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Imports>(linker, View::of)?;
    preopens::add_to_linker::<_, Imports>(linker, View::of)
}

/// What the guest sees of the empty root.
const NOTHING: DescriptorStat = DescriptorStat {
    type_: DescriptorType::Directory,
    link_count: 1,
    size: 0,
    data_access_timestamp: None,
    data_modification_timestamp: None,
    status_change_timestamp: None,
};

impl preopens::Host for View<'_> {
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let rules = self.context.rules();
        let mut directories = Vec::with_capacity(rules.folders.len() + 1);
        for folder in &rules.folders {
            let directory = Descriptor::Directory(Arc::new(Directory::root(folder)));
            directories.push((self.table.push(directory)?, folder.guest().to_owned()));
        }
        if !rules.folders.iter().any(|folder| folder.guest() == "/") {
            directories.push((self.table.push(Descriptor::Nothing)?, "/".to_owned()));
        }
        Ok(directories)
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FileError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    async fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<FileStreamError>().map(|error| error.0))
    }
}

impl types::HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<Listing>,
    ) -> FileResult<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&stream).map_err(FileError::trap)?;
        if let Some(entry) = listing.take() {
            return entry.map(Some).map_err(|failure| failure.code.into());
        }
        let Some(job) = listing.more() else { return Ok(None) };
        let folder = Arc::clone(job.folder());
        let batch = self.context.file_job(move || job.read()).await.map_err(|failure| {
            self.refuse("read-directory-entry", &folder, folder.guest().to_owned(), failure)
        })?;
        let listing = self.table.get_mut(&stream).map_err(FileError::trap)?;
        listing.refill(batch);
        let entry = listing.take().transpose();
        entry.map_err(|failure: Failure| failure.code.into())
    }

    async fn drop(&mut self, stream: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl types::HostDescriptor for View<'_> {
    async fn read_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: Filesize,
    ) -> FileResult<Resource<DynInputStream>> {
        let file = self.file(&descriptor)?;
        if !file.flags().contains(DescriptorFlags::READ) {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let stream: DynInputStream = Box::new(FileInput::new(self.context.clone(), file, offset));
        self.table.push(stream).map_err(FileError::trap)
    }

    async fn write_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: Filesize,
    ) -> FileResult<Resource<DynOutputStream>> {
        self.output(&descriptor, Some(offset))
    }

    async fn append_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
    ) -> FileResult<Resource<DynOutputStream>> {
        self.output(&descriptor, None)
    }

    async fn advise(
        &mut self,
        descriptor: Resource<Descriptor>,
        _: Filesize,
        _: Filesize,
        _: Advice,
    ) -> FileResult<()> {
        self.file(&descriptor).map(|_| ())
    }

    async fn sync_data(&mut self, descriptor: Resource<Descriptor>) -> FileResult<()> {
        self.synchronise("sync-data", &descriptor, false).await
    }

    async fn sync(&mut self, descriptor: Resource<Descriptor>) -> FileResult<()> {
        self.synchronise("sync", &descriptor, true).await
    }

    async fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> FileResult<DescriptorFlags> {
        Ok(match self.table.get(&descriptor).map_err(FileError::trap)? {
            Descriptor::Nothing => DescriptorFlags::READ,
            Descriptor::Directory(directory) => node::directory_flags(directory),
            Descriptor::File(file) => file.flags(),
        })
    }

    async fn get_type(&mut self, descriptor: Resource<Descriptor>) -> FileResult<DescriptorType> {
        Ok(match self.table.get(&descriptor).map_err(FileError::trap)? {
            Descriptor::Nothing | Descriptor::Directory(_) => DescriptorType::Directory,
            Descriptor::File(_) => DescriptorType::RegularFile,
        })
    }

    async fn set_size(
        &mut self,
        descriptor: Resource<Descriptor>,
        size: Filesize,
    ) -> FileResult<()> {
        let job = move |file: &OpenFile| file.set_size(size);
        self.on_file("set-size", &descriptor, Access::Change, job).await
    }

    async fn set_times(
        &mut self,
        descriptor: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FileResult<()> {
        let times = describe::timestamps(accessed, modified)?;
        let is_file =
            matches!(self.table.get(&descriptor).map_err(FileError::trap)?, Descriptor::File(_));
        if is_file {
            let job = move |file: &OpenFile| file.set_times(&times);
            return self.on_file("set-times", &descriptor, Access::Change, job).await;
        }
        let job =
            move |directory: &Directory, path: &str| directory.set_times_at(path, false, &times);
        self.at("set-times", &descriptor, ".".to_owned(), Access::Change, job).await
    }

    async fn read(
        &mut self,
        descriptor: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FileResult<(Vec<u8>, bool)> {
        let bounded = length.min(READ_BYTES_MAX);
        let held = self.context.record.charge_buffer(bounded).map_err(FileError::trap)?;
        let size = usize::try_from(bounded).map_err(FileError::trap)?;
        let job = move |file: &OpenFile| {
            let bytes = file.read(offset, size);
            drop(held);
            bytes
        };
        let bytes = self.on_file("read", &descriptor, Access::Look, job).await?;
        let ended = bytes.is_empty() && length > 0;
        Ok((bytes, ended))
    }

    async fn write(
        &mut self,
        descriptor: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FileResult<Filesize> {
        let count = bytes.len() as u64;
        let job = move |file: &OpenFile| file.write(Some(offset), &bytes);
        self.on_file("write", &descriptor, Access::Change, job).await?;
        Ok(count)
    }

    async fn read_directory(
        &mut self,
        descriptor: Resource<Descriptor>,
    ) -> FileResult<Resource<Listing>> {
        let nothing =
            matches!(self.table.get(&descriptor).map_err(FileError::trap)?, Descriptor::Nothing);
        let listing = if nothing {
            Listing::empty()
        } else {
            let job = |directory: &Directory, _: &str| Listing::open(directory);
            self.at("read-directory", &descriptor, ".".to_owned(), Access::Look, job).await?
        };
        self.table.push(listing).map_err(FileError::trap)
    }

    async fn create_directory_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FileResult<()> {
        let job = |directory: &Directory, path: &str| directory.create_directory(path);
        self.at("create-directory-at", &descriptor, path, Access::Change, job).await
    }

    async fn stat(&mut self, descriptor: Resource<Descriptor>) -> FileResult<DescriptorStat> {
        let stat = self.stat_of("stat", &descriptor).await?;
        Ok(stat.as_ref().map_or(NOTHING, describe::describe))
    }

    async fn stat_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FileResult<DescriptorStat> {
        if self.is_on_the_way(&descriptor, &path)? {
            return Ok(NOTHING);
        }
        let stat = self.look_at("stat-at", &descriptor, flags, path).await?;
        Ok(describe::describe(&stat))
    }

    async fn set_times_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FileResult<()> {
        let times = describe::timestamps(accessed, modified)?;
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let job =
            move |directory: &Directory, path: &str| directory.set_times_at(path, follow, &times);
        self.at("set-times-at", &descriptor, path, Access::Change, job).await
    }

    async fn link_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FileResult<()> {
        if flags.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let onto = self.directory("link-at", &to, &new)?;
        let job = move |directory: &Directory, old: &str| directory.link(old, &onto, &new);
        self.at("link-at", &descriptor, old, Access::Change, job).await
    }

    async fn open_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FileResult<Resource<Descriptor>> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let request = OpenRequest { follow, open, flags };
        let access = if request.mutates() { Access::Change } else { Access::Look };
        if access == Access::Look && self.is_nothing(&descriptor, &path)? {
            return self.push(Descriptor::Nothing);
        }
        let job = move |directory: &Directory, path: &str| directory.open(path, request);
        let opened = self.at("open-at", &descriptor, path, access, job).await?;
        self.push(opened)
    }

    async fn readlink_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FileResult<String> {
        if self.is_on_the_way(&descriptor, &path)? {
            // A folder, and no link.
            return Err(ErrorCode::Invalid.into());
        }
        let job = |directory: &Directory, path: &str| directory.read_link(path);
        self.at("readlink-at", &descriptor, path, Access::Look, job).await
    }

    async fn remove_directory_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FileResult<()> {
        let job = |directory: &Directory, path: &str| directory.remove(path, true);
        self.at("remove-directory-at", &descriptor, path, Access::Change, job).await
    }

    async fn rename_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FileResult<()> {
        let onto = self.directory("rename-at", &to, &new)?;
        let job = move |directory: &Directory, old: &str| directory.rename(old, &onto, &new);
        self.at("rename-at", &descriptor, old, Access::Change, job).await
    }

    async fn symlink_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FileResult<()> {
        let job = move |directory: &Directory, path: &str| directory.symlink(&target, path);
        self.at("symlink-at", &descriptor, path, Access::Change, job).await
    }

    async fn unlink_file_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FileResult<()> {
        let job = |directory: &Directory, path: &str| directory.remove(path, false);
        self.at("unlink-file-at", &descriptor, path, Access::Change, job).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let one = self.stat_of("is-same-object", &one).await;
        let other = self.stat_of("is-same-object", &other).await;
        let (Ok(one), Ok(other)) = (one, other) else { return Ok(false) };
        let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        Ok(one.map(identity) == other.map(identity))
    }

    async fn metadata_hash(
        &mut self,
        descriptor: Resource<Descriptor>,
    ) -> FileResult<MetadataHashValue> {
        let stat = self.stat_of("metadata-hash", &descriptor).await?;
        let nothing = MetadataHashValue { lower: 0, upper: 0 };
        Ok(stat.as_ref().map_or(nothing, describe::metadata_hash))
    }

    async fn metadata_hash_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FileResult<MetadataHashValue> {
        if self.is_on_the_way(&descriptor, &path)? {
            return Ok(MetadataHashValue { lower: 0, upper: 0 });
        }
        let stat = self.look_at("metadata-hash-at", &descriptor, flags, path).await?;
        Ok(describe::metadata_hash(&stat))
    }

    async fn drop(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(descriptor)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
