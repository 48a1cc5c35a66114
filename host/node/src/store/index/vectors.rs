//! Vectors and what filters ask about, page by page and one by one.

use super::{PluginIndex, fault, of_corpus};
use crate::index::{DocumentFacts, StoredVector};
use meshhost_core::index::IndexError;

/// Number, attributes and vector of a passage.
type VectorRow = (i64, Vec<u8>, Vec<u8>);
/// Number, key and attributes of a document.
type FactsRow = (i64, String, Vec<u8>);

impl PluginIndex {
    /// Up to `count` documents after one, by number, with what filters ask about.
    pub(crate) async fn facts_after(
        &self,
        corpus: i64,
        document: i64,
        count: u32,
    ) -> Result<Vec<(i64, DocumentFacts)>, IndexError> {
        let select =
            "SELECT id, key, attributes FROM documents_# WHERE id > ?1 ORDER BY id LIMIT ?2";
        let rows: Vec<FactsRow> = sqlx::query_as(of_corpus(select, corpus))
            .bind(document)
            .bind(count)
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(fault)?;
        let facts = |(number, key, attributes): FactsRow| {
            (number, DocumentFacts { key: key.into(), attributes: attributes.into() })
        };
        Ok(rows.into_iter().map(facts).collect())
    }

    /// Up to `count` vectors of passages after one, by number.
    pub(crate) async fn vectors_after(
        &self,
        corpus: i64,
        passage: i64,
        count: u32,
    ) -> Result<Vec<StoredVector>, IndexError> {
        let select = "SELECT id, attributes, vector FROM passages_# \
            WHERE id > ?1 AND vector IS NOT NULL ORDER BY id LIMIT ?2";
        let rows: Vec<VectorRow> = sqlx::query_as(of_corpus(select, corpus))
            .bind(passage)
            .bind(count)
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(fault)?;
        let vector = |(passage, attributes, vector): VectorRow| StoredVector {
            passage,
            attributes: attributes.into(),
            vector,
        };
        Ok(rows.into_iter().map(vector).collect())
    }

    /// The vectors of these passages, as far as they are there.
    pub(crate) async fn vectors_of(
        &self,
        corpus: i64,
        passages: &[i64],
    ) -> Result<Vec<(i64, Vec<u8>)>, IndexError> {
        let select = "SELECT id, vector FROM passages_# \
            WHERE id IN (SELECT value FROM json_each(?1)) AND vector IS NOT NULL";
        sqlx::query_as(of_corpus(select, corpus))
            .bind(serde_json::json!(passages).to_string())
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(fault)
    }
}
