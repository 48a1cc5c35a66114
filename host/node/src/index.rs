//! The documents that plugins search in (`meshhost:index`): what is kept is in the store
//! ([`crate::store::index`]), what is compared with a vector is in memory, as small whole numbers.
//!
//! A search scans those numbers, each with a bound on what the rounding changed, and compares every
//! passage that may be among the nearest exactly with what the store has. So the answer is that of
//! comparing everything. A change is made in the store first and then in memory, by a task of its own:
//! whoever waits for it may go away. `host/decisions/0010-index.md` says why.

pub(crate) mod attributes;
mod compute;
mod dots;
mod memory;
mod nearest;
pub(crate) mod passages;
mod port;
mod rows;
mod search;
pub(crate) mod vector;

use std::sync::Arc;

use meshhost_core::{
    code::Code,
    id::PluginName,
    index::{Corpus, Document, IndexError, Settings, check_vector},
    outcome::Refusal,
};

use crate::store::{
    error::StoreError,
    index::{Indexes, PluginIndex, Prepared, PreparedPassage},
};
use compute::Compute;
use memory::{Memory, Place};
use rows::Rows;

pub(crate) use nearest::Scored;
pub(crate) use rows::{DocumentFacts, StoredVector};

/// The index of a node.
#[derive(Debug, Clone)]
pub struct Index {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Indexes,
    memory: Arc<Memory>,
    compute: Compute,
}

impl Index {
    /// An index over what is stored, with at most `memory_bytes` of vectors in memory.
    #[must_use]
    pub fn new(store: Indexes, memory_bytes: u64) -> Self {
        let (memory, compute) = (Memory::new(memory_bytes), Compute::default());
        Self { inner: Arc::new(Inner { store, memory, compute }) }
    }

    /// Bytes of the files of what a plugin has put here; 0 when it has nothing.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub fn stored_bytes(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.inner.store.bytes(plugin)
    }

    /// Deletes everything that a plugin has put here. What still works on it fails.
    ///
    /// # Errors
    /// When files cannot be deleted; then some may be gone.
    pub async fn remove_all(&self, plugin: &PluginName) -> Result<(), Refusal> {
        let (inner, plugin) = (Arc::clone(&self.inner), plugin.clone());
        // To its end, whether or not anybody waits: half of it would leave an index that only fails.
        let removal = tokio::spawn(async move {
            // A new database begins with the same numbers: nothing of this one may stay in memory.
            inner.store.remove(&plugin, || inner.memory.forget_all(&plugin)).await
        });
        let lost = |_| Refusal::new(Code::HostFault, "the deletion of an index broke off");
        removal.await.map_err(lost)?
    }
}

/// Runs a change to its end, whether or not anybody waits for it.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, IndexError>> + Send + 'static,
) -> Result<T, IndexError> {
    tokio::spawn(change).await.unwrap_or_else(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a change of the index broke off"
        );
        Err(IndexError::fault())
    })
}

impl Inner {
    async fn open(
        &self,
        plugin: Arc<PluginIndex>,
        name: &str,
        settings: &Settings,
    ) -> Result<Corpus, IndexError> {
        if let Some(found) = plugin.find(name).await? {
            return Ok(found.shown());
        }
        let changing = plugin.changing().await;
        let (name, settings) = (name.to_owned(), settings.clone());
        let made = to_its_end(async move {
            let _changing = changing;
            plugin.open_corpus(&name, &settings).await
        });
        Ok(made.await?.shown())
    }

    async fn remove(
        self: Arc<Self>,
        place: impl FnOnce(i64) -> Place + Send + 'static,
        plugin: Arc<PluginIndex>,
        name: String,
    ) -> Result<bool, IndexError> {
        let changing = plugin.changing().await;
        to_its_end(async move {
            let _changing = changing;
            let removed = plugin.remove_corpus(&name).await?;
            if let Some(corpus) = removed {
                self.memory.forget(&place(corpus));
            }
            Ok(removed.is_some())
        })
        .await
    }

    /// Puts a document, in the store and, where the corpus is there, in memory.
    async fn upsert(
        self: Arc<Self>,
        place: impl FnOnce(i64) -> Place + Send + 'static,
        plugin: Arc<PluginIndex>,
        name: String,
        document: Document,
        quota_bytes: u64,
    ) -> Result<(), IndexError> {
        let changing = plugin.changing().await;
        to_its_end(async move {
            let _changing = changing;
            let corpus = plugin.find(&name).await?.ok_or_else(|| IndexError::no_corpus(&name))?;
            let dimensions = corpus.dimensions();
            let prepared = self.compute.run(move || prepare(document, dimensions)).await??;
            let place = place(corpus.id);
            let put = plugin.put(corpus.id, &prepared, quota_bytes).await?;
            self.change_rows(place, move |rows| {
                if let Some(replaced) = put.replaced {
                    rows.remove_document(replaced);
                }
                add(rows, put.document, prepared);
            })
            .await
        })
        .await
    }

    async fn delete(
        self: Arc<Self>,
        place: impl FnOnce(i64) -> Place + Send + 'static,
        plugin: Arc<PluginIndex>,
        name: String,
        keys: Vec<String>,
    ) -> Result<u32, IndexError> {
        let changing = plugin.changing().await;
        to_its_end(async move {
            let _changing = changing;
            let corpus = plugin.find(&name).await?.ok_or_else(|| IndexError::no_corpus(&name))?;
            let deleted = plugin.delete(corpus.id, &keys).await?;
            let count = u32::try_from(deleted.len()).unwrap_or(u32::MAX);
            self.change_rows(place(corpus.id), move |rows| {
                deleted.into_iter().for_each(|document| rows.remove_document(document));
            })
            .await?;
            Ok(count)
        })
        .await
    }

    /// Changes the rows of a corpus as the store was changed, when they are in memory. Where that
    /// fails they are forgotten, and read anew when they are needed.
    async fn change_rows(
        &self,
        place: Place,
        change: impl FnOnce(&mut Rows) + Send + 'static,
    ) -> Result<(), IndexError> {
        let Some(shared) = self.memory.get(&place) else { return Ok(()) };
        let mut rows = shared.write_owned().await;
        let changed = self.compute.run(move || {
            change(&mut rows);
            (rows.bytes(), rows.is_worn())
        });
        match changed.await {
            Ok((bytes, false)) => self.memory.resized(&place, bytes),
            Ok((_, true)) | Err(_) => self.memory.forget(&place),
        }
        Ok(())
    }
}

/// A document as the store writes it.
fn prepare(document: Document, dimensions: Option<u32>) -> Result<Prepared, IndexError> {
    let charge = document.charge();
    let passages = document.passages.into_iter().map(|passage| {
        if let Some(vector) = &passage.vector {
            check_vector(vector, dimensions)?;
        }
        Ok(PreparedPassage {
            text: passage.text,
            attributes: attributes::written(&passage.attributes),
            vector: passage.vector.as_deref().map(vector::normalised),
        })
    });
    Ok(Prepared {
        key: document.key,
        version: document.version,
        attributes: attributes::written(&document.attributes),
        passages: passages.collect::<Result<_, IndexError>>()?,
        charge,
    })
}

/// Adds a document that was put to the rows.
fn add(rows: &mut Rows, number: i64, document: Prepared) {
    let (key, attributes) = (document.key.into(), document.attributes.into());
    rows.add_document(number, DocumentFacts { key, attributes });
    for (place, passage) in (0..).zip(document.passages) {
        if let Some(vector) = passage.vector {
            rows.add(StoredVector {
                passage: passages::number(number, place),
                attributes: passage.attributes.into(),
                vector,
            });
        }
    }
}

#[cfg(test)]
mod tests;
