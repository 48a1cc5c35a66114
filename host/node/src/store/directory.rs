//! The data directory: who may open it, where it may lie, and what is in it.
//!
//! ```text
//! node.lock        held by the process that has the store open; says which
//! node.key         Ed25519 seed: identifies the node
//! evidence.key     Ed25519 seed: signs evidence
//! host_id          the node's id in evidence; never changes
//! meshhost.db      SQLite
//! journal/         committed evidence on its way into the database
//! heads            signed heads of the record, outside the database
//! components/      installed components by digest
//! code/            compiled code
//! blobs/           blobs by digest
//! models/          files of models by digest
//! index/           documents of plugins to search in, one SQLite database for each plugin
//! runtimes/        libraries that run models, put there by the operator
//! meshhost.toml    the operator's configuration
//! grants/          what the operator allows, one file for each plugin
//! admin.sock       where the node listens
//! ```
//!
//! The node's own user is trusted; nobody else gets in.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use meshhost_core::id::Digest;
use meshhost_runtime::live::Excluded;

use super::error::StoreError;

mod file_system;

/// How long an opener waits for another process that holds the directory.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often it looks again.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// Longest text that is read from the lock file.
const HOLDER_BYTES_MAX: u64 = 64;

const FOLDERS: [&str; 8] =
    ["components", "code", "blobs", "grants", "journal", "models", "index", "runtimes"];
/// Files that are written once or in place. Not `heads`, which is replaced every second: the inode
/// of the one before may be a guest's own file by then.
const FILES: [&str; 5] = ["node.lock", "node.key", "evidence.key", "host_id", "meshhost.db"];

/// What the directory is opened for; the lock file says it to whoever has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// One short command.
    Command,
    /// A node that serves until it is stopped.
    Node,
}

impl Access {
    const fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Node => "node",
        }
    }
}

/// The open data directory. The lock lasts as long as the value.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Opens the data directory, making it when it is not there, and locks it for this process.
    /// Waits up to ten seconds for a process that holds it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] after the wait; [`StoreError::Mode`] when others can reach it or own
    /// it; [`StoreError::Network`] when it lies on a network file system; else the I/O error.
    pub async fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        Self::open_within(path, access, LOCK_WAIT).await
    }

    /// Makes the folder when it is not there, without opening it.
    ///
    /// # Errors
    /// [`StoreError::Mode`] when others can reach it or own it; else the I/O error.
    pub fn make(path: &Path) -> Result<(), StoreError> {
        make_private_folder(path, "the data directory").map(drop)
    }

    /// As [`Self::open`], waiting at most `wait`.
    pub(super) async fn open_within(
        path: &Path,
        access: Access,
        wait: Duration,
    ) -> Result<Self, StoreError> {
        let path = make_private_folder(path, "the data directory")?;
        if let Some(kind) = file_system::network_kind(&path)? {
            return Err(StoreError::Network { kind });
        }
        let lock = lock(&path.join("node.lock"), access, wait).await?;
        for folder in FOLDERS {
            make_private_folder(&path.join(folder), folder)?;
        }
        remove_if_there(&Self::socket_in(&path))?;
        for folder in ["components", "code"] {
            remove_unfinished(&path.join(folder))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The operator's configuration, where no other file is named.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.path.join("meshhost.toml")
    }

    /// The node's key.
    #[must_use]
    pub fn node_key(&self) -> PathBuf {
        self.path.join("node.key")
    }

    /// The key that signs evidence.
    #[must_use]
    pub fn evidence_key(&self) -> PathBuf {
        self.path.join("evidence.key")
    }

    /// The node's id in evidence.
    #[must_use]
    pub fn host_id(&self) -> PathBuf {
        self.path.join("host_id")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("meshhost.db")
    }

    /// The folder of the journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// The signed heads.
    #[must_use]
    pub fn heads(&self) -> PathBuf {
        self.path.join("heads")
    }

    /// The file of an installed component.
    #[must_use]
    pub fn component(&self, digest: &Digest) -> PathBuf {
        self.path.join("components").join(format!("{}.wasm", digest.to_hex()))
    }

    /// The folder of installed components.
    #[must_use]
    pub fn components(&self) -> PathBuf {
        self.path.join("components")
    }

    /// The folder of the operator's overlays, one file a plugin, written by hand.
    #[must_use]
    pub fn overlays(&self) -> PathBuf {
        self.path.join("overlays")
    }

    /// The folder of compiled code.
    #[must_use]
    pub fn code_cache(&self) -> PathBuf {
        self.path.join("code")
    }

    /// The folder of blobs.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// The folder of the files of models.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.path.join("models")
    }

    /// The folder of documents to search in.
    #[must_use]
    pub fn indexes(&self) -> PathBuf {
        self.path.join("index")
    }

    /// The folder of libraries that run models.
    #[must_use]
    pub fn runtimes(&self) -> PathBuf {
        self.path.join("runtimes")
    }

    /// The folder of grant files.
    #[must_use]
    pub fn grants(&self) -> PathBuf {
        self.path.join("grants")
    }

    /// The socket on which a node listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        Self::socket_in(&self.path)
    }

    /// The socket of the node that holds the data directory at `path`, without opening it.
    #[must_use]
    pub fn socket_in(path: &Path) -> PathBuf {
        path.join("admin.sock")
    }

    /// Everything here that no granted folder may reach, by device and inode, so that neither a
    /// hard link nor a rename opens a way in. Read again after files were made.
    ///
    /// # Errors
    /// When a file that is there cannot be looked at.
    pub fn excluded(&self) -> Result<Vec<Excluded>, StoreError> {
        let mut found = vec![identity(&fs::metadata(&self.path).map_err(look())?)];
        for name in FOLDERS.iter().chain(&FILES) {
            match fs::symlink_metadata(self.path.join(name)) {
                Ok(metadata) => found.push(identity(&metadata)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(look()(error)),
            }
        }
        Ok(found)
    }
}

fn look() -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io("look at the data directory")
}

fn identity(metadata: &fs::Metadata) -> Excluded {
    Excluded { device: metadata.dev(), inode: metadata.ino() }
}

/// Makes a folder that only this user can reach, or checks that the one there is such a folder.
/// Returns its canonical path. `what` names it in errors.
fn make_private_folder(path: &Path, what: &str) -> Result<PathBuf, StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(StoreError::opening("make the data directory"))?;
    let path = path.canonicalize().map_err(look())?;
    check_private(&fs::metadata(&path).map_err(look())?, what, "run `chmod 700` on it")?;
    Ok(path)
}

/// Refuses what another user owns or may reach.
pub(super) fn check_private(
    metadata: &fs::Metadata,
    what: &str,
    remedy: &'static str,
) -> Result<(), StoreError> {
    let mode = |problem, remedy| StoreError::Mode { what: what.to_owned(), problem, remedy };
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(mode("belongs to another user", "use a folder of your own"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(mode("can be read or written by others", remedy));
    }
    Ok(())
}

/// Removes a file; one that is not there is no error.
pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove a leftover file")(error))
        }
        _ => Ok(()),
    }
}

/// Removes the files that a process was writing when it was killed: they were to be renamed, and
/// nobody writes here but who has the lock.
fn remove_unfinished(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(look())? {
        let entry = entry.map_err(look())?;
        let unfinished = entry.file_name().as_encoded_bytes().ends_with(b".new");
        if unfinished && entry.file_type().map_err(look())?.is_file() {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// Takes the lock, or says who has it after `wait`.
async fn lock(path: &Path, access: Access, wait: Duration) -> Result<File, StoreError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(path)
        .map_err(StoreError::opening("open node.lock"))?;
    let end = tokio::time::Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(LOCK_POLL).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock node.lock")(error)),
        }
    }
    let says = format!("process {} ({})\n", process::id(), access.word());
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(says.as_bytes()))
        .map_err(StoreError::io("write node.lock"))?;
    Ok(file)
}

/// What the lock file says, as far as it is plain text.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut text);
    let plain: String = text.chars().filter(|letter| !letter.is_control()).collect();
    if read.is_err() || plain.is_empty() { "another process".to_owned() } else { plain }
}

/// `O_NOFOLLOW`, for [`OpenOptionsExt::custom_flags`].
pub(crate) fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests;
