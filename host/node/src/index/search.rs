//! The passages nearest to a vector, and those that hold words.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use meshhost_core::index::{Filter, Hit, IndexError};

use super::{
    Inner,
    memory::{Place, Room, Shared},
    nearest::{Best, Scored},
    passages,
    rows::{Candidate, Needles, Rows, bytes_of},
    to_its_end,
    vector::Query,
};
use crate::store::index::{CorpusRow, PluginIndex};

/// Candidates that are compared exactly at once.
const BATCH: usize = 256;
/// Documents read at once.
const DOCUMENTS: u32 = 4_096;
/// Bytes of vectors read at once.
const PAGE_BYTES: u32 = 4 * 1024 * 1024;
/// How often a search begins again because passages that it found were replaced meanwhile.
const TRIES: usize = 3;

/// A search for what is nearest.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    query: Arc<Query>,
    needles: Arc<Needles>,
    count: usize,
}

impl Asked {
    pub(super) fn new(vector: &[f32], filter: &Filter, limit: u32) -> Self {
        Self {
            query: Arc::new(Query::new(vector)),
            needles: Arc::new(Needles::new(filter)),
            count: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }
}

/// Ends a scan that nobody waits for any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Inner {
    /// The passages nearest to a vector, best first.
    pub(super) async fn nearest(
        self: &Arc<Self>,
        plugin: &Arc<PluginIndex>,
        place: Place,
        corpus: &CorpusRow,
        asked: Asked,
    ) -> Result<Vec<Hit>, IndexError> {
        let mut hits = Vec::new();
        for _ in 0..TRIES {
            let (best, whole) = match self.rows(plugin, place.clone()).await? {
                Some(rows) => self.nearest_in(plugin, corpus.id, rows, &asked).await?,
                None => (self.nearest_stored(plugin, corpus, &asked).await?, true),
            };
            hits = plugin.hits(corpus.id, &best).await?;
            if whole && hits.len() == best.len() {
                break;
            }
        }
        Ok(hits)
    }

    /// The passages that hold one of the words, best first.
    pub(super) async fn with_words(
        &self,
        plugin: &PluginIndex,
        corpus: &CorpusRow,
        words: &[String],
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Hit>, IndexError> {
        let mut hits = Vec::new();
        for _ in 0..TRIES {
            let best = plugin.with_words(corpus.id, words, filter, limit).await?;
            hits = plugin.hits(corpus.id, &best).await?;
            if hits.len() == best.len() {
                break;
            }
        }
        Ok(hits)
    }

    /// The nearest of the rows in memory, compared exactly; and whether none was gone meanwhile.
    async fn nearest_in(
        &self,
        plugin: &PluginIndex,
        corpus: i64,
        rows: Shared,
        asked: &Asked,
    ) -> Result<(Vec<Scored>, bool), IndexError> {
        let candidates = self.candidates(rows, asked).await?;
        let (mut best, mut whole) = (Best::new(asked.count), true);
        for batch in candidates.chunks(BATCH) {
            // They are sorted by what they may reach: none after this reaches what is found.
            if batch.first().is_some_and(|next| f64::from(next.most) < best.floor()) {
                break;
            }
            let numbers: Vec<i64> = batch.iter().map(|one| one.passage).collect();
            let vectors = plugin.vectors_of(corpus, &numbers).await?;
            whole &= vectors.len() == batch.len();
            let query = Arc::clone(&asked.query);
            best = self.compute.run(move || compared(best, &vectors, &query)).await?;
        }
        Ok((best.into_sorted(), whole))
    }

    async fn candidates(&self, rows: Shared, asked: &Asked) -> Result<Vec<Candidate>, IndexError> {
        let stop = Arc::new(AtomicBool::new(false));
        let _waiting = Stop(Arc::clone(&stop));
        let (asked, rows) = (asked.clone(), rows.read_owned().await);
        let scan = self
            .compute
            .run(move || rows.candidates(&asked.query, &asked.needles, asked.count, &stop));
        scan.await
    }

    /// The nearest of a corpus that does not fit into memory: everything is read and compared.
    async fn nearest_stored(
        &self,
        plugin: &PluginIndex,
        corpus: &CorpusRow,
        asked: &Asked,
    ) -> Result<Vec<Scored>, IndexError> {
        let mut best = Best::new(asked.count);
        let (mut document, count) = (0, vectors_at_once(corpus));
        loop {
            let facts = plugin.facts_after(corpus.id, document, DOCUMENTS).await?;
            let Some((last, _)) = facts.last() else { break };
            let (after, until) = (document, *last);
            document = until;
            let facts: std::collections::HashMap<_, _> = facts.into_iter().collect();
            let facts = Arc::new(facts);
            let mut passage = passages::of_document(after).1;
            let end = passages::of_document(until).1;
            while passage < end {
                let vectors = plugin.vectors_after(corpus.id, passage, count).await?;
                passage = vectors.last().map_or(end, |last| last.passage);
                let (asked, facts) = (asked.clone(), Arc::clone(&facts));
                let work = move || {
                    for stored in vectors.iter().filter(|stored| stored.passage <= end) {
                        let facts = facts.get(&passages::document(stored.passage));
                        let passes = |facts| asked.needles.let_through(&stored.attributes, facts);
                        if facts.is_some_and(passes) {
                            let score = asked.query.cosine(&stored.vector);
                            best.offer(Scored { passage: stored.passage, score });
                        }
                    }
                    best
                };
                best = self.compute.run(work).await?;
            }
        }
        Ok(best.into_sorted())
    }

    /// The rows of a corpus, read when they are not in memory; `None` when they do not fit there.
    async fn rows(
        self: &Arc<Self>,
        plugin: &Arc<PluginIndex>,
        place: Place,
    ) -> Result<Option<Shared>, IndexError> {
        if let Some(rows) = self.memory.get(&place) {
            return Ok(Some(rows));
        }
        // Nothing changes while it is read, and only one reads.
        let changing = plugin.changing().await;
        let (inner, plugin) = (Arc::clone(self), Arc::clone(plugin));
        to_its_end(async move {
            let _changing = changing;
            if let Some(rows) = inner.memory.get(&place) {
                return Ok(Some(rows));
            }
            let Some(corpus) = plugin.by_number(place.1).await? else { return Ok(None) };
            let (documents, passages, facts) = corpus.counts();
            let dimensions = u64::from(corpus.dimensions().unwrap_or_default());
            let bytes = bytes_of(dimensions, passages, documents, facts);
            let Some(room) = inner.memory.room(bytes) else { return Ok(None) };
            inner.read(&plugin, &corpus, place, room).await.map(Some)
        })
        .await
    }

    async fn read(
        &self,
        plugin: &PluginIndex,
        corpus: &CorpusRow,
        place: Place,
        room: Room,
    ) -> Result<Shared, IndexError> {
        let dimensions = corpus.dimensions().unwrap_or_default();
        let mut rows = Rows::new(usize::try_from(dimensions).unwrap_or_default());
        let (mut document, mut passage) = (0, 0);
        loop {
            let facts = plugin.facts_after(corpus.id, document, DOCUMENTS).await?;
            let Some((last, _)) = facts.last() else { break };
            document = *last;
            facts.into_iter().for_each(|(number, facts)| rows.add_document(number, facts));
        }
        loop {
            let vectors = plugin.vectors_after(corpus.id, passage, vectors_at_once(corpus)).await?;
            let Some(last) = vectors.last() else { break };
            passage = last.passage;
            let work = move || {
                vectors.into_iter().for_each(|stored| rows.add(stored));
                rows
            };
            rows = self.compute.run(work).await?;
        }
        Ok(self.memory.keep(place, room, rows))
    }
}

/// Vectors that are read at once.
fn vectors_at_once(corpus: &CorpusRow) -> u32 {
    let bytes = corpus.dimensions().unwrap_or(1).saturating_mul(4).max(1);
    (PAGE_BYTES / bytes).clamp(16, 4_096)
}

fn compared(mut best: Best, vectors: &[(i64, Vec<u8>)], query: &Query) -> Best {
    for (passage, vector) in vectors {
        best.offer(Scored { passage: *passage, score: query.cosine(vector) });
    }
    best
}
