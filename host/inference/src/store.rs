//! What the node's store of models says of a model. The store itself is the node's.

use std::{fmt::Debug, path::PathBuf};

use async_trait::async_trait;
use meshhost_core::{id::Digest, inference::TextUse};
use serde::{Deserialize, Serialize};

/// A model that the operator added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// BLAKE3 of the model's file: checked when it is loaded.
    pub digest: Digest,
    /// The model's file, as an absolute path.
    pub path: PathBuf,
    /// Bytes of the model's file.
    pub bytes: u64,
    /// The other files that were added with it.
    pub files: Vec<StoredFile>,
    /// Rows of one batch, over all callers; 1 where calls never run together. More is for models
    /// whose rows do not depend on one another: the operator knows that, the model does not say it.
    pub batch_rows: u32,
    /// What `embed` and `rerank` need to know; none for models of tensors.
    pub text: Option<TextModel>,
}

/// A file beside a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name, as plugins ask for it.
    pub name: String,
    /// Where it is, as an absolute path.
    pub path: PathBuf,
    /// BLAKE3 of it: checked when it is read.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// How a model of text is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextModel {
    /// What it answers, and for how many tokens.
    pub usage: TextUse,
    /// The name of the tokenizer among its files.
    pub tokenizer: String,
}

/// The models that the node has.
#[async_trait]
pub trait Models: Send + Sync + Debug {
    /// The model with this digest. Asked at each call, so that a removed model is gone at once.
    async fn find(&self, model: &Digest) -> Option<StoredModel>;
}
