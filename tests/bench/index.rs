//! Answers searches over a file of vectors, for `tests/bench/index.py`, which compares with numpy.
//!
//! `index DIMENSIONS ROWS QUERIES`: both files hold 32-bit fractions, little end first, one row after
//! the other. The rows are put into a corpus of a fresh folder, as passages of documents of 1,000 each.
//! Then each line of the input is the number of a query, and the answer is one line: microseconds, and
//! the numbers of the ten nearest rows. Everything goes through the port that the runtime calls.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{io::BufRead, path::Path, time::Instant};

use anyhow::Context as _;
use meshhost::{index::Index, store::index::Indexes};
use meshhost_core::{
    config::{Durability, NodeConfig},
    index::{Document, Filter, Hit, IndexCaller, Passage, SearchIndex, Settings},
};

/// Passages of one document.
const PASSAGES: usize = 1_000;
const CORPUS: &str = "bench";
const NEAREST: u32 = 10;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dimensions, rows, queries] = arguments.as_slice() else {
        anyhow::bail!("index DIMENSIONS ROWS QUERIES");
    };
    let dimensions: usize = dimensions.parse()?;
    let queries = vectors(Path::new(queries), dimensions)?;
    let home = tempfile::tempdir()?;
    let indexes = Indexes::new(home.path().to_owned(), Durability::Process);
    let index = Index::new(indexes, NodeConfig::DEFAULT.index_memory_bytes);
    let caller = IndexCaller { plugin: "bench".parse()?, quota_bytes: u64::MAX };
    let settings = Settings { dimensions: Some(dimensions.try_into()?), maker: String::new() };
    index.open(&caller, CORPUS, &settings).await?;
    let begun = Instant::now();
    put(&index, &caller, vectors(Path::new(rows), dimensions)?).await?;
    println!("put {:.3}", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    search(&index, &caller, queries.first().context("no query")?).await?;
    println!("first {:.3}", begun.elapsed().as_secs_f64());
    for line in std::io::stdin().lock().lines() {
        let query = queries.get(line?.trim().parse::<usize>()?).context("no such query")?;
        let begun = Instant::now();
        let hits = search(&index, &caller, query).await?;
        let spent = begun.elapsed().as_micros();
        let numbers: Vec<String> = hits.iter().map(number).collect();
        println!("{spent} {}", numbers.join(" "));
    }
    Ok(())
}

fn vectors(file: &Path, dimensions: usize) -> anyhow::Result<Vec<Vec<f32>>> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(numbers.chunks_exact(dimensions).map(<[f32]>::to_vec).collect())
}

async fn put(index: &Index, caller: &IndexCaller, rows: Vec<Vec<f32>>) -> anyhow::Result<()> {
    for (number, vectors) in rows.chunks(PASSAGES).enumerate() {
        let passage = |(place, vector): (usize, &Vec<f32>)| Passage {
            text: format!("passage {place} of document {number}"),
            vector: Some(vector.clone()),
            attributes: Vec::new(),
        };
        let document = Document {
            key: number.to_string(),
            version: String::new(),
            attributes: Vec::new(),
            passages: vectors.iter().enumerate().map(passage).collect(),
        };
        index.upsert(caller, CORPUS, document).await?;
    }
    Ok(())
}

async fn search(index: &Index, caller: &IndexCaller, query: &[f32]) -> anyhow::Result<Vec<Hit>> {
    let hits = index.search_vector(caller, CORPUS, query.to_vec(), Filter::default(), NEAREST);
    Ok(hits.await?)
}

/// The number of the row that a hit is.
fn number(hit: &Hit) -> String {
    let document: usize = hit.key.parse().unwrap_or_default();
    (document * PASSAGES + hit.passage as usize).to_string()
}
