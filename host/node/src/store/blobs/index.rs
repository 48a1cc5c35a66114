//! The rows of blobs that outlive their call.

use meshhost_core::id::Digest;

use super::shelf::Row;
use crate::store::{database::Database, error::StoreError};

/// All kept blobs. A row that does not read as one is left out; its file is swept then.
pub(super) async fn load(database: &Database) -> Result<Vec<(Digest, Row)>, StoreError> {
    let select = "SELECT digest, length, pinned, last_use_us FROM blobs";
    let rows: Vec<(String, i64, bool, i64)> = sqlx::query_as(select)
        .fetch_all(database.readers())
        .await
        .map_err(StoreError::database("read the index of blobs"))?;
    let parse = |(digest, length, pinned, last_use_us): (String, i64, bool, i64)| {
        let length = u64::try_from(length).ok()?;
        Some((digest.parse().ok()?, Row { length, pinned, last_use_us }))
    };
    Ok(rows.into_iter().filter_map(parse).collect())
}

/// Writes the row of one blob.
pub(super) async fn save(database: &Database, digest: &Digest, row: Row) -> Result<(), StoreError> {
    let length = i64::try_from(row.length).unwrap_or(i64::MAX);
    sqlx::query("INSERT OR REPLACE INTO blobs VALUES (?1, ?2, ?3, ?4)")
        .bind(digest.to_string())
        .bind(length)
        .bind(row.pinned)
        .bind(row.last_use_us)
        .execute(&mut *database.writer().await)
        .await
        .map_err(StoreError::database("write the index of blobs"))?;
    Ok(())
}

/// Removes rows.
pub(super) async fn forget(database: &Database, digests: &[Digest]) -> Result<(), StoreError> {
    if digests.is_empty() {
        return Ok(());
    }
    let names = serde_json::Value::from_iter(digests.iter().map(Digest::to_string));
    sqlx::query("DELETE FROM blobs WHERE digest IN (SELECT value FROM json_each(?1))")
        .bind(names.to_string())
        .execute(&mut *database.writer().await)
        .await
        .map_err(StoreError::database("write the index of blobs"))?;
    Ok(())
}
