//! Why the store refused or failed, each with its code.

use std::{error::Error, io, sync::Arc};

use meshhost_core::{code::Code, outcome::Refusal};

/// Why the store refused or failed. No message carries a path of the host: files are named as
/// they are called inside the data directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data directory.
    #[error("the data directory is in use by {holder}; wait until it ends, or stop it")]
    Locked {
        /// What the lock file says: process id and purpose.
        holder: String,
    },
    /// A file or folder can be reached by other users, belongs to one, or is not a plain one.
    #[error("{what} {problem}; {remedy}")]
    Mode {
        /// The file or folder, as it is called inside the data directory.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The data directory lies on a file system whose locks and durability are not local.
    #[error("the data directory lies on {kind}; choose a folder on a local disk")]
    Network {
        /// The kind of file system.
        kind: &'static str,
    },
    /// The store was written by a newer meshhost.
    #[error(
        "the store has schema version {found}, this program knows up to {known}; use the newer program"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The disk is full.
    #[error("the store could not {operation} because the disk is full; make space and try again")]
    Full {
        /// What was tried.
        operation: &'static str,
    },
    /// The disk or the file is read-only, also for its own user.
    #[error(
        "the store could not {operation} because it is read-only; make the disk and its files writable"
    )]
    ReadOnly {
        /// What was tried.
        operation: &'static str,
    },
    /// The node may not keep more bytes of blobs.
    #[error(
        "the blobs of this node may take no more space; unpin blobs, or raise blob_bytes in meshhost.toml"
    )]
    BlobQuota,
    /// Stored bytes are not what was written.
    #[error("{what} is damaged; restore the data directory from a copy")]
    Damaged {
        /// What is damaged.
        what: &'static str,
    },
    /// A failure that others were told of as well.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// What was asked for is not there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Anything else that the machine refused.
    #[error("the store could not {operation}")]
    Fault {
        /// What was tried.
        operation: &'static str,
        /// How it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// SQLite could not enlarge the index of its log: the disk is full while the store is opened. An
/// extended code.
const SQLITE_IOERR_SHMSIZE: i64 = 4874;
/// SQLite's primary result codes that mean something to the operator.
const SQLITE_READONLY: i64 = 8;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
const SQLITE_NOTADB: i64 = 26;

impl StoreError {
    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Shared(error) => error.code(),
            Self::Locked { .. } => Code::StoreLocked,
            Self::Mode { .. } => Code::StoreMode,
            Self::Network { .. } => Code::StoreNetwork,
            Self::Newer { .. } => Code::StoreNewer,
            Self::NotFound(_) => Code::NotFound,
            Self::BlobQuota => Code::LimitBlob,
            Self::Full { .. } => Code::StoreFull,
            Self::ReadOnly { .. } => Code::StoreReadOnly,
            Self::Damaged { .. } | Self::Fault { .. } => Code::StoreFault,
        }
    }

    /// What a caller is told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::new(self.code(), self.to_string())
    }

    /// For `map_err`: an I/O error during `operation`, a verb phrase.
    pub fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { operation },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { operation },
            _ => Self::Fault { operation, source: Box::new(source) },
        }
    }

    /// For `map_err`: an I/O error while a file of the data directory is made or opened for writing.
    /// Where that is forbidden, the modes of this user's own folder are in the way.
    pub(super) fn opening(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => Self::ReadOnly { operation },
            _ => Self::io(operation)(source),
        }
    }

    /// For `map_err`: a database error during `operation`, a verb phrase.
    pub(super) fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match extended_code(&source).map(|code| (code, code & 0xff)) {
            Some((SQLITE_IOERR_SHMSIZE, _) | (_, SQLITE_FULL)) => Self::Full { operation },
            Some((_, SQLITE_READONLY)) => Self::ReadOnly { operation },
            Some((_, SQLITE_CORRUPT | SQLITE_NOTADB)) => Self::Damaged { what: "meshhost.db" },
            _ => Self::Fault { operation, source: Box::new(source) },
        }
    }
}

/// SQLite's extended result code; its lowest byte is the primary one.
fn extended_code(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}
