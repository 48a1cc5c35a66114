//! The node's keys: one that identifies it, one that signs evidence, and keys derived from the
//! first for things that only this node makes and reads.
//!
//! Keys are 32 random bytes in files of their own. A key file is opened once, without following
//! links, and refused unless it is a plain file of this user that nobody else can reach.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use ed25519_dalek::SigningKey;
use meshhost_core::{
    evidence::sign::Signer,
    id::HostId,
    ports::{Clock, Entropy},
};

use super::{
    directory::{DataDirectory, check_private, no_follow},
    error::StoreError,
};
use crate::sys;

/// Most bytes read of the file with the host id.
const HOST_ID_BYTES_MAX: usize = 128;

/// What a derived key is for. The words are the derivation's context and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Authenticates compiled code that this node wrote.
    CodeCache,
    /// Authenticates what the store keeps outside the database.
    Store,
}

impl Purpose {
    const fn context(self) -> &'static str {
        match self {
            Self::CodeCache => "meshhost 2026-01 code cache key",
            Self::Store => "meshhost 2026-01 store key",
        }
    }
}

/// The keys of one node, and its id.
pub struct Keys {
    node: SigningKey,
    evidence: SigningKey,
    host_id: HostId,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keys").field("host_id", &self.host_id).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the keys, making those that are not there yet.
    ///
    /// # Errors
    /// [`StoreError::Mode`] when a key file can be reached by others or is no plain file;
    /// [`StoreError::Damaged`] when it is not a key; else the I/O error.
    pub fn open(
        directory: &DataDirectory,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let used = directory.database().exists();
        let node = key(&directory.node_key(), "node.key", used, entropy)?;
        let evidence = key(&directory.evidence_key(), "evidence.key", used, entropy)?;
        let host_id = host_id(&directory.host_id(), clock, entropy)?;
        Ok(Self { node, evidence, host_id })
    }

    /// The key that identifies the node to peers.
    #[must_use]
    pub fn node(&self) -> Signer {
        Signer::from_seed(self.node.as_bytes())
    }

    /// The same key as TLS takes it: its 32 secret bytes.
    pub(crate) fn node_seed(&self) -> [u8; 32] {
        self.node.to_bytes()
    }

    /// The key that signs evidence.
    #[must_use]
    pub fn evidence(&self) -> Signer {
        Signer::from_seed(self.evidence.as_bytes())
    }

    /// The node's id in evidence: chosen once, kept for ever.
    #[must_use]
    pub const fn host_id(&self) -> &HostId {
        &self.host_id
    }

    /// A key that only this node can derive (BLAKE3's key derivation).
    #[must_use]
    pub fn derived(&self, purpose: Purpose) -> [u8; 32] {
        blake3::derive_key(purpose.context(), self.node.as_bytes())
    }
}

/// Reads or makes one key. None is made beside a store that
/// is already `used`: what the lost key signed would fail to verify without a word of why.
fn key(
    path: &Path,
    name: &'static str,
    used: bool,
    entropy: &dyn Entropy,
) -> Result<SigningKey, StoreError> {
    if let Some(bytes) = read_private(path, name, 32)? {
        let seed = <[u8; 32]>::try_from(bytes).map_err(|_| StoreError::Damaged { what: name })?;
        return Ok(SigningKey::from_bytes(&seed));
    }
    if used {
        return Err(StoreError::Damaged { what: name });
    }
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    write_private(path, &seed)?;
    Ok(SigningKey::from_bytes(&seed))
}

fn host_id(path: &Path, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<HostId, StoreError> {
    const NAME: &str = "host_id";
    if let Some(bytes) = read_private(path, NAME, HOST_ID_BYTES_MAX)? {
        let text = String::from_utf8(bytes).map_err(|_| StoreError::Damaged { what: NAME })?;
        return text.parse().map_err(|_| StoreError::Damaged { what: NAME });
    }
    let text = format!("host-{}", sys::new_id(clock, entropy));
    let host_id = text.parse().map_err(|_| StoreError::Damaged { what: NAME })?;
    write_private(path, text.as_bytes())?;
    Ok(host_id)
}

/// The content of a private file of at most `bytes_max` bytes; `None` when it is not there.
pub(super) fn read_private(
    path: &Path,
    name: &'static str,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut options = OpenOptions::new();
    let flags = no_follow() | rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match options.read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open a key file")(error)),
    };
    let metadata = file.metadata().map_err(StoreError::io("look at a key file"))?;
    // One without a name has been replaced since it was opened, and is whole all the same.
    if !metadata.is_file() || metadata.nlink() > 1 {
        return Err(StoreError::Mode {
            what: name.to_owned(),
            problem: "is not a plain file with one name",
            remedy: "restore it from a copy",
        });
    }
    check_private(&metadata, name, "run `chmod 600` on it")?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(StoreError::io("read a key file"))?;
    if bytes.len() > bytes_max {
        return Err(StoreError::Damaged { what: name });
    }
    Ok(Some(bytes))
}

/// Writes a new private file so that it is there whole, on the disk, or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let fault = || StoreError::io("write a file of the data directory");
    let temporary = path.with_extension("new");
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow());
        let mut file = options.open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    written.map_err(fault())
}

#[cfg(test)]
mod tests;
