//! Writing one group: one batch of statements, sent to the database at once, in one transaction.
//! Each statement takes its rows as one JSON text, so the batch is the same for every group and
//! is prepared once. No statement may visit rows other than those it changes: joins with the JSON
//! text are left out, because SQLite may put the table on the outside.

use std::sync::Arc;

use meshhost_core::{
    evidence::{
        chain::{Head, Sealed},
        hash::Hash,
        merkle::Node,
    },
    id::{CorrelationId, InvocationId},
};
use serde::Serialize;

use super::Shared;
use crate::store::results::KeptResult;

/// The parameters stand in the order of [`Rows`].
const INSERT: &str = "
BEGIN IMMEDIATE;
INSERT INTO events
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    FROM json_each(?);
INSERT INTO tree SELECT value ->> 0, value ->> 1, unhex(value ->> 2) FROM json_each(?);
INSERT INTO correlation_heads
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?);
INSERT INTO correlation_heads
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE TRUE
    ON CONFLICT DO UPDATE SET content_hash = excluded.content_hash, sequence = excluded.sequence,
        starts = excluded.starts;
INSERT INTO running SELECT value ->> 0, value ->> 1 FROM json_each(?);
DELETE FROM running WHERE invocation_id IN (SELECT value FROM json_each(?));
INSERT OR REPLACE INTO caller_days
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?);
INSERT INTO mandate_usage SELECT value ->> 0, value ->> 1 FROM json_each(?);
INSERT OR REPLACE INTO invocation_results
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?);
DELETE FROM invocation_results WHERE invocation_id IN (
    SELECT invocation_id FROM events WHERE correlation_id IN (SELECT value FROM json_each(?)));
UPDATE events SET event = NULL, invocation_id = NULL, event_type = NULL, capability_id = NULL
    WHERE correlation_id IN (SELECT value FROM json_each(?));
COMMIT";

/// The rows of one group, as JSON arrays of arrays.
#[derive(Debug, Default)]
pub(super) struct Rows {
    events: List,
    nodes: List,
    opened: List,
    moved: List,
    started: List,
    ended: List,
    days: List,
    mandates: List,
    results: List,
    purged: List,
}

/// A JSON array that is being written.
#[derive(Debug, Default)]
struct List(String);

impl List {
    fn push(&mut self, row: impl Serialize) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        // Text and numbers always have a JSON form.
        self.0.push_str(&serde_json::to_string(&row).unwrap_or_default());
    }

    /// The whole text; null, of which SQLite makes no rows, when there is nothing.
    fn finish(mut self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(']');
        Some(self.0)
    }
}

impl Rows {
    pub(super) fn event(&mut self, event: &Sealed) {
        self.events.push((
            event.sequence,
            &event.correlation_id,
            &event.invocation_id,
            event.event_type.as_str(),
            &event.capability_id,
            event.content_hash.hex().as_str(),
            &event.json,
        ));
    }

    pub(super) fn node(&mut self, node: Node, hash: &Hash) {
        self.nodes.push((node.level, node.index, hash.hex().as_str()));
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
        list.push((id, owner, head.hash.hex().as_str(), head.sequence, starts));
    }

    pub(super) fn started(&mut self, invocation: &InvocationId, sequence: u64) {
        self.started.push((invocation, sequence));
    }

    pub(super) fn ended(&mut self, invocation: &InvocationId) {
        self.ended.push(invocation);
    }

    pub(super) fn day(&mut self, subject_id: &str, day: i64, starts: u64) {
        self.days.push((subject_id, day, starts));
    }

    pub(super) fn mandate(&mut self, mandate_id: &str, invocation: &InvocationId) {
        self.mandates.push((mandate_id, invocation));
    }

    pub(super) fn purged(&mut self, correlation: &CorrelationId) {
        self.purged.push(correlation);
    }

    pub(super) fn result(&mut self, kept: &KeptResult) {
        self.results.push((
            &kept.invocation_id,
            &kept.subject_id,
            &kept.input_commitment,
            &kept.result,
            kept.expires_us,
        ));
    }
}

/// Writes the rows, all or none.
pub(super) async fn insert(shared: &Arc<Shared>, rows: Rows) -> Result<(), sqlx::Error> {
    let mut writer = shared.database.writer().await;
    let purged = rows.purged.finish();
    let lists = [
        rows.events,
        rows.nodes,
        rows.opened,
        rows.moved,
        rows.started,
        rows.ended,
        rows.days,
        rows.mandates,
        rows.results,
    ];
    let batch =
        lists.into_iter().fold(sqlx::query(INSERT), |batch, list| batch.bind(list.finish()));
    let batch = batch.bind(purged.clone()).bind(purged);
    let written = batch.execute(&mut *writer).await;
    if written.is_err() {
        // SQLite may have ended the transaction by itself already; then this fails, as it should.
        let _ = sqlx::query("ROLLBACK").execute(&mut *writer).await;
    }
    written.map(drop)
}
