//! What the plugin works with, for tests: it keeps to the contracts and refuses what they refuse.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::{fs, io};

use meshhost_rag::embedder::{self, Embeddings, Model};
use meshhost_rag::index::{
    Corpus, Document, Entry, Error, ErrorCode, Filter, Hit, Passage, Settings,
};
use meshhost_rag::ports::{Embedder, Files, Index, Node, Ports, Ranking, Reranker};

/// Numbers in a vector.
const DIMENSIONS: usize = 256;

/// All stand-ins.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) embedder: Words,
    pub(crate) index: Memory,
    pub(crate) reranker: Longest,
    pub(crate) files: Disk,
}

impl World {
    pub(crate) fn ports(&self) -> Ports<'_> {
        Ports {
            embedder: &self.embedder,
            index: &self.index,
            reranker: &self.reranker,
            files: &self.files,
        }
    }
}

/// Embeds texts by their words, each hashed to a place in the vector.
pub(crate) struct Words {
    pub(crate) digest: RefCell<String>,
    /// Texts that were embedded.
    pub(crate) embedded: Cell<usize>,
    /// Calls of the model that are answered before it has too much to do.
    pub(crate) calls: Cell<usize>,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            digest: RefCell::new(format!("blake3:{}", "1".repeat(64))),
            embedded: Cell::new(0),
            calls: Cell::new(usize::MAX),
        }
    }
}

impl Words {
    fn model(&self, name: &str) -> Result<Model, embedder::Error> {
        if name != "minilm" {
            return Err(embedder::Error::NoModel(format!("no model {name:?}")));
        }
        Ok(Model {
            name: name.to_owned(),
            digest: self.digest.borrow().clone(),
            dimensions: DIMENSIONS as u32,
            tokens_max: 64,
        })
    }

    fn check(&self, texts: &[String]) -> Result<(), embedder::Error> {
        let bytes: usize = texts.iter().map(String::len).sum();
        if texts.is_empty() || texts.len() > 256 || bytes > 4 * 1024 * 1024 {
            return Err(embedder::Error::TooLarge(format!("{} texts", texts.len())));
        }
        let left = self.calls.get();
        self.calls.set(left.saturating_sub(1));
        if left == 0 { Err(embedder::Error::Busy("later".to_owned())) } else { Ok(()) }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// As the model of [`Words`] counts: a token for each eight bytes of a word, and a mark at each end.
pub(crate) fn tokens(text: &str) -> u32 {
    let words = text.split_whitespace().map(|word| word.len().div_ceil(8));
    u32::try_from(words.sum::<usize>()).unwrap() + 2
}

impl Embedder for Words {
    fn describe(&self, model: &str) -> Result<Model, embedder::Error> {
        self.model(model)
    }

    fn count_tokens(&self, texts: &[String], model: &str) -> Result<Vec<u32>, embedder::Error> {
        self.model(model)?;
        self.check(texts)?;
        Ok(texts.iter().map(|text| tokens(text)).collect())
    }

    fn embed(&self, texts: &[String], model: &str) -> Result<Embeddings, embedder::Error> {
        let model = self.model(model)?;
        self.check(texts)?;
        self.embedded.set(self.embedded.get() + texts.len());
        for text in texts {
            assert!(tokens(text) <= model.tokens_max, "cut off: {text:?}");
        }
        Ok(Embeddings { model, vectors: texts.iter().map(|text| vector(text)).collect() })
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    vector[0] = 0.01;
    for word in words(text) {
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        vector[hasher.finish() as usize % DIMENSIONS] += 1.0;
    }
    vector
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

/// Documents by key.
type Documents = BTreeMap<String, Document>;

/// An index in memory.
#[derive(Default)]
pub(crate) struct Memory {
    corpora: RefCell<BTreeMap<String, (Settings, Documents)>>,
}

fn refused<T>(code: ErrorCode, message: &str) -> Result<T, Error> {
    Err(Error { code, message: message.to_owned() })
}

impl Memory {
    /// Keys and versions of everything in a corpus.
    pub(crate) fn keys(&self, corpus: &str) -> Vec<(String, String)> {
        let corpora = self.corpora.borrow();
        let Some((_, documents)) = corpora.get(corpus) else { return vec![] };
        documents.values().map(|one| (one.key.clone(), one.version.clone())).collect()
    }

    /// Changes the settings of a corpus.
    pub(crate) fn settle(&self, corpus: &str, maker: &str) {
        self.corpora.borrow_mut().get_mut(corpus).unwrap().0.maker = maker.to_owned();
    }

    /// All passages of the documents whose keys begin with `prefix`, in order.
    pub(crate) fn passages(&self, corpus: &str, prefix: &str) -> Vec<Passage> {
        let corpora = self.corpora.borrow();
        let documents = corpora[corpus].1.values().filter(|one| one.key.starts_with(prefix));
        documents.flat_map(|one| one.passages.clone()).collect()
    }

    fn with<T>(
        &self,
        corpus: &str,
        act: impl FnOnce(&mut Documents) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.corpora.borrow_mut().get_mut(corpus) {
            Some((_, documents)) => act(documents),
            None => refused(ErrorCode::NotFound, "no such corpus"),
        }
    }

    fn search(
        &self,
        corpus: &str,
        filter: &Filter,
        limit: u32,
        score: impl Fn(&Passage) -> Option<f64>,
    ) -> Result<Vec<Hit>, Error> {
        assert!((1..=256).contains(&limit));
        self.with(corpus, |documents| {
            let mut hits = Vec::new();
            for document in documents.values() {
                if filter
                    .key_prefix
                    .as_ref()
                    .is_some_and(|prefix| !document.key.starts_with(prefix))
                {
                    continue;
                }
                for (number, passage) in (0..).zip(&document.passages) {
                    let has = |wanted| {
                        document.attributes.contains(wanted) || passage.attributes.contains(wanted)
                    };
                    let Some(score) = score(passage).filter(|_| filter.attributes.iter().all(has))
                    else {
                        continue;
                    };
                    hits.push(Hit {
                        key: document.key.clone(),
                        version: document.version.clone(),
                        passage: number,
                        text: passage.text.clone(),
                        document_attributes: document.attributes.clone(),
                        attributes: passage.attributes.clone(),
                        score,
                    });
                }
            }
            hits.sort_by(|a, b| b.score.total_cmp(&a.score));
            hits.truncate(limit as usize);
            Ok(hits)
        })
    }
}

fn entry(document: &Document) -> Entry {
    Entry {
        key: document.key.clone(),
        version: document.version.clone(),
        attributes: document.attributes.clone(),
        passages: u32::try_from(document.passages.len()).unwrap(),
    }
}

impl Index for Memory {
    fn open(&self, name: &str, settings: &Settings) -> Result<Corpus, Error> {
        if settings.maker.len() > 256 || name.is_empty() || name.contains(' ') {
            return refused(ErrorCode::Invalid, "a wrong name or maker");
        }
        let made = || (settings.clone(), BTreeMap::new());
        self.corpora.borrow_mut().entry(name.to_owned()).or_insert_with(made);
        let corpora = Index::corpora(self)?;
        Ok(corpora.into_iter().find(|corpus| corpus.name == name).unwrap())
    }

    fn corpora(&self) -> Result<Vec<Corpus>, Error> {
        let corpora = self.corpora.borrow();
        let corpus =
            |(name, (settings, documents)): (&String, &(Settings, BTreeMap<_, Document>))| Corpus {
                name: name.clone(),
                settings: settings.clone(),
                documents: documents.len() as u64,
                passages: documents.values().map(|one| one.passages.len() as u64).sum(),
                bytes: 0,
            };
        Ok(corpora.iter().map(corpus).collect())
    }

    fn drop(&self, name: &str) -> Result<bool, Error> {
        Ok(self.corpora.borrow_mut().remove(name).is_some())
    }

    fn upsert(&self, corpus: &str, document: &Document) -> Result<(), Error> {
        check(document);
        self.with(corpus, |documents| {
            documents.insert(document.key.clone(), document.clone());
            Ok(())
        })
    }

    fn delete(&self, corpus: &str, keys: &[String]) -> Result<u32, Error> {
        assert!(keys.len() <= 1_024);
        self.with(corpus, |documents| {
            Ok(keys.iter().map(|key| u32::from(documents.remove(key).is_some())).sum())
        })
    }

    fn documents(
        &self,
        corpus: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>, Error> {
        assert!((1..=1_024).contains(&limit));
        self.with(corpus, |documents| {
            let later =
                documents.values().filter(|one| after.is_none_or(|after| one.key.as_str() > after));
            Ok(later.take(limit as usize).map(entry).collect())
        })
    }

    fn get(&self, corpus: &str, keys: &[String]) -> Result<Vec<Option<Entry>>, Error> {
        self.with(corpus, |documents| {
            Ok(keys.iter().map(|key| documents.get(key).map(entry)).collect())
        })
    }

    fn search_vector(
        &self,
        corpus: &str,
        vector: &[f32],
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, Error> {
        self.search(corpus, filter, limit, |passage| {
            passage.vector.as_ref().map(|own| cosine(own, vector))
        })
    }

    fn search_words(
        &self,
        corpus: &str,
        text: &str,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, Error> {
        let wanted: HashSet<_> = words(text).collect();
        assert!(text.len() <= 4_096 && (1..=64).contains(&wanted.len()));
        self.search(corpus, filter, limit, |passage| {
            let held: HashSet<_> = words(&passage.text).collect();
            // Longer words are rarer, and say more.
            let score: usize = wanted.intersection(&held).map(String::len).sum();
            (score > 0).then_some(score as f64)
        })
    }
}

/// What the contract says of a document.
fn check(document: &Document) {
    assert!((1..=1_024).contains(&document.key.len()) && document.version.len() <= 128);
    assert!(document.passages.len() <= 1_024);
    let mut bytes = 0;
    for passage in &document.passages {
        assert!(passage.text.len() <= 64 * 1024 && passage.attributes.len() <= 16);
        for attribute in &passage.attributes {
            assert!(attribute.name.len() <= 64 && attribute.value.len() <= 1_024);
            bytes += attribute.value.len();
        }
        let vector = passage.vector.as_ref().unwrap();
        assert!(vector.len() == DIMENSIONS && vector.iter().any(|value| *value != 0.0));
        bytes += passage.text.len() + 4 * DIMENSIONS;
    }
    assert!(bytes <= 8 * 1024 * 1024);
}

/// Prefers longer passages; not there unless it is said to be.
#[derive(Default)]
pub(crate) struct Longest {
    pub(crate) is_there: Cell<bool>,
}

impl Reranker for Longest {
    fn rerank(
        &self,
        _question: &str,
        passages: &[&str],
        model: Option<&str>,
    ) -> Result<Ranking, String> {
        if !self.is_there.get() {
            return Err("rerank.rerank: it may not be called, or is not there".to_owned());
        }
        let scores = passages.iter().map(|passage| passage.len() as f64).collect();
        Ok(Ranking { model: model.unwrap_or("longest").to_owned(), scores })
    }
}

/// Real files, some of which cannot be read.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) broken: RefCell<Vec<String>>,
}

impl Disk {
    fn check(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_str().unwrap();
        if self.broken.borrow().iter().any(|broken| broken == name) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }
}

impl Files for Disk {
    fn look(&self, path: &Path) -> io::Result<Node> {
        Ok(if fs::metadata(path)?.is_dir() { Node::Folder } else { Node::File })
    }

    fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<(Option<String>, Node)>> {
        self.check(folder)?;
        let name = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let node = if entry.file_type()?.is_dir() { Node::Folder } else { Node::File };
            Ok((entry.file_name().into_string().ok(), node))
        };
        fs::read_dir(folder)?.take(at_most).map(name).collect()
    }

    fn read(&self, path: &Path, at_most: u64) -> io::Result<Vec<u8>> {
        self.check(path)?;
        let mut bytes = fs::read(path)?;
        bytes.truncate(at_most as usize);
        Ok(bytes)
    }
}
