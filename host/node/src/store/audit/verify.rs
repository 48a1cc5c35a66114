//! Checking the whole record against itself, its signed heads, and heads kept elsewhere. Rows are
//! read in pages from one snapshot and checked off the executor, so that a long check holds
//! nobody up.

use meshhost_core::{
    code::Code,
    evidence::{
        hash::Hash,
        sign::{SignedHead, StatementError},
        verify::{Broken, Report, Row, Verifier},
    },
};
use sqlx::{Sqlite, Transaction};

use super::{Audit, DAMAGED, fault};
use crate::store::error::StoreError;

/// Rows of one page.
const PAGE: i64 = 512;

/// Why the record does not verify, or could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The record is not what was written.
    #[error("the evidence is broken at {0}")]
    Broken(#[from] Broken),
    /// A head that was kept elsewhere is not a head of this node.
    #[error("the head to compare with is not one of this node: {0}")]
    Head(StatementError),
    /// The database file itself is damaged.
    #[error("the database file is damaged: {0}")]
    File(String),
    /// The record could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VerifyError {
    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Broken(_) | Self::Head(_) | Self::File(_) => Code::EvidenceBroken,
            Self::Store(error) => error.code(),
        }
    }
}

/// One stored row.
pub(super) type Stored =
    (i64, Option<String>, Option<String>, Option<String>, String, Option<String>, String, Vec<u8>);

pub(super) const SELECT: &str = "
    SELECT sequence, event_type, invocation_id, capability_id, correlation_id, event,
        content_hash, coalesce(substr(subtrees, 1, 32), x'')
    FROM events LEFT JOIN tree USING (sequence) WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

impl Audit {
    /// Checks every event, the chains, the tree and the signed heads; `kept` are heads that were
    /// kept elsewhere, as [`SignedHead::to_line`] writes them. Memory is bounded by the number of
    /// correlations.
    ///
    /// # Errors
    /// [`VerifyError`] names the first event that is wrong.
    pub async fn verify(&self, kept: &[String]) -> Result<Report, VerifyError> {
        let key = self.signer.public_key();
        // Read before the snapshot: the record covers every head that is in the file by now.
        let mut signed = self.heads.read()?;
        for line in kept {
            let head = SignedHead::parse(line.trim().as_bytes()).map_err(VerifyError::Head)?;
            head.verify(&self.host_id, &key).map_err(VerifyError::Head)?;
            signed.push(head);
        }
        let mut verifier = Verifier::new(self.host_id.clone(), signed, &key)?;
        self.writer.settle().await?;
        let mut snapshot = self.database.readers().begin().await.map_err(fault())?;
        check_file(&mut snapshot).await?;
        let mut rows = page(&mut snapshot, 0).await?;
        while let Some((after, ..)) = rows.last() {
            // While one page is checked, the next one is read.
            let next = page(&mut snapshot, *after);
            let checked = off_executor(move || {
                rows.iter().try_for_each(|row| check(&mut verifier, row)).map(|()| verifier)
            });
            (verifier, rows) = tokio::try_join!(checked, next)?;
        }
        let heads: Vec<(String, i64, String)> =
            sqlx::query_as("SELECT correlation_id, sequence, content_hash FROM correlation_heads")
                .fetch_all(&mut *snapshot)
                .await
                .map_err(fault())?;
        let stored: Vec<(String, u64, Hash)> = heads
            .into_iter()
            .map(|(id, sequence, hash)| {
                Some((id, u64::try_from(sequence).ok()?, hash.parse().ok()?))
            })
            .collect::<Option<_>>()
            .ok_or(DAMAGED)?;
        let report = off_executor(move || {
            let heads = stored.iter().map(|(id, sequence, hash)| (id.as_str(), *sequence, *hash));
            Ok(verifier.finish(heads)?)
        });
        report.await
    }
}

/// Runs a part of the check where it does not keep others from running.
async fn off_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VerifyError> + Send + 'static,
) -> Result<T, VerifyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|source| StoreError::Fault {
        operation: "check the record",
        source: source.into(),
    })?
}

/// The rows after this sequence.
async fn page(
    snapshot: &mut Transaction<'_, Sqlite>,
    after: i64,
) -> Result<Vec<Stored>, VerifyError> {
    let page = sqlx::query_as(SELECT).bind(after).bind(PAGE).fetch_all(&mut **snapshot);
    Ok(page.await.map_err(fault())?)
}

/// SQLite's own check: pages, and indexes against their tables.
async fn check_file(snapshot: &mut Transaction<'_, Sqlite>) -> Result<(), VerifyError> {
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut **snapshot)
        .await
        .map_err(fault())?;
    if found == "ok" { Ok(()) } else { Err(VerifyError::File(found)) }
}

/// Feeds one row to the machine.
pub(super) fn check(verifier: &mut Verifier, stored: &Stored) -> Result<(), VerifyError> {
    let (sequence, event_type, invocation_id, capability_id, correlation_id, event, hash, leaf) =
        stored;
    let sequence = u64::try_from(*sequence).map_err(|_| DAMAGED)?;
    let leaf = <[u8; 32]>::try_from(leaf.as_slice()).ok().map(Hash::from_bytes);
    let Some(json) = event else {
        let leaf = leaf.ok_or(DAMAGED)?;
        return Ok(verifier.purged(sequence, correlation_id, leaf)?);
    };
    let row = Row {
        sequence,
        json,
        event_type: event_type.as_deref().unwrap_or_default(),
        invocation_id: invocation_id.as_deref().unwrap_or_default(),
        capability_id: capability_id.as_deref().unwrap_or_default(),
        correlation_id,
        content_hash: hash,
    };
    Ok(verifier.event(&row)?)
}
