//! The cache of compiled code: authenticated with a key of the node, opened once, mapped through
//! the descriptor that was checked. What fails any check is compiled again.
//!
//! A cached file is machine code that runs with the node's rights, so it is only loaded when this
//! node wrote it: keyed BLAKE3 over what it is for (component, wasmtime, settings, processor) and
//! its bytes. The tag stands after the code, because the code is mapped from the file's start.
//! The node's own user is trusted: whoever runs as that user can change the node itself.

use std::{
    fs::{File, Permissions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use meshhost_core::id::Digest;
use rustix::fs::{Mode, OFlags};

use crate::engine;

/// Bytes of the authentication tag after the code.
const TAG_BYTES: usize = 32;
/// Bytes of the largest cached file; what is larger was not written by us.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Bytes that are read and hashed at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// The cache folder and its key.
#[derive(Clone)]
pub struct CodeCache {
    /// The folder, 0700.
    pub folder: PathBuf,
    /// The key for keyed BLAKE3, derived from the node's key.
    pub key: [u8; 32],
}

impl std::fmt::Debug for CodeCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CodeCache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why a cached file is not used. Each means: compile again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheMiss {
    /// There is none, or it cannot be read.
    #[error("the cached code cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// Not a regular file of this user with mode 0600 and one link, or of a wrong size.
    #[error("the cached code is not a file that this node wrote")]
    Foreign,
    /// The tag does not fit: changed, for another component, or from another node.
    #[error("the cached code does not authenticate")]
    Unauthentic,
}

impl From<std::io::Error> for CacheMiss {
    fn from(error: std::io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl CodeCache {
    /// Stores `code` for `component`: written to a temporary name, renamed in, never truncated.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn put(&self, component: &Digest, code: &[u8]) -> std::io::Result<()> {
        let fingerprint = engine::code_fingerprint(&engine::compiling().map_err(other)?);
        let mut tag = self.hasher(component, &fingerprint);
        tag.update(code);
        let name = file_name(component, &fingerprint);
        let mut file = self.temporary(&name)?;
        file.file.write_all(code)?;
        file.file.write_all(tag.finalize().as_bytes())?;
        file.file.sync_all()?;
        file.rename(self.folder.join(name))
    }

    /// Opens and checks the code of `component` for the engine with this fingerprint. The file
    /// that comes back is the one that was checked, at its start.
    pub(crate) fn open(
        &self,
        component: &Digest,
        fingerprint: &[u8; 32],
    ) -> Result<File, CacheMiss> {
        let path = self.folder.join(file_name(component, fingerprint));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(std::io::Error::from)?;
        let mut file = File::from(opened);
        let code_bytes = check_ownership(&file)?;
        let mut tag = self.hasher(component, fingerprint);
        hash_exactly(&mut file, code_bytes, &mut tag)?;
        let mut stored = [0; TAG_BYTES];
        file.read_exact(&mut stored)?;
        // blake3's comparison takes the same time wherever the difference is.
        if tag.finalize() != stored {
            return Err(CacheMiss::Unauthentic);
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// A hasher that has taken in the key and what the code is for.
    fn hasher(&self, component: &Digest, fingerprint: &[u8; 32]) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(component.as_bytes());
        hasher.update(fingerprint);
        hasher
    }

    /// A new file beside `name`, mode 0600, that is removed unless it is renamed.
    fn temporary(&self, name: &str) -> std::io::Result<Temporary> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{name}.{}-{number}.new", std::process::id()));
        let create =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match rustix::fs::open(&path, create, Mode::RUSR | Mode::WUSR) {
            // Left behind by a process of the same number that was killed.
            Err(rustix::io::Errno::EXIST) => {
                std::fs::remove_file(&path)?;
                rustix::fs::open(&path, create, Mode::RUSR | Mode::WUSR)?
            }
            opened => opened?,
        };
        let file = File::from(opened);
        // The umask may have taken bits away from the mode.
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Temporary { file, path: Some(path) })
    }
}

/// A file that is being written.
struct Temporary {
    file: File,
    path: Option<PathBuf>,
}

impl Temporary {
    fn rename(mut self, to: PathBuf) -> std::io::Result<()> {
        if let Some(path) = self.path.take() {
            std::fs::rename(path, to)?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // Nothing is lost when this fails: the name is never looked at.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The number of code bytes, when the file is one that this user wrote for itself.
fn check_ownership(file: &File) -> Result<u64, CacheMiss> {
    let metadata = file.metadata()?;
    let ours = metadata.is_file()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & 0o7777 == 0o600
        && metadata.nlink() == 1
        && metadata.len() <= FILE_BYTES_MAX;
    let code_bytes = metadata.len().checked_sub(TAG_BYTES as u64);
    code_bytes.filter(|_| ours).ok_or(CacheMiss::Foreign)
}

fn hash_exactly(file: &mut File, bytes: u64, hasher: &mut blake3::Hasher) -> Result<(), CacheMiss> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let part = chunk.get_mut(..wanted).ok_or(CacheMiss::Foreign)?;
        file.read_exact(part)?;
        hasher.update(part);
        left -= wanted as u64;
    }
    Ok(())
}

/// `<component>-<start of the fingerprint>.code`: codes of several versions can lie side by side.
fn file_name(component: &Digest, fingerprint: &[u8; 32]) -> String {
    let fingerprint = Digest::from_bytes(*fingerprint).to_hex();
    format!("{}-{}.code", component.to_hex(), fingerprint.get(..16).unwrap_or_default())
}

fn other(error: wasmtime::Error) -> std::io::Error {
    std::io::Error::other(error.into_boxed_dyn_error())
}

#[cfg(test)]
mod tests;
