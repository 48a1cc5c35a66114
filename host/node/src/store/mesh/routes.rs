//! Where calls ran that went to other nodes, and what the nodes that answered signed.
//!
//! Routes are written in groups, a moment after their calls have been answered: no call waits for them.
//! What a call did is in the evidence of the node where it ran; a caller that is killed within that
//! moment loses why it went there. A receipt holds for many calls, comes later, and is kept once.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::{
    id::{CorrelationId, InvocationId},
    mesh::{key::NodeKey, receipt::Receipt, signed::Signed},
};
use serde::Serialize;
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{MeshTables, READ, WRITE, damaged, from_bytes, to_bytes, to_text};
use crate::store::error::StoreError;

/// A call that ran on another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteRow {
    /// The call.
    pub invocation_id: InvocationId,
    /// The piece of work that it belongs to; none of a call of before that was kept.
    pub correlation_id: Option<CorrelationId>,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// What was called.
    pub capability: String,
    /// The word for how it ended.
    pub outcome: String,
    /// The key of the node that answered; none when no one did.
    pub ran_on: Option<NodeKey>,
    /// Why there, in words.
    pub words: String,
    /// All candidates, and who was left out, as JSON.
    pub route: String,
    /// What the node that answered signed about it, and about others; it is kept by [`MeshTables::keep_receipt`].
    #[serde(skip)]
    pub receipt: Option<Signed<Receipt>>,
    /// The peer whose call here it was made for; none when that was this node's own.
    pub on_behalf_of: Option<NodeKey>,
}

/// Routes that are kept; older ones go.
const ROUTES_MAX: i64 = 100_000;
/// Calls of one piece of work that are read.
const CALLS_MAX: i64 = 10_000;
/// Routes after which the old ones are looked for.
const PRUNE_AFTER: usize = 1_000;
/// Routes that wait to be written; whoever has one more waits with them.
const PENDING_MAX: usize = 1_024;
/// How long routes are gathered before they are written.
const GATHERING: Duration = Duration::from_millis(5);

/// Makes a row when it is written: after its call was answered.
type Making = Box<dyn FnOnce() -> RouteRow + Send>;

/// Routes that are about to be written.
#[derive(Default)]
pub(super) struct Pending {
    rows: Mutex<Vec<Making>>,
    receipts: Mutex<Vec<ReceiptRow>>,
    /// Held while a group is written; counts what was written since the old ones were looked for.
    writing: tokio::sync::Mutex<usize>,
}

/// A receipt, and the calls whose routes are kept and that it holds for.
#[derive(Debug)]
pub struct ReceiptRow {
    /// The receipt.
    pub signed: Arc<Signed<Receipt>>,
    /// When it came, in microseconds since 1970.
    pub at_us: i64,
    /// The calls.
    pub calls: Vec<InvocationId>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Pending {
    fn rows(&self) -> MutexGuard<'_, Vec<Making>> {
        // Nothing panics while it holds the lock.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receipts(&self) -> MutexGuard<'_, Vec<ReceiptRow>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MeshTables {
    /// Keeps where a call ran: it is made and written soon.
    pub async fn save_route(&self, row: impl FnOnce() -> RouteRow + Send + 'static) {
        let waiting = {
            let mut rows = self.pending.rows();
            rows.push(Box::new(row));
            rows.len()
        };
        self.flush_at(waiting).await;
    }

    /// Keeps a receipt for calls whose routes were given to [`Self::save_route`] before: it is written soon.
    pub async fn keep_receipt(&self, row: ReceiptRow) {
        let waiting = {
            let mut receipts = self.pending.receipts();
            receipts.push(row);
            receipts.len()
        };
        self.flush_at(waiting).await;
    }

    /// Writes at once when so many wait that no more should, and soon after the first.
    async fn flush_at(&self, waiting: usize) {
        if waiting >= PENDING_MAX {
            self.flush_routes().await;
        } else if waiting == 1 {
            let tables = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHERING).await;
                tables.flush_routes().await;
            });
        }
    }

    /// Writes what waits to be written. What the database refuses is lost, and the log says so.
    pub async fn flush_routes(&self) {
        let mut since = self.pending.writing.lock().await;
        // A receipt's routes came before it: taken first, they are in the same group or an earlier one.
        let receipts = mem::take(&mut *self.pending.receipts());
        let rows = mem::take(&mut *self.pending.rows());
        if rows.is_empty() && receipts.is_empty() {
            return;
        }
        let rows: Vec<_> = rows.into_iter().map(|row| row()).collect();
        *since += rows.len();
        let prune = *since >= PRUNE_AFTER;
        match self.write_routes((&rows, &receipts), prune).await {
            Ok(()) if prune => *since = 0,
            Ok(()) => {}
            Err(error) => tracing::warn!("where {} calls ran was not kept: {error}", rows.len()),
        }
    }

    async fn write_routes(
        &self,
        (rows, receipts): (&[RouteRow], &[ReceiptRow]),
        prune: bool,
    ) -> Result<(), StoreError> {
        let mut writer = self.database.writer().await;
        let mut group = writer.begin().await.map_err(StoreError::database(WRITE))?;
        insert(&mut group, rows).await?;
        for receipt in receipts {
            insert_receipt(&mut group, receipt).await?;
        }
        if prune {
            delete_old(&mut group).await?;
        }
        group.commit().await.map_err(StoreError::database(WRITE))
    }

    /// Where a call ran, when that was another node.
    ///
    /// # Errors
    /// When the database refuses, or the row is not what was written.
    pub async fn route(&self, id: &InvocationId) -> Result<Option<RouteRow>, StoreError> {
        self.flush_routes().await;
        let row = sqlx::query(SELECT_INVOCATION)
            .bind(id.as_str().to_owned())
            .fetch_optional(self.database.readers())
            .await
            .map_err(StoreError::database(READ))?;
        row.as_ref().map(read).transpose()
    }

    /// The calls of a piece of work that ran on other nodes, oldest first, at most
    /// 10,000.
    ///
    /// # Errors
    /// As [`Self::route`].
    pub async fn routes_of(&self, id: &CorrelationId) -> Result<Vec<RouteRow>, StoreError> {
        self.flush_routes().await;
        let rows = sqlx::query(SELECT_CORRELATION)
            .bind(id.as_str().to_owned())
            .bind(CALLS_MAX)
            .fetch_all(self.database.readers())
            .await
            .map_err(StoreError::database(READ))?;
        rows.iter().map(read).collect()
    }
}

/// Routes, each with its receipt.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT mesh_routes.*, mesh_receipts.signed FROM mesh_routes \
             LEFT JOIN mesh_receipts ON mesh_receipts.id = mesh_routes.receipt_id ",
            $rest
        )
    };
}
const SELECT_INVOCATION: &str = select!("WHERE invocation_id = ?1");
const SELECT_CORRELATION: &str =
    select!("WHERE correlation_id = ?1 ORDER BY mesh_routes.at_us LIMIT ?2");

fn read(row: &SqliteRow) -> Result<RouteRow, StoreError> {
    let id: String = row.get("invocation_id");
    let correlation: Option<String> = row.get("correlation_id");
    let ran_on: Option<String> = row.get("ran_on");
    let receipt: Option<Vec<u8>> = row.get("signed");
    let on_behalf_of: Option<String> = row.get("on_behalf_of");
    Ok(RouteRow {
        invocation_id: id.parse().map_err(|_| damaged())?,
        correlation_id: correlation.map(|id| id.parse().map_err(|_| damaged())).transpose()?,
        at_us: row.get("at_us"),
        capability: row.get("capability"),
        outcome: row.get("outcome"),
        ran_on: ran_on.map(|key| key.parse().map_err(|_| damaged())).transpose()?,
        words: row.get("words"),
        route: row.get("route"),
        receipt: receipt.map(|bytes| from_bytes(&bytes)).transpose()?,
        on_behalf_of: on_behalf_of.map(|key| key.parse().map_err(|_| damaged())).transpose()?,
    })
}

/// All rows with one statement: each one that is sent to the thread of the database wakes that and this one.
async fn insert(connection: &mut SqliteConnection, rows: &[RouteRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = "INSERT OR REPLACE INTO mesh_routes (invocation_id, at_us, capability, outcome, \
                  ran_on, words, route, correlation_id, on_behalf_of) \
                  SELECT value ->> 'invocation_id', value ->> 'at_us', value ->> 'capability', \
                  value ->> 'outcome', value ->> 'ran_on', value ->> 'words', value ->> 'route', \
                  value ->> 'correlation_id', value ->> 'on_behalf_of' FROM json_each(?1)";
    sqlx::query(insert)
        .bind(to_text(&rows)?)
        .execute(connection)
        .await
        .map(drop)
        .map_err(StoreError::database(WRITE))
}

/// A receipt, and that it holds for these routes.
async fn insert_receipt(
    connection: &mut SqliteConnection,
    row: &ReceiptRow,
) -> Result<(), StoreError> {
    let inserted = sqlx::query("INSERT INTO mesh_receipts (at_us, signed) VALUES (?1, ?2)")
        .bind(row.at_us)
        .bind(to_bytes(&*row.signed)?)
        .execute(&mut *connection)
        .await
        .map_err(StoreError::database(WRITE))?;
    sqlx::query(
        "UPDATE mesh_routes SET receipt_id = ?1 \
         WHERE invocation_id IN (SELECT value FROM json_each(?2))",
    )
    .bind(inserted.last_insert_rowid())
    .bind(to_text(&row.calls)?)
    .execute(connection)
    .await
    .map_err(StoreError::database(WRITE))?;
    Ok(())
}

/// Deletes the oldest routes beyond those that are kept, and receipts that no route names any more.
async fn delete_old(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let routes = "DELETE FROM mesh_routes WHERE at_us < \
                  (SELECT at_us FROM mesh_routes ORDER BY at_us DESC LIMIT 1 OFFSET ?1)";
    let deleted = sqlx::query(routes).bind(ROUTES_MAX).execute(&mut *connection).await;
    deleted.map_err(StoreError::database(WRITE))?;
    // A receipt came after all of its calls.
    let receipts = "DELETE FROM mesh_receipts WHERE at_us < (SELECT min(at_us) FROM mesh_routes)";
    let deleted = sqlx::query(receipts).execute(connection).await;
    deleted.map(drop).map_err(StoreError::database(WRITE))
}
