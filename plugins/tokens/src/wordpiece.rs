//! Words as pieces: of each word the longest piece that the vocabulary has, then the longest of
//! the rest. The tokenizer of models of BERT's kind, whole.

use crate::marks::{Marks, Part};
use crate::normaliser::Normaliser;
use crate::template::Template;
use crate::vocabulary::{Hash, Vocabulary};

/// A tokenizer whose model is `WordPiece`.
#[derive(Debug)]
pub(crate) struct WordPiece {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) normaliser: Normaliser,
    pub(crate) marks: Marks,
    /// What goes around the tokens of a text.
    pub(crate) template: Template,
    /// The token of a word that has no pieces.
    pub(crate) unknown: u32,
    /// Stands before each piece of a word but the first.
    pub(crate) prefix: String,
    /// Characters that a word may have to be looked at.
    pub(crate) word_characters_max: usize,
}

impl WordPiece {
    /// The tokens of a text, up to the end of the word with which there are `enough`. Which of two
    /// long texts is the longer one depends on where reading stops, so it stops where the crate
    /// `tokenizers` does.
    pub(crate) fn tokens(&self, text: &str, enough: usize) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut going_on = true;
        let mut parts = self.marks.parts(text);
        while let Some(part) = parts.next().filter(|_| going_on) {
            match part {
                Part::Mark(token) => tokens.push(token),
                Part::Text(text) => self.normaliser.words(text, |word| {
                    self.pieces(word, &mut tokens);
                    going_on = tokens.len() < enough;
                    going_on
                }),
            }
        }
        tokens
    }

    /// Adds the pieces of a word, or the unknown token where it has none.
    fn pieces(&self, word: &str, tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut rest = word;
        if word.chars().nth(self.word_characters_max).is_some() {
            rest = "";
            tokens.push(self.unknown);
        }
        while !rest.is_empty() {
            let prefix = if rest.len() == word.len() { "" } else { self.prefix.as_str() };
            let Some((length, token)) = self.longest(prefix, rest) else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(token);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// The longest piece that `prefix` and a beginning of `rest` make: its bytes of `rest`, and its
    /// token.
    fn longest(&self, prefix: &str, rest: &str) -> Option<(usize, u32)> {
        let mut hash = Hash::EMPTY.then(prefix);
        let mut found = None;
        let mut end = 0;
        for character in rest.chars() {
            let begin = end;
            end += character.len_utf8();
            if prefix.len() + end > self.vocabulary.longest() {
                break;
            }
            hash = hash.then(rest.get(begin..end)?);
            let token = self.vocabulary.find(hash, prefix, rest.get(..end)?);
            found = token.map(|token| (end, token)).or(found);
        }
        found
    }
}
