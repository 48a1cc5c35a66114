//! What the plugins for models of text share.
//!
//! - [`Tokenizer`] reads `tokenizer.json` and cuts texts into tokens. Every call of a plugin is a
//!   fresh instance, so reading has to be quick: tokenizers of BERT's kind are read and run by code
//!   of this crate (`file`, `json`, `vocabulary`, `normaliser`, `wordpiece`, `marks`, `template`),
//!   which gives what the crate `tokenizers` gives; all others are left to that crate (`library`).
//! - [`batches`] puts texts of like length together, and [`feed`] makes a model's inputs of them.
//! - [`engine`] is what runs models, as the plugins see it; [`node`] is the real one.

pub mod batches;
pub mod engine;
pub mod failure;
pub mod feed;
mod file;
mod json;
mod library;
mod marks;
pub mod node;
mod normaliser;
mod template;
mod vocabulary;
mod wordpiece;

pub use failure::Failure;

use library::Library;
use wordpiece::WordPiece;

/// Fewer tokens than this hold no text beside the marks of a pair.
const TOKENS_MIN: usize = 8;

/// A text or a pair as a model takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Its tokens, the marks at its ends included.
    pub tokens: Vec<u32>,
    /// For each token which side of a pair it is of: 0 or 1.
    pub sides: Vec<u32>,
}

/// What cuts texts into tokens.
#[derive(Debug)]
pub struct Tokenizer {
    kind: Kind,
    padding: u32,
    tokens_max: usize,
}

#[derive(Debug)]
enum Kind {
    WordPiece(Box<WordPiece>),
    Library(Box<Library>),
}

impl Tokenizer {
    /// Reads `tokenizer.json`. Texts and pairs are cut to `tokens_max` tokens, the marks included;
    /// nothing is cut off when it is absent.
    ///
    /// # Errors
    /// When the file is not understood, or `tokens_max` leaves no room for a text.
    pub fn read(bytes: &[u8], tokens_max: Option<usize>) -> Result<Self, Failure> {
        if tokens_max.is_some_and(|tokens| tokens < TOKENS_MIN) {
            return Err(Failure::NoModel(format!("a model needs room for {TOKENS_MIN} tokens")));
        }
        let (kind, padding) = if let Some((ours, padding)) = file::word_piece(bytes) {
            (Kind::WordPiece(Box::new(ours)), padding)
        } else {
            let (library, padding) = Library::read(bytes, tokens_max)?;
            (Kind::Library(Box::new(library)), padding)
        };
        Ok(Self { kind, padding, tokens_max: tokens_max.unwrap_or(usize::MAX) })
    }

    /// The token that fills a row up to the length of the others.
    #[must_use]
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// The tokens of each text.
    ///
    /// # Errors
    /// When the tokenizer has none for a text.
    pub fn texts(&self, texts: &[String]) -> Result<Vec<Encoding>, Failure> {
        match &self.kind {
            Kind::WordPiece(ours) => {
                let encoded = |text: &String| {
                    ours.template.single(&ours.tokens(text, self.tokens_max), self.tokens_max)
                };
                Ok(texts.iter().map(encoded).collect())
            }
            Kind::Library(library) => texts.iter().map(|text| library.single(text)).collect(),
        }
    }

    /// The tokens of `query` together with each passage.
    ///
    /// # Errors
    /// When the tokenizer has none for a text.
    pub fn pairs(&self, query: &str, passages: &[String]) -> Result<Vec<Encoding>, Failure> {
        match &self.kind {
            Kind::WordPiece(ours) => {
                let query = ours.tokens(query, self.tokens_max);
                let encoded = |passage: &String| {
                    let passage = ours.tokens(passage, self.tokens_max);
                    ours.template.pair(&query, &passage, self.tokens_max)
                };
                Ok(passages.iter().map(encoded).collect())
            }
            Kind::Library(library) => {
                passages.iter().map(|passage| library.pair(query, passage)).collect()
            }
        }
    }

    /// Whether this crate itself cuts the texts, and not the library.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::WordPiece(_))
    }
}
