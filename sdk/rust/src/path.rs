//! Paths as the caller means them.

use std::path::{Path, PathBuf};

/// The absolute path that `path` means: a relative one begins in the caller's working folder,
/// where the node told it, else at the root. Nothing is resolved on disk.
#[must_use]
pub fn absolute(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    if path.is_absolute() { path.to_path_buf() } else { working_folder().join(path) }
}

/// The caller's working folder; `/` when it lies in no granted folder.
#[must_use]
pub fn working_folder() -> PathBuf {
    #[cfg(target_arch = "wasm32")]
    let folder = wasip2::cli::environment::initial_cwd().map(PathBuf::from);
    #[cfg(not(target_arch = "wasm32"))]
    let folder = std::env::current_dir().ok();
    folder.filter(|folder| folder.is_absolute()).unwrap_or_else(|| PathBuf::from("/"))
}
