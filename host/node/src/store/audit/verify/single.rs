//! Rows one by one, whatever their columns hold: what is wrong in a range is named from these. A
//! text that is too long, is no text, or is not UTF-8 is taken for an empty one, which no record
//! says.

use meshhost_core::evidence::verify::{Row, StoredHead};

/// The columns of an event; ?3 bounds its text, ?4 the others.
pub(super) const EVENTS: &str = "
    SELECT sequence, event IS NULL,
        iif(typeof(event) = 'text' AND octet_length(event) <= ?3, CAST(event AS BLOB), NULL),
        iif(typeof(event_type) = 'text' AND octet_length(event_type) <= ?4,
            CAST(event_type AS BLOB), NULL),
        iif(typeof(invocation_id) = 'text' AND octet_length(invocation_id) <= ?4,
            CAST(invocation_id AS BLOB), NULL),
        iif(typeof(capability_id) = 'text' AND octet_length(capability_id) <= ?4,
            CAST(capability_id AS BLOB), NULL),
        iif(typeof(correlation_id) = 'text' AND octet_length(correlation_id) <= ?4,
            CAST(correlation_id AS BLOB), NULL),
        iif(typeof(content_hash) = 'text' AND octet_length(content_hash) <= ?4,
            CAST(content_hash AS BLOB), NULL),
        iif(typeof(subtrees) = 'blob' AND octet_length(subtrees) <= ?4, subtrees, NULL)
    FROM events LEFT JOIN tree USING (sequence)
    WHERE sequence BETWEEN ?1 AND ?2 ORDER BY sequence";

macro_rules! heads {
    ($condition:literal) => {
        concat!(
            "SELECT iif(typeof(correlation_id) = 'text' AND octet_length(correlation_id) <= ?2,
                    CAST(correlation_id AS BLOB), NULL),
                iif(typeof(owner) = 'text' AND octet_length(owner) <= ?2,
                    CAST(owner AS BLOB), NULL),
                iif(typeof(content_hash) = 'text' AND octet_length(content_hash) <= ?2,
                    CAST(content_hash AS BLOB), NULL),
                iif(typeof(sequence) = 'integer', sequence, NULL),
                iif(typeof(starts) = 'integer', starts, NULL)
            FROM correlation_heads WHERE correlation_id ",
            $condition
        )
    };
}

/// The heads of the correlations after ?1.
pub(super) const HEADS: &str = heads!("> ?1");
/// Heads whose correlation is a number: they sort before every text.
pub(super) const NUMBERED_HEADS: &str = heads!("< ?1");

type Bytes = Option<Vec<u8>>;

/// One event and its part of the tree.
pub(super) type Event = (i64, bool, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes);
/// One head.
pub(super) type Head = (Bytes, Bytes, Bytes, Option<i64>, Option<i64>);

/// The event as it is checked.
pub(super) fn event(stored: &Event) -> Row<'_> {
    let (sequence, purged, json, event_type, invocation_id, capability_id, ..) = stored;
    let (.., correlation_id, content_hash, subtrees) = stored;
    Row {
        // No event has the sequence 0, so that one is out of order.
        sequence: u64::try_from(*sequence).unwrap_or_default(),
        json: (!purged).then(|| text(json)),
        event_type: text(event_type),
        invocation_id: text(invocation_id),
        capability_id: text(capability_id),
        correlation_id: text(correlation_id),
        content_hash: text(content_hash),
        subtrees: subtrees.as_deref().unwrap_or_default(),
    }
}

/// The head as it is checked.
pub(super) fn head(stored: &Head) -> StoredHead<'_> {
    let (correlation_id, owner, content_hash, sequence, starts) = stored;
    let number = |stored: &Option<i64>| stored.and_then(|number| u64::try_from(number).ok());
    StoredHead {
        correlation_id: text(correlation_id),
        owner: text(owner),
        content_hash: text(content_hash),
        sequence: number(sequence),
        starts: number(starts),
    }
}

fn text(bytes: &Bytes) -> &str {
    bytes.as_deref().and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
}
