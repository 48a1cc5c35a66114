//! Which corpora a plugin has, and how much they come to.

use meshhost_core::index::{CORPORA_MAX, Corpus, IndexError, IndexErrorCode, Settings};
use sqlx::{Connection as _, FromRow, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{PluginIndex, fault, of_corpus, unsigned};

/// The list of corpora. `facts` are the bytes of keys and attributes, which are kept in memory with
/// the vectors.
pub(super) const SCHEMA: &str = "
    CREATE TABLE corpora (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        name       TEXT NOT NULL UNIQUE,
        dimensions INTEGER,
        maker      TEXT NOT NULL,
        documents  INTEGER NOT NULL DEFAULT 0,
        passages   INTEGER NOT NULL DEFAULT 0,
        bytes      INTEGER NOT NULL DEFAULT 0,
        facts      INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    PRAGMA user_version = 1;";

/// What a corpus is kept in. A passage's number says its document and its place there
/// (`index/passages.rs`); its text stands in the table of words.
const TABLES: &str = "
    CREATE TABLE documents_# (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        key        TEXT NOT NULL UNIQUE,
        version    TEXT NOT NULL,
        attributes BLOB NOT NULL,
        passages   INTEGER NOT NULL,
        bytes      INTEGER NOT NULL,
        facts      INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE passages_# (
        id         INTEGER PRIMARY KEY,
        attributes BLOB NOT NULL,
        vector     BLOB
    ) STRICT;
    CREATE VIRTUAL TABLE words_# USING fts5(text, tokenize = 'unicode61 remove_diacritics 2');";

const DROP: &str = "
    DROP TABLE documents_#;
    DROP TABLE passages_#;
    DROP TABLE words_#;";

const BY_NAME: &str = "SELECT id, name, dimensions, maker, documents, passages, bytes, facts \
    FROM corpora WHERE name = ?1";
const BY_NUMBER: &str = "SELECT id, name, dimensions, maker, documents, passages, bytes, facts \
    FROM corpora WHERE id = ?1";
const ALL: &str = "SELECT id, name, dimensions, maker, documents, passages, bytes, facts \
    FROM corpora ORDER BY name";

/// A corpus as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct CorpusRow {
    /// Its number, never used again.
    pub(crate) id: i64,
    name: String,
    dimensions: Option<i64>,
    maker: String,
    documents: i64,
    passages: i64,
    bytes: i64,
    facts: i64,
}

impl FromRow<'_, SqliteRow> for CorpusRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            dimensions: row.try_get("dimensions")?,
            maker: row.try_get("maker")?,
            documents: row.try_get("documents")?,
            passages: row.try_get("passages")?,
            bytes: row.try_get("bytes")?,
            facts: row.try_get("facts")?,
        })
    }
}

impl CorpusRow {
    /// Numbers in its vectors.
    pub(crate) fn dimensions(&self) -> Option<u32> {
        self.dimensions.and_then(|count| u32::try_from(count).ok())
    }

    /// Its documents, passages, and bytes of keys and attributes.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (unsigned(self.documents), unsigned(self.passages), unsigned(self.facts))
    }

    /// As it is shown.
    pub(crate) fn shown(self) -> Corpus {
        let settings = Settings { dimensions: self.dimensions(), maker: self.maker };
        Corpus {
            name: self.name,
            settings,
            documents: unsigned(self.documents),
            passages: unsigned(self.passages),
            bytes: unsigned(self.bytes),
        }
    }
}

/// What a change adds to a corpus, or takes away.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Difference {
    pub(super) documents: i64,
    pub(super) passages: i64,
    pub(super) bytes: i64,
    pub(super) facts: i64,
}

impl Difference {
    /// Counts the change.
    pub(super) async fn apply(
        self,
        corpus: i64,
        connection: &mut SqliteConnection,
    ) -> Result<(), IndexError> {
        let update = "UPDATE corpora SET documents = documents + ?2, passages = passages + ?3, \
            bytes = bytes + ?4, facts = facts + ?5 WHERE id = ?1";
        sqlx::query(update)
            .bind(corpus)
            .bind(self.documents)
            .bind(self.passages)
            .bind(self.bytes)
            .bind(self.facts)
            .execute(connection)
            .await
            .map_err(fault)?;
        Ok(())
    }
}

/// The corpus of that name.
pub(super) async fn find(
    name: &str,
    connection: &mut SqliteConnection,
) -> Result<Option<CorpusRow>, IndexError> {
    sqlx::query_as(BY_NAME).bind(name.to_owned()).fetch_optional(connection).await.map_err(fault)
}

/// Bytes that all corpora count for.
pub(super) async fn bytes(connection: &mut SqliteConnection) -> Result<u64, IndexError> {
    let sum: i64 = sqlx::query_scalar("SELECT coalesce(sum(bytes), 0) FROM corpora")
        .fetch_one(connection)
        .await
        .map_err(fault)?;
    Ok(unsigned(sum))
}

impl PluginIndex {
    /// The corpus of that name.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<CorpusRow>, IndexError> {
        find(name, &mut *self.reader().await?).await
    }

    /// The corpus of that number.
    pub(crate) async fn by_number(&self, id: i64) -> Result<Option<CorpusRow>, IndexError> {
        let mut reader = self.reader().await?;
        sqlx::query_as(BY_NUMBER).bind(id).fetch_optional(&mut *reader).await.map_err(fault)
    }

    /// All corpora by name.
    pub(crate) async fn corpora(&self) -> Result<Vec<CorpusRow>, IndexError> {
        sqlx::query_as(ALL).fetch_all(&mut *self.reader().await?).await.map_err(fault)
    }

    /// Makes a corpus that is not there, with its tables.
    pub(crate) async fn open_corpus(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<CorpusRow, IndexError> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin().await.map_err(fault)?;
        if let Some(found) = find(name, &mut transaction).await? {
            return Ok(found);
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM corpora")
            .fetch_one(&mut *transaction)
            .await
            .map_err(fault)?;
        if unsigned(count) >= CORPORA_MAX as u64 {
            let message = "the plugin has 256 corpora, and no more may be made; drop one";
            return Err(IndexError::new(IndexErrorCode::TooLarge, message));
        }
        let made = sqlx::query("INSERT INTO corpora (name, dimensions, maker) VALUES (?1, ?2, ?3)")
            .bind(name.to_owned())
            .bind(settings.dimensions)
            .bind(settings.maker.clone())
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        let tables = of_corpus(TABLES, made.last_insert_rowid());
        sqlx::raw_sql(tables).execute(&mut *transaction).await.map_err(fault)?;
        let made = find(name, &mut transaction).await?.ok_or_else(super::damaged)?;
        transaction.commit().await.map_err(fault)?;
        Ok(made)
    }

    /// Removes a corpus with its tables, and gives its number.
    pub(crate) async fn remove_corpus(&self, name: &str) -> Result<Option<i64>, IndexError> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin().await.map_err(fault)?;
        let Some(found) = find(name, &mut transaction).await? else { return Ok(None) };
        sqlx::raw_sql(of_corpus(DROP, found.id)).execute(&mut *transaction).await.map_err(fault)?;
        sqlx::query("DELETE FROM corpora WHERE id = ?1")
            .bind(found.id)
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        transaction.commit().await.map_err(fault)?;
        Ok(Some(found.id))
    }
}
