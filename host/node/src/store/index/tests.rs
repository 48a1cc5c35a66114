//! What only the store can show; what it keeps is tested through [`crate::index`].

use std::os::unix::fs::MetadataExt as _;

use super::*;

impl PluginIndex {
    /// Marks the database as one of another program.
    pub(crate) async fn set_schema(&self, version: i64) {
        let set = AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::query(set).execute(&self.writer).await.unwrap();
    }
}

#[tokio::test]
async fn each_plugin_has_a_file_that_nobody_else_reads() {
    let home = tempfile::tempdir().unwrap();
    let indexes = Indexes::new(home.path().to_owned(), Durability::Power);
    for plugin in ["one", "two"] {
        indexes.of(&plugin.parse().unwrap()).await.unwrap();
        let file = std::fs::metadata(home.path().join(format!("{plugin}.db"))).unwrap();
        assert_eq!(file.mode() & 0o777, 0o600);
    }
    indexes.close().await;
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "the logs are written back");
}

#[tokio::test]
async fn a_document_that_fails_half_way_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let indexes = Indexes::new(home.path().to_owned(), Durability::Process);
    let index = indexes.of(&"one".parse().unwrap()).await.unwrap();
    let settings = meshhost_core::index::Settings { dimensions: None, maker: String::new() };
    let corpus = index.open_corpus("c", &settings).await.unwrap();
    let passage = |text: &str| PreparedPassage {
        text: text.to_owned(),
        attributes: Vec::new(),
        vector: None,
    };
    let document = |passages| Prepared {
        key: "k".to_owned(),
        version: String::new(),
        attributes: Vec::new(),
        passages,
        charge: 10,
    };
    index.put(corpus.id, &document(vec![passage("first")]), 99).await.unwrap();
    // SQLite refuses the third passage.
    let trigger = of_corpus(
        "CREATE TRIGGER fails BEFORE INSERT ON passages_# WHEN new.id & 1023 = 2 \
         BEGIN SELECT raise(ABORT, 'on purpose'); END",
        corpus.id,
    );
    sqlx::raw_sql(trigger).execute(&index.writer).await.unwrap();
    let broken = index.put(corpus.id, &document(vec![passage("second"); 3]), 99).await;
    assert_eq!(broken.unwrap_err(), IndexError::fault());
    let found = |word: &str| {
        let words = vec![word.to_owned()];
        let (index, filter) = (Arc::clone(&index), meshhost_core::index::Filter::default());
        async move { index.with_words(corpus.id, &words, &filter, 9).await.unwrap().len() }
    };
    assert_eq!((found("first").await, found("second").await), (1, 0));
    let shown = index.find("c").await.unwrap().unwrap().shown();
    assert_eq!((shown.documents, shown.passages, shown.bytes), (1, 1, 10));
}
