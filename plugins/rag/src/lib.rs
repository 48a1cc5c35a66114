//! The plugin `rag`: `meshhost:rag/retrieval@0.1.0`, search in documents with answers as passages.
//!
//! A file is found (`walk`, `selection`), told apart (`kind`), decoded (`decode`) and read by one of
//! `read`'s modules into blocks under headings ([`document`]); these are cut into passages by the
//! embedding model's tokens ([`cut`]), embedded and put into the index ([`ingest`]). A question is
//! searched by vector and by words, fused and reranked ([`query`]).
//!
//! The embedder, the index, the reranker and the files are known as [`ports`] alone, so tests run the
//! same code with stand-ins; `node` is what stands behind them in a component.

pub mod corpus;
pub mod cut;
pub mod decode;
pub mod document;
mod draft;
mod failure;
mod fusion;
pub mod ingest;
mod keys;
pub mod kind;
mod library;
mod node;
mod poison;
pub mod ports;
pub mod query;
pub mod read;
mod selection;
mod splitting;
mod store;
mod walk;

meshhost_sdk::plugin!({
    path: [
        "../../wit/blob/0.1.0",
        "../../wit/inference/0.1.0",
        "../../wit/mesh/0.1.0",
        "../../wit/embedding/0.1.0",
        "../../wit/index/0.1.0",
        "../../wit/rag/0.1.0",
    ],
    world: "meshhost:rag/provider",
    additional_derives: [PartialEq],
    generate_all,
});

pub use bindings::exports::meshhost::rag::retrieval;
pub use bindings::meshhost::{embedding::embedder, index::store as index};
pub use library::{corpora, delete, delete_corpus, documents};
use retrieval::{Answer, Corpus, Document, Error, Guest, Ingested, Kind};

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn ingest(
        corpus: String,
        path: String,
        include: Option<Vec<String>>,
        exclude: Option<Vec<String>>,
        model: Option<String>,
        anew: Option<bool>,
    ) -> Result<Ingested, Error> {
        let anew = anew.unwrap_or(false);
        ingest::ingest(
            &node::PORTS,
            &ingest::Wanted { corpus, path, include, exclude, model, anew },
        )
    }

    fn query(
        corpus: String,
        question: String,
        limit: Option<u32>,
        path: Option<String>,
        kind: Option<Kind>,
        rerank: Option<bool>,
        rerank_model: Option<String>,
    ) -> Result<Answer, Error> {
        let rerank = rerank.unwrap_or(true);
        let asked = query::Asked { corpus, question, limit, path, kind, rerank, rerank_model };
        query::query(&node::PORTS, &asked)
    }

    fn documents(
        corpus: String,
        path: Option<String>,
        after: Option<String>,
        limit: Option<u32>,
    ) -> Result<Vec<Document>, Error> {
        documents(node::PORTS.index, &corpus, path.as_deref(), after.as_deref(), limit)
    }

    fn delete(corpus: String, path: String) -> Result<u32, Error> {
        delete(node::PORTS.index, &corpus, &path)
    }

    fn delete_corpus(corpus: String) -> Result<bool, Error> {
        delete_corpus(node::PORTS.index, &corpus)
    }

    fn corpora() -> Result<Vec<Corpus>, Error> {
        corpora(node::PORTS.index)
    }
}
