//! The cache of compiled code: authenticated with a key of the node, opened once, mapped through
//! the descriptor that was checked. What fails any check is compiled again.
//!
//! A cached file is machine code that runs with the node's rights, so it is only loaded when this
//! node wrote it: keyed BLAKE3 over what it is for (component, wasmtime, settings, processor) and
//! its bytes. The tag stands after the code, because the code is mapped from the file's start.
//! The node's own user is trusted: whoever runs as that user can change the node itself.

use std::{
    fs::{File, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use mapping::Mapping;
use meshhost_core::id::Digest;
use rustix::fs::{Mode, OFlags};

use crate::engine::{self, EngineKind};

mod mapping;

/// Bytes of the authentication tag after the code.
const TAG_BYTES: usize = 32;
/// Bytes of the largest cached file; what is larger was not written by us.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Bytes from which several threads hash: below, waking them takes longer.
const SHARED_BYTES_MIN: usize = 1024 * 1024;

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
    /// Stores `code` that was compiled for `component` and this engine: written to a temporary name, renamed in, never truncated.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn put(&self, component: &Digest, kind: EngineKind, code: &[u8]) -> std::io::Result<()> {
        let fingerprint = engine::code_fingerprint(&engine::compiling(kind).map_err(other)?);
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
    /// that comes back is the one that was checked.
    pub(crate) fn open(
        &self,
        component: &Digest,
        fingerprint: &[u8; 32],
    ) -> Result<File, CacheMiss> {
        let path = self.folder.join(file_name(component, fingerprint));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(std::io::Error::from)?;
        let file = File::from(opened);
        let code_bytes = check_ownership(&file)?;
        let mapping = Mapping::of(&file, code_bytes.saturating_add(TAG_BYTES))?;
        let (code, stored) =
            mapping.bytes().split_at_checked(code_bytes).ok_or(CacheMiss::Foreign)?;
        let stored: [u8; TAG_BYTES] = stored.try_into().map_err(|_| CacheMiss::Foreign)?;
        let mut tag = self.hasher(component, fingerprint);
        if code_bytes < SHARED_BYTES_MIN {
            tag.update(code);
        } else {
            tag.update_rayon(code);
        }
        // blake3's comparison takes the same time wherever the difference is.
        if tag.finalize() == stored { Ok(file) } else { Err(CacheMiss::Unauthentic) }
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
fn check_ownership(file: &File) -> Result<usize, CacheMiss> {
    let metadata = file.metadata()?;
    let ours = metadata.is_file()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & 0o7777 == 0o600
        && metadata.nlink() == 1
        && metadata.len() <= FILE_BYTES_MAX;
    let bytes = usize::try_from(metadata.len()).ok();
    bytes.and_then(|bytes| bytes.checked_sub(TAG_BYTES)).filter(|_| ours).ok_or(CacheMiss::Foreign)
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
