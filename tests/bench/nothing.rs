//! A node's services of which there are none.

use std::sync::Arc;

use async_trait::async_trait;
use meshhost_core::{
    id::{Digest, PluginName},
    index::{Corpus, Document, Entry, Filter, Hit, IndexCaller, IndexError, SearchIndex, Settings},
    inference::{
        Description, Inference, InferenceCaller, InferenceError, InferenceErrorCode, RunReport,
        Tensor,
    },
    invocation::Invocation,
    limits::Usage,
    link::Callee,
    outcome::{CallResult, Outcome, Refusal},
    ports::{BlobStore, BlobWriter, Invoker, KeyValueStore, ModelNames, PortError, Remaining},
};
use serde_json::Value;

/// No key-values, no blobs, no documents, no models and nobody to call.
#[derive(Debug)]
pub(crate) struct Nothing;

#[async_trait]
impl Invoker for Nothing {
    async fn invoke(
        &self,
        parent: Arc<Invocation>,
        _: PluginName,
        callee: Callee,
        _: Value,
        _: Remaining,
    ) -> CallResult {
        let refusal = Refusal::new(meshhost_core::code::Code::Busy, "nobody to call");
        CallResult {
            invocation_id: parent.invocation_id.clone(),
            capability_id: callee.capability,
            capability_version: None,
            plugin: None,
            node: None,
            correlation_id: parent.correlation_id.clone(),
            outcome: Outcome::Denied(refusal),
            evidence_ids: Vec::new(),
            started_at: String::new(),
            completed_at: String::new(),
            replayed: false,
            usage: Usage::default(),
            denied: Vec::new(),
            models: Vec::new(),
            log: Vec::new(),
        }
    }
}

#[async_trait]
impl BlobStore for Nothing {
    async fn length(&self, _: &Digest) -> Result<u64, PortError> {
        Err(PortError::NotFound)
    }

    async fn read(&self, _: &Digest, _: u64, _: u32) -> Result<Vec<u8>, PortError> {
        Err(PortError::NotFound)
    }

    async fn ready(&self, _: &Digest) -> Result<(), PortError> {
        Err(PortError::NotFound)
    }

    async fn begin(&self, _: u64) -> Result<Box<dyn BlobWriter>, PortError> {
        Err(PortError::Quota)
    }
}

#[async_trait]
impl KeyValueStore for Nothing {
    async fn get(&self, _: &PluginName, _: &str, _: &str) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    async fn set(
        &self,
        _: &PluginName,
        _: &str,
        _: &str,
        _: &[u8],
        _: u64,
    ) -> Result<(), PortError> {
        Err(PortError::Quota)
    }

    async fn delete(&self, _: &PluginName, _: &str, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn list(
        &self,
        _: &PluginName,
        _: &str,
        _: Option<&str>,
        _: u32,
    ) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    async fn increment(
        &self,
        _: &PluginName,
        _: &str,
        _: &str,
        _: i64,
        _: u64,
    ) -> Result<i64, PortError> {
        Err(PortError::Quota)
    }
}

#[async_trait]
impl SearchIndex for Nothing {
    async fn open(&self, _: &IndexCaller, _: &str, _: &Settings) -> Result<Corpus, IndexError> {
        Err(IndexError::fault())
    }

    async fn corpora(&self, _: &IndexCaller) -> Result<Vec<Corpus>, IndexError> {
        Ok(Vec::new())
    }

    async fn remove(&self, _: &IndexCaller, _: &str) -> Result<bool, IndexError> {
        Ok(false)
    }

    async fn upsert(&self, _: &IndexCaller, name: &str, _: Document) -> Result<(), IndexError> {
        Err(IndexError::no_corpus(name))
    }

    async fn delete(&self, _: &IndexCaller, name: &str, _: Vec<String>) -> Result<u32, IndexError> {
        Err(IndexError::no_corpus(name))
    }

    async fn documents(
        &self,
        _: &IndexCaller,
        name: &str,
        _: Option<&str>,
        _: u32,
    ) -> Result<Vec<Entry>, IndexError> {
        Err(IndexError::no_corpus(name))
    }

    async fn get(
        &self,
        _: &IndexCaller,
        name: &str,
        _: Vec<String>,
    ) -> Result<Vec<Option<Entry>>, IndexError> {
        Err(IndexError::no_corpus(name))
    }

    async fn search_vector(
        &self,
        _: &IndexCaller,
        name: &str,
        _: Vec<f32>,
        _: Filter,
        _: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        Err(IndexError::no_corpus(name))
    }

    async fn search_words(
        &self,
        _: &IndexCaller,
        name: &str,
        _: Vec<String>,
        _: Filter,
        _: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        Err(IndexError::no_corpus(name))
    }
}

#[async_trait]
impl ModelNames for Nothing {
    async fn digest_of(&self, _: &str) -> Option<Digest> {
        None
    }
}

fn no_model() -> InferenceError {
    InferenceError::new(InferenceErrorCode::NotFound, "there are no models")
}

#[async_trait]
impl Inference for Nothing {
    async fn describe(
        &self,
        _: &InferenceCaller,
        _: &Digest,
    ) -> Result<Arc<Description>, InferenceError> {
        Err(no_model())
    }

    async fn run(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        _: Vec<Tensor>,
        _: Vec<String>,
    ) -> Result<(Vec<Tensor>, RunReport), InferenceError> {
        Err(no_model())
    }

    async fn embed(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        _: Vec<String>,
    ) -> Result<(Vec<Vec<f32>>, RunReport), InferenceError> {
        Err(no_model())
    }

    async fn rerank(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        _: String,
        _: Vec<String>,
    ) -> Result<(Vec<f32>, RunReport), InferenceError> {
        Err(no_model())
    }

    async fn file(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        _: &str,
    ) -> Result<Vec<u8>, InferenceError> {
        Err(no_model())
    }
}
