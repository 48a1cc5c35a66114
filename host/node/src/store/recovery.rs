//! What has to be written when the store is opened: that its keys were made, and the end of every
//! call that was running when the node stopped. How far such a call came is unknown.

use std::sync::Arc;

use meshhost_core::{
    code::Code,
    evidence::{
        call::{End, ended},
        event::{Context, Correlation, Environment, EventType, Reason},
        fact::Facts,
        lifecycle,
        sign::KeyLink,
        time::Timestamp,
    },
    invocation::Subject,
    limits::Usage,
    outcome::OutcomeKind,
    ports::{Clock, Entropy},
};
use serde::Deserialize;

use super::{
    database::Database,
    error::StoreError,
    keys::Keys,
    writer::{AppendError, EvidenceWriter},
};
use crate::sys;

/// Calls that are ended in one go.
const PAGE: i64 = 256;

/// Writes that the keys of this node were made, as the first event of its record, together with
/// the statement of both keys that they belong together.
pub(super) async fn key_event(
    writer: &EvidenceWriter,
    keys: &Keys,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    const OPERATION: &str = "record the keys of the node";
    if writer.end().await?.sequence > 0 {
        return Ok(());
    }
    let fault = |source| StoreError::Fault { operation: OPERATION, source };
    let stamp = sys::stamp(clock, entropy);
    let (evidence, node, host_id) = (keys.evidence(), keys.node(), keys.host_id());
    let link = KeyLink::sign(&evidence, &node, host_id, stamp.at);
    let facts = Facts::new()
        .text("key_id", evidence.public_key().key_id())
        .text("linked_at", link.linked_at)
        .text("evidence_key", link.evidence_key)
        .text("evidence_signature", link.evidence_signature)
        .text("node_key", link.node_key)
        .text("node_signature", link.node_signature);
    let subject =
        Subject { id: format!("host:{host_id}"), kind: "host".to_owned(), verified: true };
    let act = sys::new_invocation_id(clock, entropy);
    let draft = lifecycle::event(host_id, act, subject, stamp, EventType::KeyGenerated, facts)
        .map_err(|error| fault(Box::new(error)))?;
    writer.append(vec![draft]).await.map_err(|error| fault(Box::new(error)))?;
    Ok(())
}

/// When the evidence key began to speak for the node: the time of the record's first event.
pub(super) async fn key_valid_from(database: &Database) -> Result<Timestamp, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged { what: "the first event of the record" };
    let text: Option<String> =
        sqlx::query_scalar("SELECT event ->> 'timestamp' FROM events WHERE sequence = 1")
            .fetch_optional(database.readers())
            .await
            .map_err(StoreError::database("read the first event of the record"))?
            .flatten();
    let at: jiff::Timestamp = text.ok_or(DAMAGED)?.parse().map_err(|_| DAMAGED)?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

/// Gives every call that started and has no end an indeterminate one. Returns how many.
pub(super) async fn end_interrupted(
    writer: &EvidenceWriter,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<u64, StoreError> {
    let mut after = 0_i64;
    let mut count = 0;
    loop {
        let select = "SELECT sequence, event FROM running JOIN events USING (sequence) \
                      WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
        let page: Vec<(i64, Option<String>)> = sqlx::query_as(select)
            .bind(after)
            .bind(PAGE)
            .fetch_all(writer.database().readers())
            .await
            .map_err(StoreError::database("look for interrupted calls"))?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        after = *last;
        for (sequence, event) in page {
            let Some(context) = event.as_deref().and_then(context_of) else {
                tracing::error!(sequence, "the start of an interrupted call cannot be read");
                continue;
            };
            let end = End {
                outcome: OutcomeKind::Indeterminate,
                reason: Some(Reason::new(Code::Indeterminate)),
                usage: Usage::default(),
                output: None,
                output_valid: true,
                denied: &[],
                models: &[],
                guest_text_bytes: 0,
            };
            let draft = ended(&Arc::new(context), sys::stamp(clock, entropy), end);
            writer.append(vec![draft]).await.map_err(unwritten)?;
            count += 1;
        }
    }
}

fn unwritten(error: AppendError) -> StoreError {
    StoreError::Fault { operation: "end interrupted calls", source: Box::new(error) }
}

/// What the events of a call share, from the text of one of them.
fn context_of(event: &str) -> Option<Context> {
    #[derive(Deserialize)]
    struct Event {
        capability_id: String,
        capability_version: Option<String>,
        correlation: Shared,
        host_id: String,
        invocation_id: String,
        subject: Subject,
    }
    #[derive(Deserialize)]
    struct Shared {
        causation_id: Option<String>,
        correlation_id: String,
        environment: String,
        parent_correlation_id: Option<String>,
        trace_id: Option<String>,
    }
    let event: Event = serde_json::from_str(event).ok()?;
    let shared = event.correlation;
    let environments = [Environment::Dev, Environment::Test, Environment::Pilot, Environment::Prod];
    Some(Context {
        host_id: event.host_id.parse().ok()?,
        invocation_id: event.invocation_id.parse().ok()?,
        capability_id: event.capability_id.parse().ok()?,
        capability_version: event.capability_version.map(Into::into),
        correlation: Correlation {
            correlation_id: shared.correlation_id.parse().ok()?,
            causation_id: shared.causation_id.and_then(|id| id.parse().ok()),
            parent_correlation_id: shared.parent_correlation_id.and_then(|id| id.parse().ok()),
            trace_id: shared.trace_id.and_then(|id| id.parse().ok()),
            environment: environments
                .into_iter()
                .find(|environment| environment.as_str() == shared.environment)?,
        },
        subject: event.subject,
    })
}
