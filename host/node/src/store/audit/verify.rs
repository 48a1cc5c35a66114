//! Checking the whole record against itself, its signed heads, and heads kept elsewhere. Rows are
//! read in pages from one snapshot and checked off the executor while the next page is read, so
//! that a long check holds nobody up. SQLite's own check of its file runs beside it.

use futures::TryStreamExt as _;
use meshhost_core::{
    code::Code,
    evidence::{
        chain::EVENT_BYTES_MAX,
        sign::{SignedHead, StatementError},
        verify::{Broken, Report, Verifier, Wrong},
    },
};
use sqlx::{Sqlite, Transaction, sqlite::SqliteRow};

use super::{Audit, fault};
use crate::store::{database::Database, error::StoreError};

mod packed;
mod single;

/// Rows of one page: enough that handing it over costs little for each, and so few that a page of
/// the largest events stays small.
const PAGE: u64 = 128;
/// Bytes of the largest event.
const EVENT_BYTES: u64 = EVENT_BYTES_MAX as u64;
/// Bytes of the longest other column that is read. Ids are bounded far below this.
const COLUMN_BYTES: u64 = 4_096;

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
        let verifier = Verifier::new(self.host_id.clone(), signed, &key)?;
        self.writer.settle().await?;
        let (file, record) =
            tokio::join!(check_file(&self.database), check_record(&self.database, verifier));
        file.and(record)
    }
}

/// SQLite's own check: pages, and indexes against their tables.
async fn check_file(database: &Database) -> Result<(), VerifyError> {
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(database.readers())
        .await
        .map_err(fault())?;
    if found == "ok" { Ok(()) } else { Err(VerifyError::File(found)) }
}

async fn check_record(database: &Database, verifier: Verifier) -> Result<Report, VerifyError> {
    let mut snapshot = database.readers().begin().await.map_err(fault())?;
    let mut verifier = check_events(&mut snapshot, verifier).await?;
    check_heads(&mut snapshot, &mut verifier).await?;
    off_executor(move || Ok(verifier.finish()?)).await
}

/// Where a table begins and ends; 1 and 0 when it is empty.
async fn ends(
    snapshot: &mut Transaction<'_, Sqlite>,
    select: &'static str,
) -> Result<(i64, i64), VerifyError> {
    Ok(sqlx::query_as(select).fetch_one(&mut **snapshot).await.map_err(fault())?)
}

/// Checks all events and the tree.
async fn check_events(
    snapshot: &mut Transaction<'_, Sqlite>,
    mut verifier: Verifier,
) -> Result<Verifier, VerifyError> {
    const EVENTS: &str =
        "SELECT coalesce(min(sequence), 1), coalesce(max(sequence), 0) FROM events";
    const TREE: &str = "SELECT coalesce(min(sequence), 1), coalesce(max(sequence), 0) FROM tree";
    let (events, tree) = (ends(snapshot, EVENTS).await?, ends(snapshot, TREE).await?);
    let last = u64::try_from(events.1).unwrap_or_default();
    let mut page = Page::read(snapshot, 0, last).await?;
    while let Some(current) = page {
        let end = current.last;
        // While one page is checked, the next one is read.
        let next = Page::read(snapshot, end, last);
        let checked = off_executor(move || current.check(verifier));
        let (checked, next) = tokio::try_join!(checked, next)?;
        verifier = match checked {
            Checked::All(verifier) => verifier,
            Checked::Not(verifier) => check_singly(snapshot, verifier, end).await?,
        };
        page = next;
    }
    // What goes on in the tree was an event once; nothing stands before the first event.
    let beside = [
        (tree.1 > events.1, last + 1, Wrong::Missing),
        (events.0 < 1, 0, Wrong::Order),
        (tree.0 < 1, 0, Wrong::Tree),
    ];
    for (found, sequence, wrong) in beside {
        if found {
            return Err(Broken { sequence, wrong }.into());
        }
    }
    Ok(verifier)
}

/// A page of events and of the tree, as SQLite joined it.
struct Page {
    first: u64,
    last: u64,
    found: Vec<SqliteRow>,
}

/// How far a page was checked.
enum Checked {
    All(Verifier),
    /// Not at all: it has to be read row by row.
    Not(Verifier),
}

impl Page {
    /// The page after `after` of a record that ends with event `last`; none beyond that.
    async fn read(
        snapshot: &mut Transaction<'_, Sqlite>,
        after: u64,
        last: u64,
    ) -> Result<Option<Self>, VerifyError> {
        if after >= last {
            return Ok(None);
        }
        let (first, last) = (after + 1, last.min(after.saturating_add(PAGE)));
        let found = sqlx::query(packed::EVENTS)
            .bind(bound(first))
            .bind(bound(last))
            .bind(bound(EVENT_BYTES))
            .bind(bound(COLUMN_BYTES))
            .fetch_all(&mut **snapshot)
            .await
            .map_err(fault())?;
        Ok(Some(Self { first, last, found }))
    }

    fn check(self, mut verifier: Verifier) -> Result<Checked, VerifyError> {
        let Some(rows) = packed::events(&self.found, self.first, self.last) else {
            return Ok(Checked::Not(verifier));
        };
        for row in &rows {
            verifier.event(row)?;
        }
        Ok(Checked::All(verifier))
    }
}

/// Reads the rest of a page row by row and checks it.
async fn check_singly(
    snapshot: &mut Transaction<'_, Sqlite>,
    mut verifier: Verifier,
    last: u64,
) -> Result<Verifier, VerifyError> {
    let rows: Vec<single::Event> = sqlx::query_as(single::EVENTS)
        .bind(bound(verifier.sequence() + 1))
        .bind(bound(last))
        .bind(bound(EVENT_BYTES))
        .bind(bound(COLUMN_BYTES))
        .fetch_all(&mut **snapshot)
        .await
        .map_err(fault())?;
    off_executor(move || {
        for row in &rows {
            verifier.event(&single::event(row))?;
        }
        let next = verifier.sequence() + 1;
        if next <= last {
            return Err(Broken { sequence: next, wrong: Wrong::Missing }.into());
        }
        Ok(verifier)
    })
    .await
}

/// Compares the stored heads of all correlations.
async fn check_heads(
    snapshot: &mut Transaction<'_, Sqlite>,
    verifier: &mut Verifier,
) -> Result<(), VerifyError> {
    check_heads_singly(snapshot, single::NUMBERED_HEADS, "", verifier).await?;
    let mut after = String::new();
    loop {
        let page = sqlx::query(packed::HEADS)
            .bind(after.clone())
            .bind(bound(PAGE))
            .bind(bound(EVENT_BYTES))
            .fetch_one(&mut **snapshot)
            .await
            .map_err(fault())?;
        if packed::count(&page) == 0 {
            return Ok(());
        }
        let Some(heads) = packed::heads(&page) else {
            return check_heads_singly(snapshot, single::HEADS, &after, verifier).await;
        };
        for head in &heads {
            verifier.head(head);
        }
        after = heads.last().map(|head| head.correlation_id.to_owned()).unwrap_or_default();
    }
}

/// Compares the stored heads after `after`, one by one.
async fn check_heads_singly(
    snapshot: &mut Transaction<'_, Sqlite>,
    select: &'static str,
    after: &str,
    verifier: &mut Verifier,
) -> Result<(), VerifyError> {
    let mut heads = sqlx::query_as::<_, single::Head>(select)
        .bind(after)
        .bind(bound(EVENT_BYTES))
        .fetch(&mut **snapshot);
    while let Some(head) = heads.try_next().await.map_err(fault())? {
        verifier.head(&single::head(&head));
    }
    Ok(())
}

/// A sequence or a number of rows as a statement takes it.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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

#[cfg(test)]
mod tests;
