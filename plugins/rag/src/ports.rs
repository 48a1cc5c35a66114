//! What the plugin works with, as traits: the node in a component, stand-ins in tests.

use std::fmt;
use std::io;
use std::path::Path;

use crate::embedder::{self, Embeddings, Model};
use crate::index;
use crate::retrieval::Error;

/// Texts as vectors.
pub trait Embedder {
    /// What a model is.
    ///
    /// # Errors
    /// When there is none of that name, or the embedder is not there.
    fn describe(&self, model: &str) -> Result<Model, embedder::Error>;

    /// Tokens of each of 1 to 256 texts of together at most 4 MiB.
    ///
    /// # Errors
    /// When the model is not there or has no room.
    fn count_tokens(&self, texts: &[String], model: &str) -> Result<Vec<u32>, embedder::Error>;

    /// A vector for each of 1 to 256 texts of together at most 4 MiB.
    ///
    /// # Errors
    /// When the model is not there or has no room.
    fn embed(&self, texts: &[String], model: &str) -> Result<Embeddings, embedder::Error>;
}

/// Where passages are kept and searched; each function is that of `meshhost:index/store`.
#[allow(clippy::missing_errors_doc, reason = "they are the contract's")]
pub trait Index {
    /// Makes a corpus, or says how the one that is there is made.
    fn open(&self, name: &str, settings: &index::Settings) -> Result<index::Corpus, index::Error>;

    /// The corpora by name.
    fn corpora(&self) -> Result<Vec<index::Corpus>, index::Error>;

    /// Removes a corpus.
    fn drop(&self, name: &str) -> Result<bool, index::Error>;

    /// Puts a document in the place of the one with its key.
    fn upsert(&self, corpus: &str, document: &index::Document) -> Result<(), index::Error>;

    /// Removes documents, at most 1,024 at once.
    fn delete(&self, corpus: &str, keys: &[String]) -> Result<u32, index::Error>;

    /// Documents by key, at most 1,024 at once.
    fn documents(
        &self,
        corpus: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<index::Entry>, index::Error>;

    /// What the corpus has for keys.
    fn get(&self, corpus: &str, keys: &[String])
    -> Result<Vec<Option<index::Entry>>, index::Error>;

    /// The passages nearest to a vector, at most 256.
    fn search_vector(
        &self,
        corpus: &str,
        vector: &[f32],
        filter: &index::Filter,
        limit: u32,
    ) -> Result<Vec<index::Hit>, index::Error>;

    /// The passages that hold words, at most 256.
    fn search_words(
        &self,
        corpus: &str,
        text: &str,
        filter: &index::Filter,
        limit: u32,
    ) -> Result<Vec<index::Hit>, index::Error>;
}

/// Says how well passages answer a question.
pub trait Reranker {
    /// Ranks passages by a model; none means the reranker's usual one.
    ///
    /// # Errors
    /// When there is no reranker or it did not answer; the text says which.
    fn rerank(
        &self,
        question: &str,
        passages: &[&str],
        model: Option<&str>,
    ) -> Result<Ranking, String>;
}

/// What a reranker says.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The model's name.
    pub model: String,
    /// A number for each passage, in their order; more is better.
    pub scores: Vec<f64>,
}

/// What a name in a folder leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A folder, and no link to one.
    Folder,
    /// A regular file, and no link to one.
    File,
    /// Links and everything else.
    Other,
}

/// Files and folders.
pub trait Files {
    /// What a path leads to; a link counts as what it leads to.
    ///
    /// # Errors
    /// When it is not there or may not be looked at.
    fn look(&self, path: &Path) -> io::Result<Node>;

    /// At most `at_most` names of a folder, in no order; a name that is not Unicode is `None`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<(Option<String>, Node)>>;

    /// The first `at_most` bytes of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &Path, at_most: u64) -> io::Result<Vec<u8>>;
}

/// All of them.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    /// The embedder.
    pub embedder: &'a dyn Embedder,
    /// The index.
    pub index: &'a dyn Index,
    /// The reranker.
    pub reranker: &'a dyn Reranker,
    /// The files.
    pub files: &'a dyn Files,
}

impl fmt::Debug for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// One vector from the embedder for each text, checked: what comes from another plugin is foreign.
pub(crate) fn embedded(
    embedder: &dyn Embedder,
    texts: &[String],
    model: &str,
) -> Result<Embeddings, Error> {
    let embeddings = embedder.embed(texts, model)?;
    let dimensions = embeddings.model.dimensions;
    let fits = |vector: &Vec<f32>| u32::try_from(vector.len()) == Ok(dimensions);
    if embeddings.vectors.len() != texts.len() || !embeddings.vectors.iter().all(fits) {
        return Err(Error::Fault(format!(
            "the embedder answered {} texts with {} vectors, or with some of another length",
            texts.len(),
            embeddings.vectors.len()
        )));
    }
    Ok(embeddings)
}
