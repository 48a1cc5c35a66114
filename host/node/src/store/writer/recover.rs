//! When the store is opened: what the journal has and the database has not is taken over.

use std::{path::Path, sync::Arc};

use super::{apply::take_batch, batch, rows::Rows};
use crate::store::{database::Database, error::StoreError, journal::Frames};

/// Groups that are read before they are written.
const READ_AHEAD: usize = 256;

/// Takes over every frame after the last event in the database.
///
/// Where a frame is missing, what comes after it is lost: that is the cut of power that
/// `durability = "process"` admits. It is said in the log, and the signed heads show it.
///
/// # Errors
/// When the journal cannot be read or the database not be written.
pub(super) async fn replay(database: &Database, journal: &Path) -> Result<(), StoreError> {
    let mut frames = Frames::of(journal)?;
    let mut last = last_sequence(database).await?;
    let mut groups: Vec<Arc<Rows>> = Vec::new();
    let mut bytes = 0;
    while let Some((span, payload)) = frames.next()? {
        if span.last <= last {
            continue;
        }
        if span.first != last + 1 {
            tracing::error!(
                after = last,
                "the journal lacks events that were committed: the newest of the record are lost"
            );
            break;
        }
        last = span.last;
        bytes += payload.len();
        let rows = Rows::decode(&payload)?;
        if rows.span() != Some(span) {
            return Err(StoreError::Damaged { what: "the journal" });
        }
        groups.push(Arc::new(rows));
        if groups.len() >= READ_AHEAD || bytes > super::apply::WAITING_BYTES_MAX {
            write(database, &mut groups).await?;
            bytes = 0;
        }
    }
    write(database, &mut groups).await
}

async fn write(database: &Database, groups: &mut Vec<Arc<Rows>>) -> Result<(), StoreError> {
    while !groups.is_empty() {
        let batch = take_batch(groups.iter());
        let mut writer = database.writer().await;
        let written = batch::write(&mut writer, &batch).await;
        written.map_err(StoreError::database("take the journal over into the database"))?;
        groups.drain(..batch.len());
    }
    Ok(())
}

async fn last_sequence(database: &Database) -> Result<u64, StoreError> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM events")
        .fetch_one(&mut *database.writer().await)
        .await
        .map_err(StoreError::database("read the end of the record"))?;
    u64::try_from(last).map_err(|_| StoreError::Damaged { what: "the record" })
}
