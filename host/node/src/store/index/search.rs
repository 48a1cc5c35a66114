//! Passages that hold words, and what is shown of passages that were found.

use std::collections::HashMap;

use super::{PluginIndex, damaged, fault, of_corpus, too_large};
use crate::index::{Scored, attributes, passages};
use futures::TryStreamExt as _;
use meshhost_core::index::{ANSWER_BYTES_MAX, Filter, Hit, IndexError};

/// The best passages for words. `rank` is BM25's number, below 0 and lower for better ones.
const WORDS: &str = "SELECT words_#.rowid, -rank FROM words_#";
/// The tables that a filter asks; the words come first.
const FILTERED: &str = " CROSS JOIN passages_# AS passage ON passage.id = words_#.rowid \
    CROSS JOIN documents_# AS document ON document.id = words_#.rowid >> 10";
const MATCH: &str = " WHERE words_# MATCH ?1";
const HITS: &str = "SELECT passage.id, document.key, document.version, \
        document.attributes AS document_attributes, passage.attributes, words_#.text \
    FROM json_each(?1) AS wanted \
    CROSS JOIN passages_# AS passage ON passage.id = wanted.value \
    CROSS JOIN documents_# AS document ON document.id = passage.id >> 10 \
    CROSS JOIN words_# ON words_#.rowid = passage.id";

/// Number of the passage, key, version and attributes of its document, its own attributes, its text.
type HitRow = (i64, String, String, Vec<u8>, Vec<u8>, String);

/// The condition of a filter and the values of its parameters, from `?3` on.
fn condition(filter: &Filter) -> (String, Vec<Vec<u8>>) {
    let mut condition = String::new();
    let mut values = Vec::new();
    let mut number = 3;
    if let Some(prefix) = filter.key_prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
        // As bytes: SQLite's functions for text end at a zero.
        condition.push_str(&format!(
            " AND substr(CAST(document.key AS BLOB), 1, length(?{number})) = ?{number}"
        ));
        values.push(prefix.clone().into_bytes());
        number += 1;
    }
    for attribute in &filter.attributes {
        condition.push_str(&format!(
            " AND (instr(passage.attributes, ?{number}) > 0 \
              OR instr(document.attributes, ?{number}) > 0)"
        ));
        values.push(attributes::needle(attribute));
        number += 1;
    }
    (condition, values)
}

/// A query of FTS5 that is met by any of the words; each is quoted, so nothing of it is syntax.
fn any_of(words: &[String]) -> String {
    let quoted: Vec<String> =
        words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
    quoted.join(" OR ")
}

impl PluginIndex {
    /// The `limit` best passages that hold one of the words and pass the filter, best first.
    pub(crate) async fn with_words(
        &self,
        corpus: i64,
        words: &[String],
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Scored>, IndexError> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let (condition, values) = condition(filter);
        let joined = if condition.is_empty() { "" } else { FILTERED };
        let statement = format!("{WORDS}{joined}{MATCH}{condition} ORDER BY rank LIMIT ?2");
        let mut query = sqlx::query_as::<_, (i64, f64)>(of_corpus(&statement, corpus))
            .bind(any_of(words))
            .bind(limit);
        for value in values {
            query = query.bind(value);
        }
        let rows = query.fetch_all(&mut *self.reader().await?).await.map_err(fault)?;
        Ok(rows.into_iter().map(|(passage, score)| Scored { passage, score }).collect())
    }

    /// What is shown of passages, in their order. One that is gone meanwhile is left out.
    pub(crate) async fn hits(&self, corpus: i64, found: &[Scored]) -> Result<Vec<Hit>, IndexError> {
        let numbers: Vec<i64> = found.iter().map(|one| one.passage).collect();
        let mut reader = self.reader().await?;
        let mut rows = sqlx::query_as::<_, HitRow>(of_corpus(HITS, corpus))
            .bind(serde_json::json!(numbers).to_string())
            .fetch(&mut *reader);
        let (mut known, mut bytes) = (HashMap::with_capacity(found.len()), 0);
        while let Some(row) = rows.try_next().await.map_err(fault)? {
            let (passage, hit) = (row.0, shown(row)?);
            bytes += hit.bytes();
            if bytes > ANSWER_BYTES_MAX {
                return Err(too_large());
            }
            known.insert(passage, hit);
        }
        let hit =
            |one: &Scored| known.remove(&one.passage).map(|hit| Hit { score: one.score, ..hit });
        Ok(found.iter().filter_map(hit).collect())
    }
}

fn shown(row: HitRow) -> Result<Hit, IndexError> {
    let (number, key, version, document_attributes, own_attributes, text) = row;
    Ok(Hit {
        key,
        version,
        passage: passages::place(number),
        text,
        document_attributes: attributes::read(&document_attributes).ok_or_else(damaged)?,
        attributes: attributes::read(&own_attributes).ok_or_else(damaged)?,
        score: 0.0,
    })
}
