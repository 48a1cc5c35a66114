//! Files that are counted and embedded together.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::corpus::{Maker, Opened, check_model};
use crate::cut::{self, Draft, Passage};
use crate::index::{self};
use crate::keys;
use crate::kind::Kind;
use crate::library;
use crate::ports::{self, Embedder, Ports};
use crate::retrieval::{Error, Ingested, Problem};
use crate::store;

/// Bytes of text in a group.
const BYTES_MAX: usize = 512 * 1024;
/// Files in a group.
const FILES_MAX: usize = 64;
/// Texts that are counted in one call of the embedder.
const COUNTED_MAX: usize = 256;
/// Bytes of texts in one call of the embedder; it takes 4 MiB.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Passages that are embedded in one call of the embedder.
const EMBEDDED_MAX: usize = 64;

/// A file that was read.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) digest: String,
    pub(super) draft: Draft,
    /// What the corpus has of it: versions by key.
    pub(super) known: BTreeMap<String, String>,
}

/// Files that were read and not yet embedded.
#[derive(Debug, Default)]
pub(super) struct Group {
    files: Vec<Pending>,
    bytes: usize,
}

impl Group {
    pub(super) fn push(&mut self, file: Pending) {
        self.bytes = self.bytes.saturating_add(file.draft.bytes());
        self.files.push(file);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX || self.files.len() >= FILES_MAX
    }

    /// Puts its files into the index, and says which have too many passages.
    pub(super) fn put(
        mut self,
        ports: &Ports<'_>,
        corpus: &Opened,
        done: &mut Ingested,
    ) -> Result<Vec<Problem>, Error> {
        self.count(ports.embedder, corpus)?;
        let mut problems = Vec::new();
        let mut parts = VecDeque::new();
        let cut: Vec<_> =
            self.files.iter().map(|file| cut::passages(&file.draft, corpus.limits)).collect();
        for (file, passages) in self.files.iter().zip(&cut) {
            let ranges = store::parts(passages, corpus.model.dimensions);
            if ranges.len() > store::PARTS_MAX {
                let reason = format!("it has {} passages, too many: split it", passages.len());
                problems.push(Problem { path: file.path.clone(), reason });
                let keys: Vec<_> = file.known.keys().cloned().collect();
                library::remove(ports.index, &corpus.name, &keys)?;
            } else {
                parts.extend(Part::all(file, passages, &ranges));
            }
        }
        Embedding { ports, corpus, done, parts, ready: VecDeque::new() }.run()?;
        Ok(problems)
    }

    /// Counts all pieces; those that are too long are cut and counted again.
    fn count(&mut self, embedder: &dyn Embedder, corpus: &Opened) -> Result<(), Error> {
        loop {
            let texts: Vec<_> = self.files.iter().map(|file| file.draft.uncounted()).collect();
            let lengths: Vec<_> = texts.iter().map(Vec::len).collect();
            let texts: Vec<_> = texts.into_iter().flatten().collect();
            if texts.is_empty() {
                return Ok(());
            }
            let mut counts = counted(embedder, &texts, &corpus.model.name)?.into_iter();
            for (file, length) in self.files.iter_mut().zip(lengths) {
                file.draft.count(counts.by_ref().take(length), corpus.limits);
            }
        }
    }
}

fn counted(embedder: &dyn Embedder, texts: &[String], model: &str) -> Result<Vec<u32>, Error> {
    let mut counts = Vec::with_capacity(texts.len());
    for range in batches(texts, COUNTED_MAX) {
        let batch = texts.get(range).unwrap_or_default();
        let some = embedder.count_tokens(batch, model)?;
        if some.len() != batch.len() {
            return Err(Error::Fault(format!(
                "the embedder answered {} texts with {} counts",
                batch.len(),
                some.len()
            )));
        }
        counts.extend(some);
    }
    Ok(counts)
}

/// Texts in batches that one call takes.
fn batches(texts: &[String], at_most: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for (at, text) in texts.iter().enumerate() {
        let full = at - start == at_most || bytes.saturating_add(text.len()) > TEXT_BYTES_MAX;
        if full && at > start {
            batches.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(text.len());
    }
    if start < texts.len() {
        batches.push(start..texts.len());
    }
    batches
}

/// A document of the index that is to be put.
struct Part<'a> {
    file: &'a Pending,
    number: usize,
    passages: &'a [Passage],
    /// Keys of the file that are no longer used; they go with its last part.
    stale: Vec<String>,
}

impl<'a> Part<'a> {
    /// The parts of a file that are not in the index yet. The first comes last: once it is there, all
    /// of them are.
    fn all(file: &'a Pending, passages: &'a [Passage], ranges: &[Range<usize>]) -> Vec<Self> {
        let part = |number: usize, range: &Range<usize>| Part {
            file,
            number,
            passages: passages.get(range.clone()).unwrap_or_default(),
            stale: Vec::new(),
        };
        let is_there =
            |number: usize| file.known.get(&keys::part(&file.path, number)) == Some(&file.digest);
        let rest = ranges.iter().enumerate().skip(1);
        let mut parts: Vec<_> = rest
            .filter(|(number, _)| !is_there(*number))
            .map(|(number, range)| part(number, range))
            .collect();
        if let Some(first) = ranges.first() {
            let used = |key: &String| keys::path_of(key).is_some_and(|(_, at)| at < ranges.len());
            let stale = file.known.keys().filter(|key| !used(key)).cloned().collect();
            parts.push(Part { stale, ..part(0, first) });
        }
        parts
    }
}

/// Embeds parts in their order, and puts each as soon as its vectors are there.
struct Embedding<'a, 'b> {
    ports: &'a Ports<'b>,
    corpus: &'a Opened,
    done: &'a mut Ingested,
    parts: VecDeque<Part<'a>>,
    /// Texts with their vectors, of parts that are not put yet.
    ready: VecDeque<(String, Vec<f32>)>,
}

impl Embedding<'_, '_> {
    fn run(mut self) -> Result<(), Error> {
        let limits = self.corpus.limits;
        let text = |part: &Part<'_>, passage| store::text(&part.file.draft, passage, limits);
        let texts =
            self.parts.iter().flat_map(|part| part.passages.iter().map(move |p| text(part, p)));
        let texts: Vec<_> = texts.collect();
        for range in batches(&texts, EMBEDDED_MAX) {
            self.embed(texts.get(range).unwrap_or_default())?;
            self.put_ready()?;
        }
        self.put_ready()
    }

    fn embed(&mut self, texts: &[String]) -> Result<(), Error> {
        let model = &self.corpus.model;
        let embeddings = ports::embedded(self.ports.embedder, texts, &model.name)?;
        // The model may have been replaced in the meantime.
        check_model(&self.corpus.name, &Maker::now(model), &embeddings.model.digest)?;
        self.ready.extend(texts.iter().cloned().zip(embeddings.vectors));
        Ok(())
    }

    fn put_ready(&mut self) -> Result<(), Error> {
        while self.parts.front().is_some_and(|part| part.passages.len() <= self.ready.len()) {
            let Some(part) = self.parts.pop_front() else { break };
            let ready = self.ready.drain(..part.passages.len());
            let passages = part.passages.iter().zip(ready).map(|(passage, (text, vector))| {
                store::passage(&part.file.draft, passage, text, vector)
            });
            let document = index::Document {
                key: keys::part(&part.file.path, part.number),
                version: part.file.digest.clone(),
                attributes: store::attributes(part.file.kind),
                passages: passages.collect(),
            };
            self.ports.index.upsert(&self.corpus.name, &document)?;
            self.count(&part);
            library::remove(self.ports.index, &self.corpus.name, &part.stale)?;
        }
        Ok(())
    }

    fn count(&mut self, part: &Part<'_>) {
        let passages = u32::try_from(part.passages.len()).unwrap_or(u32::MAX);
        self.done.passages = self.done.passages.saturating_add(passages);
        if part.number == 0 {
            let known = part.file.known.contains_key(&part.file.path);
            *(if known { &mut self.done.updated } else { &mut self.done.added }) += 1;
        }
    }
}
