//! `meshhost:index`: the plugin's own corpora of documents in the node's index, within the bytes of
//! its grant (`index=SIZE`). Without the grant every function answers `denied`. Whatever a guest says
//! is checked by the functions of [`meshhost_core::index`] before the index sees it, and counts as host
//! memory as long as the call of the function lasts; so does the answer.

mod values;

use meshhost_core::{
    index::{
        HITS_MAX, IndexCaller, IndexError, IndexErrorCode, KEYS_MAX, check_keys, check_limit,
        check_name, check_vector, words_of,
    },
    limits::LimitKind,
};
use wasmtime::component::Linker;

use self::bindings::meshhost::index::store::{self, ErrorCode};
use super::{Context, Imports, View};
use crate::state::HostState;

#[expect(clippy::error_impl_error, reason = "the interface calls its error that")]
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/index/0.1.0",
        world: "meshhost:index/imports",
        imports: { default: async | trappable },
        require_store_data_send: true,
    });
}

/// What a function answers, or what ends the call.
type Answer<T> = wasmtime::Result<Result<T, store::Error>>;
/// What a function answers.
type Told<T> = Result<T, store::Error>;

/// Links `meshhost:index`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Imports>(linker, View::of)
}

impl Context {
    /// On whose behalf the index is used, when it is granted.
    fn index_caller(&self, function: &str) -> Told<IndexCaller> {
        if let Some(quota_bytes) = self.rules().grants.index_bytes {
            return Ok(IndexCaller { plugin: self.call.plugin.clone(), quota_bytes });
        }
        let function = format!("meshhost:index/store#{function}");
        self.record.deny(Some("index=256MiB".to_owned()), &function, "");
        let message = "the index is not granted to this plugin; `index=SIZE` grants it".to_owned();
        Err(store::Error { code: ErrorCode::Denied, message })
    }

    /// What the guest is told of a refusal of the index's.
    fn index_error(&self, error: IndexError) -> store::Error {
        let code = match error.code {
            IndexErrorCode::NotFound => ErrorCode::NotFound,
            IndexErrorCode::Invalid => ErrorCode::Invalid,
            IndexErrorCode::TooLarge => ErrorCode::TooLarge,
            IndexErrorCode::Quota => {
                self.record.reach(LimitKind::IndexBytes);
                ErrorCode::Quota
            }
            IndexErrorCode::Fault => ErrorCode::Fault,
        };
        store::Error { code, message: error.message }
    }

    fn checked<T>(&self, checked: Result<T, IndexError>) -> Told<T> {
        checked.map_err(|error| self.index_error(error))
    }

    /// Waits for a change. A call that ends before it does is indeterminate.
    async fn change<T>(
        &self,
        change: impl Future<Output = Result<T, IndexError>> + Send,
    ) -> Told<T> {
        let effect = self.record.begin_effect();
        let changed = change.await;
        effect.complete();
        self.checked(changed)
    }

    async fn open_corpus(&self, name: &str, settings: store::Settings) -> Told<store::Corpus> {
        let caller = self.index_caller("open")?;
        let settings = values::settings(settings);
        self.checked(check_name(name).and_then(|()| settings.check()))?;
        let index = &self.shared.ports.index;
        self.change(index.open(&caller, name, &settings)).await.map(values::corpus)
    }

    async fn list_corpora(&self) -> Told<Vec<store::Corpus>> {
        let caller = self.index_caller("corpora")?;
        let corpora = self.checked(self.shared.ports.index.corpora(&caller).await)?;
        Ok(corpora.into_iter().map(values::corpus).collect())
    }

    async fn remove_corpus(&self, name: &str) -> Told<bool> {
        let caller = self.index_caller("drop")?;
        self.checked(check_name(name))?;
        self.change(self.shared.ports.index.remove(&caller, name)).await
    }

    async fn put_document(&self, corpus: &str, document: store::Document) -> Told<()> {
        let caller = self.index_caller("upsert")?;
        let document = values::document(document);
        self.checked(check_name(corpus).and_then(|()| document.check()))?;
        self.change(self.shared.ports.index.upsert(&caller, corpus, document)).await
    }

    async fn delete_documents(&self, corpus: &str, keys: Vec<String>) -> Told<u32> {
        let caller = self.index_caller("delete")?;
        self.checked(check_name(corpus).and_then(|()| check_keys(&keys)))?;
        self.change(self.shared.ports.index.delete(&caller, corpus, keys)).await
    }

    async fn list_documents(
        &self,
        corpus: &str,
        after: Option<String>,
        limit: u32,
    ) -> Told<Vec<store::Entry>> {
        let caller = self.index_caller("documents")?;
        let most = u32::try_from(KEYS_MAX).unwrap_or(u32::MAX);
        let checked = check_name(corpus)
            .and_then(|()| check_keys(after.as_slice()))
            .and_then(|()| check_limit(limit, most));
        self.checked(checked)?;
        let index = &self.shared.ports.index;
        let entries = index.documents(&caller, corpus, after.as_deref(), limit).await;
        Ok(self.checked(entries)?.into_iter().map(values::entry).collect())
    }

    async fn get_documents(
        &self,
        corpus: &str,
        keys: Vec<String>,
    ) -> Told<Vec<Option<store::Entry>>> {
        let caller = self.index_caller("get")?;
        self.checked(check_name(corpus).and_then(|()| check_keys(&keys)))?;
        let entries = self.shared.ports.index.get(&caller, corpus, keys).await;
        Ok(self.checked(entries)?.into_iter().map(|entry| entry.map(values::entry)).collect())
    }

    async fn nearest(
        &self,
        corpus: &str,
        vector: Vec<f32>,
        filter: store::Filter,
        limit: u32,
    ) -> Told<Vec<store::Hit>> {
        let caller = self.index_caller("search-vector")?;
        let filter = values::filter(filter);
        // How long it must be is known where the corpus is; that it is a vector is known here.
        let own_length = u32::try_from(vector.len()).ok();
        let checked = check_name(corpus)
            .and_then(|()| check_vector(&vector, own_length))
            .and_then(|()| filter.check())
            .and_then(|()| check_limit(limit, HITS_MAX));
        self.checked(checked)?;
        let index = &self.shared.ports.index;
        let hits = index.search_vector(&caller, corpus, vector, filter, limit).await;
        Ok(self.checked(hits)?.into_iter().map(values::hit).collect())
    }

    async fn with_words(
        &self,
        corpus: &str,
        text: &str,
        filter: store::Filter,
        limit: u32,
    ) -> Told<Vec<store::Hit>> {
        let caller = self.index_caller("search-words")?;
        let filter = values::filter(filter);
        let checked = check_name(corpus)
            .and_then(|()| filter.check())
            .and_then(|()| check_limit(limit, HITS_MAX))
            .and_then(|()| words_of(text));
        let words = self.checked(checked)?;
        let index = &self.shared.ports.index;
        let hits = index.search_words(&caller, corpus, words, filter, limit).await;
        Ok(self.checked(hits)?.into_iter().map(values::hit).collect())
    }
}

impl store::Host for View<'_> {
    async fn open(&mut self, name: String, settings: store::Settings) -> Answer<store::Corpus> {
        Ok(self.context.open_corpus(&name, settings).await)
    }

    async fn corpora(&mut self) -> Answer<Vec<store::Corpus>> {
        Ok(self.context.list_corpora().await)
    }

    async fn drop(&mut self, name: String) -> Answer<bool> {
        Ok(self.context.remove_corpus(&name).await)
    }

    async fn upsert(&mut self, corpus: String, document: store::Document) -> Answer<()> {
        let _held = self.context.record.charge_buffer(values::document_bytes(&document))?;
        Ok(self.context.put_document(&corpus, document).await)
    }

    async fn delete(&mut self, corpus: String, keys: Vec<String>) -> Answer<u32> {
        let _held = self.context.record.charge_buffer(values::texts_bytes(&keys))?;
        Ok(self.context.delete_documents(&corpus, keys).await)
    }

    async fn documents(
        &mut self,
        corpus: String,
        after: Option<String>,
        limit: u32,
    ) -> Answer<Vec<store::Entry>> {
        let answer = self.context.list_documents(&corpus, after, limit).await;
        let bytes = answer.iter().flatten().map(values::entry_bytes).sum();
        let _held = self.context.record.charge_buffer(bytes)?;
        Ok(answer)
    }

    async fn get(
        &mut self,
        corpus: String,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<store::Entry>>> {
        let mut held = self.context.record.charge_buffer(values::texts_bytes(&keys))?;
        let answer = self.context.get_documents(&corpus, keys).await;
        held.grow(answer.iter().flatten().flatten().map(values::entry_bytes).sum())?;
        Ok(answer)
    }

    async fn search_vector(
        &mut self,
        corpus: String,
        vector: Vec<f32>,
        filter: store::Filter,
        limit: u32,
    ) -> Answer<Vec<store::Hit>> {
        let mut held = self.context.record.charge_buffer(vector.len() as u64 * 4)?;
        let answer = self.context.nearest(&corpus, vector, filter, limit).await;
        held.grow(answer.iter().flatten().map(values::hit_bytes).sum())?;
        Ok(answer)
    }

    async fn search_words(
        &mut self,
        corpus: String,
        text: String,
        filter: store::Filter,
        limit: u32,
    ) -> Answer<Vec<store::Hit>> {
        let mut held = self.context.record.charge_buffer(text.len() as u64)?;
        let answer = self.context.with_words(&corpus, &text, filter, limit).await;
        held.grow(answer.iter().flatten().map(values::hit_bytes).sum())?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
