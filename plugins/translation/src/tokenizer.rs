//! Text to the model's tokens and back: `tokenizer.json` with a Unigram or BPE model, or a vocabulary
//! of SentencePiece with `vocab.json`. Both are read into the same thing.

mod bpe;
mod charsmap;
mod json;
mod sentencepiece;
mod unigram;

use std::collections::HashMap;

use crate::failure::{Failure, wrong_model};
use crate::tensors::{long, short};
use bpe::Bpe;
use charsmap::CharsMap;
use unigram::Unigram;

/// What stands for a space in the pieces.
const SPACE: char = '\u{2581}';
/// Characters of a word that are cut into pieces at once; a longer one is taken in parts.
const WORD_CHARS_MAX: usize = 512;
/// The most pieces that a vocabulary may have.
const PIECES_MAX: usize = 1_000_000;

/// How words become pieces.
#[derive(Debug)]
enum Pieces {
    Unigram(Unigram),
    Bpe(Bpe),
}

/// What happens to a text before it is cut.
#[derive(Debug)]
enum Normal {
    /// Characters become others.
    Map(CharsMap),
    /// Spaces in a row become one.
    Spaces,
}

/// The tokens of a model.
#[derive(Debug)]
pub struct Tokenizer {
    normal: Vec<Normal>,
    pieces: Pieces,
    /// What each token says; empty where there is none of that number.
    texts: Vec<String>,
    ids: HashMap<String, u32>,
    unknown: u32,
    /// Tokens that say nothing to a reader.
    special: Vec<u32>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// When it is none, or of a kind that translators do not have.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Failure> {
        json::read(bytes)
    }

    /// Reads a vocabulary of SentencePiece, and the numbers that `vocab.json` gives its pieces.
    ///
    /// # Errors
    /// When one of them is not of its format.
    pub fn from_sentencepiece(bytes: &[u8], vocabulary: &[u8]) -> Result<Self, Failure> {
        sentencepiece::read(bytes, vocabulary)
    }

    fn new(
        normal: Vec<Normal>,
        pieces: Pieces,
        ids: HashMap<String, u32>,
        unknown: u32,
        special: Vec<u32>,
    ) -> Result<Self, Failure> {
        if ids.len() > PIECES_MAX || ids.values().any(|id| long(*id) >= PIECES_MAX) {
            return Err(wrong_model(format!("the model has more than {PIECES_MAX} tokens")));
        }
        let count = ids.values().max().map_or(0, |last| long(*last) + 1);
        let mut texts = vec![String::new(); count];
        for (text, id) in &ids {
            if let Some(place) = texts.get_mut(long(*id)) {
                place.clone_from(text);
            }
        }
        Ok(Self { normal, pieces, texts, ids, unknown, special })
    }

    /// Says that tokens say nothing to a reader: those that name languages.
    pub(crate) fn keep_out(&mut self, is_out: impl Fn(&str) -> bool) {
        let names = self.ids.iter().filter(|(text, _)| is_out(text));
        self.special.extend(names.map(|(_, id)| *id));
    }

    /// The number of a token.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The token of characters that there is none for.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// All tokens with their numbers.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, u32)> {
        self.texts.iter().enumerate().map(|(id, text)| (text.as_str(), short(id)))
    }

    /// The tokens of a text, without any that start or end it.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut text = text.to_owned();
        for normal in &self.normal {
            text = match normal {
                Normal::Map(map) => map.apply(&text),
                Normal::Spaces => text.split_whitespace().collect::<Vec<_>>().join(" "),
            };
        }
        let mut ids = Vec::new();
        for word in text.split_whitespace() {
            let word: Vec<char> = std::iter::once(SPACE).chain(word.chars()).collect();
            for part in word.chunks(WORD_CHARS_MAX) {
                let part: String = part.iter().collect();
                match &self.pieces {
                    Pieces::Unigram(model) => model.cut(&part, self.unknown, &mut ids),
                    Pieces::Bpe(model) => model.cut(&part, self.unknown, &mut ids),
                }
            }
        }
        ids
    }

    /// What tokens say, without those that are special or unknown.
    pub fn decode(&self, ids: &[u32]) -> String {
        let said = ids.iter().filter(|id| **id != self.unknown && !self.special.contains(id));
        let pieces = said.filter_map(|id| self.texts.get(long(*id)));
        let text: String = pieces.map(String::as_str).collect();
        text.replace(SPACE, " ").trim().to_owned()
    }
}

#[cfg(test)]
mod tests;
