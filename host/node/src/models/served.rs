//! The models as the process that runs them is told of them.

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    inference::{TextTask, TextUse},
    ports::ModelNames,
};
use meshhost_inference::{Models, StoredFile, StoredModel, TextModel};

use super::Catalogue;
use crate::store::models::{ModelRecord, Task};

#[async_trait]
impl Models for Catalogue {
    async fn find(&self, model: &Digest) -> Option<StoredModel> {
        Self::find(self, model).map(|record| stored(self, &record))
    }
}

#[async_trait]
impl ModelNames for Catalogue {
    async fn digest_of(&self, name: &str) -> Option<Digest> {
        Self::digest_of(self, name)
    }
}

fn stored(catalogue: &Catalogue, record: &ModelRecord) -> StoredModel {
    let files = record.files.iter().map(|file| StoredFile {
        name: file.name.clone(),
        path: catalogue.path(&file.digest),
        digest: file.digest,
        bytes: file.bytes,
    });
    StoredModel {
        digest: record.digest,
        path: catalogue.path(&record.digest),
        bytes: record.bytes,
        files: files.collect(),
        batch_rows: record.batch_rows,
        text: text(&record.task),
    }
}

fn text(task: &Task) -> Option<TextModel> {
    let (task, tokenizer, &tokens_max) = match task {
        Task::Tensors => return None,
        Task::Embed { tokenizer, tokens_max, pooling, normalise } => {
            let (pooling, normalise) = (*pooling, *normalise);
            (TextTask::Embed { pooling, normalise }, tokenizer, tokens_max)
        }
        Task::Rerank { tokenizer, tokens_max } => (TextTask::Rerank, tokenizer, tokens_max),
    };
    Some(TextModel { usage: TextUse { task, tokens_max }, tokenizer: tokenizer.clone() })
}
