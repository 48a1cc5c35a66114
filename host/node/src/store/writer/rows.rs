//! Writing one group: one batch of statements, sent to the database at once, in one transaction.
//! Every value is bound as it is. A batch holds only the statements that the group needs, and its
//! lists are filled up with rows of nothing to one of a few lengths: so there are few batches, and
//! each is prepared once. No statement may visit rows other than those it changes.

use std::sync::Arc;

use meshhost_core::{
    evidence::{
        chain::{Head, Sealed},
        hash::Hash,
        merkle::Node,
    },
    id::{CorrelationId, InvocationId},
};
use sqlx::{Arguments as _, AssertSqlSafe, sqlite::SqliteArguments};

use super::Shared;
use crate::store::results::KeptResult;

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
const OPENED: Statement = insert("INSERT INTO correlation_heads SELECT * FROM (VALUES ", 5);
const MOVED: Statement = Statement {
    after: ") WHERE column1 IS NOT NULL ON CONFLICT DO UPDATE SET \
            content_hash = excluded.content_hash, sequence = excluded.sequence, \
            starts = excluded.starts",
    ..OPENED
};
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
#[derive(Debug)]
enum Value {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    /// Sequences and counts end far below the limit of the column.
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Rows for one statement, value after value.
#[derive(Debug)]
struct List {
    statement: Statement,
    values: Vec<Value>,
}

impl List {
    const fn of(statement: Statement) -> Self {
        Self { statement, values: Vec::new() }
    }

    fn push<const WIDTH: usize>(&mut self, row: [Value; WIDTH]) {
        self.values.extend(row);
    }

    fn rows(&self) -> usize {
        self.values.len() / self.statement.width
    }

    /// Appends the statements for all rows, `length` rows each, and their values.
    fn write(
        self,
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
        for value in self.values {
            match value {
                Value::Text(text) => values.add(text),
                Value::Number(number) => values.add(number),
                Value::Bytes(bytes) => values.add(bytes),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        for _ in 0..nothing {
            values.add(None::<i64>).map_err(sqlx::Error::Encode)?;
        }
        Ok(())
    }
}

/// The rows of one group.
#[derive(Debug)]
pub(super) struct Rows {
    events: List,
    tree: List,
    opened: List,
    moved: List,
    started: List,
    ended: List,
    days: List,
    mandates: List,
    results: List,
    purged_results: List,
    purged: List,
}

impl Rows {
    pub(super) const fn new() -> Self {
        Self {
            events: List::of(EVENTS),
            tree: List::of(TREE),
            opened: List::of(OPENED),
            moved: List::of(MOVED),
            started: List::of(STARTED),
            ended: List::of(ENDED),
            days: List::of(DAYS),
            mandates: List::of(MANDATES),
            results: List::of(RESULTS),
            purged_results: List::of(PURGED_RESULTS),
            purged: List::of(PURGED),
        }
    }

    /// An event with the subtrees that its leaf completes.
    pub(super) fn event(&mut self, event: &Sealed, completed: &[(Node, Hash)]) {
        let subtrees = completed.iter().flat_map(|(_, hash)| *hash.as_bytes()).collect();
        self.events.push([
            event.sequence.into(),
            event.correlation_id.as_str().into(),
            event.invocation_id.as_str().into(),
            event.event_type.as_str().into(),
            event.capability_id.as_str().into(),
            event.content_hash.hex().as_str().into(),
            event.json.as_str().into(),
        ]);
        self.tree.push([event.sequence.into(), Value::Bytes(subtrees)]);
    }

    pub(super) fn correlation(
        &mut self,
        id: &CorrelationId,
        head: Head,
        owner: &str,
        starts: u64,
        new: bool,
    ) {
        let list = if new { &mut self.opened } else { &mut self.moved };
        let hash = head.hash.hex();
        list.push([
            id.as_str().into(),
            owner.into(),
            hash.as_str().into(),
            head.sequence.into(),
            starts.into(),
        ]);
    }

    pub(super) fn started(&mut self, invocation: &InvocationId, sequence: u64) {
        self.started.push([invocation.as_str().into(), sequence.into()]);
    }

    pub(super) fn ended(&mut self, invocation: &InvocationId) {
        self.ended.push([invocation.as_str().into()]);
    }

    pub(super) fn day(&mut self, subject_id: &str, day: i64, starts: u64) {
        self.days.push([subject_id.into(), Value::Number(day), starts.into()]);
    }

    pub(super) fn mandate(&mut self, mandate_id: &str, invocation: &InvocationId) {
        self.mandates.push([mandate_id.into(), invocation.as_str().into()]);
    }

    pub(super) fn purged(&mut self, correlation: &CorrelationId) {
        self.purged_results.push([correlation.as_str().into()]);
        self.purged.push([correlation.as_str().into()]);
    }

    pub(super) fn result(&mut self, kept: &KeptResult) {
        self.results.push([
            kept.invocation_id.as_str().into(),
            kept.subject_id.as_str().into(),
            kept.input_commitment.as_str().into(),
            kept.result.as_str().into(),
            Value::Number(kept.expires_us),
        ]);
    }

    /// The batch and its values.
    fn batch(self) -> Result<(String, SqliteArguments), sqlx::Error> {
        let lists = [
            self.events,
            self.tree,
            self.opened,
            self.moved,
            self.started,
            self.ended,
            self.days,
            self.mandates,
            self.results,
            self.purged_results,
            self.purged,
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
}

/// Writes the rows, all or none.
pub(super) async fn insert_all(shared: &Arc<Shared>, rows: Rows) -> Result<(), sqlx::Error> {
    let (text, values) = rows.batch()?;
    let mut writer = shared.database.writer().await;
    // The text is made of the constants above and question marks.
    let written = sqlx::query_with(AssertSqlSafe(text), values).execute(&mut *writer).await;
    if written.is_err() {
        // SQLite may have ended the transaction by itself already; then this fails, as it should.
        let _ = sqlx::query("ROLLBACK").execute(&mut *writer).await;
    }
    written.map(drop)
}
