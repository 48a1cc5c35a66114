//! Memory that the node and its worker share, for tensors that are too large for a message.
//!
//! It is a file without a name that both sides have open. Both copy out of it and into it by
//! system calls and never map it: what the other side changes meanwhile can only make the copied
//! bytes different, and no `unsafe` code is needed. Where the system can, its length is sealed.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt as _,
    },
};

use rustix::{buffer::spare_capacity, io::pread};

mod ranges;

pub(crate) use ranges::{Range, Ranges};

/// A region of shared memory.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    file: File,
    bytes: u64,
}

impl SharedMemory {
    /// A new region. It takes memory only where it was written.
    pub(crate) fn create(bytes: u64) -> io::Result<Self> {
        let file = nameless()?;
        file.set_len(bytes)?;
        seal(&file)?;
        Ok(Self { file, bytes })
    }

    /// The region that the other side made, of this length.
    pub(crate) fn open(descriptor: OwnedFd, bytes: u64) -> io::Result<Self> {
        let file = File::from(descriptor);
        if file.metadata()?.len() != bytes {
            return Err(io::Error::other("the shared memory has another length"));
        }
        Ok(Self { file, bytes })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the chunks one after the other from `offset`.
    pub(crate) fn write(&self, mut offset: u64, chunks: &[&[u8]]) -> io::Result<()> {
        for chunk in chunks {
            self.file.write_all_at(chunk, offset)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// A copy of a range that lies within the region. The caller bounds its length.
    pub(crate) fn read(&self, range: Range) -> io::Result<Vec<u8>> {
        let end = range.offset.checked_add(range.length);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(io::Error::other("a range lies outside of the shared memory"));
        }
        let length = usize::try_from(range.length).map_err(io::Error::other)?;
        // Into memory that nothing was written to before: zeroing it takes as long as the copy.
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let offset = range.offset + bytes.len() as u64;
            if pread(&self.file, spare_capacity(&mut bytes), offset)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[cfg(target_os = "linux")]
fn nameless() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("meshhost-tensors", flags)?.into())
}

#[cfg(not(target_os = "linux"))]
fn nameless() -> io::Result<File> {
    tempfile::tempfile()
}

#[cfg(target_os = "linux")]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};

    Ok(fcntl_add_seals(file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?)
}

#[cfg(not(target_os = "linux"))]
const fn seal(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_nothing_outside_of_it() {
        let memory = SharedMemory::create(8192).unwrap();
        memory.write(100, &[b"abc", b"de"]).unwrap();
        assert_eq!(memory.read(Range { offset: 100, length: 5 }).unwrap(), b"abcde");
        for (offset, length) in [(8192, 1), (0, 8193), (u64::MAX, 2), (1, u64::MAX)] {
            assert!(memory.read(Range { offset, length }).is_err(), "{offset} {length}");
        }
        let other = memory.descriptor().try_clone_to_owned().unwrap();
        assert!(SharedMemory::open(other, 4096).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn its_length_is_sealed() {
        let memory = SharedMemory::create(4096).unwrap();
        assert!(memory.file.set_len(0).is_err());
        assert!(memory.file.set_len(1 << 40).is_err());
    }
}
