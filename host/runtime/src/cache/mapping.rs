//! A file in memory without a copy of it: hashing 40 MB of code takes less time than reading them
//! into buffers first.
#![expect(unsafe_code, reason = "mapping a file: the one place where bytes are looked at in it")]

use std::{fs::File, io, ptr::NonNull, slice};

use rustix::mm::{MapFlags, ProtFlags};

/// The mapped start of a file; unmapped when dropped.
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`, which nobody shortens or changes while the mapping
    /// lives; `length` is not more than it has.
    pub(super) fn of(file: &File, length: usize) -> io::Result<Self> {
        // POPULATE: all of it is read at once, and a fault for every few pages costs more.
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: the kernel chooses a range that nothing else uses.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), length, ProtFlags::READ, flags, file, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::Other)?;
        Ok(Self { start, length })
    }

    /// The bytes.
    pub(super) const fn bytes(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped for reading until `self` is dropped. They do not
        // change: the file belongs to this user alone, has one name, and is replaced by renaming,
        // never written again or shortened; the node's own user is trusted.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `of`, and the borrows of `bytes` have ended. A failure
        // leaves it mapped, which harms nothing.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
