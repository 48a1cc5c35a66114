//! The cache of compiled code: authenticated with a key of the node, opened once, mapped through
//! the descriptor that was checked. What fails any check is compiled again.

use std::path::PathBuf;

use meshhost_core::id::Digest;

/// The cache folder and its key.
#[derive(Debug, Clone)]
pub struct CodeCache {
    /// The folder, 0700.
    pub folder: PathBuf,
    /// The key for keyed BLAKE3, derived from the node's key.
    pub key: [u8; 32],
}

impl CodeCache {
    /// Stores `code` for `component`: written to a temporary name, renamed in, never truncated.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn put(&self, component: &Digest, code: &[u8]) -> std::io::Result<()> {
        let _ = (component, code);
        Err(std::io::Error::other("not built yet"))
    }
}
