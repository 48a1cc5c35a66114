//! The port of core, as the runtime calls it.

use std::sync::Arc;

use async_trait::async_trait;
use meshhost_core::index::{
    Corpus, Document, Entry, Filter, Hit, IndexCaller, IndexError, IndexErrorCode, SearchIndex,
    Settings, check_vector,
};

use super::{Index, memory::Place, search::Asked};
use crate::store::index::{CorpusRow, PluginIndex};

impl Index {
    async fn of(&self, caller: &IndexCaller) -> Result<Arc<PluginIndex>, IndexError> {
        self.inner.store.of(&caller.plugin).await
    }

    async fn corpus(
        &self,
        caller: &IndexCaller,
        name: &str,
    ) -> Result<(Arc<PluginIndex>, CorpusRow), IndexError> {
        let plugin = self.of(caller).await?;
        let corpus = plugin.find(name).await?.ok_or_else(|| IndexError::no_corpus(name))?;
        Ok((plugin, corpus))
    }
}

/// Where the corpora of the caller's are in memory, by their numbers.
fn place_of(caller: &IndexCaller) -> impl FnOnce(i64) -> Place + Send + 'static {
    let plugin = caller.plugin.clone();
    move |corpus| (plugin, corpus)
}

/// Says of a corpus that was dropped meanwhile that it is not there, and not that the store failed.
async fn unless_dropped<T>(
    answer: Result<T, IndexError>,
    plugin: &PluginIndex,
    corpus: &CorpusRow,
    name: &str,
) -> Result<T, IndexError> {
    let failed = answer.as_ref().is_err_and(|error| error.code == IndexErrorCode::Fault);
    if failed && plugin.find(name).await?.is_none_or(|there| there.id != corpus.id) {
        return Err(IndexError::no_corpus(name));
    }
    answer
}

#[async_trait]
impl SearchIndex for Index {
    async fn open(
        &self,
        caller: &IndexCaller,
        name: &str,
        settings: &Settings,
    ) -> Result<Corpus, IndexError> {
        self.inner.open(self.of(caller).await?, name, settings).await
    }

    async fn corpora(&self, caller: &IndexCaller) -> Result<Vec<Corpus>, IndexError> {
        let corpora = self.of(caller).await?.corpora().await?;
        Ok(corpora.into_iter().map(CorpusRow::shown).collect())
    }

    async fn remove(&self, caller: &IndexCaller, name: &str) -> Result<bool, IndexError> {
        let (plugin, inner) = (self.of(caller).await?, Arc::clone(&self.inner));
        inner.remove(place_of(caller), plugin, name.to_owned()).await
    }

    async fn upsert(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        document: Document,
    ) -> Result<(), IndexError> {
        let (plugin, inner) = (self.of(caller).await?, Arc::clone(&self.inner));
        let (place, quota_bytes) = (place_of(caller), caller.quota_bytes);
        inner.upsert(place, plugin, corpus.to_owned(), document, quota_bytes).await
    }

    async fn delete(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        keys: Vec<String>,
    ) -> Result<u32, IndexError> {
        let (plugin, inner) = (self.of(caller).await?, Arc::clone(&self.inner));
        inner.delete(place_of(caller), plugin, corpus.to_owned(), keys).await
    }

    async fn documents(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>, IndexError> {
        let (plugin, found) = self.corpus(caller, corpus).await?;
        let entries = plugin.entries(found.id, after, limit).await;
        unless_dropped(entries, &plugin, &found, corpus).await
    }

    async fn get(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Entry>>, IndexError> {
        let (plugin, found) = self.corpus(caller, corpus).await?;
        let entries = plugin.get(found.id, keys).await;
        unless_dropped(entries, &plugin, &found, corpus).await
    }

    async fn search_vector(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        vector: Vec<f32>,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        let (plugin, found) = self.corpus(caller, corpus).await?;
        check_vector(&vector, found.dimensions())?;
        let place = place_of(caller)(found.id);
        let asked = Asked::new(&vector, &filter, limit);
        let hits = self.inner.nearest(&plugin, place, &found, asked).await;
        unless_dropped(hits, &plugin, &found, corpus).await
    }

    async fn search_words(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        words: Vec<String>,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        let (plugin, found) = self.corpus(caller, corpus).await?;
        let hits = self.inner.with_words(&plugin, &found, &words, &filter, limit).await;
        unless_dropped(hits, &plugin, &found, corpus).await
    }
}
