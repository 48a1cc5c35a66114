use super::*;

fn record(name: &str, task: Task) -> ModelRecord {
    ModelRecord {
        name: name.parse().unwrap(),
        digest: Digest::of(name.as_bytes()),
        bytes: 7,
        files: vec![ModelFile {
            name: "tokenizer.json".to_owned(),
            digest: Digest::of(b"{}"),
            bytes: 2,
        }],
        task,
        batch_rows: 1,
        licence: "Apache-2.0".to_owned(),
        source: "here".to_owned(),
    }
}

#[tokio::test]
async fn records_come_back_as_they_were() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = Database::open(&path, meshhost_core::config::Durability::Process).await.unwrap();
    let rows = ModelRows::new(database.clone());
    let tokenizer = || "tokenizer.json".to_owned();
    let embed = Task::Embed {
        tokenizer: tokenizer(),
        tokens_max: 256,
        pooling: Pooling::First,
        normalise: true,
    };
    let rerank = Task::Rerank { tokenizer: tokenizer(), tokens_max: 512 };
    let mut records = [record("a", Task::Tensors), record("b", embed), record("c", rerank)];
    rows.save(&records).await.unwrap();
    assert_eq!(rows.load_all().await.unwrap(), records);
    records[0].bytes = 8;
    rows.save(&records[..1]).await.unwrap();
    rows.remove(&records[1].name).await.unwrap();
    let left = [records[0].clone(), records[2].clone()];
    assert_eq!(rows.load_all().await.unwrap(), left);
    sqlx::query("UPDATE models SET record = '{}' WHERE name = 'c'")
        .execute(&mut *database.writer().await)
        .await
        .unwrap();
    assert!(matches!(rows.load_all().await.unwrap_err(), StoreError::Damaged { .. }));
}
