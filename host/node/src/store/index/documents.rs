//! Documents: put, deleted and listed whole.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use meshhost_core::index::{ANSWER_BYTES_MAX, Entry, IndexError, IndexErrorCode};
use sqlx::{Connection as _, FromRow, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    PluginIndex,
    corpora::{self, Difference},
    damaged, fault, of_corpus, signed, too_large, unsigned,
};
use crate::index::{attributes, passages};

/// A document as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) key: String,
    pub(crate) version: String,
    /// As [`attributes::written`].
    pub(crate) attributes: Vec<u8>,
    pub(crate) passages: Vec<PreparedPassage>,
    /// Bytes that it counts for.
    pub(crate) charge: u64,
}

/// A passage as it is written.
#[derive(Debug, Clone)]
pub(crate) struct PreparedPassage {
    pub(crate) text: String,
    /// As [`attributes::written`].
    pub(crate) attributes: Vec<u8>,
    /// As [`crate::index::vector::normalised`].
    pub(crate) vector: Option<Vec<u8>>,
}

/// A document that was put.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Put {
    /// Its number.
    pub(crate) document: i64,
    /// The number of the one in whose place it is.
    pub(crate) replaced: Option<i64>,
}

struct Known {
    id: i64,
    passages: i64,
    bytes: i64,
    facts: i64,
}

impl Prepared {
    /// Bytes of key and attributes, which stay in memory.
    fn facts(&self) -> u64 {
        let passages = self.passages.iter().map(|passage| passage.attributes.len() as u64);
        (self.key.len() + self.attributes.len()) as u64 + passages.sum::<u64>()
    }
}

impl FromRow<'_, SqliteRow> for Known {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            passages: row.try_get("passages")?,
            bytes: row.try_get("bytes")?,
            facts: row.try_get("facts")?,
        })
    }
}

/// Key, version, attributes and number of passages.
type EntryRow = (String, String, Vec<u8>, i64);

fn shown((key, version, attributes, passages): EntryRow) -> Result<Entry, IndexError> {
    Ok(Entry {
        key,
        version,
        attributes: attributes::read(&attributes).ok_or_else(damaged)?,
        passages: u32::try_from(passages).unwrap_or_default(),
    })
}

async fn known(
    corpus: i64,
    key: &str,
    connection: &mut SqliteConnection,
) -> Result<Option<Known>, IndexError> {
    let select = "SELECT id, passages, bytes, facts FROM documents_# WHERE key = ?1";
    sqlx::query_as(of_corpus(select, corpus))
        .bind(key.to_owned())
        .fetch_optional(connection)
        .await
        .map_err(fault)
}

/// Takes a document out of every table, and from the counts.
async fn take_out(
    corpus: i64,
    document: &Known,
    connection: &mut SqliteConnection,
) -> Result<(), IndexError> {
    let (first, last) = passages::of_document(document.id);
    for delete in [
        "DELETE FROM words_# WHERE rowid BETWEEN ?1 AND ?2",
        "DELETE FROM passages_# WHERE id BETWEEN ?1 AND ?2",
    ] {
        let delete = sqlx::query(of_corpus(delete, corpus)).bind(first).bind(last);
        delete.execute(&mut *connection).await.map_err(fault)?;
    }
    sqlx::query(of_corpus("DELETE FROM documents_# WHERE id = ?1", corpus))
        .bind(document.id)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let difference = Difference {
        documents: -1,
        passages: -document.passages,
        bytes: -document.bytes,
        facts: -document.facts,
    };
    difference.apply(corpus, connection).await
}

/// Puts a document into every table and the counts; gives its number.
async fn put_in(
    corpus: i64,
    document: &Prepared,
    connection: &mut SqliteConnection,
) -> Result<i64, IndexError> {
    let difference = Difference {
        documents: 1,
        passages: signed(document.passages.len() as u64),
        bytes: signed(document.charge),
        facts: signed(document.facts()),
    };
    let insert = "INSERT INTO documents_# (key, version, attributes, passages, bytes, facts) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let inserted = sqlx::query(of_corpus(insert, corpus))
        .bind(document.key.clone())
        .bind(document.version.clone())
        .bind(document.attributes.clone())
        .bind(difference.passages)
        .bind(difference.bytes)
        .bind(difference.facts)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let number = inserted.last_insert_rowid();
    for (place, passage) in (0..).zip(&document.passages) {
        let id = passages::number(number, place);
        sqlx::query(of_corpus("INSERT INTO passages_# VALUES (?1, ?2, ?3)", corpus))
            .bind(id)
            .bind(passage.attributes.clone())
            .bind(passage.vector.clone())
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        sqlx::query(of_corpus("INSERT INTO words_# (rowid, text) VALUES (?1, ?2)", corpus))
            .bind(id)
            .bind(passage.text.clone())
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    difference.apply(corpus, connection).await?;
    Ok(number)
}

impl PluginIndex {
    /// Puts a document in the place of the one with its key, when all corpora stay within the quota.
    pub(crate) async fn put(
        &self,
        corpus: i64,
        document: &Prepared,
        quota_bytes: u64,
    ) -> Result<Put, IndexError> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin().await.map_err(fault)?;
        let before = known(corpus, &document.key, &mut transaction).await?;
        let others = corpora::bytes(&mut transaction).await?;
        let others = others.saturating_sub(before.as_ref().map_or(0, |one| unsigned(one.bytes)));
        if others.saturating_add(document.charge) > quota_bytes {
            let message = format!(
                "with this document the plugin's corpora would have more than the {quota_bytes} bytes \
                 that are granted; delete some, or have more granted with index=SIZE"
            );
            return Err(IndexError::new(IndexErrorCode::Quota, &message));
        }
        if let Some(before) = &before {
            take_out(corpus, before, &mut transaction).await?;
        }
        let document = put_in(corpus, document, &mut transaction).await?;
        transaction.commit().await.map_err(fault)?;
        Ok(Put { document, replaced: before.map(|before| before.id) })
    }

    /// Deletes documents, all in one, and gives their numbers.
    pub(crate) async fn delete(
        &self,
        corpus: i64,
        keys: &[String],
    ) -> Result<Vec<i64>, IndexError> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin().await.map_err(fault)?;
        let mut deleted = Vec::new();
        for key in keys {
            if let Some(document) = known(corpus, key, &mut transaction).await? {
                take_out(corpus, &document, &mut transaction).await?;
                deleted.push(document.id);
            }
        }
        transaction.commit().await.map_err(fault)?;
        Ok(deleted)
    }

    /// Up to `limit` documents after a key, in the order of keys.
    pub(crate) async fn entries(
        &self,
        corpus: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>, IndexError> {
        let select = "SELECT key, version, attributes, passages FROM documents_# \
            WHERE key > ?1 ORDER BY key LIMIT ?2";
        let mut reader = self.reader().await?;
        let mut rows = sqlx::query_as::<_, EntryRow>(of_corpus(select, corpus))
            // Keys are not empty, so everything comes after the empty text.
            .bind(after.unwrap_or_default().to_owned())
            .bind(limit)
            .fetch(&mut *reader);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await.map_err(fault)? {
            let entry = shown(row)?;
            bytes += entry.bytes();
            if bytes > ANSWER_BYTES_MAX {
                return Err(too_large());
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The documents that have one of these keys.
    pub(crate) async fn get(
        &self,
        corpus: i64,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Entry>>, IndexError> {
        let select = "SELECT key, version, attributes, passages FROM documents_# WHERE key = ?1";
        let mut reader = self.reader().await?;
        let mut known: HashMap<&str, Option<Entry>> = HashMap::new();
        let (mut entries, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        for key in &keys {
            if !known.contains_key(key.as_str()) {
                let row: Option<EntryRow> = sqlx::query_as(of_corpus(select, corpus))
                    .bind(key.clone())
                    .fetch_optional(&mut *reader)
                    .await
                    .map_err(fault)?;
                known.insert(key, row.map(shown).transpose()?);
            }
            let entry = known.get(key.as_str()).cloned().flatten();
            bytes += entry.as_ref().map_or(0, Entry::bytes);
            if bytes > ANSWER_BYTES_MAX {
                return Err(too_large());
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}
