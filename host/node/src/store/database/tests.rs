use std::{fs, os::unix::fs::PermissionsExt};

use meshhost_core::code::Code;

use super::*;

async fn open(path: &Path) -> Result<Database, StoreError> {
    Database::open(path, Durability::Process).await
}

#[tokio::test]
async fn a_new_database_is_private_and_opens_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = open(&path).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    database.close().await.unwrap();
    drop(database);
    let database = open(&path).await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *database.writer().await)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = open(&path).await.unwrap();
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                  execution_time) VALUES (99, 'later', TRUE, x'00', 0)";
    sqlx::query(insert).execute(&mut *database.writer().await).await.unwrap();
    database.close().await.unwrap();
    drop(database);
    let error = open(&path).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreNewer);
    assert!(error.to_string().contains("99"));
}

#[tokio::test]
async fn a_migration_is_preceded_by_a_copy() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = open(&path).await.unwrap();
    let mut writer = database.writer().await;
    sqlx::query("INSERT INTO plugins VALUES ('git', '{}')").execute(&mut *writer).await.unwrap();
    back_up(&mut writer, &path, 2).await.unwrap();
    back_up(&mut writer, &path, 2).await.unwrap();
    let copy = open(&home.path().join("meshhost.db.before-0002")).await.unwrap();
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM plugins").fetch_all(copy.readers()).await.unwrap();
    assert_eq!(names, ["git"]);
}

#[tokio::test]
async fn a_step_that_was_changed_after_it_was_applied_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = open(&path).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'")
        .execute(&mut *database.writer().await)
        .await
        .unwrap();
    drop(database);
    assert_eq!(open(&path).await.unwrap_err().code(), Code::StoreFault);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    fs::write(&path, "this is not a database, it is a text of some length\n".repeat(100)).unwrap();
    assert!(matches!(open(&path).await.unwrap_err(), StoreError::Damaged { .. }));
}

#[tokio::test]
async fn readers_cannot_write() {
    let home = tempfile::tempdir().unwrap();
    let database = open(&home.path().join("meshhost.db")).await.unwrap();
    let error = sqlx::query("INSERT INTO plugins VALUES ('git', '{}')")
        .execute(database.readers())
        .await
        .unwrap_err();
    assert!(matches!(StoreError::database("write")(error), StoreError::ReadOnly { .. }));
}
