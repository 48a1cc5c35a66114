//! What the node keeps of models: one document each. The bytes are files, which
//! [`crate::models`] keeps.

use meshhost_core::{
    id::{Digest, ModelName},
    inference::Pooling,
};
use serde::{Deserialize, Serialize};

use super::{database::Database, error::StoreError};

/// A model that the operator added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// What plugins ask for.
    pub name: ModelName,
    /// BLAKE3 of the model's file.
    pub digest: Digest,
    /// Length of the model's file.
    pub bytes: u64,
    /// The files that were added with it.
    pub files: Vec<ModelFile>,
    /// What it may be used for.
    #[serde(flatten)]
    pub task: Task,
    /// Rows that run together at most, over all callers.
    pub batch_rows: u32,
    /// The terms of use, as whoever packed it says.
    pub licence: String,
    /// Where it comes from, as whoever packed it says.
    pub source: String,
}

/// A file beside a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its name, as plugins ask for it.
    pub name: String,
    /// BLAKE3 of it.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// What a model may be used for. Every one takes tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Task {
    /// Tensors alone.
    Tensors,
    /// A vector for each text.
    Embed {
        /// The name of the tokenizer among its files.
        tokenizer: String,
        /// Tokens of one text; the rest is cut off.
        tokens_max: u32,
        /// How the vectors of the tokens become one.
        pooling: Pooling,
        /// Whether the vector is scaled to the length 1.
        normalise: bool,
    },
    /// How well each passage answers a query.
    Rerank {
        /// The name of the tokenizer among its files.
        tokenizer: String,
        /// Tokens of query and passage together; the rest is cut off.
        tokens_max: u32,
    },
}

impl Task {
    /// Its name in packages and replies.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tensors => "tensors",
            Self::Embed { .. } => "embed",
            Self::Rerank { .. } => "rerank",
        }
    }
}

/// The records of models. Each change is one transaction.
#[derive(Debug, Clone)]
pub struct ModelRows {
    database: Database,
}

const READ: &str = "read the list of models";
const WRITE: &str = "write the list of models";

impl ModelRows {
    /// The records in `database`.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a row does not read as what was written; else the fault.
    pub async fn load_all(&self) -> Result<Vec<ModelRecord>, StoreError> {
        let records: Vec<String> = sqlx::query_scalar("SELECT record FROM models ORDER BY name")
            .fetch_all(self.database.readers())
            .await
            .map_err(StoreError::database(READ))?;
        let damaged = |_| StoreError::Damaged { what: "the list of models" };
        records.iter().map(|record| serde_json::from_str(record).map_err(damaged)).collect()
    }

    /// Adds models, or replaces what is kept of them: all or none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save(&self, records: &[ModelRecord]) -> Result<(), StoreError> {
        let mut writer = self.database.writer().await;
        let mut transaction =
            sqlx::Connection::begin(&mut *writer).await.map_err(StoreError::database(WRITE))?;
        for record in records {
            let text = serde_json::to_string(record)
                .map_err(|source| StoreError::Fault { operation: WRITE, source: source.into() })?;
            sqlx::query("INSERT OR REPLACE INTO models VALUES (?1, ?2)")
                .bind(record.name.as_str().to_owned())
                .bind(text)
                .execute(&mut *transaction)
                .await
                .map_err(StoreError::database(WRITE))?;
        }
        transaction.commit().await.map_err(StoreError::database(WRITE))
    }

    /// Removes a model.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remove(&self, name: &ModelName) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM models WHERE name = ?1")
            .bind(name.as_str().to_owned())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
