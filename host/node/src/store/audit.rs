//! Reading the record: lists, single calls, whole correlations, exports, heads, and the check of
//! all of it.

use std::sync::Arc;

use meshhost_core::{
    evidence::event::EventType,
    evidence::{
        bundle::{self, Contents},
        hash::Hash,
        lifecycle,
        sign::{HostIdentity, KeyLink, SignedHead, Signer},
        time::Timestamp,
    },
    id::{CorrelationId, HostId, InvocationId},
    invocation::Subject,
    ports::{Clock, Entropy},
};
use serde_json::{Value, json};

use super::{
    database::Database,
    error::StoreError,
    heads::Heads,
    keys::Keys,
    recovery::key_valid_from,
    writer::{Appended, EvidenceWriter, PurgeError},
};
use crate::sys;

mod verify;
mod why;

pub use verify::VerifyError;

/// Calls that one listing returns.
pub const LIST_MAX: u32 = 1_000;
/// Events that one reading returns; more are read after the last one.
pub const EVENTS_MAX: u32 = 10_000;
/// Events of the largest bundle.
const BUNDLE_EVENTS_MAX: i64 = 100_000;

/// The events that end a call or stand for one that did not start, newest first.
const LIST: &str = "
    SELECT event FROM events
    WHERE event_type IN ('execution_completed', 'execution_failed', 'execution_denied',
            'execution_skipped', 'execution_indeterminate')
        AND (?1 IS NULL OR capability_id = ?1 OR substr(capability_id, 1, length(?1) + 1) = ?1 || '.')
    ORDER BY sequence DESC LIMIT ?2";
const OF_INVOCATION: &str = "
    SELECT event FROM events WHERE invocation_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
const OF_CORRELATION: &str = "
    SELECT event FROM events
    WHERE correlation_id = ?1 AND sequence > ?2 AND event IS NOT NULL ORDER BY sequence LIMIT ?3";

/// The record, for reading.
#[derive(Debug, Clone)]
pub struct Audit {
    database: Database,
    writer: EvidenceWriter,
    heads: Arc<Heads>,
    signer: Arc<Signer>,
    /// The statement of both keys that they belong together, as JSON.
    link: Arc<str>,
    host_id: HostId,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

const DAMAGED: StoreError = StoreError::Damaged { what: "the record" };

fn fault() -> impl FnOnce(sqlx::Error) -> StoreError {
    StoreError::database("read the record")
}

impl Audit {
    pub(super) fn new(
        writer: EvidenceWriter,
        heads: Arc<Heads>,
        keys: &Keys,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let now = Timestamp::from_micros(clock.now_us());
        let link = KeyLink::sign(&keys.evidence(), &keys.node(), keys.host_id(), now);
        Self {
            link: serde_json::to_string(&link).unwrap_or_default().into(),
            database: writer.database().clone(),
            writer,
            heads,
            signer: Arc::new(keys.evidence()),
            host_id: keys.host_id().clone(),
            clock,
            entropy,
        }
    }

    /// Calls that ended or were refused, newest first, at most [`LIST_MAX`]; of one capability, or
    /// of all whose id begins with `capability` and a dot. Each is an object with `sequence`,
    /// `timestamp`, `outcome`, `invocation_id`, `capability_id`, `capability_version`,
    /// `correlation_id`, `subject_id`, and `code`, the name of the reason, where there is one.
    ///
    /// # Errors
    /// When the database refuses or a stored event cannot be read.
    pub async fn list(
        &self,
        limit: u32,
        capability: Option<&str>,
    ) -> Result<Vec<Value>, StoreError> {
        self.writer.settle().await?;
        let events: Vec<String> = sqlx::query_scalar(LIST)
            .bind(capability.map(str::to_owned))
            .bind(limit.min(LIST_MAX))
            .fetch_all(self.database.readers())
            .await
            .map_err(fault())?;
        events.iter().map(|event| parse(event).map(|event| summary(&event))).collect()
    }

    /// The events of one call in order, at most [`EVENTS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there are none; else as [`Self::list`].
    pub async fn show(&self, invocation: &InvocationId) -> Result<Vec<Value>, StoreError> {
        let events = self.events(OF_INVOCATION, invocation.as_str(), 0).await?;
        if events.is_empty() { Err(StoreError::NotFound("call in the record")) } else { Ok(events) }
    }

    /// The events of one correlation after `after` (a sequence; 0 for all) in order, at most
    /// [`EVENTS_MAX`]. Purged ones are left out.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn replay(
        &self,
        correlation: &CorrelationId,
        after: u64,
    ) -> Result<Vec<Value>, StoreError> {
        self.events(OF_CORRELATION, correlation.as_str(), after).await
    }

    async fn events(
        &self,
        select: &'static str,
        id: &str,
        after: u64,
    ) -> Result<Vec<Value>, StoreError> {
        self.writer.settle().await?;
        let events: Vec<String> = sqlx::query_scalar(select)
            .bind(id.to_owned())
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(EVENTS_MAX)
            .fetch_all(self.database.readers())
            .await
            .map_err(fault())?;
        events.iter().map(|event| parse(event)).collect()
    }

    /// Why a call ended as it did: an object with `invocation_id`, `capability_id`, `outcome`,
    /// `code` and `explanation`, a list of sentences.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub async fn why(&self, invocation: &InvocationId) -> Result<Value, StoreError> {
        Ok(why::explain(&self.show(invocation).await?))
    }

    /// Who began a correlation here, by the id of the subject; none when nobody did.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn owner(&self, correlation: &CorrelationId) -> Result<Option<String>, StoreError> {
        self.writer.settle().await?;
        sqlx::query_scalar("SELECT owner FROM correlation_heads WHERE correlation_id = ?1")
            .bind(correlation.as_str().to_owned())
            .fetch_optional(self.database.readers())
            .await
            .map_err(fault())
    }

    /// The statement of the evidence key and the node key that they belong together, as JSON: with it, others
    /// know whose a bundle is.
    #[must_use]
    pub fn key_link(&self) -> &str {
        &self.link
    }

    /// A bundle of one correlation that stands alone: canonical JSON, signed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there are no events; else as [`Self::list`].
    pub async fn export(&self, correlation: &CorrelationId) -> Result<String, StoreError> {
        let operation = "export the correlation";
        self.writer.settle().await?;
        let mut snapshot = self.database.readers().begin().await.map_err(fault())?;
        let last: i64 = sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM events")
            .fetch_one(&mut *snapshot)
            .await
            .map_err(fault())?;
        let select = "SELECT event, content_hash FROM events \
                      WHERE correlation_id = ?1 AND event IS NOT NULL ORDER BY sequence LIMIT ?2";
        let rows: Vec<(String, String)> = sqlx::query_as(select)
            .bind(correlation.as_str().to_owned())
            .bind(BUNDLE_EVENTS_MAX + 1)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(fault())?;
        drop(snapshot);
        if rows.len() > usize::try_from(BUNDLE_EVENTS_MAX).unwrap_or(usize::MAX) {
            let source = "it has more than 100,000 events".into();
            return Err(StoreError::Fault { operation, source });
        }
        let hashes: Vec<Hash> = rows
            .iter()
            .map(|(_, hash)| hash.parse().map_err(|_| DAMAGED))
            .collect::<Result<_, _>>()?;
        let events: Vec<(&str, Hash)> =
            rows.iter().map(|(event, _)| event.as_str()).zip(hashes).collect();
        let valid_from = key_valid_from(&self.database).await?;
        let contents = Contents {
            host_id: &self.host_id,
            correlation_id: correlation,
            events: &events,
            as_of_sequence: u64::try_from(last).map_err(|_| DAMAGED)?,
            created_at: Timestamp::from_micros(self.clock.now_us()),
            identity: &HostIdentity::sign(&self.signer, &self.host_id, valid_from),
        };
        bundle::build(&contents, &self.signer)
            .map_err(|source| StoreError::Fault { operation, source: Box::new(source) })?
            .ok_or(StoreError::NotFound("correlation in the record"))
    }

    /// The signed head of the record as it is now.
    ///
    /// # Errors
    /// When the end cannot be read or the head not be written down.
    pub async fn head(&self) -> Result<SignedHead, StoreError> {
        self.heads.sign(&self.writer).await
    }

    /// Takes all events of one correlation away, on behalf of `subject`; their hashes and a signed
    /// tombstone stay.
    ///
    /// # Errors
    /// [`PurgeError`]; nothing is purged then.
    pub async fn purge(
        &self,
        correlation: &CorrelationId,
        subject: Subject,
    ) -> Result<Appended, PurgeError> {
        let (clock, entropy) = (self.clock.as_ref(), self.entropy.as_ref());
        let appended = self
            .writer
            .purge(correlation, |tombstone| {
                let fault = |source| StoreError::Fault { operation: "name the purge", source };
                let act = sys::new_invocation_id(clock, entropy);
                let (stamp, facts) = (sys::stamp(clock, entropy), tombstone.facts());
                let event = EventType::EvidencePurged;
                lifecycle::event(&self.host_id, act, subject, stamp, event, facts)
                    .map_err(|error| PurgeError::Store(fault(Box::new(error))))
            })
            .await?;
        self.heads.sign(&self.writer).await?;
        Ok(appended)
    }
}

fn parse(event: &str) -> Result<Value, StoreError> {
    serde_json::from_str(event).map_err(|_| DAMAGED)
}

/// One call as a listing shows it.
fn summary(event: &Value) -> Value {
    let member = |name: &str| event.get(name).cloned().unwrap_or_default();
    let inside = |name: &str, part: &str| member(name).get(part).cloned().unwrap_or_default();
    json!({
        "sequence": member("sequence"),
        "timestamp": member("timestamp"),
        "outcome": member("outcome"),
        "invocation_id": member("invocation_id"),
        "capability_id": member("capability_id"),
        "capability_version": member("capability_version"),
        "correlation_id": inside("correlation", "correlation_id"),
        "subject_id": inside("subject", "id"),
        "code": code_of(event),
    })
}

/// The name of the reason in an event, when it has one.
fn code_of(event: &Value) -> Option<&str> {
    let reason = ["denial", "error"].iter().find_map(|part| event.get(*part)?.get("details"));
    reason?.get("name")?.as_str()
}

#[cfg(test)]
mod tests;
