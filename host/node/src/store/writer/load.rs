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
use sqlx::{Sqlite, SqliteConnection, query::QueryScalar, sqlite::SqliteArguments};

use super::{
    Known, Request, Shared,
    memory::{Chain, Memory, day_of},
    seen,
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
    shared.settle().await?;
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

/// What has to be asked of the database for one group.
#[derive(Debug, Default)]
struct Questions {
    days: Vec<(String, i64)>,
    mandates: Vec<String>,
    correlations: Vec<CorrelationId>,
    started: Vec<InvocationId>,
}

/// Reads what the conditions of `requests` need and memory does not have: counts, and ids that
/// the node has not just made itself. Most groups need nothing.
pub(super) async fn known(shared: &Arc<Shared>, requests: &[Request]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let questions = questions(&shared.memory(), requests, &mut known);
    let Questions { days, mandates, correlations, started } = &questions;
    let nothing = [days.is_empty(), mandates.is_empty(), correlations.is_empty()];
    if nothing == [true; 3] && started.is_empty() {
        return Ok(known);
    }
    if !correlations.is_empty() || !started.is_empty() {
        seen::begin(shared);
    }
    shared.settle().await?;
    let mut writer = shared.database.writer().await;
    counts(&mut writer, &questions, &mut known).await?;
    ids(&mut writer, &questions, &mut known).await?;
    Ok(known)
}

fn questions(memory: &Memory, requests: &[Request], known: &mut Known) -> Questions {
    let mut questions = Questions::default();
    for request in requests {
        let drafts = request.drafts.iter().filter(|_| !request.new_correlation);
        let ids = drafts.map(|draft| &draft.context.correlation.correlation_id);
        let open = |id: &&CorrelationId| {
            memory.chains.peek(*id).is_none() && !memory.seen.is_new_correlation(id)
        };
        questions.correlations.extend(ids.filter(open).cloned());
        let (Some(start), Some(draft)) = (&request.start, request.drafts.first()) else {
            continue;
        };
        let day = (draft.context.subject.id.clone(), day_of(draft.stamp.at.micros()));
        match memory.days.peek(&day) {
            Some(starts) => drop(known.days.insert(day, *starts)),
            None => questions.days.push(day),
        }
        questions.mandates.extend(start.mandate.as_ref().map(|used| used.mandate_id.clone()));
        let invocation = &draft.context.invocation_id;
        let known = start.new.invocation || memory.seen.is_new_call(invocation);
        if !known && !memory.running.contains_key(invocation) {
            questions.started.push(invocation.clone());
        }
    }
    questions
}

async fn counts(
    connection: &mut SqliteConnection,
    questions: &Questions,
    known: &mut Known,
) -> Result<(), StoreError> {
    for (subject_id, day) in &questions.days {
        let select = "SELECT starts FROM caller_days WHERE subject_id = ?1 AND day = ?2";
        let starts: Option<i64> = sqlx::query_scalar(select)
            .bind(subject_id.clone())
            .bind(day)
            .fetch_optional(&mut *connection)
            .await
            .map_err(fault())?;
        known.days.insert((subject_id.clone(), *day), count(starts.unwrap_or(0))?);
    }
    for mandate_id in &questions.mandates {
        let select = "SELECT count(*) FROM mandate_usage WHERE mandate_id = ?1";
        let uses: i64 = sqlx::query_scalar(select)
            .bind(mandate_id.clone())
            .fetch_one(&mut *connection)
            .await
            .map_err(fault())?;
        known.mandates.insert(mandate_id.clone(), count(uses)?);
    }
    Ok(())
}

fn count(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| DAMAGED)
}

/// Looks up correlations that memory does not know, and calls that may have been started.
async fn ids(
    connection: &mut SqliteConnection,
    questions: &Questions,
    known: &mut Known,
) -> Result<(), StoreError> {
    let select = "SELECT correlation_id, owner, content_hash, starts FROM correlation_heads \
                  WHERE correlation_id IN (SELECT value FROM json_each(?1))";
    let names = Value::from_iter(questions.correlations.iter().map(CorrelationId::as_str));
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(select)
        .bind(names.to_string())
        .fetch_all(&mut *connection)
        .await
        .map_err(fault())?;
    known.correlations = questions.correlations.iter().map(|id| (id.clone(), None)).collect();
    for (id, owner, hash, starts) in rows {
        let hash = hash.parse().map_err(|_| DAMAGED)?;
        let chain = Chain { owner, hash, starts: count(starts)? };
        known.correlations.insert(id.parse().map_err(|_| DAMAGED)?, Some(chain));
    }
    let select = "SELECT invocation_id FROM events WHERE event_type = 'execution_started' \
                  AND invocation_id IN (SELECT value FROM json_each(?1))";
    let names = Value::from_iter(questions.started.iter().map(InvocationId::as_str));
    let rows: Vec<String> = sqlx::query_scalar(select)
        .bind(names.to_string())
        .fetch_all(&mut *connection)
        .await
        .map_err(fault())?;
    known.started = rows.into_iter().filter_map(|id| id.parse().ok()).collect();
    Ok(())
}
