//! The functions of a descriptor, an open file or directory: each finds what is meant, says whether
//! it looks or changes, and hands the work to a thread that may block.

use meshhost_core::limits::MIB;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use super::{
    FileError, FileResult,
    access::Access,
    bindings::wasi::filesystem::types::{
        self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, Filesize,
        MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
    },
    describe,
    listing::Listing,
    node::{self, Descriptor, OpenFile, OpenRequest},
    stream::FileInput,
    walk::Directory,
};
use crate::imports::View;

/// Bytes that one `read` returns at most.
const READ_BYTES_MAX: u64 = MIB;

/// What the guest sees of the empty root.
const NOTHING: DescriptorStat = DescriptorStat {
    type_: DescriptorType::Directory,
    link_count: 1,
    size: 0,
    data_access_timestamp: None,
    data_modification_timestamp: None,
    status_change_timestamp: None,
};

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
