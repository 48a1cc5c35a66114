use meshhost_core::evidence::verify::Wrong;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::*;
use crate::store::{
    Store,
    audit::tests::{broken, recorded},
};

/// Takes the types off the tables, so that every value can be stored, as somebody with the file
/// would: SQLite's own check then says nothing of it.
const WITHOUT_TYPES: &str = "
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT, WITHOUT', ') WITHOUT'), ') STRICT', ')');
    PRAGMA writable_schema = RESET;";

fn verifier(store: &Store) -> Verifier {
    let key = store.keys.evidence().public_key();
    Verifier::new(store.keys.host_id().clone(), Vec::new(), &key).unwrap()
}

async fn events(store: &Store) -> Vec<single::Event> {
    sqlx::query_as(single::EVENTS)
        .bind(1)
        .bind(99)
        .bind(bound(EVENT_BYTES))
        .bind(bound(COLUMN_BYTES))
        .fetch_all(store.database.readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn every_changed_byte_of_every_event_is_found() {
    let home = recorded().await;
    let store = home.open().await;
    let rows = events(&store).await;
    let mut before = verifier(&store);
    for row in &rows {
        for position in 0..row.2.as_ref().unwrap().len() {
            let mut changed = row.clone();
            changed.2.as_mut().unwrap()[position] ^= 1;
            let found = before.clone().event(&single::event(&changed)).unwrap_err();
            assert_eq!(Ok(found.sequence), u64::try_from(row.0), "byte {position}");
        }
        before.event(&single::event(row)).unwrap();
    }
}

#[tokio::test]
async fn a_changed_subtree_or_head_is_found_and_named() {
    let inner = "UPDATE tree SET subtrees = CAST(substr(subtrees, 1, 40) || x'0000000000000000' || substr(subtrees, 49) AS BLOB) \
                 WHERE sequence = 4";
    let last = "UPDATE tree SET subtrees = CAST(substr(subtrees, 1, 88) || x'0000000000000000' AS BLOB) WHERE sequence = 4";
    let owner = "UPDATE correlation_heads SET owner = 'local:other' WHERE correlation_id = 'c1'";
    let starts = "UPDATE correlation_heads SET starts = starts - 1 WHERE correlation_id = 'c2'";
    let cases = [
        (inner, 4, Wrong::Tree),
        (last, 4, Wrong::Tree),
        ("UPDATE tree SET subtrees = zeroblob(32) WHERE sequence = 5", 5, Wrong::Tree),
        (
            "UPDATE tree SET subtrees = CAST(subtrees || x'00' AS BLOB) WHERE sequence = 3",
            3,
            Wrong::Tree,
        ),
        ("DELETE FROM tree WHERE sequence = 3", 3, Wrong::Tree),
        ("DELETE FROM tree", 1, Wrong::Tree),
        ("INSERT INTO tree VALUES (8, zeroblob(32))", 8, Wrong::Missing),
        ("INSERT INTO tree VALUES (0, zeroblob(32))", 0, Wrong::Tree),
        ("UPDATE events SET sequence = -3 WHERE sequence = 3", 3, Wrong::Missing),
        ("INSERT INTO events VALUES (0, 'c', 'i', 't', 'c', 'h', '{}')", 0, Wrong::Order),
        ("UPDATE events SET sequence = 9223372036854775807 WHERE sequence = 7", 7, Wrong::Missing),
        (owner, 5, Wrong::CorrelationOwner),
        (starts, 7, Wrong::CorrelationStarts),
        (
            "UPDATE correlation_heads SET starts = -1 WHERE correlation_id = 'c1'",
            5,
            Wrong::CorrelationStarts,
        ),
        ("UPDATE correlation_heads SET owner = 'a' || char(10) || 'b'", 1, Wrong::CorrelationOwner),
        ("DELETE FROM correlation_heads WHERE correlation_id = 'c1'", 5, Wrong::CorrelationHead),
        (
            "INSERT INTO correlation_heads SELECT 'c3', owner, content_hash, 3, 1 \
             FROM correlation_heads WHERE correlation_id = 'c1'",
            3,
            Wrong::CorrelationHead,
        ),
    ];
    for (sql, sequence, wrong) in cases {
        let home = recorded().await;
        let store = home.open().await;
        let mut writer = store.database.writer().await;
        sqlx::raw_sql(sql).execute(&mut *writer).await.unwrap();
        drop(writer);
        match store.audit.verify(&[]).await {
            Err(VerifyError::Broken(found)) => {
                assert_eq!((found.sequence, found.wrong), (sequence, wrong), "{sql}")
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_event_without_end_is_not_read() {
    let home = recorded().await;
    home.tamper(
        "UPDATE events SET event = event || printf('%*c', 50000000, ' ') WHERE sequence = 3",
    )
    .await;
    assert_eq!(broken(&home).await, (3, Wrong::Unreadable));
}

/// What both ways of reading say of the record as this transaction has it.
async fn both_ways(
    snapshot: &mut Transaction<'_, Sqlite>,
    verifier: &Verifier,
) -> [Option<Broken>; 2] {
    let broken = |found: Result<Verifier, VerifyError>| match found {
        Ok(_) => None,
        Err(VerifyError::Broken(broken)) => Some(broken),
        Err(other) => panic!("{other:?}"),
    };
    let joined = check_events(snapshot, verifier.clone()).await;
    let singly = check_singly(snapshot, verifier.clone(), 7).await;
    [broken(joined), broken(singly)]
}

#[tokio::test]
async fn whatever_a_column_holds_is_named_as_if_read_row_by_row() {
    let home = recorded().await;
    let verifier = verifier(&home.open().await);
    home.tamper(WITHOUT_TYPES).await;
    let options = SqliteConnectOptions::new().filename(home.path().join("meshhost.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let columns =
        ["event", "event_type", "invocation_id", "capability_id", "correlation_id", "content_hash"];
    for column in columns {
        for value in [
            "NULL",
            "''",
            "7",
            "1.5",
            "x''",
            "x'00ff'",
            "char(10)",
            "CAST({} AS BLOB)",
            "{} || char(10)",
            "char(10) || {}",
            "{} || char(0)",
            "substr({}, 1, 3) || char(10) || substr({}, 4)",
            "CAST(x'ff' || {} AS TEXT)",
            "{} || printf('%*c', 5000000, ' ')",
            "'{}'",
        ] {
            let value = value.replace("{}", column);
            for sequence in [1, 4, 7] {
                let mut changed = connection.begin().await.unwrap();
                let sql =
                    format!("UPDATE events SET {column} = {value} WHERE sequence = {sequence}");
                let written =
                    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut *changed);
                if written.await.is_err() {
                    // NOT NULL still holds.
                    assert_eq!(value, "NULL");
                    continue;
                }
                let [joined, singly] = both_ways(&mut changed, &verifier).await;
                assert_eq!(joined, singly, "{sql}");
                let found = joined.expect(&sql);
                // A purge without tombstone shows at the event before it or when the chain goes on.
                assert_eq!(found.sequence, sequence, "{sql}: {found}");
                changed.rollback().await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn texts_that_trade_their_line_feeds_are_told_apart() {
    let home = recorded().await;
    let verifier = verifier(&home.open().await);
    home.tamper(WITHOUT_TYPES).await;
    let options = SqliteConnectOptions::new().filename(home.path().join("meshhost.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    // Joined, both are what was written: the same texts in the same order.
    for sql in [
        "UPDATE events SET content_hash = content_hash || char(10) || (SELECT content_hash FROM events WHERE sequence = 4) WHERE sequence = 3; \
         UPDATE events SET content_hash = '' WHERE sequence = 4",
        "UPDATE tree SET subtrees = CAST(subtrees || (SELECT substr(subtrees, 1, 1) FROM tree WHERE sequence = 4) AS BLOB) WHERE sequence = 3; \
         UPDATE tree SET subtrees = substr(subtrees, 2) WHERE sequence = 4",
    ] {
        let mut changed = connection.begin().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut *changed).await.unwrap();
        let [joined, singly] = both_ways(&mut changed, &verifier).await;
        assert_eq!(joined, singly);
        assert_eq!(joined.expect(sql).sequence, 3);
        changed.rollback().await.unwrap();
    }
}
