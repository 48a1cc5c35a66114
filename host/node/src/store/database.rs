//! The SQLite database: how it is opened, migrated and shared. All writes go through one
//! connection, one after the other; reads have connections of their own and see the last commit.

use std::{
    borrow::Cow, fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc,
    time::Duration,
};

use meshhost_core::config::Durability;
use sqlx::{
    Connection, SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::error::StoreError;

/// The steps of the schema: number, what, SQL. See `migrations/README.md`.
const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "store", include_str!("../../migrations/0001_store.sql")),
    (2, "models", include_str!("../../migrations/0002_models.sql")),
    (3, "mesh", include_str!("../../migrations/0003_mesh.sql")),
    (4, "routes", include_str!("../../migrations/0004_routes.sql")),
    (5, "on_behalf", include_str!("../../migrations/0005_on_behalf.sql")),
    (6, "receipts", include_str!("../../migrations/0006_receipts.sql")),
];

/// Connections that read.
const READERS_MAX: u32 = 4;
/// How long a statement waits for a lock of SQLite, and a reader for a connection.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// How long an unused reader stays.
const READER_IDLE: Duration = Duration::from_secs(60);
/// Pages of 4 KiB after which a commit itself writes the log back into the database, because
/// [`Database::write_back_meanwhile`] does not keep up.
const CHECKPOINT_PAGES: &str = "16000";
/// Statements that stay prepared. A group of evidence has one of a few dozen batches.
const PREPARED: usize = 128;

/// The open database.
#[derive(Debug, Clone)]
pub struct Database {
    writer: Arc<Mutex<SqliteConnection>>,
    /// Writes the log back and nothing else.
    keeper: Arc<Mutex<SqliteConnection>>,
    readers: SqlitePool,
}

impl Database {
    /// Opens or makes the database and brings its schema up to date, after a copy.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program wrote it; [`StoreError::Full`],
    /// [`StoreError::ReadOnly`] and [`StoreError::Damaged`] as they are; else a fault.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        // Made here, because SQLite would let the user's umask decide who may read it.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(path).map_err(StoreError::io("open meshhost.db"))?;
        let synchronous = match durability {
            // The log is synced before it is written back: a power cut may lose the newest
            // commits, never the database, and the signed heads show the loss.
            Durability::Process => SqliteSynchronous::Normal,
            // The log is synced at each commit.
            Durability::Power => SqliteSynchronous::Full,
        };
        let common = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_WAIT)
            .foreign_keys(true)
            .pragma("trusted_schema", "OFF")
            .pragma("temp_store", "MEMORY");
        let common = without_log(common);
        let writing = common
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .statement_cache_capacity(PREPARED)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("secure_delete", "ON");
        let mut writer = SqliteConnection::connect_with(&writing)
            .await
            .map_err(StoreError::database("open meshhost.db"))?;
        migrate(&mut writer, path).await?;
        let keeper = SqliteConnection::connect_with(&writing)
            .await
            .map_err(StoreError::database("open meshhost.db"))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(BUSY_WAIT)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(common.read_only(true));
        let (writer, keeper) = (Arc::new(Mutex::new(writer)), Arc::new(Mutex::new(keeper)));
        Ok(Self { writer, keeper, readers })
    }

    /// The one connection that writes, when its turn comes. A waiter that goes away leaves no
    /// trace; who holds it keeps others waiting.
    pub(super) async fn writer(&self) -> OwnedMutexGuard<SqliteConnection> {
        Arc::clone(&self.writer).lock_owned().await
    }

    /// Connections that read.
    pub(super) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Writes the log back into the database as far as nobody has to wait for it: beside commits
    /// and reads, on a connection of its own. Says whether all of what was committed when it began
    /// is safe in the database now, and not in the log alone.
    ///
    /// # Errors
    /// When it cannot be written back; nothing is lost then.
    pub(super) async fn write_back_meanwhile(&self) -> Result<bool, StoreError> {
        let (busy, pages, written): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
                .fetch_one(&mut *self.keeper.lock().await)
                .await
                .map_err(StoreError::database("write back the log"))?;
        Ok(busy == 0 && pages == written)
    }

    /// Writes the log back into the database and empties it, as far as no reader needs it.
    ///
    /// # Errors
    /// When it cannot be written back; nothing is lost then.
    pub(super) async fn write_back(&self) -> Result<(), StoreError> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *self.writer().await)
            .await
            .map_err(StoreError::database("write back the log"))?;
        Ok(())
    }

    /// Ends the readers and writes the log back into the database.
    ///
    /// # Errors
    /// When the log cannot be written back; nothing is lost then.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.write_back().await
    }
}

/// Values of statements must not reach the log of the program.
pub(super) fn without_log(options: SqliteConnectOptions) -> SqliteConnectOptions {
    use sqlx::ConnectOptions as _;
    options.disable_statement_logging()
}

/// Brings the schema up to date in one transaction, after a copy of what was there.
async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let known = MIGRATIONS.last().map_or(0, |step| step.0);
    let found = schema_version(connection).await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found > 0 && found < known {
        back_up(connection, path, known).await?;
    }
    let fault = || StoreError::database("bring the schema up to date");
    let mut transaction = connection.begin().await.map_err(fault())?;
    migrator().run(&mut *transaction).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => fault()(error),
        other => {
            StoreError::Fault { operation: "bring the schema up to date", source: Box::new(other) }
        }
    })?;
    transaction.commit().await.map_err(fault())
}

fn migrator() -> Migrator {
    let steps = MIGRATIONS.map(|(version, what, sql)| {
        let sql = sql.into_sql_str();
        Migration::new(version, Cow::Borrowed(what), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(steps.to_vec())
}

/// The newest applied step; 0 for an empty database.
async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let fault = || StoreError::database("read the schema version");
    let table = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    let tables: i64 =
        sqlx::query_scalar(table).fetch_one(&mut *connection).await.map_err(fault())?;
    if tables == 0 {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    sqlx::query_scalar(newest).fetch_one(connection).await.map_err(fault())
}

/// Copies the database beside itself, as one consistent file. An earlier copy for the same step
/// is of the same content or of a failed try, and is replaced.
async fn back_up(
    connection: &mut SqliteConnection,
    path: &Path,
    step: i64,
) -> Result<(), StoreError> {
    let copy = path.with_extension(format!("db.before-{step:04}"));
    super::directory::remove_if_there(&copy)?;
    let name = copy.to_str().ok_or(StoreError::Damaged { what: "the data directory's name" })?;
    sqlx::query("VACUUM INTO ?1")
        .bind(name)
        .execute(connection)
        .await
        .map_err(StoreError::database("copy the store before a migration"))?;
    Ok(())
}

#[cfg(test)]
mod tests;
