//! What is in the corpora, and removing it.

use std::collections::BTreeMap;

use crate::corpus::{self, Maker};
use crate::index::Entry;
use crate::keys;
use crate::poison;
use crate::ports::Index;
use crate::retrieval::{Corpus, Document, Error};
use crate::store;

/// Entries that the index answers at once, and keys that it deletes at once.
const PAGE: u32 = 1_024;
/// Files of a page when the caller names no limit.
const LIMIT: u32 = 100;
/// The most files of a page.
const LIMIT_MAX: u32 = 1_000;

/// The files of a corpus; see the contract.
///
/// # Errors
/// When there is no such corpus, or the index fails.
pub fn documents(
    index: &dyn Index,
    corpus: &str,
    path: Option<&str>,
    after: Option<&str>,
    limit: Option<u32>,
) -> Result<Vec<Document>, Error> {
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::Invalid(format!("the limit is 1 to {LIMIT_MAX}")));
    }
    corpus::existing(index, corpus)?;
    let root = path.map_or_else(|| Ok("/".to_owned()), keys::normal)?;
    let after = after.map(keys::normal).transpose()?;
    let mut documents: Vec<Document> = Vec::new();
    for entry in Entries::new(index, corpus, &root, after.as_deref()) {
        let entry = entry?;
        match keys::path_of(&entry.key) {
            Some((path, 0)) => {
                if documents.len() == limit as usize {
                    break;
                }
                documents.push(Document {
                    path: path.to_owned(),
                    kind: store::kind_of(&entry.attributes),
                    digest: entry.version,
                    passages: entry.passages,
                });
            }
            Some((path, _)) => {
                if let Some(last) = documents.last_mut().filter(|last| last.path == path) {
                    last.passages = last.passages.saturating_add(entry.passages);
                }
            }
            None => {}
        }
    }
    Ok(documents)
}

/// Removes files from a corpus; see the contract.
///
/// # Errors
/// When there is no such corpus, or the index fails.
pub fn delete(index: &dyn Index, corpus: &str, path: &str) -> Result<u32, Error> {
    corpus::existing(index, corpus)?;
    let known = known(index, corpus, &keys::normal(path)?)?;
    let files = known.keys().filter(|key| matches!(keys::path_of(key), Some((_, 0)))).count();
    let keys: Vec<_> = known.into_keys().collect();
    remove(index, corpus, &keys)?;
    Ok(u32::try_from(files).unwrap_or(u32::MAX))
}

/// Removes a corpus; see the contract.
///
/// # Errors
/// When the index fails.
pub fn delete_corpus(index: &dyn Index, corpus: &str) -> Result<bool, Error> {
    Ok(index.drop(corpus)?)
}

/// The corpora; see the contract.
///
/// # Errors
/// When the index fails.
pub fn corpora(index: &dyn Index) -> Result<Vec<Corpus>, Error> {
    let mut corpora = Vec::new();
    for corpus in index.corpora()? {
        let Some(maker) = Maker::read(&corpus.settings.maker) else { continue };
        let mut documents = 0_u32;
        for entry in Entries::new(index, &corpus.name, "/", None) {
            documents += u32::from(matches!(keys::path_of(&entry?.key), Some((_, 0))));
        }
        corpora.push(Corpus {
            name: corpus.name,
            model: maker.model,
            model_digest: maker.digest,
            documents,
            passages: corpus.passages,
            bytes: corpus.bytes,
        });
    }
    Ok(corpora)
}

/// All that a corpus has of the files at or below a path, the plugin's notes too: versions by key.
pub(crate) fn known(
    index: &dyn Index,
    corpus: &str,
    root: &str,
) -> Result<BTreeMap<String, String>, Error> {
    let mut known = BTreeMap::new();
    for start in [root.to_owned(), poison::key(root)] {
        for entry in Entries::new(index, corpus, &start, None) {
            let entry = entry?;
            known.insert(entry.key, entry.version);
        }
    }
    Ok(known)
}

/// Removes documents of the index, however many.
pub(crate) fn remove(index: &dyn Index, corpus: &str, keys: &[String]) -> Result<(), Error> {
    for keys in keys.chunks(PAGE as usize) {
        index.delete(corpus, keys)?;
    }
    Ok(())
}

/// The entries of the files at or below a path, page by page.
struct Entries<'a> {
    index: &'a dyn Index,
    corpus: &'a str,
    root: &'a str,
    after: Option<String>,
    page: std::vec::IntoIter<Entry>,
    ended: bool,
}

impl<'a> Entries<'a> {
    fn new(index: &'a dyn Index, corpus: &'a str, root: &'a str, after: Option<&str>) -> Self {
        // The root itself may be a document, so the first page begins before it.
        let before = root.get(..root.len().saturating_sub(1)).filter(|before| !before.is_empty());
        let after = after.or(before).map(str::to_owned);
        Self { index, corpus, root, after, page: Vec::new().into_iter(), ended: false }
    }

    fn next_page(&mut self) -> Result<(), Error> {
        let page = self.index.documents(self.corpus, self.after.as_deref(), PAGE)?;
        self.ended = page.len() < PAGE as usize;
        self.after = page.last().map(|last| last.key.clone());
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for entry in self.page.by_ref() {
                let path = keys::path_of(&entry.key).map_or(entry.key.as_str(), |(path, _)| path);
                if keys::is_within(path, self.root) {
                    return Some(Ok(entry));
                }
                if !path.starts_with(self.root) && path > self.root {
                    return None;
                }
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.next_page() {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }
}
