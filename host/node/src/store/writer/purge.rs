//! Purging a correlation: its events go, their places and hashes stay, and a tombstone says so.
//! All of it is one transaction, written while nobody else writes.

use std::sync::Arc;

use meshhost_core::{
    evidence::{event::Draft, hash::Hash, purge::Tombstone},
    id::CorrelationId,
};
use tokio::sync::oneshot;

use super::{AppendError, Appended, EvidenceWriter, Request, commit};
use crate::store::error::StoreError;

/// Why nothing was purged.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// There are no events to purge.
    #[error("there is nothing of this correlation to purge")]
    Nothing,
    /// A call in the correlation runs.
    #[error("a call of this correlation is running; purge it when it has ended")]
    Running,
    /// The correlation holds the node's own history, tombstones among it.
    #[error("the node's own history is not purged")]
    Own,
    /// The store failed.
    #[error("the correlation could not be purged")]
    Store(#[from] StoreError),
    /// The tombstone could not be written.
    #[error("the tombstone could not be written")]
    Append(#[from] AppendError),
}

impl EvidenceWriter {
    /// Purges a correlation. `event` makes the event of the tombstone, which must stand in another
    /// correlation.
    ///
    /// # Errors
    /// [`PurgeError`]; nothing is purged then.
    pub async fn purge(
        &self,
        correlation: &CorrelationId,
        event: impl FnOnce(&Tombstone) -> Result<Draft, PurgeError>,
    ) -> Result<Appended, PurgeError> {
        if ["host-identity-", "host-lifecycle-"]
            .iter()
            .any(|own| correlation.as_str().starts_with(own))
        {
            return Err(PurgeError::Own);
        }
        let place = Arc::clone(&self.shared.places).acquire_owned().await;
        let place = place.map_err(|_| AppendError::Busy)?;
        let (answer, answered) = oneshot::channel();
        {
            let mut committer = self.shared.committer.lock().await;
            committer.finish_running().await;
            self.settle().await?;
            let tombstone = self.tombstone(correlation).await?;
            let drafts = vec![event(&tombstone)?];
            let request = Request {
                drafts,
                start: None,
                result: None,
                new_correlation: false,
                purge: Some(correlation.clone()),
                answer,
                _place: place,
            };
            committer.running = Some(Box::pin(commit(Arc::clone(&self.shared), vec![request])));
            committer.finish_running().await;
        }
        let appended = answered.await.map_err(|_| AppendError::Busy)??;
        // The journal still holds the events, and the database's log the old pages.
        self.settle().await?;
        let applied = self.applied();
        self.shared.database.write_back().await?;
        self.safe(applied, true)?;
        Ok(appended)
    }

    async fn tombstone(&self, correlation: &CorrelationId) -> Result<Tombstone, PurgeError> {
        let fault = || StoreError::database("read the correlation to purge");
        let damaged = || StoreError::Damaged { what: "the record" };
        let mut writer = self.shared.database.writer().await;
        let select = "SELECT count(*) FROM running JOIN events USING (sequence) \
                      WHERE correlation_id = ?1";
        let running: i64 = sqlx::query_scalar(select)
            .bind(correlation.as_str().to_owned())
            .fetch_one(&mut *writer)
            .await
            .map_err(fault())?;
        if running > 0 {
            return Err(PurgeError::Running);
        }
        let select = "SELECT sequence, substr(subtrees, 1, 32), content_hash, event IS NOT NULL \
                      FROM events JOIN tree USING (sequence) \
                      WHERE correlation_id = ?1 ORDER BY sequence";
        let rows: Vec<(i64, Vec<u8>, String, bool)> = sqlx::query_as(select)
            .bind(correlation.as_str().to_owned())
            .fetch_all(&mut *writer)
            .await
            .map_err(fault())?;
        let mut leaves = Vec::with_capacity(rows.len());
        for (sequence, leaf, _, _) in &rows {
            let leaf = <[u8; 32]>::try_from(leaf.as_slice()).map_err(|_| damaged())?;
            leaves.push((u64::try_from(*sequence).map_err(|_| damaged())?, Hash::from_bytes(leaf)));
        }
        let (_, _, head, there) = rows.last().ok_or(PurgeError::Nothing)?;
        if !there {
            return Err(PurgeError::Nothing);
        }
        let head = head.parse().map_err(|_| damaged())?;
        Tombstone::of(correlation.as_str(), leaves, head).ok_or(PurgeError::Nothing)
    }
}
