//! Many rows as one. Handing a row over costs more than checking it, so SQLite joins the texts of
//! each column for a range of rows, one line each, and they are taken apart again here.
//!
//! What was written by us has no line feed in any of these columns. A changed database may hold
//! anything: texts of several lines, other types, texts without end. So a range is only taken apart
//! when every row of it passed the conditions below and every column has exactly one line for each;
//! else it is read row by row ([`super::single`]), which names what is wrong.

use std::str::Split;

use meshhost_core::evidence::verify::{Row, StoredHead};
use sqlx::{Row as _, sqlite::SqliteRow};

/// A range of events and of the tree, a row each. Texts have bounds, since SQLite joins them in
/// memory, and `BETWEEN '' AND x''` holds for texts alone: numbers sort before them, bytes after.
pub(super) const EVENTS: &str = "
    SELECT group_concat(sequence, char(10)), group_concat(coalesce(event, ''), char(10)),
        group_concat(coalesce(event_type, ''), char(10)),
        group_concat(coalesce(invocation_id, ''), char(10)),
        group_concat(coalesce(capability_id, ''), char(10)),
        group_concat(correlation_id, char(10)), group_concat(content_hash, char(10)), count(event)
    FROM events
    WHERE sequence BETWEEN ?1 AND ?2
        AND (event IS NULL OR event BETWEEN '' AND x'' AND octet_length(event) <= ?3)
        AND (event_type IS NULL OR event_type BETWEEN '' AND x'' AND octet_length(event_type) <= ?4)
        AND (invocation_id IS NULL
            OR invocation_id BETWEEN '' AND x'' AND octet_length(invocation_id) <= ?4)
        AND (capability_id IS NULL
            OR capability_id BETWEEN '' AND x'' AND octet_length(capability_id) <= ?4)
        AND correlation_id BETWEEN '' AND x'' AND octet_length(correlation_id) <= ?4
        AND content_hash BETWEEN '' AND x'' AND octet_length(content_hash) <= ?4
    UNION ALL
    SELECT group_concat(sequence, char(10)), group_concat(octet_length(subtrees), char(10)),
        group_concat(subtrees, ''), NULL, NULL, NULL, NULL, NULL
    FROM tree
    WHERE sequence BETWEEN ?1 AND ?2 AND typeof(subtrees) = 'blob' AND octet_length(subtrees) <= ?4";

/// The heads of the correlations after ?1, at most ?2 of them, as one row.
pub(super) const HEADS: &str = "
    SELECT group_concat(iif(fits, correlation_id, NULL), char(10)),
        group_concat(iif(fits, owner, NULL), char(10)),
        group_concat(iif(fits, content_hash, NULL), char(10)),
        group_concat(iif(fits, sequence, NULL), char(10)),
        group_concat(iif(fits, starts, NULL), char(10)),
        count(*)
    FROM (SELECT *, correlation_id BETWEEN '' AND x'' AND octet_length(correlation_id) <= ?3
            AND owner BETWEEN '' AND x'' AND octet_length(owner) <= ?3
            AND content_hash BETWEEN '' AND x'' AND octet_length(content_hash) <= ?3
            AND typeof(sequence) = 'integer' AND typeof(starts) = 'integer' AS fits
        FROM correlation_heads WHERE correlation_id > ?1 ORDER BY correlation_id LIMIT ?2)";

/// The rows from `first` to `last`, both included, when all of them are there as they should be.
pub(super) fn events(found: &[SqliteRow], first: u64, last: u64) -> Option<Vec<Row<'_>>> {
    let [events, tree] = found else { return None };
    let count = usize::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?;
    let mut sequences = lines(events, 0, count)?.zip(lines(tree, 0, count)?);
    let column = |index| lines(events, index, count);
    let (mut json, mut event_type) = (column(1)?, column(2)?);
    let (mut invocation_id, mut capability_id) = (column(3)?, column(4)?);
    let (mut correlation_id, mut content_hash) = (column(5)?, column(6)?);
    let mut lengths = lines(tree, 1, count)?;
    let mut subtrees: &[u8] = tree.try_get_unchecked(2).ok()?;
    let mut row = |sequence: u64| {
        let (event, node) = sequences.next()?;
        if event.parse() != Ok(sequence) || node.parse() != Ok(sequence) {
            return None;
        }
        let (own, rest) = subtrees.split_at_checked(lengths.next()?.parse().ok()?)?;
        subtrees = rest;
        Some(Row {
            sequence,
            json: json.next().map(|json| Some(json).filter(|json| !json.is_empty()))?,
            event_type: event_type.next()?,
            invocation_id: invocation_id.next()?,
            capability_id: capability_id.next()?,
            correlation_id: correlation_id.next()?,
            content_hash: content_hash.next()?,
            subtrees: own,
        })
    };
    let rows: Vec<Row<'_>> = (first..=last).map(&mut row).collect::<Option<_>>()?;
    // An event that is an empty text was not purged.
    let written: i64 = events.try_get(7).ok()?;
    let found = rows.iter().filter(|row| row.json.is_some()).count();
    (usize::try_from(written) == Ok(found)).then_some(rows)
}

/// How many heads a page has.
pub(super) fn count(found: &SqliteRow) -> usize {
    found.try_get(5).ok().and_then(|count: i64| usize::try_from(count).ok()).unwrap_or_default()
}

/// The heads of a page that has some, when all of them are as they should be.
pub(super) fn heads(found: &SqliteRow) -> Option<Vec<StoredHead<'_>>> {
    let count = count(found);
    let column = |index| lines(found, index, count);
    let (mut correlation_id, mut owner, mut content_hash) = (column(0)?, column(1)?, column(2)?);
    let (mut sequence, mut starts) = (column(3)?, column(4)?);
    let mut head = || {
        Some(StoredHead {
            correlation_id: correlation_id.next()?,
            owner: owner.next()?,
            content_hash: content_hash.next()?,
            sequence: sequence.next()?.parse().ok(),
            starts: starts.next()?.parse().ok(),
        })
    };
    (0..count).map(|_| head()).collect()
}

/// The texts of a joined column, when there are `count` of them.
fn lines(row: &SqliteRow, column: usize, count: usize) -> Option<Split<'_, char>> {
    let text: &str = row.try_get(column).ok()?;
    let feeds = text.bytes().filter(|byte| *byte == b'\n').count();
    (feeds.checked_add(1) == Some(count)).then(|| text.split('\n'))
}
