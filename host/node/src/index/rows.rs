//! The vectors of one corpus in memory: small whole numbers in blocks, with what a filter asks about.
//!
//! Rows stand in the order of their passages' numbers and are never moved: a document that goes leaves
//! dead rows behind, and one that comes has later numbers than all before.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use meshhost_core::index::Filter;
use rayon::prelude::*;

use super::{
    attributes,
    dots::dots,
    nearest::{Best, Scored},
    passages,
    vector::{Query, numbers, shrink},
};

/// Rows of one block: what one thread scans in one piece.
const BLOCK_ROWS: usize = 2_048;
/// Bytes of a row beyond its numbers: its passage, scale, error and attributes.
const ROW_BYTES: u64 = 33;
/// Bytes of a document beyond its key and attributes.
const DOCUMENT_BYTES: u64 = 96;

/// What a filter asks about a document.
#[derive(Debug, PartialEq)]
pub(crate) struct DocumentFacts {
    pub(crate) key: Box<str>,
    /// As [`attributes::written`].
    pub(crate) attributes: Box<[u8]>,
}

/// A passage's vector as it is kept.
#[derive(Debug)]
pub(crate) struct StoredVector {
    /// The passage's number.
    pub(crate) passage: i64,
    /// As [`attributes::written`].
    pub(crate) attributes: Box<[u8]>,
    /// As [`super::vector::normalised`].
    pub(crate) vector: Vec<u8>,
}

/// A row that may be among the nearest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) passage: i64,
    /// Its cosine is not above this.
    pub(super) most: f32,
}

/// The vectors of a corpus.
#[derive(Debug, Default)]
pub(super) struct Rows {
    dimensions: usize,
    blocks: Vec<Block>,
    documents: HashMap<i64, DocumentFacts>,
    rows: u64,
    dead: u64,
    fact_bytes: u64,
}

#[derive(Debug, Default)]
struct Block {
    passages: Vec<i64>,
    alive: Vec<bool>,
    values: Vec<i8>,
    scales: Vec<f32>,
    errors: Vec<f32>,
    attributes: Vec<Box<[u8]>>,
}

/// Bytes that a corpus takes in memory, with `facts` bytes of keys and attributes.
pub(super) const fn bytes_of(dimensions: u64, rows: u64, documents: u64, facts: u64) -> u64 {
    let rows = rows.saturating_mul(dimensions.saturating_add(ROW_BYTES));
    rows.saturating_add(documents.saturating_mul(DOCUMENT_BYTES)).saturating_add(facts)
}

impl Rows {
    /// No rows yet, of so many numbers each.
    pub(super) fn new(dimensions: usize) -> Self {
        Self { dimensions, ..Self::default() }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let documents = self.documents.len() as u64;
        bytes_of(self.dimensions as u64, self.rows, documents, self.fact_bytes)
    }

    /// Whether most of what it holds is dead: then it had better be read anew.
    pub(super) const fn is_worn(&self) -> bool {
        self.dead > BLOCK_ROWS as u64 && self.dead > self.rows / 2
    }

    /// Adds a document, before its vectors.
    pub(super) fn add_document(&mut self, document: i64, facts: DocumentFacts) {
        self.fact_bytes += (facts.key.len() + facts.attributes.len()) as u64;
        self.documents.insert(document, facts);
    }

    /// Adds a vector of a passage that comes after all before; any other is left out.
    pub(super) fn add(&mut self, stored: StoredVector) {
        let last = self.blocks.last().and_then(|block| block.passages.last());
        let later = last.is_none_or(|last| *last < stored.passage);
        if !later || stored.vector.len() != self.dimensions * 4 {
            return;
        }
        if self.blocks.last().is_none_or(|block| block.passages.len() >= BLOCK_ROWS) {
            self.blocks.push(Block::default());
        }
        self.rows += 1;
        self.fact_bytes += stored.attributes.len() as u64;
        if let Some(block) = self.blocks.last_mut() {
            block.add(stored);
        }
    }

    /// Takes a document with its vectors away.
    pub(super) fn remove_document(&mut self, document: i64) {
        let Some(facts) = self.documents.remove(&document) else { return };
        self.fact_bytes =
            self.fact_bytes.saturating_sub((facts.key.len() + facts.attributes.len()) as u64);
        let (first, last) = passages::of_document(document);
        let begin = self.blocks.partition_point(|block| block.passages.last() < Some(&first));
        for block in self.blocks.iter_mut().skip(begin) {
            if block.passages.first().is_none_or(|passage| *passage > last) {
                break;
            }
            self.dead += block.remove(first, last);
        }
    }

    /// Every row that may be among the `count` nearest of those that the filter lets through, what
    /// may be nearest first. Looks at every row, on several threads; ends early, with less, when
    /// `stop` is set.
    pub(super) fn candidates(
        &self,
        query: &Query,
        filter: &Needles,
        count: usize,
        stop: &AtomicBool,
    ) -> Vec<Candidate> {
        let scanned: Vec<Scanned> = self
            .blocks
            .par_iter()
            .map(|block| {
                if stop.load(Ordering::Relaxed) {
                    return Scanned { floors: Best::new(1), candidates: Vec::new() };
                }
                block.scan(query, filter, count, &self.documents)
            })
            .collect();
        let mut floors = Best::new(count);
        scanned.iter().flat_map(|one| one.floors.iter()).for_each(|floor| floors.offer(floor));
        let floor = floors.floor();
        let all = scanned.into_iter().flat_map(|one| one.candidates);
        let mut candidates: Vec<_> = all.filter(|one| f64::from(one.most) >= floor).collect();
        candidates.sort_by(|one, other| other.most.total_cmp(&one.most));
        candidates
    }
}

/// What one block has.
struct Scanned {
    /// What the best rows reach at least.
    floors: Best,
    candidates: Vec<Candidate>,
}

impl Block {
    fn add(&mut self, stored: StoredVector) {
        let small = shrink(numbers(&stored.vector), &mut self.values);
        self.passages.push(stored.passage);
        self.alive.push(true);
        self.scales.push(small.scale);
        self.errors.push(small.error);
        self.attributes.push(stored.attributes);
    }

    /// Says how many rows died.
    fn remove(&mut self, first: i64, last: i64) -> u64 {
        let mut died = 0;
        for (passage, alive) in self.passages.iter().zip(&mut self.alive) {
            if *alive && (first..=last).contains(passage) {
                *alive = false;
                died += 1;
            }
        }
        died
    }

    fn scan(
        &self,
        query: &Query,
        filter: &Needles,
        count: usize,
        documents: &HashMap<i64, DocumentFacts>,
    ) -> Scanned {
        let mut products = Vec::with_capacity(self.passages.len());
        dots(&query.whole, &self.values, &mut products);
        let mut floors = Best::new(count);
        let mut candidates: Vec<Candidate> = Vec::new();
        let rows = products.iter().zip(&self.scales).zip(&self.errors);
        let rows = rows.zip(&self.passages).zip(&self.alive).zip(&self.attributes);
        let mut document = Judged::default();
        for (((((product, scale), error), passage), alive), attributes) in rows {
            let (least, most) = query.bounds(*product, *scale, *error);
            // Most rows end here: what cannot be among the nearest is not asked about.
            if !alive || f64::from(most) < floors.floor() {
                continue;
            }
            if !filter.is_open() && !document.lets_through(*passage, attributes, filter, documents)
            {
                continue;
            }
            floors.offer(Scored { passage: *passage, score: f64::from(least) });
            candidates.push(Candidate { passage: *passage, most });
        }
        let floor = floors.floor();
        candidates.retain(|one| f64::from(one.most) >= floor);
        Scanned { floors, candidates }
    }
}

/// A filter, ready to be asked of many.
#[derive(Debug)]
pub(super) struct Needles {
    key_prefix: String,
    attributes: Vec<Vec<u8>>,
}

impl Needles {
    pub(super) fn new(filter: &Filter) -> Self {
        Self {
            key_prefix: filter.key_prefix.clone().unwrap_or_default(),
            attributes: filter.attributes.iter().map(attributes::needle).collect(),
        }
    }

    /// Whether everything passes.
    const fn is_open(&self) -> bool {
        self.key_prefix.is_empty() && self.attributes.is_empty()
    }

    /// Whether a passage passes, with its own attributes and what is known of its document.
    pub(super) fn let_through(&self, own: &[u8], document: &DocumentFacts) -> bool {
        document.key.starts_with(&self.key_prefix)
            && self
                .attributes
                .iter()
                .all(|needle| contains(own, needle) || contains(&document.attributes, needle))
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len().max(1)).any(|part| part == needle)
}

/// The document of the row before, so that one with many passages is looked up once.
#[derive(Default)]
struct Judged<'a>(Option<(i64, Option<&'a DocumentFacts>)>);

impl<'a> Judged<'a> {
    fn lets_through(
        &mut self,
        passage: i64,
        own: &[u8],
        filter: &Needles,
        documents: &'a HashMap<i64, DocumentFacts>,
    ) -> bool {
        let number = passages::document(passage);
        let facts = match self.0 {
            Some((known, facts)) if known == number => facts,
            _ => documents.get(&number),
        };
        self.0 = Some((number, facts));
        facts.is_some_and(|facts| filter.let_through(own, facts))
    }
}

#[cfg(test)]
mod tests;
