//! Where calls ran that went to other nodes, and what the nodes that answered signed.
//!
//! Routes are written in groups, a moment after their calls have been answered: no call waits for them.
//! What a call did is in the evidence of the node where it ran; a caller that is killed within that
//! moment loses why it went there, and the receipt, which the same call with the same id gets again.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::{
    id::{CorrelationId, InvocationId},
    mesh::{key::NodeKey, receipt::Receipt, signed::Signed},
};
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{MeshTables, READ, WRITE, damaged, from_bytes, to_bytes};
use crate::store::error::StoreError;

/// A call that ran on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What the node that answered signed.
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

/// Routes that are about to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    rows: Mutex<Vec<RouteRow>>,
    /// Held while a group is written; counts what was written since the old ones were looked for.
    writing: tokio::sync::Mutex<usize>,
}

impl Pending {
    fn rows(&self) -> MutexGuard<'_, Vec<RouteRow>> {
        // Nothing panics while it holds the lock.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MeshTables {
    /// Keeps where a call ran: it is written soon.
    pub async fn save_route(&self, row: RouteRow) {
        let waiting = {
            let mut rows = self.pending.rows();
            rows.push(row);
            rows.len()
        };
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
        let rows = mem::take(&mut *self.pending.rows());
        if rows.is_empty() {
            return;
        }
        *since += rows.len();
        let prune = *since >= PRUNE_AFTER;
        match self.write_routes(&rows, prune).await {
            Ok(()) if prune => *since = 0,
            Ok(()) => {}
            Err(error) => tracing::warn!("where {} calls ran was not kept: {error}", rows.len()),
        }
    }

    async fn write_routes(&self, rows: &[RouteRow], prune: bool) -> Result<(), StoreError> {
        let mut writer = self.database.writer().await;
        let mut group = writer.begin().await.map_err(StoreError::database(WRITE))?;
        for row in rows {
            insert(&mut group, row).await?;
        }
        if prune {
            let old = "DELETE FROM mesh_routes WHERE at_us < \
                       (SELECT at_us FROM mesh_routes ORDER BY at_us DESC LIMIT 1 OFFSET ?1)";
            let deleted = sqlx::query(old).bind(ROUTES_MAX).execute(&mut *group).await;
            deleted.map_err(StoreError::database(WRITE))?;
        }
        group.commit().await.map_err(StoreError::database(WRITE))
    }

    /// Where a call ran, when that was another node.
    ///
    /// # Errors
    /// When the database refuses, or the row is not what was written.
    pub async fn route(&self, id: &InvocationId) -> Result<Option<RouteRow>, StoreError> {
        self.flush_routes().await;
        let row = sqlx::query("SELECT * FROM mesh_routes WHERE invocation_id = ?1")
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
        let select = "SELECT * FROM mesh_routes WHERE correlation_id = ?1 ORDER BY at_us LIMIT ?2";
        let rows = sqlx::query(select)
            .bind(id.as_str().to_owned())
            .bind(CALLS_MAX)
            .fetch_all(self.database.readers())
            .await
            .map_err(StoreError::database(READ))?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<RouteRow, StoreError> {
    let id: String = row.get("invocation_id");
    let correlation: Option<String> = row.get("correlation_id");
    let ran_on: Option<String> = row.get("ran_on");
    let receipt: Option<Vec<u8>> = row.get("receipt");
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

async fn insert(connection: &mut SqliteConnection, row: &RouteRow) -> Result<(), StoreError> {
    let receipt = row.receipt.as_ref().map(to_bytes).transpose()?;
    let insert =
        "INSERT OR REPLACE INTO mesh_routes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    sqlx::query(insert)
        .bind(row.invocation_id.as_str().to_owned())
        .bind(row.at_us)
        .bind(row.capability.clone())
        .bind(row.outcome.clone())
        .bind(row.ran_on.map(|key| key.to_string()))
        .bind(row.words.clone())
        .bind(row.route.clone())
        .bind(receipt)
        .bind(row.correlation_id.as_ref().map(|id| id.as_str().to_owned()))
        .bind(row.on_behalf_of.map(|key| key.to_string()))
        .execute(connection)
        .await
        .map_err(StoreError::database(WRITE))?;
    Ok(())
}
