//! The interfaces that the component imports.

use crate::bindings::meshhost::embedding::embedder;
use crate::bindings::meshhost::index::store;
use crate::ports::{Embedder, Index};

/// What the node links to the component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node;

impl Embedder for Node {
    fn describe(&self, model: &str) -> Result<embedder::Model, embedder::Error> {
        embedder::describe(Some(model))
    }

    fn count_tokens(&self, texts: &[String], model: &str) -> Result<Vec<u32>, embedder::Error> {
        embedder::count_tokens(texts, Some(model))
    }

    fn embed(
        &self,
        texts: &[String],
        model: &str,
    ) -> Result<embedder::Embeddings, embedder::Error> {
        embedder::embed(texts, Some(model))
    }
}

impl Index for Node {
    fn open(&self, name: &str, settings: &store::Settings) -> Result<store::Corpus, store::Error> {
        store::open(name, settings)
    }

    fn corpora(&self) -> Result<Vec<store::Corpus>, store::Error> {
        store::corpora()
    }

    fn drop(&self, name: &str) -> Result<bool, store::Error> {
        store::drop(name)
    }

    fn upsert(&self, corpus: &str, document: &store::Document) -> Result<(), store::Error> {
        store::upsert(corpus, document)
    }

    fn delete(&self, corpus: &str, keys: &[String]) -> Result<u32, store::Error> {
        store::delete(corpus, keys)
    }

    fn documents(
        &self,
        corpus: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<store::Entry>, store::Error> {
        store::documents(corpus, after, limit)
    }

    fn get(
        &self,
        corpus: &str,
        keys: &[String],
    ) -> Result<Vec<Option<store::Entry>>, store::Error> {
        store::get(corpus, keys)
    }

    fn search_vector(
        &self,
        corpus: &str,
        vector: &[f32],
        filter: &store::Filter,
        limit: u32,
    ) -> Result<Vec<store::Hit>, store::Error> {
        store::search_vector(corpus, vector, filter, limit)
    }

    fn search_words(
        &self,
        corpus: &str,
        text: &str,
        filter: &store::Filter,
        limit: u32,
    ) -> Result<Vec<store::Hit>, store::Error> {
        store::search_words(corpus, text, filter, limit)
    }
}
