use meshhost_core::{
    code::Code,
    invocation::{EntranceKind, Mode, Scope, Subject},
};
use serde_json::json;

use super::*;

const QUOTA_BYTES: u64 = 1_000_000;

/// A clock that the test sets.
#[derive(Debug, Default)]
struct TestClock(std::sync::atomic::AtomicI64);

impl Clock for TestClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

async fn results() -> (tempfile::TempDir, Arc<TestClock>, Results) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let durability = meshhost_core::config::Durability::Process;
    let database = Database::open(&path, durability).await.unwrap();
    let journal = home.path().join("journal");
    let evidence = EvidenceWriter::open(database, &journal, durability).await.unwrap();
    let clock = Arc::new(TestClock::default());
    (home, Arc::clone(&clock), Results::new(evidence, clock, [1; 32], QUOTA_BYTES))
}

fn invocation(id: &str, subject: &str, input: Value) -> Invocation {
    Invocation {
        invocation_id: id.parse().unwrap(),
        correlation_id: "c".parse().unwrap(),
        causation_id: None,
        capability: "git.log".parse().unwrap(),
        version: None,
        type_hash: None,
        plugin: None,
        subject: Subject { id: subject.into(), kind: "user".into(), verified: true },
        asserted_caller: None,
        entrance: EntranceKind::CommandLine,
        scope: Scope::owner(),
        mode: Mode::Sync,
        input,
        timeout_ms: None,
        fuel: None,
        output_bytes: None,
        depth: 1,
        chain: Vec::new(),
        hops: Vec::new(),
        working_folder: None,
    }
}

fn result(invocation: &Invocation, outcome: Outcome) -> CallResult {
    CallResult {
        invocation_id: invocation.invocation_id.clone(),
        capability_id: invocation.capability.clone(),
        capability_version: Some("0.1.0".into()),
        plugin: Some("git".into()),
        node: None,
        correlation_id: invocation.correlation_id.clone(),
        outcome,
        evidence_ids: vec!["e1".into(), "e2".into()],
        started_at: "2026-01-01T00:00:00.000000Z".into(),
        completed_at: "2026-01-01T00:00:01.000000Z".into(),
        replayed: false,
        usage: Usage { fuel: 7, ..Usage::default() },
        denied: Vec::new(),
        models: Vec::new(),
        log: vec!["a line".into()],
    }
}

#[tokio::test]
async fn the_same_caller_gets_the_same_answer_for_the_same_input() {
    let (_home, _clock, results) = results().await;
    let call = invocation("i", "local:me", json!({"b": 1.5, "a": "x"}));
    assert!(results.find(&call).await.unwrap().is_none());
    let original = result(&call, Outcome::Success(json!({"lines": [1, null]})));
    results.keep(&call, &original).await;
    let again = invocation("i", "local:me", json!({"a": "x", "b": 1.5}));
    let found = results.find(&again).await.unwrap().unwrap();
    assert_eq!(found, CallResult { replayed: true, log: Vec::new(), ..original });
}

#[tokio::test]
async fn nobody_else_and_nothing_else_gets_it() {
    let (_home, _clock, results) = results().await;
    let call = invocation("i", "local:me", json!({"a": 1}));
    results.keep(&call, &result(&call, Outcome::Success(json!(1)))).await;
    let other_capability = Invocation {
        capability: "git.show".parse().unwrap(),
        ..invocation("i", "local:me", json!({"a": 1}))
    };
    for wrong in [
        invocation("i", "local:other", json!({"a": 1})),
        invocation("i", "local:me", json!({"a": 2})),
        other_capability,
    ] {
        assert!(matches!(results.find(&wrong).await, Err(ResultError::Conflict)));
    }
}

#[tokio::test]
async fn what_may_be_tried_again_or_did_not_run_is_not_kept() {
    let (_home, _clock, results) = results().await;
    let call = invocation("i", "local:me", json!({}));
    let refusal = |code| Refusal::new(code, "no");
    let large = json!("x".repeat(RESULT_BYTES_MAX));
    for outcome in [
        Outcome::Denied(refusal(Code::PolicyBlocked)),
        Outcome::Skipped(refusal(Code::CapabilityDisabled)),
        Outcome::Failure(refusal(Code::HostFault)),
        Outcome::Success(large),
    ] {
        results.keep(&call, &result(&call, outcome)).await;
        assert!(results.find(&call).await.unwrap().is_none());
    }
    let failure = result(&call, Outcome::Failure(refusal(Code::PluginFailure)));
    results.keep(&call, &failure).await;
    assert_eq!(results.find(&call).await.unwrap().unwrap().outcome, failure.outcome);
}

#[tokio::test]
async fn results_last_a_day() {
    let (_home, clock, results) = results().await;
    let call = invocation("i", "local:me", json!({}));
    results.keep(&call, &result(&call, Outcome::Success(json!(1)))).await;
    clock.0.store(LIFETIME_US - 1, Ordering::Relaxed);
    results.sweep().await.unwrap();
    assert!(results.find(&call).await.unwrap().is_some());
    clock.0.store(LIFETIME_US, Ordering::Relaxed);
    assert!(results.find(&call).await.unwrap().is_none());
    results.sweep().await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM invocation_results")
        .fetch_one(results.database.readers())
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn the_oldest_go_when_the_quota_is_used_up() {
    let (_home, clock, results) = results().await;
    let text = "x".repeat(60_000);
    let count = 40;
    for number in 0..count {
        clock.0.store(number, Ordering::Relaxed);
        let call = invocation(&format!("i{number}"), "local:me", json!({}));
        results.keep(&call, &result(&call, Outcome::Success(json!(text)))).await;
    }
    results.sweep().await.unwrap();
    let bytes: i64 = sqlx::query_scalar("SELECT sum(length(result)) FROM invocation_results")
        .fetch_one(results.database.readers())
        .await
        .unwrap();
    assert!((900_000..=1_000_000).contains(&bytes), "{bytes}");
    let newest = invocation(&format!("i{}", count - 1), "local:me", json!({}));
    assert!(results.find(&newest).await.unwrap().is_some());
    let oldest = invocation("i0", "local:me", json!({}));
    assert!(results.find(&oldest).await.unwrap().is_none());
}
