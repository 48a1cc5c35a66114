//! The documents that plugins search in: one SQLite database for each plugin in the folder `index`, so
//! that the record of evidence is neither slowed nor enlarged by them, and one plugin's writes keep no
//! other's waiting (`host/decisions/0010-index.md`).
//!
//! A corpus has tables of its own, named by its number: BM25's numbers depend on every text of a table,
//! and one corpus must not change what another finds.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use meshhost_core::{
    config::Durability,
    id::PluginName,
    index::{IndexError, IndexErrorCode},
    outcome::Refusal,
};
use sqlx::{
    AssertSqlSafe, Sqlite, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OnceCell, OwnedMutexGuard};

use super::{database::without_log, error::StoreError};
use crate::blocking;

mod corpora;
mod documents;
mod search;
mod vectors;

pub(crate) use corpora::CorpusRow;
pub(crate) use documents::{Prepared, PreparedPassage};

/// Connections of one plugin that read.
const READERS_MAX: u32 = 2;
/// How long an unused connection stays.
const IDLE: Duration = Duration::from_secs(60);
/// How long a statement waits for a lock of SQLite, and a search for a connection.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// The schema that this program writes and reads.
const SCHEMA: i64 = 1;

/// A plugin's database, when somebody has opened it.
type Opened = Arc<OnceCell<Arc<PluginIndex>>>;

/// The databases of all plugins, each opened when it is first used.
#[derive(Debug, Clone)]
pub struct Indexes {
    folder: PathBuf,
    durability: Durability,
    open: Arc<Mutex<HashMap<PluginName, Opened>>>,
}

impl Indexes {
    /// The databases in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, durability: Durability) -> Self {
        Self { folder, durability, open: Arc::default() }
    }

    /// The database of one plugin, made when it has none.
    ///
    /// # Errors
    /// A fault, which the log explains.
    pub(crate) async fn of(&self, plugin: &PluginName) -> Result<Arc<PluginIndex>, IndexError> {
        let cell = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.entry(plugin.clone()).or_default())
        };
        let [_, _, path] = self.files(plugin);
        let opened = cell.get_or_try_init(|| PluginIndex::open(path, self.durability)).await;
        opened.cloned().map_err(|error| {
            tracing::error!(%plugin, error = &error as &dyn std::error::Error, "its index does not open");
            IndexError::fault()
        })
    }

    /// Bytes of the files of one plugin; 0 when it has none.
    pub(crate) fn bytes(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for file in self.files(plugin) {
            match std::fs::symlink_metadata(file) {
                Ok(there) => bytes += there.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("look at an index")(error)),
            }
        }
        Ok(bytes)
    }

    /// Deletes the database of one plugin. Whatever still works on it fails from now on; `ended` is
    /// told when nothing does any more, and nothing has begun on a new one.
    pub(crate) async fn remove(
        &self,
        plugin: &PluginName,
        ended: impl FnOnce(),
    ) -> Result<(), Refusal> {
        let cell = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(plugin).cloned();
        let opened = cell.and_then(|cell| cell.get().cloned());
        let _changing = match &opened {
            Some(index) => Some(index.changing().await),
            None => None,
        };
        if let Some(index) = &opened {
            index.close().await;
        }
        ended();
        let (files, folder) = (self.files(plugin), self.folder.clone());
        let deleted = blocking::run(move || delete(&files, &folder)).await;
        // Also after a failure: what is left opens again.
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
        deleted?
    }

    /// The files of one plugin, its database last: its log alone would be taken for that of a new
    /// database.
    fn files(&self, plugin: &PluginName) -> [PathBuf; 3] {
        // A plugin's name is made of letters, digits and hyphens.
        ["-wal", "-shm", ""].map(|end| self.folder.join(format!("{plugin}.db{end}")))
    }

    /// Ends every connection; what was acknowledged is in the files already.
    pub async fn close(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for index in open.values().filter_map(|cell| cell.get()) {
            index.close().await;
        }
    }
}

/// The database of one plugin.
#[derive(Debug)]
pub(crate) struct PluginIndex {
    /// One connection: changes come one after the other.
    writer: SqlitePool,
    readers: SqlitePool,
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl PluginIndex {
    async fn open(path: PathBuf, durability: Durability) -> Result<Arc<Self>, StoreError> {
        make_private(&path)?;
        let synchronous = match durability {
            Durability::Process => SqliteSynchronous::Normal,
            Durability::Power => SqliteSynchronous::Full,
        };
        let common = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_WAIT)
            .pragma("trusted_schema", "OFF")
            .pragma("temp_store", "MEMORY");
        let common = without_log(common);
        let writing = common
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .pragma("secure_delete", "ON");
        let pool = |connections| {
            let pool = SqlitePoolOptions::new().max_connections(connections);
            pool.acquire_timeout(BUSY_WAIT).idle_timeout(IDLE)
        };
        let index = Self {
            writer: pool(1).connect_lazy_with(writing),
            readers: pool(READERS_MAX).connect_lazy_with(common.read_only(true)),
            changing: Arc::default(),
        };
        index.make_schema().await?;
        Ok(Arc::new(index))
    }

    async fn make_schema(&self) -> Result<(), StoreError> {
        let fault = || StoreError::database("open an index");
        let found: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.writer)
            .await
            .map_err(fault())?;
        match found {
            0 => {}
            SCHEMA => return Ok(()),
            _ => return Err(StoreError::Newer { found, known: SCHEMA }),
        }
        let mut transaction = self.writer.begin().await.map_err(fault())?;
        sqlx::raw_sql(corpora::SCHEMA).execute(&mut *transaction).await.map_err(fault())?;
        transaction.commit().await.map_err(fault())
    }

    /// Ends every connection, and fails whoever wants one.
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// The right to change what is here, one after the other. A waiter that goes away leaves no trace.
    pub(crate) async fn changing(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, IndexError> {
        self.readers.acquire().await.map_err(fault)
    }

    async fn writer(&self) -> Result<PoolConnection<Sqlite>, IndexError> {
        self.writer.acquire().await.map_err(fault)
    }
}

/// Deletes files of the folder; those that are not there are as good as deleted.
fn delete(files: &[PathBuf], folder: &Path) -> Result<(), Refusal> {
    let deleted = (|| {
        for file in files {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::File::open(folder)?.sync_all()
    })();
    deleted.map_err(|error| StoreError::io("delete an index")(error).refusal())
}

/// A file that only this user can reach; SQLite would let the user's umask decide.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop).map_err(StoreError::opening("open an index"))
}

/// A statement about the tables of one corpus: each `#` is its number, which is ours.
fn of_corpus(statement: &str, corpus: i64) -> AssertSqlSafe<String> {
    AssertSqlSafe(statement.replace('#', &corpus.to_string()))
}

/// What a guest learns of a failure of the store; the log gets the rest.
fn fault(error: sqlx::Error) -> IndexError {
    tracing::error!(error = &error as &dyn std::error::Error, "an index could not be used");
    IndexError::fault()
}

/// A row is not what was written.
fn damaged() -> IndexError {
    tracing::error!("an index is damaged: a row is not what was written");
    IndexError::fault()
}

/// An answer would be larger than answers are.
fn too_large() -> IndexError {
    let message = "the answer would have more than 8 MiB; ask for less at once";
    IndexError::new(IndexErrorCode::TooLarge, message)
}

/// SQLite's whole numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;
