//! An index in memory: it compares with everything, and counts how often a word stands in a text.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use meshhost_core::index::{
    Corpus, Document, Entry, Filter, Hit, IndexCaller, IndexError, IndexErrorCode, Passage,
    SearchIndex, Settings,
};

type Corpora = BTreeMap<String, (Settings, BTreeMap<String, Document>)>;

/// The corpora of one plugin.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<Corpora>);

impl Documents {
    fn corpora(&self) -> MutexGuard<'_, Corpora> {
        self.0.lock().unwrap()
    }

    fn read<T>(
        &self,
        corpus: &str,
        read: impl FnOnce(&BTreeMap<String, Document>) -> T,
    ) -> Result<T, IndexError> {
        let corpora = self.corpora();
        let (_, documents) = corpora.get(corpus).ok_or_else(|| IndexError::no_corpus(corpus))?;
        Ok(read(documents))
    }

    fn hits(
        &self,
        corpus: &str,
        filter: &Filter,
        limit: u32,
        score: impl Fn(&Passage) -> Option<f64>,
    ) -> Result<Vec<Hit>, IndexError> {
        let mut hits = self.read(corpus, |documents| {
            let prefix = filter.key_prefix.as_deref().unwrap_or_default();
            let named = documents.values().filter(|one| one.key.starts_with(prefix));
            named.flat_map(|document| found(document, &score)).collect::<Vec<_>>()
        })?;
        hits.sort_by(|one, other| other.score.total_cmp(&one.score));
        hits.truncate(limit as usize);
        Ok(hits)
    }
}

fn found(document: &Document, score: &impl Fn(&Passage) -> Option<f64>) -> Vec<Hit> {
    let hit = |(place, passage): (usize, &Passage)| {
        Some(Hit {
            key: document.key.clone(),
            version: document.version.clone(),
            passage: u32::try_from(place).unwrap(),
            text: passage.text.clone(),
            document_attributes: document.attributes.clone(),
            attributes: passage.attributes.clone(),
            score: score(passage)?,
        })
    };
    document.passages.iter().enumerate().filter_map(hit).collect()
}

fn entry(document: &Document) -> Entry {
    Entry {
        key: document.key.clone(),
        version: document.version.clone(),
        attributes: document.attributes.clone(),
        passages: u32::try_from(document.passages.len()).unwrap(),
    }
}

fn corpus(name: &str, settings: &Settings, documents: &BTreeMap<String, Document>) -> Corpus {
    Corpus {
        name: name.to_owned(),
        settings: settings.clone(),
        documents: documents.len() as u64,
        passages: documents.values().map(|one| one.passages.len() as u64).sum(),
        bytes: documents.values().map(Document::charge).sum(),
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[async_trait]
impl SearchIndex for Documents {
    async fn open(
        &self,
        _: &IndexCaller,
        name: &str,
        settings: &Settings,
    ) -> Result<Corpus, IndexError> {
        let mut corpora = self.corpora();
        let made = corpora.entry(name.to_owned());
        let (settings, documents) = made.or_insert_with(|| (settings.clone(), BTreeMap::new()));
        Ok(corpus(name, settings, documents))
    }

    async fn corpora(&self, _: &IndexCaller) -> Result<Vec<Corpus>, IndexError> {
        let corpora = self.corpora();
        let shown =
            |(name, (settings, documents)): (&String, &(_, _))| corpus(name, settings, documents);
        Ok(corpora.iter().map(shown).collect())
    }

    async fn remove(&self, _: &IndexCaller, name: &str) -> Result<bool, IndexError> {
        Ok(self.corpora().remove(name).is_some())
    }

    async fn upsert(
        &self,
        caller: &IndexCaller,
        corpus: &str,
        document: Document,
    ) -> Result<(), IndexError> {
        let mut corpora = self.corpora();
        let (_, documents) =
            corpora.get_mut(corpus).ok_or_else(|| IndexError::no_corpus(corpus))?;
        if document.charge() > caller.quota_bytes {
            return Err(IndexError::new(IndexErrorCode::Quota, "the corpora are full"));
        }
        documents.insert(document.key.clone(), document);
        Ok(())
    }

    async fn delete(
        &self,
        _: &IndexCaller,
        corpus: &str,
        keys: Vec<String>,
    ) -> Result<u32, IndexError> {
        let mut corpora = self.corpora();
        let (_, documents) =
            corpora.get_mut(corpus).ok_or_else(|| IndexError::no_corpus(corpus))?;
        let there = keys.iter().filter(|key| documents.remove(*key).is_some()).count();
        Ok(u32::try_from(there).unwrap())
    }

    async fn documents(
        &self,
        _: &IndexCaller,
        corpus: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>, IndexError> {
        self.read(corpus, |documents| {
            let later = documents.values().filter(|one| after.is_none_or(|key| *one.key > *key));
            later.take(limit as usize).map(entry).collect()
        })
    }

    async fn get(
        &self,
        _: &IndexCaller,
        corpus: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Entry>>, IndexError> {
        self.read(corpus, |documents| {
            keys.iter().map(|key| documents.get(key).map(entry)).collect()
        })
    }

    async fn search_vector(
        &self,
        _: &IndexCaller,
        corpus: &str,
        vector: Vec<f32>,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        let score = |one: &Passage| one.vector.as_ref().map(|own| cosine(own, &vector));
        self.hits(corpus, &filter, limit, score)
    }

    async fn search_words(
        &self,
        _: &IndexCaller,
        corpus: &str,
        words: Vec<String>,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        let score = |one: &Passage| {
            let there = words.iter().filter(|word| one.text.contains(word.as_str())).count();
            (there > 0).then_some(there as f64)
        };
        self.hits(corpus, &filter, limit, score)
    }
}
