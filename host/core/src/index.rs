//! What passes between components and the node's index of documents: corpora, documents, filters,
//! hits, what went wrong, and the port through which the runtime reaches the index.
//!
//! The bounds of `wit/index/0.1.0` stand here with the checks that hold them ([`check_name`],
//! [`Document::check`] and so on): whoever takes something from a guest calls them first. What
//! depends on the corpus, such as the length of its vectors, is checked where the corpus is known.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{diagnostic::printable, id::PluginName};

mod check;
mod words;

pub use check::{check_keys, check_limit, check_name, check_vector};
pub use words::words_of;

/// Corpora of one plugin.
pub const CORPORA_MAX: usize = 256;
/// Longest name of a corpus in bytes.
pub const CORPUS_NAME_BYTES_MAX: usize = 64;
/// Numbers in a vector.
pub const DIMENSIONS_MAX: u32 = 4_096;
/// Longest word about what made the vectors, in bytes.
pub const MAKER_BYTES_MAX: usize = 256;
/// Longest key of a document in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Longest version of a document in bytes.
pub const VERSION_BYTES_MAX: usize = 128;
/// Attributes of one document or passage.
pub const ATTRIBUTES_MAX: usize = 16;
/// Longest name of an attribute in bytes.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 64;
/// Longest value of an attribute in bytes.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1_024;
/// Passages of one document.
pub const PASSAGES_MAX: usize = 1_024;
/// Longest text of a passage in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one document, four for a number.
pub const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Keys in one request, and documents in one listing.
pub const KEYS_MAX: usize = 1_024;
/// Attributes in a filter.
pub const FILTER_ATTRIBUTES_MAX: usize = 8;
/// Hits of one search.
pub const HITS_MAX: u32 = 256;
/// Longest text to search words of, in bytes.
pub const QUERY_BYTES_MAX: usize = 4 * 1024;
/// Different words in one search.
pub const WORDS_MAX: usize = 64;
/// Bytes of texts, keys and attributes in one answer.
pub const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes that each document and each passage counts for beyond its own, so that many small ones
/// are not free.
pub const ROW_CHARGE: u64 = 64;

/// The kinds of [`IndexError`], as the WIT interface names them. That something is not granted is
/// said by the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexErrorCode {
    /// No corpus of that name.
    NotFound,
    /// A name, a vector, a filter or a number is wrong.
    Invalid,
    /// More passages, longer texts or more hits than are taken at once.
    TooLarge,
    /// The plugin's corpora would have more bytes than were granted.
    Quota,
    /// The store failed; the node's log says how.
    Fault,
}

/// Why the index refused. The message is bounded and names no path of the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IndexError {
    /// The kind.
    pub code: IndexErrorCode,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl IndexError {
    /// Longest message that is kept, in characters: it may repeat words of a guest.
    const MESSAGE_CHARS_MAX: usize = 512;

    /// An error with a message that is cut to its bound and made printable.
    #[must_use]
    pub fn new(code: IndexErrorCode, message: &str) -> Self {
        let message: String = message.chars().take(Self::MESSAGE_CHARS_MAX).collect();
        Self { code, message: printable(&message) }
    }

    /// The error of a failed store.
    #[must_use]
    pub fn fault() -> Self {
        Self::new(IndexErrorCode::Fault, "the index failed; the node's log says how")
    }

    /// The error for a corpus that is not there.
    #[must_use]
    pub fn no_corpus(name: &str) -> Self {
        let message = format!("this plugin has no corpus `{name}`; open it first");
        Self::new(IndexErrorCode::NotFound, &message)
    }
}

/// What a corpus is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Numbers in each vector; `None` means that passages have no vectors.
    pub dimensions: Option<u32>,
    /// What made the vectors, in the caller's own words.
    pub maker: String,
}

/// A corpus, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// Its name.
    pub name: String,
    /// What it is made for.
    pub settings: Settings,
    /// Documents in it.
    pub documents: u64,
    /// Passages in it.
    pub passages: u64,
    /// Bytes that it counts for: see [`Document::charge`].
    pub bytes: u64,
}

/// A word about a document or a passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// What it says.
    pub text: String,
    /// Its vector, as given.
    pub vector: Option<Vec<f32>>,
    /// Words about it.
    pub attributes: Vec<Attribute>,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it is called in its corpus.
    pub key: String,
    /// Which state of the document this is.
    pub version: String,
    /// Words about it.
    pub attributes: Vec<Attribute>,
    /// Its passages, in order.
    pub passages: Vec<Passage>,
}

/// What a corpus says of a document without its passages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is called.
    pub key: String,
    /// Which state of it this is.
    pub version: String,
    /// Words about it.
    pub attributes: Vec<Attribute>,
    /// Passages that it has.
    pub passages: u32,
}

/// Which passages are looked at: those for which everything said here is true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The document's key begins with this.
    pub key_prefix: Option<String>,
    /// The document or the passage has each of these.
    pub attributes: Vec<Attribute>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its document's key.
    pub key: String,
    /// Its document's version.
    pub version: String,
    /// Its place among the document's passages, from 0.
    pub passage: u32,
    /// What it says.
    pub text: String,
    /// Words about its document.
    pub document_attributes: Vec<Attribute>,
    /// Words about it.
    pub attributes: Vec<Attribute>,
    /// More is better: the cosine, or BM25's number.
    pub score: f64,
}

/// Bytes of attributes: their names and values.
#[must_use]
pub fn attribute_bytes(attributes: &[Attribute]) -> u64 {
    attributes
        .iter()
        .map(|one| (one.name.len() as u64).saturating_add(one.value.len() as u64))
        .sum()
}

impl Document {
    /// Bytes of it: key, version, attributes, texts and vectors, four for a number.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let passages = self.passages.iter().map(|passage| {
            let vector = passage.vector.as_ref().map_or(0, |vector| vector.len() as u64 * 4);
            passage.text.len() as u64 + vector + attribute_bytes(&passage.attributes)
        });
        let own = self.key.len() as u64 + self.version.len() as u64;
        own + attribute_bytes(&self.attributes) + passages.sum::<u64>()
    }

    /// Bytes that it counts for against the quota: its own, and [`ROW_CHARGE`] for it and for each
    /// of its passages.
    #[must_use]
    pub fn charge(&self) -> u64 {
        self.bytes().saturating_add(ROW_CHARGE * (1 + self.passages.len() as u64))
    }
}

impl Entry {
    /// Bytes of it in an answer.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.version.len()) as u64 + attribute_bytes(&self.attributes)
    }
}

impl Hit {
    /// Bytes of it in an answer.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.version.len() + self.text.len()) as u64
            + attribute_bytes(&self.document_attributes)
            + attribute_bytes(&self.attributes)
    }
}

/// On whose behalf the index is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexCaller {
    /// The plugin. It reaches no other one's corpora.
    pub plugin: PluginName,
    /// Bytes that its corpora may count for together.
    pub quota_bytes: u64,
}

/// The index, as the runtime reaches it. Arguments were checked with the functions of this module.
/// Dropping a future ends the waiting: a change that has begun still happens whole or not at all.
#[async_trait]
pub trait SearchIndex: Send + Sync + Debug {
    /// Makes a corpus that is not there; one that is there stays as it is.
    async fn open(
        &self,
        caller: &IndexCaller,
        name: &str,
        settings: &Settings,
    ) -> Result<Corpus, IndexError>;

    /// The caller's corpora by name.
    async fn corpora(&self, caller: &IndexCaller) -> Result<Vec<Corpus>, IndexError>;

    /// Removes a corpus with all it holds; false when there was none.
    async fn remove(&self, caller: &IndexCaller, name: &str) -> Result<bool, IndexError>;

    /// Puts a document in the place of the one with the same key.
    async fn upsert(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        document: Document,
    ) -> Result<(), IndexError>;

    /// Removes documents and says how many there were.
    async fn delete(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        keys: Vec<String>,
    ) -> Result<u32, IndexError>;

    /// Up to `limit` documents after the key `after`, ordered by key.
    async fn documents(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>, IndexError>;

    /// What the corpus has for each key, in their order.
    async fn get(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Entry>>, IndexError>;

    /// Up to `limit` passages with the greatest cosine, best first.
    async fn search_vector(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        vector: Vec<f32>,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError>;

    /// Up to `limit` passages that hold one of `words` (see [`words_of`]), best first.
    async fn search_words(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        words: Vec<String>,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError>;
}

#[cfg(test)]
mod tests;
