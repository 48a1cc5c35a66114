//! Writing groups into the database: one batch of statements, sent at once, in one transaction.
//! Every value is bound as it is. A batch holds only the statements that it needs, and its lists
//! are filled up with rows of nothing to one of a few lengths: so there are few batches, and each
//! is prepared once. No statement may visit rows other than those it changes.

use std::sync::Arc;

use meshhost_core::evidence::hash::Hash;
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection, sqlite::SqliteArguments};

use super::rows::{Merged, Rows};

/// Lengths of lists. A longer list takes several statements of the last length.
const LENGTHS: [usize; 5] = [1, 4, 16, 64, 256];

/// A statement around a list of rows.
#[derive(Debug, Clone, Copy)]
struct Statement {
    before: &'static str,
    /// Values in one row.
    width: usize,
    after: &'static str,
}

/// What fills a list up has no key.
const FILLED: &str = ") WHERE column1 IS NOT NULL";

const EVENTS: Statement = insert("INSERT INTO events SELECT * FROM (VALUES ", 7);
const TREE: Statement = insert("INSERT INTO tree SELECT * FROM (VALUES ", 2);
const HEADS: Statement =
    insert("INSERT OR REPLACE INTO correlation_heads SELECT * FROM (VALUES ", 5);
const STARTED: Statement = insert("INSERT INTO running SELECT * FROM (VALUES ", 2);
const ENDED: Statement = Statement {
    before: "DELETE FROM running WHERE invocation_id IN (VALUES ",
    width: 1,
    after: ")",
};
const DAYS: Statement = insert("INSERT OR REPLACE INTO caller_days SELECT * FROM (VALUES ", 3);
const MANDATES: Statement = insert("INSERT INTO mandate_usage SELECT * FROM (VALUES ", 2);
const RESULTS: Statement =
    insert("INSERT OR REPLACE INTO invocation_results SELECT * FROM (VALUES ", 5);
const PURGED_RESULTS: Statement = Statement {
    before: "DELETE FROM invocation_results WHERE invocation_id IN (\
             SELECT invocation_id FROM events WHERE correlation_id IN (VALUES ",
    width: 1,
    after: "))",
};
const PURGED: Statement = Statement {
    before: "UPDATE events SET event = NULL, invocation_id = NULL, event_type = NULL, \
             capability_id = NULL WHERE correlation_id IN (VALUES ",
    width: 1,
    after: ")",
};

const fn insert(before: &'static str, width: usize) -> Statement {
    Statement { before, width, after: FILLED }
}

/// One value of a row.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(i64),
    Bytes(&'a [u8]),
    Digits(&'a [u8; 32]),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value<'_> {
    /// Sequences and counts end far below the limit of the column.
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Rows for one statement, value after value.
#[derive(Debug)]
struct List<'a> {
    statement: Statement,
    values: Vec<Value<'a>>,
}

impl<'a> List<'a> {
    fn of<const WIDTH: usize>(
        statement: Statement,
        rows: impl Iterator<Item = [Value<'a>; WIDTH]>,
    ) -> Self {
        Self { statement, values: rows.flatten().collect() }
    }

    fn rows(&self) -> usize {
        self.values.len() / self.statement.width
    }

    /// Appends the statements for all rows, `length` rows each, and their values.
    fn write(
        &self,
        length: usize,
        text: &mut String,
        values: &mut SqliteArguments,
    ) -> Result<(), sqlx::Error> {
        let Statement { before, width, after } = self.statement;
        let statements = self.rows().div_ceil(length);
        let nothing = statements * length * width - self.values.len();
        let row = format!("({})", vec!["?"; width].join(","));
        let list = vec![row.as_str(); length].join(",");
        for _ in 0..statements {
            text.push_str(before);
            text.push_str(&list);
            text.push_str(after);
            text.push(';');
        }
        for value in &self.values {
            match value {
                Value::Text(text) => values.add((*text).to_owned()),
                Value::Number(number) => values.add(*number),
                Value::Bytes(bytes) => values.add(bytes.to_vec()),
                Value::Digits(hash) => {
                    values.add(Hash::from_bytes(**hash).hex().as_str().to_owned())
                }
            }
            .map_err(sqlx::Error::Encode)?;
        }
        for _ in 0..nothing {
            values.add(None::<i64>).map_err(sqlx::Error::Encode)?;
        }
        Ok(())
    }
}

/// The batch for `groups`, and its values.
fn batch(groups: &[Arc<Rows>]) -> Result<(String, SqliteArguments), sqlx::Error> {
    let groups = groups.iter().map(Arc::as_ref);
    let merged = Merged::of(groups.clone());
    let events = groups.clone().flat_map(|rows| &rows.events);
    let results = groups.clone().flat_map(|rows| &rows.results);
    let mandates = groups.clone().flat_map(|rows| &rows.mandates);
    let purged = groups.flat_map(|rows| &rows.purged);
    let lists = [
        List::of(
            EVENTS,
            events.clone().map(|row| {
                let ids =
                    [&row.correlation_id, &row.invocation_id, &row.event_type, &row.capability_id];
                let [correlation, invocation, event_type, capability] = ids.map(Value::from);
                let hash = Value::Digits(&row.content_hash);
                let json = Value::from(&row.json);
                [row.sequence.into(), correlation, invocation, event_type, capability, hash, json]
            }),
        ),
        List::of(TREE, events.map(|row| [row.sequence.into(), Value::Bytes(&row.subtrees)])),
        List::of(
            HEADS,
            merged.heads.iter().map(|row| {
                let hash = Value::Digits(&row.content_hash);
                let numbers = [row.sequence, row.starts].map(Value::from);
                let [sequence, starts] = numbers;
                [(&row.correlation_id).into(), (&row.owner).into(), hash, sequence, starts]
            }),
        ),
        List::of(STARTED, merged.started.iter().map(|(id, at)| [id.into(), (*at).into()])),
        List::of(ENDED, merged.ended.iter().map(|id| [(*id).into()])),
        List::of(
            DAYS,
            merged.days.iter().map(|(subject_id, day, starts)| {
                [(*subject_id).into(), Value::Number(*day), (*starts).into()]
            }),
        ),
        List::of(MANDATES, mandates.map(|(mandate, call)| [mandate.into(), call.into()])),
        List::of(
            RESULTS,
            results.map(|row| {
                let texts =
                    [&row.invocation_id, &row.subject_id, &row.input_commitment, &row.result];
                let [invocation, subject, commitment, result] = texts.map(Value::from);
                [invocation, subject, commitment, result, Value::Number(row.expires_us)]
            }),
        ),
        List::of(PURGED_RESULTS, purged.clone().map(|id| [id.into()])),
        List::of(PURGED, purged.map(|id| [id.into()])),
    ];
    let rows = lists.iter().map(List::rows).max().unwrap_or_default();
    let [.., longest] = LENGTHS;
    let length = LENGTHS.into_iter().find(|length| rows <= *length).unwrap_or(longest);
    let mut text = "BEGIN IMMEDIATE;".to_owned();
    let mut values = SqliteArguments::default();
    for list in lists {
        list.write(length, &mut text, &mut values)?;
    }
    text.push_str("COMMIT");
    Ok((text, values))
}

/// Writes the rows of `groups` in their order, all or none.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    groups: &[Arc<Rows>],
) -> Result<(), sqlx::Error> {
    let (text, values) = batch(groups)?;
    // The text is made of the constants above and question marks.
    let written = sqlx::query_with(AssertSqlSafe(text), values).execute(&mut *connection).await;
    if written.is_err() {
        // SQLite may have ended the transaction by itself already; then this fails, as it should.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
    written.map(drop)
}
