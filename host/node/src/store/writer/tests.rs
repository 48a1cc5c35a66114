use std::{collections::BTreeSet, sync::Arc};

use meshhost_core::{
    code::Code,
    evidence::{
        call::{Decision, End as CallEnd, Origin, decided, ended},
        event::{Context, Correlation, Reason, Salt, Stamp},
        time::Timestamp,
    },
    gates::Budget,
    invocation::{EntranceKind, Subject},
    limits::Usage,
    outcome::OutcomeKind,
};

use super::*;

/// A store in a folder of its own.
struct Home {
    folder: tempfile::TempDir,
    database: Database,
    writer: EvidenceWriter,
}

impl Home {
    async fn new() -> Self {
        Self::with(Durability::Process).await
    }

    async fn with(durability: Durability) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meshhost.db");
        let database = Database::open(&path, durability).await.unwrap();
        let journal = folder.path().join("journal");
        let writer = EvidenceWriter::open(database.clone(), &journal, durability).await.unwrap();
        Self { folder, database, writer }
    }

    /// Another writer of the same record, after a clean end of the first.
    async fn again(&self) -> EvidenceWriter {
        self.writer.settle().await.unwrap();
        let journal = self.folder.path().join("journal-again");
        let database = self.database.clone();
        EvidenceWriter::open(database, &journal, Durability::Process).await.unwrap()
    }

    async fn number(&self, select: &'static str) -> i64 {
        self.writer.settle().await.unwrap();
        sqlx::query_scalar(select).fetch_one(self.database.readers()).await.unwrap()
    }
}

fn context(invocation: &str, correlation: &str, subject: &str) -> Arc<Context> {
    Arc::new(Context {
        host_id: "host-1".parse().unwrap(),
        invocation_id: invocation.parse().unwrap(),
        capability_id: "git.log".parse().unwrap(),
        capability_version: Some("0.1.0".into()),
        correlation: Correlation::new(correlation.parse().unwrap()),
        subject: Subject { id: subject.into(), kind: "user".into(), verified: true },
    })
}

fn stamp(event_id: &str, day: i64) -> Stamp {
    Stamp {
        event_id: event_id.to_owned(),
        at: Timestamp::from_micros(day * 86_400_000_000 + 5),
        salt: Salt::new([7; 16]),
    }
}

fn start_of(context: &Arc<Context>, day: i64) -> Vec<Draft> {
    let origin = Origin {
        entrance: EntranceKind::CommandLine,
        depth: 1,
        asserted_caller: None,
        provider: None,
        input: None,
    };
    let id = format!("{}-start", context.invocation_id);
    decided(context, &origin, Decision::Run, None, stamp(&id, day), || unreachable!())
}

fn denial_of(context: &Arc<Context>) -> Vec<Draft> {
    let origin = Origin {
        entrance: EntranceKind::CommandLine,
        depth: 1,
        asserted_caller: None,
        provider: None,
        input: None,
    };
    let id = format!("{}-denied", context.invocation_id);
    let denied = Decision::Denied(Reason::new(Code::PolicyBlocked));
    decided(context, &origin, denied, None, stamp(&id, 0), || unreachable!())
}

fn end_of(context: &Arc<Context>) -> Vec<Draft> {
    let end = CallEnd {
        outcome: OutcomeKind::Success,
        reason: None,
        usage: Usage::default(),
        output: None,
        output_valid: true,
        denied: &[],
        models: &[],
        guest_text_bytes: 0,
    };
    vec![ended(context, stamp(&format!("{}-end", context.invocation_id), 0), end)]
}

/// Polls once, without being woken for it.
fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut context)
}

fn any() -> StartCondition {
    StartCondition::default()
}

/// As the node starts a call whose ids it made itself.
fn new() -> StartCondition {
    StartCondition { new: NewIds { invocation: true, correlation: false }, ..any() }
}

fn within(per_correlation: Option<u64>, per_day: Option<u64>) -> StartCondition {
    let budget = Budget { calls_per_correlation: per_correlation, calls_per_day: per_day };
    StartCondition { budget, ..any() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_make_one_record_without_gaps() {
    let home = Home::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let writer = home.writer.clone();
        tasks.spawn(async move {
            let mut sequences = Vec::new();
            for call in 0..8 {
                let correlation = format!("c{}", caller % 5);
                let context = context(&format!("i{caller}-{call}"), &correlation, "local:me");
                let started = writer.start(start_of(&context, 0), any()).await.unwrap();
                let ended = writer.append(end_of(&context)).await.unwrap();
                assert_eq!(started.event_ids, [format!("i{caller}-{call}-start")]);
                assert!(started.sequences < ended.sequences);
                sequences.extend(started.sequences.into_iter().chain(ended.sequences));
            }
            sequences
        });
    }
    let sequences: BTreeSet<u64> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(sequences.into_iter().eq(1..=1024));
    assert_eq!(home.writer.end().await.unwrap().sequence, 1_024);
    assert_eq!(home.number("SELECT count(*) FROM events").await, 1_024);
    assert_eq!(home.number("SELECT count(*) FROM running").await, 0);
    assert_eq!(home.number("SELECT sum(starts) FROM correlation_heads").await, 512);
    assert_eq!(home.number("SELECT starts FROM caller_days").await, 512);
    // Each complete subtree is there once: 1024 leaves and all above them.
    assert_eq!(home.number("SELECT sum(length(subtrees)) / 32 FROM tree").await, 2_047);
}

#[tokio::test]
async fn a_second_writer_of_the_same_record_goes_on_where_the_first_ended() {
    let home = Home::new().await;
    let first = context("i1", "c", "local:me");
    home.writer.start(start_of(&first, 0), any()).await.unwrap();
    let again = home.again().await;
    assert_eq!(again.end().await.unwrap(), home.writer.end().await.unwrap());
    let second = context("i2", "c", "local:me");
    let appended = again.start(start_of(&second, 0), any()).await.unwrap();
    assert_eq!(appended.sequences, [2]);
    again.settle().await.unwrap();
    let select = "SELECT count(*) FROM events AS b JOIN events AS a \
                  ON b.event ->> 'prev_hash' = a.content_hash WHERE a.sequence = 1";
    assert_eq!(home.number(select).await, 1);
}

#[tokio::test]
async fn of_two_equal_ids_one_runs_and_the_other_can_wait() {
    let home = Home::new().await;
    let context = context("same", "c", "local:me");
    let (one, two) = tokio::join!(
        home.writer.start(start_of(&context, 0), any()),
        home.writer.start(start_of(&context, 0), any()),
    );
    assert_eq!(one.unwrap().sequences, [1]);
    let AppendError::InFlight(running) = two.unwrap_err() else { panic!("the second started") };
    let mut waiting = Box::pin(running.ended());
    assert!(poll_once(&mut waiting).is_pending());
    // The denial of the second call does not end the first.
    home.writer.append(denial_of(&context)).await.unwrap();
    assert!(poll_once(&mut waiting).is_pending());
    assert_eq!(home.number("SELECT count(*) FROM running").await, 1);
    home.writer.append(end_of(&context)).await.unwrap();
    waiting.await;
    let error = home.writer.start(start_of(&context, 0), any()).await.unwrap_err();
    assert!(matches!(error, AppendError::KnownInvocation), "{error}");
    assert_eq!(error.code(), Code::CallerConflict);
}

#[tokio::test]
async fn a_known_id_is_refused_and_its_neighbours_in_the_group_are_not() {
    let home = Home::new().await;
    let old = context("old", "c", "local:me");
    home.writer.start(start_of(&old, 0), any()).await.unwrap();
    home.writer.append(end_of(&old)).await.unwrap();
    let fresh = home.again().await;
    let (new, other) = (context("new", "c", "local:me"), context("other", "d", "local:me"));
    let (first, second, third) = tokio::join!(
        fresh.start(start_of(&new, 0), any()),
        fresh.start(start_of(&old, 0), any()),
        fresh.start(start_of(&other, 0), any()),
    );
    assert!(matches!(second.unwrap_err(), AppendError::KnownInvocation));
    let sequences = [first.unwrap().sequences, third.unwrap().sequences].concat();
    assert_eq!(BTreeSet::from_iter(sequences), BTreeSet::from([3, 4]));
}

#[tokio::test]
async fn a_correlation_belongs_to_who_opened_it() {
    let home = Home::new().await;
    home.writer.start(start_of(&context("a", "c", "local:me"), 0), any()).await.unwrap();
    let stranger = context("b", "c", "local:other");
    for writer in [home.writer.clone(), home.again().await] {
        let error = writer.start(start_of(&stranger, 0), any()).await.unwrap_err();
        assert!(matches!(error, AppendError::ForeignCorrelation), "{error}");
    }
    let plugin = context("d", "c", "plugin:git");
    let descendant = StartCondition { descendant: true, ..any() };
    home.writer.start(start_of(&plugin, 0), descendant).await.unwrap();
}

#[tokio::test]
async fn a_refused_start_does_not_open_a_correlation_for_its_caller() {
    let home = Home::new().await;
    let (refused, other) = (context("a", "c", "local:me"), context("b", "c", "local:other"));
    let (first, second) = tokio::join!(
        home.writer.start(start_of(&refused, 0), within(Some(0), None)),
        home.writer.start(start_of(&other, 0), any()),
    );
    assert!(matches!(first.unwrap_err(), AppendError::CorrelationBudget { limit: 0 }));
    second.unwrap();
    let select = "SELECT owner = 'local:other' FROM correlation_heads WHERE correlation_id = 'c'";
    assert_eq!(home.number(select).await, 1);
}

#[tokio::test]
async fn budgets_hold_also_for_those_who_ask_at_the_same_time() {
    let home = Home::new().await;
    let contexts: Vec<_> =
        (0..10).map(|call| context(&format!("i{call}"), "c", "local:me")).collect();
    let starts = contexts
        .iter()
        .map(|context| home.writer.start(start_of(context, 3), within(Some(4), None)));
    let results = futures::future::join_all(starts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    for error in results.into_iter().filter_map(Result::err) {
        assert!(matches!(error, AppendError::CorrelationBudget { limit: 4 }), "{error}");
        assert_eq!(error.refusal().code, Code::BudgetExceeded);
    }
    // Four were started today; the count holds over a restart, and tomorrow it begins anew.
    let again = home.again().await;
    let next = context("next", "d", "local:me");
    let error = again.start(start_of(&next, 3), within(None, Some(4))).await.unwrap_err();
    assert!(matches!(error, AppendError::DayBudget { limit: 4 }), "{error}");
    again.start(start_of(&next, 4), within(None, Some(4))).await.unwrap();
    let other = context("other", "e", "local:other");
    again.start(start_of(&other, 3), within(None, Some(1))).await.unwrap();
}

#[tokio::test]
async fn a_mandate_is_used_as_often_as_it_allows() {
    let home = Home::new().await;
    let mandate = MandateUse { mandate_id: "m".to_owned(), uses_max: Some(2) };
    let condition = StartCondition { mandate: Some(mandate), ..any() };
    for call in 0..2 {
        let context = context(&format!("i{call}"), "c", "local:me");
        home.writer.start(start_of(&context, 0), condition.clone()).await.unwrap();
    }
    let again = home.again().await;
    for writer in [home.writer.clone(), again] {
        let context = context("i3", "d", "local:me");
        let error = writer.start(start_of(&context, 0), condition.clone()).await.unwrap_err();
        assert!(matches!(error, AppendError::MandateExhausted), "{error}");
    }
}

#[tokio::test]
async fn with_a_full_database_the_journal_keeps_what_was_acknowledged_and_then_nothing_starts() {
    let home = Home::new().await;
    let pages = home.number("PRAGMA page_count").await;
    let set = async |pages: i64| {
        let mut connection = home.database.writer().await;
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
    };
    set(pages + 4).await;
    let mut written = 0;
    let error = loop {
        let starts: Vec<_> = (0..64)
            .map(|number| context(&format!("i{written}-{number}"), "c", "local:me"))
            .collect();
        let starts = starts.iter().map(|context| home.writer.start(start_of(context, 0), new()));
        let results = futures::future::join_all(starts).await;
        written += results.iter().filter(|result| result.is_ok()).count() as u64;
        if let Some(error) = results.into_iter().find_map(Result::err) {
            break error;
        }
        assert!(written < 20_000, "what waits must be bounded");
    };
    assert_eq!(error.code(), Code::EvidenceUnavailable);
    let AppendError::Store(cause) = &error else { panic!("{error}") };
    assert!(cause.to_string().contains("disk is full"), "{cause}");
    assert_eq!(home.writer.end().await.unwrap().sequence, written);
    set(1_000_000).await;
    let context = context("after", "c", "local:me");
    let appended = home.writer.start(start_of(&context, 0), any()).await.unwrap();
    assert_eq!(appended.sequences, [written + 1]);
    let events = home.number("SELECT count(*) FROM events").await;
    assert_eq!(u64::try_from(events).unwrap(), written + 1);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_starts_nothing_and_goes_on_when_it_can() {
    let home = Home::new().await;
    home.writer.start(start_of(&context("first", "c", "local:me"), 0), any()).await.unwrap();
    // The next segment cannot be made where a folder has its name.
    home.writer.safe(0, true).unwrap();
    let in_the_way = home.folder.path().join("journal").join(format!("{:020}", 2));
    std::fs::create_dir(&in_the_way).unwrap();
    let refused = context("refused", "c", "local:me");
    let error = home.writer.start(start_of(&refused, 0), any()).await.unwrap_err();
    assert_eq!(error.code(), Code::EvidenceUnavailable);
    std::fs::remove_dir(&in_the_way).unwrap();
    let appended = home.writer.start(start_of(&refused, 0), any()).await.unwrap();
    assert_eq!(appended.sequences, [2]);
    assert_eq!(home.number("SELECT count(*) FROM events").await, 2);
}

#[tokio::test]
async fn a_call_whose_end_cannot_be_written_is_not_waited_for() {
    let home = Home::new().await;
    let context = context("call", "c", "local:me");
    home.writer.start(start_of(&context, 0), any()).await.unwrap();
    let second = || home.writer.start(start_of(&context, 0), any());
    let AppendError::InFlight(running) = second().await.unwrap_err() else { panic!("it runs") };
    home.writer.safe(0, true).unwrap();
    let in_the_way = home.folder.path().join("journal").join(format!("{:020}", 2));
    std::fs::create_dir(&in_the_way).unwrap();
    let error = home.writer.append(end_of(&context)).await.unwrap_err();
    assert_eq!(error.code(), Code::EvidenceUnavailable);
    running.ended().await;
    std::fs::remove_dir(&in_the_way).unwrap();
    assert!(matches!(second().await.unwrap_err(), AppendError::KnownInvocation));
    assert!(home.writer.shared.memory().running.is_empty());
}

#[tokio::test]
async fn a_call_whose_end_cannot_be_sealed_is_not_waited_for() {
    let home = Home::new().await;
    let context = context("call", "c", "local:me");
    home.writer.start(start_of(&context, 0), any()).await.unwrap();
    let mut end = end_of(&context);
    end[0].stamp.event_id = "x".repeat(100_000);
    let error = home.writer.append(end).await.unwrap_err();
    assert!(matches!(error, AppendError::Seal(_)));
    assert!(home.writer.shared.memory().running.is_empty());
}

#[tokio::test]
async fn what_the_database_has_not_is_taken_from_the_journal() {
    let home = Home::new().await;
    for call in 0..40 {
        let context = context(&format!("i{call}"), &format!("c{}", call % 3), "local:me");
        home.writer.start(start_of(&context, 0), any()).await.unwrap();
        home.writer.append(end_of(&context)).await.unwrap();
    }
    let end = home.writer.end().await.unwrap();
    // The same journal beside a database that has nothing of it, and beside its own.
    let copies = ["beside-nothing", "beside-its-own"].map(|name| {
        let copy = home.folder.path().join(name);
        std::fs::create_dir_all(&copy).unwrap();
        let journal = std::fs::read_dir(home.folder.path().join("journal")).unwrap();
        for segment in journal.map(Result::unwrap) {
            std::fs::copy(segment.path(), copy.join(segment.file_name())).unwrap();
        }
        copy
    });
    // Two writers of one database do not exist: the first one has nothing left to write.
    home.writer.settle().await.unwrap();
    let empty = Home::new().await;
    for (database, journal) in [empty.database.clone(), home.database.clone()].iter().zip(copies) {
        let opened = EvidenceWriter::open(database.clone(), &journal, Durability::Process).await;
        assert_eq!(opened.unwrap().end().await.unwrap(), end);
    }
    assert_eq!(empty.number("SELECT count(*) FROM running").await, 0);
    assert_eq!(empty.number("SELECT sum(starts) FROM correlation_heads").await, 40);
}

#[tokio::test]
async fn a_frame_that_holds_other_events_than_it_says_is_damage() {
    use crate::store::journal::{Frames, Span};

    let home = Home::new().await;
    home.writer.start(start_of(&context("call", "c", "local:me"), 0), any()).await.unwrap();
    let mut frames = Frames::of(&home.folder.path().join("journal")).unwrap();
    let (span, payload) = frames.next().unwrap().unwrap();
    assert_eq!(span, Span { first: 1, last: 1 });
    let forged = home.folder.path().join("forged");
    let mut journal = Journal::open(&forged, Durability::Process).unwrap();
    journal.append(Span { first: 1, last: 2 }, &payload).unwrap();
    let empty = Home::new().await;
    let opened = EvidenceWriter::open(empty.database.clone(), &forged, Durability::Process).await;
    assert!(matches!(opened.unwrap_err(), StoreError::Damaged { what: "the journal" }));
}

#[tokio::test]
async fn an_event_that_cannot_be_sealed_takes_its_batch_with_it_and_no_other() {
    let home = Home::new().await;
    let (bad, good) = (context("bad", "c", "local:me"), context("good", "c", "local:me"));
    let mut drafts = start_of(&bad, 0);
    let mut large = end_of(&bad).remove(0);
    large.stamp.event_id = "x".repeat(100_000);
    drafts.push(large);
    let (refused, written) = tokio::join!(
        home.writer.start(drafts, any()),
        home.writer.start(start_of(&good, 0), any()),
    );
    assert!(matches!(refused.unwrap_err(), AppendError::Seal(_)));
    assert_eq!(written.unwrap().sequences, [1]);
    assert_eq!(home.number("SELECT count(*) FROM events").await, 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_group_to_the_next() {
    let home = Home::with(Durability::Power).await;
    let (gone, next) = (context("gone", "c", "local:me"), context("next", "c", "local:me"));
    let mut leaving = Box::pin(home.writer.start(start_of(&gone, 0), new()));
    // While the disk syncs, the group is on its way.
    while home.writer.shared.queue().is_empty() && poll_once(&mut leaving).is_pending() {
        if home.writer.shared.committer.try_lock().is_err() {
            break;
        }
    }
    drop(leaving);
    let appended = home.writer.start(start_of(&next, 0), any()).await.unwrap();
    assert_eq!(appended.sequences, [2]);
    let error = home.writer.start(start_of(&gone, 0), any()).await.unwrap_err();
    assert!(matches!(error, AppendError::InFlight(_)), "its start stands in the record");
    assert_eq!(home.number("SELECT count(*) FROM events").await, 2);
}

/// A call that its caller named, in a correlation that its caller named.
async fn named(writer: &EvidenceWriter, name: &str) -> Result<Appended, AppendError> {
    let context = context(name, &format!("{name}-correlation"), "peer:one");
    let started = writer.start(start_of(&context, 0), any()).await?;
    writer.append(end_of(&context)).await?;
    Ok(started)
}

/// Waits until the ids of the record are read.
async fn ids_are_read(writer: &EvidenceWriter) {
    while !writer.shared.memory().seen.is_complete() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_id_that_its_caller_named_is_not_looked_up_and_a_known_one_is_found() {
    let home = Home::new().await;
    named(&home.writer, "before").await.unwrap();
    let writer = home.again().await;
    // The first of them are looked up, and begin the reading.
    for number in 0..10 {
        named(&writer, &format!("first-{number}")).await.unwrap();
    }
    ids_are_read(&writer).await;
    // Nobody gets at the database, and new calls start all the same.
    let database = home.database.writer().await;
    for number in 0..50 {
        let name = format!("new-{number}");
        let call = named(&writer, &name);
        tokio::time::timeout(std::time::Duration::from_secs(20), call).await.unwrap().unwrap();
    }
    drop(database);
    for known in ["before", "first-0", "new-0", "new-49"] {
        let again = named(&writer, known).await;
        assert!(matches!(again, Err(AppendError::KnownInvocation)), "{known}: {again:?}");
    }
    // So is a correlation that somebody else has opened.
    let foreign = context("another", "before-correlation", "peer:two");
    let refused = writer.start(start_of(&foreign, 0), any()).await;
    assert!(matches!(refused, Err(AppendError::ForeignCorrelation)), "{refused:?}");
}

#[tokio::test]
async fn an_id_that_is_committed_while_the_ids_are_read_is_known_afterwards() {
    let home = Home::new().await;
    for number in 0..20 {
        named(&home.writer, &format!("old-{number}")).await.unwrap();
        let other = context(&format!("beside-{number}"), &format!("c-{number}"), "user:me");
        let started = home.writer.start(start_of(&other, 0), new());
        let name = format!("new-{number}");
        let (one, two) = tokio::join!(named(&home.writer, &name), started);
        one.unwrap();
        two.unwrap();
    }
    ids_are_read(&home.writer).await;
    let memory = home.writer.shared.memory();
    for number in 0..20 {
        for name in ["old", "new", "beside"] {
            let id = format!("{name}-{number}").parse().unwrap();
            assert!(!memory.seen.is_new_call(&id), "{id}");
        }
    }
    assert!(memory.seen.is_new_call(&"never".parse().unwrap()));
}

#[test]
fn the_filter_of_ids_is_given_up_when_it_is_full_and_says_nothing_until_it_is_read() {
    let mut seen = seen::Seen::default();
    let id = |number: u64| format!("id-{number}");
    seen.note(&id(0));
    assert!(!seen.is_new_call(&id(1).parse().unwrap()), "nothing is known before it is read");
    seen.read_all(10);
    assert!(seen.is_new_call(&id(0).parse().unwrap()));
    (0..1 << 20).for_each(|number| seen.note(&id(number)));
    assert!(!seen.is_new_call(&id(7).parse().unwrap()));
    let wrong = (2 << 20..(2 << 20) + 10_000)
        .filter(|number| !seen.is_new_call(&id(*number).parse().unwrap()));
    assert!(wrong.count() < 50, "of 10,000 new ids few may be known");
    (0..20_000).for_each(|number| seen.note(&id((3 << 20) + number)));
    assert!(!seen.is_complete(), "it was full, and is read anew with more room");
}
