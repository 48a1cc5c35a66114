//! Stand-in for the crate `memmap2` where files cannot be mapped, as under WASI: the file is read
//! into memory when it is "mapped". It has exactly what gix calls.
//!
//! gix opens packs, pack indices, the index and packed references only when they are needed, and
//! so they are read only then. A file that does not fit into the plugin's memory is an error, not
//! a trap.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Deref;

/// The bytes of a file, as they were when it was opened.
pub struct Mmap(Vec<u8>);

impl Deref for Mmap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Mmap {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Mmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mmap").field("length", &self.0.len()).finish()
    }
}

/// How to map; there is nothing to choose.
#[derive(Debug, Clone, Default)]
pub struct MmapOptions;

impl MmapOptions {
    /// The only options there are.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or does not fit into memory.
    pub fn map(&self, file: &File) -> io::Result<Mmap> {
        read(file).map(Mmap)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or does not fit into memory.
    pub fn map_copy_read_only(&self, file: &File) -> io::Result<Mmap> {
        read(file).map(Mmap)
    }
}

/// Reads from the beginning, wherever the file's position is, and leaves the position as it was.
fn read(mut file: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).map_err(|_| too_large())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| too_large())?;
    let position = file.stream_position()?;
    file.seek(SeekFrom::Start(0))?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(position))?;
    Ok(bytes)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, "the file is larger than the plugin's memory")
}
