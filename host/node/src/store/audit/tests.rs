use std::{fs, path::PathBuf};

use meshhost_core::{
    code::Code,
    config::NodeConfig,
    evidence::{
        bundle::verify_bundle,
        call::{Commitment, Decision, End, Origin, Provider, decided, ended},
        event::{Context, Correlation, Draft, Reason},
        verify::Wrong,
    },
    id::Digest,
    invocation::EntranceKind,
    limits::Usage,
    outcome::OutcomeKind,
};

use super::*;
use crate::{
    store::{
        Store,
        directory::{Access, DataDirectory},
        writer::{AppendError, StartCondition},
    },
    sys::{SystemClock, SystemEntropy},
};

/// A data directory that is opened again and again.
pub(super) struct Home(tempfile::TempDir);

impl Home {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(super) async fn open(&self) -> Store {
        open(&self.path()).await.unwrap()
    }

    /// Runs SQL on the closed store, as somebody with the file would.
    pub(super) async fn tamper(&self, sql: &'static str) {
        let path = self.path().join("meshhost.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }
}

async fn open(path: &std::path::Path) -> Result<Store, StoreError> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let directory = DataDirectory::open(path, Access::Command).await?;
    Store::open(directory, &NodeConfig::DEFAULT, clock, entropy).await
}

fn context(store: &Store, invocation: &str, correlation: &str) -> Arc<Context> {
    Arc::new(Context {
        host_id: store.keys.host_id().clone(),
        invocation_id: invocation.parse().unwrap(),
        capability_id: "git.log".parse().unwrap(),
        capability_version: Some("0.1.0".into()),
        correlation: Correlation::new(correlation.parse().unwrap()),
        subject: Subject { id: "local:me".into(), kind: "user".into(), verified: true },
    })
}

fn now() -> meshhost_core::evidence::event::Stamp {
    sys::stamp(&SystemClock, &SystemEntropy)
}

fn origin() -> Origin {
    let stamp = now();
    Origin {
        entrance: EntranceKind::CommandLine,
        depth: 1,
        asserted_caller: None,
        provider: Some(Provider {
            plugin: "git".parse().unwrap(),
            component: Digest::of(b"component"),
            manifest: None,
            grants: Digest::of(b"grants"),
        }),
        input: Some(Commitment::new(&stamp.salt, "{}")),
    }
}

fn started(context: &Arc<Context>) -> Vec<Draft> {
    decided(context, &origin(), Decision::Run, None, now(), now)
}

fn end(context: &Arc<Context>, outcome: OutcomeKind, code: Option<Code>) -> Vec<Draft> {
    let reason = code.map(Reason::new);
    let end = End {
        outcome,
        reason,
        usage: Usage::default(),
        output: None,
        output_valid: true,
        denied: &[],
        models: &[],
        guest_text_bytes: 0,
    };
    vec![ended(context, now(), end)]
}

async fn call(store: &Store, invocation: &str, correlation: &str) {
    let context = context(store, invocation, correlation);
    store.evidence.start(started(&context), StartCondition::default()).await.unwrap();
    let end = end(&context, OutcomeKind::Success, None);
    store.evidence.append(end).await.unwrap();
}

/// A closed store with two calls in one correlation and one in another: seven events.
pub(super) async fn recorded() -> Home {
    let home = Home::new();
    let store = home.open().await;
    for (invocation, correlation) in [("i1", "c1"), ("i2", "c1"), ("i3", "c2")] {
        call(&store, invocation, correlation).await;
    }
    store.close().await.unwrap();
    home
}

pub(super) async fn broken(home: &Home) -> (u64, Wrong) {
    match home.open().await.audit.verify(&[]).await {
        Err(VerifyError::Broken(broken)) => (broken.sequence, broken.wrong),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_store_begins_with_its_keys_and_verifies() {
    let home = Home::new();
    let store = home.open().await;
    let report = store.audit.verify(&[]).await.unwrap();
    assert_eq!((report.events, report.sequence), (1, 1));
    let identity = lifecycle::identity_correlation(store.keys.host_id()).unwrap();
    let events = store.audit.replay(&identity, 0).await.unwrap();
    assert_eq!(events[0]["event_type"], "key_generated");
    let key = store.keys.evidence().public_key();
    assert_eq!(events[0]["payload"]["evidence_key"], key.to_base64());
    store.close().await.unwrap();
    let again = home.open().await;
    assert_eq!(again.audit.verify(&[]).await.unwrap().sequence, 1);
    assert_eq!(again.audit.verify(&[]).await.unwrap().signed_through, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_many_callers_verifies() {
    let home = Home::new();
    let store = Arc::new(home.open().await);
    let mut kept = vec![store.audit.head().await.unwrap().to_line()];
    for number in 0..5 {
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..64 {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                call(&store, &format!("i{caller}-{number}"), &format!("c{}", caller % 9)).await;
            });
        }
        tasks.join_all().await;
        kept.push(store.audit.head().await.unwrap().to_line());
    }
    let head = store.audit.head().await.unwrap();
    assert_eq!(head.sequence, 641);
    let report = store.audit.verify(&[]).await.unwrap();
    assert_eq!((report.events, report.signed_through), (641, 641));
    assert_eq!(report.root, head.root);
    store.audit.verify(&kept).await.unwrap();
}

#[tokio::test]
async fn reading_finds_calls_by_all_their_names() {
    let home = recorded().await;
    let store = home.open().await;
    let names = |calls: Vec<Value>| -> Vec<String> {
        calls.iter().map(|call| call["invocation_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(store.audit.list(10, None).await.unwrap()), ["i3", "i2", "i1"]);
    assert_eq!(names(store.audit.list(1, Some("git")).await.unwrap()), ["i3"]);
    assert_eq!(names(store.audit.list(9, Some("git.log")).await.unwrap()).len(), 3);
    for nothing in ["gi", "git.", "git.lo", "%"] {
        assert_eq!(store.audit.list(9, Some(nothing)).await.unwrap().len(), 0, "{nothing}");
    }
    let events = store.audit.show(&"i2".parse().unwrap()).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event["sequence"].as_u64()).collect::<Vec<_>>(),
        [Some(4), Some(5)]
    );
    let unknown = store.audit.show(&"i9".parse().unwrap()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
    let c1 = "c1".parse().unwrap();
    assert_eq!(store.audit.replay(&c1, 0).await.unwrap().len(), 4);
    assert_eq!(store.audit.replay(&c1, 3).await.unwrap().len(), 2);
}

#[tokio::test]
async fn why_says_it_in_words() {
    let home = Home::new();
    let store = home.open().await;
    let failed = context(&store, "failed", "c");
    store.evidence.start(started(&failed), StartCondition::default()).await.unwrap();
    let why = store.audit.why(&"failed".parse().unwrap()).await.unwrap();
    assert!(why["explanation"].to_string().contains("It has not ended."), "{why}");
    let end = end(&failed, OutcomeKind::Failure, Some(Code::LimitFuel));
    store.evidence.append(end).await.unwrap();
    let why = store.audit.why(&"failed".parse().unwrap()).await.unwrap();
    assert_eq!((&why["outcome"], &why["code"]), (&json!("failure"), &json!("limit-fuel")));
    let text = why["explanation"].to_string();
    assert!(text.contains("git started") && text.contains("MH0504"), "{text}");
}

#[tokio::test]
async fn an_export_stands_alone() {
    let home = recorded().await;
    let store = home.open().await;
    let text = store.audit.export(&"c1".parse().unwrap()).await.unwrap();
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let report = verify_bundle(&bundle);
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.events, 4);
    assert_eq!(bundle["completeness"]["as_of_sequence"], 7);
    let unknown = store.audit.export(&"c9".parse().unwrap()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn tampering_is_found_and_named() {
    let cases: [(&str, u64); 8] = [
        ("UPDATE events SET event_type = 'execution_failed' WHERE sequence = 3", 3),
        ("UPDATE events SET capability_id = 'git.push' WHERE sequence = 2", 2),
        ("UPDATE events SET content_hash = upper(content_hash) WHERE sequence = 4", 4),
        ("UPDATE events SET event = replace(event, 'local:me', 'local:em') WHERE sequence = 5", 5),
        ("DELETE FROM events WHERE sequence = 4", 4),
        ("UPDATE correlation_heads SET content_hash = replace(content_hash, 'a', 'b')", 1),
        ("UPDATE events SET event = NULL, event_type = NULL WHERE sequence = 7", 6),
        (
            "UPDATE events SET sequence = 100 WHERE sequence = 6; \
          UPDATE events SET sequence = 6 WHERE sequence = 7; \
          UPDATE events SET sequence = 7 WHERE sequence = 100",
            6,
        ),
    ];
    for (sql, expected) in cases {
        let home = recorded().await;
        home.tamper(sql).await;
        let (sequence, wrong) = broken(&home).await;
        assert!(sequence == expected || sequence == expected + 1, "{sql}: {sequence} {wrong}");
    }
}

#[tokio::test]
async fn a_truncated_record_is_found_by_the_signed_head() {
    let home = recorded().await;
    // Takes the last call away so that what is left fits together.
    home.tamper(
        "DELETE FROM events WHERE sequence > 5; DELETE FROM tree WHERE sequence > 5; \
         DELETE FROM correlation_heads WHERE correlation_id = 'c2'",
    )
    .await;
    let (sequence, wrong) = broken(&home).await;
    assert_eq!((sequence, wrong), (6, Wrong::Missing));
    // Going on writing does not hide it: the head that does not fit stays.
    let store = home.open().await;
    call(&store, "i4", "c3").await;
    call(&store, "i5", "c3").await;
    store.close().await.unwrap();
    let (_, wrong) = broken(&home).await;
    assert!(matches!(wrong, Wrong::Rewritten { signed: 7 }), "{wrong}");
}

#[tokio::test]
async fn without_the_heads_file_only_a_head_kept_elsewhere_shows_a_truncation() {
    let home = recorded().await;
    let kept = {
        let store = home.open().await;
        store.audit.head().await.unwrap().to_line()
    };
    home.tamper(
        "DELETE FROM events WHERE sequence > 5; DELETE FROM tree WHERE sequence > 5; \
         DELETE FROM correlation_heads WHERE correlation_id = 'c2'",
    )
    .await;
    fs::remove_file(home.path().join("heads")).unwrap();
    let store = home.open().await;
    store.audit.verify(&[]).await.unwrap();
    let error = store.audit.verify(std::slice::from_ref(&kept)).await.unwrap_err();
    assert_eq!(error.code(), Code::EvidenceBroken);
    let other = Home::new();
    let error = other.open().await.audit.verify(&[kept]).await.unwrap_err();
    assert!(matches!(error, VerifyError::Head(_)), "{error}");
}

#[tokio::test]
async fn a_purge_takes_the_content_and_leaves_a_sound_record() {
    let home = recorded().await;
    let store = home.open().await;
    let before = store.audit.head().await.unwrap();
    let subject = || Subject { id: "local:me".into(), kind: "user".into(), verified: true };
    let c1: CorrelationId = "c1".parse().unwrap();
    store.audit.purge(&c1, subject()).await.unwrap();
    let report = store.audit.verify(&[before.to_line()]).await.unwrap();
    assert_eq!((report.events, report.purged, report.sequence), (4, 4, 8));
    assert_eq!(store.audit.replay(&c1, 0).await.unwrap().len(), 0);
    assert!(store.audit.show(&"i1".parse().unwrap()).await.is_err());
    assert_eq!(store.audit.list(9, None).await.unwrap().len(), 1);
    assert!(matches!(store.audit.purge(&c1, subject()).await, Err(PurgeError::Nothing)));
    let own = lifecycle::lifecycle_correlation(store.keys.host_id()).unwrap();
    assert!(matches!(store.audit.purge(&own, subject()).await, Err(PurgeError::Own)));
    // The correlation can go on, and be purged again.
    call(&store, "i7", "c1").await;
    store.audit.verify(&[]).await.unwrap();
    store.audit.purge(&c1, subject()).await.unwrap();
    store.audit.verify(&[]).await.unwrap();
    store.close().await.unwrap();
    let bytes = fs::read(home.path().join("meshhost.db")).unwrap();
    let content = b"\"invocation_id\": \"i1\"";
    assert!(!bytes.windows(content.len()).any(|window| window == content), "the content is gone");
}

#[tokio::test]
async fn a_correlation_with_a_running_call_is_not_purged() {
    let home = Home::new();
    let store = home.open().await;
    let running = context(&store, "i", "c");
    store.evidence.start(started(&running), StartCondition::default()).await.unwrap();
    let purged = store.audit.purge(&"c".parse().unwrap(), running.subject.clone()).await;
    assert!(matches!(purged, Err(PurgeError::Running)));
}

/// Copies what a killed process leaves on the disk.
fn copy_live(from: &std::path::Path, to: &std::path::Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for name in ["node.key", "evidence.key", "host_id", "heads", "meshhost.db", "meshhost.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    // After the database: what left the journal meanwhile is still in it.
    fs::DirBuilder::new().mode(0o700).create(to.join("journal")).unwrap();
    for segment in fs::read_dir(from.join("journal")).unwrap().map(Result::unwrap) {
        fs::copy(segment.path(), to.join("journal").join(segment.file_name())).unwrap();
    }
}

#[tokio::test]
async fn after_a_crash_every_started_call_has_an_end_and_nothing_acknowledged_is_lost() {
    let home = Home::new();
    let store = home.open().await;
    call(&store, "done", "c").await;
    for number in 0..300 {
        let running = context(&store, &format!("running{number}"), "c");
        store.evidence.start(started(&running), StartCondition::default()).await.unwrap();
    }
    let copy = home.0.path().join("copy");
    copy_live(&home.path(), &copy);
    let survivor = open(&copy).await.unwrap();
    assert_eq!(survivor.interrupted, 300);
    let report = survivor.audit.verify(&[]).await.unwrap();
    assert_eq!(report.events, 1 + 2 + 300 + 300);
    let events = survivor.audit.show(&"running7".parse().unwrap()).await.unwrap();
    assert_eq!(events[1]["outcome"], "indeterminate");
    assert_eq!(events[1]["subject"], events[0]["subject"]);
    let repeated = context(&survivor, "running7", "c");
    let error =
        survivor.evidence.start(started(&repeated), StartCondition::default()).await.unwrap_err();
    assert!(matches!(error, AppendError::KnownInvocation), "{error}");
    drop(survivor);
    assert_eq!(open(&copy).await.unwrap().interrupted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_taken_while_it_is_written_open_and_verify() {
    let home = Home::new();
    let store = Arc::new(home.open().await);
    let writing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..400 {
                call(&store, &format!("i{number}"), &format!("c{}", number % 7)).await;
            }
        })
    };
    for attempt in 0..5 {
        let acknowledged = store.evidence.end().await.unwrap().sequence;
        let copy = home.0.path().join(format!("copy{attempt}"));
        // No checkpoint runs this early, so the database file stands still and the log only grows:
        // the copy is a prefix of it, as after a kill.
        copy_live(&home.path(), &copy);
        let survivor = open(&copy).await.unwrap();
        let report = survivor.audit.verify(&[]).await.unwrap();
        assert!(report.sequence >= acknowledged, "{} < {acknowledged}", report.sequence);
    }
    writing.await.unwrap();
    assert_eq!(store.audit.verify(&[]).await.unwrap().events, 801);
}

#[tokio::test]
async fn a_damaged_database_file_is_found() {
    let home = recorded().await;
    let path = home.path().join("meshhost.db");
    // An index entry that names another row than the table has.
    home.tamper(
        "PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = replace(sql, '(correlation_id)', '(capability_id)') \
         WHERE name = 'events_by_correlation'",
    )
    .await;
    assert!(path.exists());
    let error = home.open().await.audit.verify(&[]).await.unwrap_err();
    assert!(matches!(error, VerifyError::File(_)), "{error}");
    assert_eq!(error.code(), Code::EvidenceBroken);
}
