//! What the writer reads from the database.

use std::{collections::HashMap, sync::Arc};

use meshhost_core::{
    evidence::{
        chain::Sealer,
        hash::Hash,
        merkle::{self, Node, Tree},
    },
    id::{CorrelationId, InvocationId},
};
use serde_json::Value;
use sqlx::{Sqlite, query::QueryScalar, sqlite::SqliteArguments};

use super::{
    Known, Request, Shared,
    memory::{Chain, day_of},
};
use crate::store::error::StoreError;

const DAMAGED: StoreError = StoreError::Damaged { what: "the record" };

fn fault() -> impl FnOnce(sqlx::Error) -> StoreError {
    StoreError::database("read the end of the record")
}

/// Reads where the record ends, unless memory knows.
pub(super) async fn refresh(shared: &Shared) -> Result<(), StoreError> {
    if shared.memory().sealer().is_some() {
        return Ok(());
    }
    let mut writer = shared.database.writer().await;
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM events")
        .fetch_one(&mut *writer)
        .await
        .map_err(fault())?;
    let size = u64::try_from(last).map_err(|_| DAMAGED)?;
    let mut subtrees = HashMap::new();
    for node in merkle::root_nodes(size) {
        let hash: Option<Vec<u8>> =
            select_subtree(node).fetch_optional(&mut *writer).await.map_err(fault())?;
        subtrees.insert(node, to_hash(&hash.ok_or(DAMAGED)?)?);
    }
    let tree = Tree::resume(size, |node: Node| subtrees.get(&node).copied()).ok_or(DAMAGED)?;
    shared.memory().resume(Sealer::resume(tree));
    Ok(())
}

/// The query for a stored subtree: it stands with the event that completed it, after the smaller
/// ones that the same event completed.
pub(in crate::store) fn select_subtree(
    node: Node,
) -> QueryScalar<'static, Sqlite, Vec<u8>, SqliteArguments> {
    const HASH_BYTES: i64 = 32;
    let sequence = node.completed_by().and_then(|sequence| i64::try_from(sequence).ok());
    sqlx::query_scalar("SELECT substr(subtrees, ?2, 32) FROM tree WHERE sequence = ?1")
        .bind(sequence)
        .bind(i64::from(node.level) * HASH_BYTES + 1)
}

fn to_hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    <[u8; 32]>::try_from(bytes).map(Hash::from_bytes).map_err(|_| DAMAGED)
}

/// Reads the counts that the conditions of `requests` need and memory does not have.
pub(super) async fn counts(
    shared: &Arc<Shared>,
    requests: &[Request],
) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut days = Vec::new();
    let mut mandates = Vec::new();
    {
        let memory = shared.memory();
        for request in requests {
            let (Some(start), Some(draft)) = (&request.start, request.drafts.first()) else {
                continue;
            };
            let day = (draft.context.subject.id.clone(), day_of(draft.stamp.at.micros()));
            match memory.days.peek(&day) {
                Some(starts) => drop(known.days.insert(day, *starts)),
                None => days.push(day),
            }
            mandates.extend(start.mandate.as_ref().map(|used| used.mandate_id.clone()));
        }
    }
    if days.is_empty() && mandates.is_empty() {
        return Ok(known);
    }
    let mut writer = shared.database.writer().await;
    for (subject_id, day) in days {
        let select = "SELECT starts FROM caller_days WHERE subject_id = ?1 AND day = ?2";
        let starts: Option<i64> = sqlx::query_scalar(select)
            .bind(subject_id.clone())
            .bind(day)
            .fetch_optional(&mut *writer)
            .await
            .map_err(fault())?;
        known.days.insert((subject_id, day), count(starts.unwrap_or(0))?);
    }
    for mandate_id in mandates {
        let select = "SELECT count(*) FROM mandate_usage WHERE mandate_id = ?1";
        let uses: i64 = sqlx::query_scalar(select)
            .bind(mandate_id.clone())
            .fetch_one(&mut *writer)
            .await
            .map_err(fault())?;
        known.mandates.insert(mandate_id, count(uses)?);
    }
    Ok(known)
}

fn count(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| DAMAGED)
}

/// Looks up the ids of `requests`: correlations that memory does not know, and started calls.
pub(super) async fn ids(
    shared: &Arc<Shared>,
    requests: &[Request],
    known: &mut Known,
) -> Result<(), StoreError> {
    let mut correlations: Vec<&CorrelationId> = Vec::new();
    let mut started: Vec<&InvocationId> = Vec::new();
    {
        let memory = shared.memory();
        for request in requests {
            let drafts = request.drafts.iter();
            let ids = drafts.map(|draft| &draft.context.correlation.correlation_id);
            correlations.extend(ids.filter(|id| memory.chains.peek(id).is_none()));
            let first = request.drafts.first().filter(|_| request.start.is_some());
            started.extend(first.map(|draft| &draft.context.invocation_id));
        }
    }
    let mut writer = shared.database.writer().await;
    let select = "SELECT correlation_id, owner, content_hash, starts FROM correlation_heads \
                  WHERE correlation_id IN (SELECT value FROM json_each(?1))";
    let names = Value::from_iter(correlations.iter().map(|id| id.as_str()));
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(select)
        .bind(names.to_string())
        .fetch_all(&mut *writer)
        .await
        .map_err(fault())?;
    known.correlations = correlations.into_iter().map(|id| (id.clone(), None)).collect();
    for (id, owner, hash, starts) in rows {
        let hash = hash.parse().map_err(|_| DAMAGED)?;
        let chain = Chain { owner, hash, starts: count(starts)? };
        known.correlations.insert(id.parse().map_err(|_| DAMAGED)?, Some(chain));
    }
    let select = "SELECT invocation_id FROM events WHERE event_type = 'execution_started' \
                  AND invocation_id IN (SELECT value FROM json_each(?1))";
    let names = Value::from_iter(started.iter().map(|id| id.as_str()));
    let rows: Vec<String> = sqlx::query_scalar(select)
        .bind(names.to_string())
        .fetch_all(&mut *writer)
        .await
        .map_err(fault())?;
    known.started = rows.into_iter().filter_map(|id| id.parse().ok()).collect();
    Ok(())
}
