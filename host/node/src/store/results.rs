//! Results of calls, kept for a day: the same call under the same id gets the same answer. A
//! cache with a quota, not evidence. A result is returned only to the subject that called, for
//! the same capability and input, and only what ran is kept: repeating what was denied is safe.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use meshhost_core::{
    code::Code,
    evidence::canonical,
    id::{CapabilityId, CorrelationId, InvocationId},
    invocation::Invocation,
    limits::Usage,
    model_use::ModelUse,
    outcome::{CallResult, DeniedAccess, Outcome, OutcomeKind, Refusal},
    ports::Clock,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{database::Database, error::StoreError, writer::EvidenceWriter};

/// How long a result is kept: 24 hours.
const LIFETIME_US: i64 = 24 * 3_600 * 1_000_000;
/// Bytes of one kept result; a larger one is not kept.
const RESULT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of new results after which the next look sweeps.
const SWEEP_BYTES: usize = 8 * 1024 * 1024;

const WRITE: &str = "keep the result of a call";

/// The kept results.
#[derive(Debug, Clone)]
pub struct Results {
    database: Database,
    evidence: EvidenceWriter,
    clock: Arc<dyn Clock>,
    key: [u8; 32],
    quota_bytes: u64,
    unswept: Arc<AtomicUsize>,
}

/// Why there is no result to return.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The id was used by somebody else, for something else, or its result is not kept any more.
    #[error("the invocation id was used before; use a new one")]
    Conflict,
    /// The store failed.
    #[error("the kept results could not be read")]
    Store(#[from] StoreError),
}

/// A result as it goes into the store.
#[derive(Debug, Clone)]
pub struct KeptResult {
    pub(super) invocation_id: InvocationId,
    pub(super) subject_id: String,
    pub(super) input_commitment: String,
    pub(super) result: String,
    pub(super) expires_us: i64,
}

impl Results {
    /// The results that are kept with the calls which `evidence` writes. `key` is the store's own ([`super::keys::Purpose::Store`]):
    /// inputs are compared by a keyed hash, which says nothing to who reads the file. Beyond
    /// `quota_bytes` of results the oldest go at the next sweep.
    #[must_use]
    pub fn new(
        evidence: EvidenceWriter,
        clock: Arc<dyn Clock>,
        key: [u8; 32],
        quota_bytes: u64,
    ) -> Self {
        let database = evidence.database().clone();
        Self { database, evidence, clock, key, quota_bytes, unswept: Arc::default() }
    }

    /// The kept result of an earlier call with this id; `None` when the id is new.
    ///
    /// # Errors
    /// [`ResultError::Conflict`] when the id is known and there is nothing to return to this
    /// caller for this input; [`ResultError::Store`] when the store failed.
    pub async fn find(&self, invocation: &Invocation) -> Result<Option<CallResult>, ResultError> {
        let id = invocation.invocation_id.as_str();
        let fault = || StoreError::database("look for the result of a call");
        self.evidence.settle().await?;
        let select = "SELECT subject_id, input_commitment, result FROM invocation_results \
                      WHERE invocation_id = ?1 AND expires_us > ?2";
        let kept: Option<(String, String, String)> = sqlx::query_as(select)
            .bind(id.to_owned())
            .bind(self.clock.now_us())
            .fetch_optional(self.database.readers())
            .await
            .map_err(fault())?;
        if let Some((subject_id, commitment, text)) = kept {
            let same = subject_id == invocation.subject.id
                && self.commitment(invocation).as_deref() == Some(commitment.as_str());
            let stored = serde_json::from_str(&text).ok().filter(|_| same);
            let stored: StoredResult = stored.ok_or(ResultError::Conflict)?;
            return Ok(Some(stored.result(invocation)));
        }
        let select = "SELECT count(*) FROM events \
                      WHERE invocation_id = ?1 AND event_type = 'execution_started'";
        let started: i64 = sqlx::query_scalar(select)
            .bind(id.to_owned())
            .fetch_one(self.database.readers())
            .await
            .map_err(fault())?;
        if started == 0 {
            return Ok(None);
        }
        self.interrupted(invocation).await?.map(Some).ok_or(ResultError::Conflict)
    }

    /// The end of a call that was written down without its result, because its caller went away or
    /// the node ended meanwhile: nobody knows how far it came.
    async fn interrupted(&self, invocation: &Invocation) -> Result<Option<CallResult>, StoreError> {
        let select = "SELECT event FROM events \
                      WHERE invocation_id = ?1 AND event_type = 'execution_indeterminate'";
        let event: Option<Option<String>> = sqlx::query_scalar(select)
            .bind(invocation.invocation_id.as_str().to_owned())
            .fetch_optional(self.database.readers())
            .await
            .map_err(StoreError::database("look for the end of a call"))?;
        let event: Option<Value> =
            event.flatten().and_then(|text| serde_json::from_str(&text).ok());
        let Some(event) = event else { return Ok(None) };
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let capability = text("/capability_id").and_then(|id| id.parse::<CapabilityId>().ok());
        let same = text("/subject/id") == Some(invocation.subject.id.as_str())
            && capability.is_some_and(|id| id.folded() == invocation.capability.folded());
        if !same {
            return Ok(None);
        }
        let message = "the call was interrupted, and its effect may have happened; look before you \
                       repeat it under a new id";
        let at = text("/timestamp").unwrap_or_default().to_owned();
        let outcome = Outcome::Indeterminate(Refusal::new(Code::Indeterminate, message));
        Ok(Some(CallResult {
            evidence_ids: text("/event_id").map(str::to_owned).into_iter().collect(),
            replayed: true,
            ..CallResult::bare(invocation, outcome, at)
        }))
    }

    /// What is to be kept of a call's result; `None` when it did not run, may be tried again, or
    /// is too large. Hand it to the writer together with the call's last event.
    #[must_use]
    pub fn prepare(&self, invocation: &Invocation, result: &CallResult) -> Option<KeptResult> {
        let ran = !matches!(result.outcome.kind(), OutcomeKind::Denied | OutcomeKind::Skipped);
        let final_ = !result.outcome.refusal().is_some_and(|refusal| refusal.code.info().retryable);
        if !ran || !final_ {
            return None;
        }
        let text = serde_json::to_string(&StoredResult::of(result)).ok()?;
        if text.len() > RESULT_BYTES_MAX {
            return None;
        }
        self.unswept.fetch_add(text.len(), Ordering::Relaxed);
        Some(KeptResult {
            invocation_id: invocation.invocation_id.clone(),
            subject_id: invocation.subject.id.clone(),
            input_commitment: self.commitment(invocation)?,
            result: text,
            expires_us: self.clock.now_us().saturating_add(LIFETIME_US),
        })
    }

    /// Keeps a result by itself. It is a cache: a failure is logged and costs only the answer to
    /// a repetition.
    pub async fn keep(&self, invocation: &Invocation, result: &CallResult) {
        let Some(kept) = self.prepare(invocation, result) else { return };
        let mut writer = self.database.writer().await;
        let written =
            sqlx::query("INSERT OR REPLACE INTO invocation_results VALUES (?, ?, ?, ?, ?)")
                .bind(kept.invocation_id.as_str().to_owned())
                .bind(kept.subject_id)
                .bind(kept.input_commitment)
                .bind(kept.result)
                .bind(kept.expires_us)
                .execute(&mut *writer)
                .await;
        if let Err(error) = written {
            tracing::warn!(error = &error as &dyn std::error::Error, "a result is not kept");
        }
    }

    /// Sweeps, when enough was kept since the last time.
    pub(super) async fn sweep_if_due(&self) {
        if self.unswept.load(Ordering::Relaxed) > SWEEP_BYTES
            && let Err(error) = self.sweep().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "old results stay");
        }
    }

    /// Removes what is too old, and the oldest of what is beyond the quota.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        self.unswept.store(0, Ordering::Relaxed);
        let sweep = "DELETE FROM invocation_results WHERE expires_us <= ?1 OR invocation_id IN ( \
                         SELECT invocation_id FROM ( \
                             SELECT invocation_id, \
                                 sum(length(result)) OVER (ORDER BY expires_us DESC) AS total \
                             FROM invocation_results) \
                         WHERE total > ?2)";
        sqlx::query(sweep)
            .bind(self.clock.now_us())
            .bind(i64::try_from(self.quota_bytes).unwrap_or(i64::MAX))
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }

    /// Stands for what was asked: capability, and input in its one spelling.
    fn commitment(&self, invocation: &Invocation) -> Option<String> {
        let input = canonical::to_commit(&invocation.input).ok()?;
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(invocation.capability.folded().as_bytes());
        hasher.update(b"\0");
        hasher.update(input.as_bytes());
        Some(hasher.finalize().to_hex().to_string())
    }
}

/// A result in the store.
#[derive(Debug, Serialize, Deserialize)]
struct StoredResult {
    capability_id: CapabilityId,
    capability_version: Option<String>,
    plugin: Option<String>,
    correlation_id: CorrelationId,
    outcome: OutcomeKind,
    data: Option<Value>,
    refusal: Option<Refusal>,
    evidence_ids: Vec<String>,
    started_at: String,
    completed_at: String,
    usage: Usage,
    denied: Vec<DeniedAccess>,
    #[serde(default)]
    models: Vec<ModelUse>,
}

impl StoredResult {
    fn of(result: &CallResult) -> Self {
        let data = match &result.outcome {
            Outcome::Success(data) => Some(data.clone()),
            _ => None,
        };
        Self {
            capability_id: result.capability_id.clone(),
            capability_version: result.capability_version.clone(),
            plugin: result.plugin.clone(),
            correlation_id: result.correlation_id.clone(),
            outcome: result.outcome.kind(),
            data,
            refusal: result.outcome.refusal().cloned(),
            evidence_ids: result.evidence_ids.clone(),
            started_at: result.started_at.clone(),
            completed_at: result.completed_at.clone(),
            usage: result.usage,
            denied: result.denied.clone(),
            models: result.models.clone(),
        }
    }

    /// The result again; the plugin's log lines are not kept.
    fn result(self, invocation: &Invocation) -> CallResult {
        let unknown = || Refusal::new(Code::Indeterminate, "the end is unknown");
        let refusal = self.refusal.unwrap_or_else(unknown);
        let outcome = match self.outcome {
            OutcomeKind::Success => Outcome::Success(self.data.unwrap_or_default()),
            OutcomeKind::Failure => Outcome::Failure(refusal),
            OutcomeKind::Denied => Outcome::Denied(refusal),
            OutcomeKind::Skipped => Outcome::Skipped(refusal),
            OutcomeKind::Indeterminate => Outcome::Indeterminate(refusal),
        };
        CallResult {
            invocation_id: invocation.invocation_id.clone(),
            capability_id: self.capability_id,
            capability_version: self.capability_version,
            plugin: self.plugin,
            node: None,
            correlation_id: self.correlation_id,
            outcome,
            evidence_ids: self.evidence_ids,
            started_at: self.started_at,
            completed_at: self.completed_at,
            replayed: true,
            usage: self.usage,
            denied: self.denied,
            models: self.models,
            log: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
