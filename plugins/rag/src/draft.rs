//! A document on its way to passages: pieces that are counted in tokens, and cut smaller where they have
//! too many. Who owns several drafts counts them together.

use std::collections::HashMap;
use std::ops::Range;

use crate::document::Document;
use crate::splitting::{runs, sentences};

/// Bytes of a piece. A text of fewer tokens can be longer: blanks, a word of a thousand letters.
pub(crate) const PIECE_BYTES_MAX: usize = 4_096;
/// Bytes of what is embedded before a passage.
const CONTEXT_BYTES_MAX: usize = 300;

/// How much a passage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of a passage with its headings and the marks at its ends.
    pub tokens: u32,
    /// Tokens of those marks alone.
    pub marks: u32,
}

/// A document in pieces.
#[derive(Debug)]
pub struct Draft {
    pub(crate) document: Document,
    pub(crate) units: Vec<Unit>,
    contexts: Vec<Context>,
    /// For each section the number of its context.
    context_of: Vec<usize>,
}

/// A piece that is not parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) range: Range<usize>,
    pub(crate) section: usize,
    pub(crate) block: usize,
    step: Step,
    tokens: Option<u32>,
}

/// What is embedded before the passages of a section, so that they say what they are about.
#[derive(Debug)]
struct Context {
    text: String,
    tokens: Option<u32>,
}

/// How far a piece has been cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Block,
    Sentence,
    Run,
}

impl Draft {
    /// A document that nobody has counted yet. What stands under no heading is about `name`.
    #[must_use]
    pub fn new(document: Document, name: &str, limits: Limits) -> Self {
        let mut numbers = HashMap::new();
        let mut contexts = Vec::new();
        let mut context_of = Vec::new();
        for section in &document.sections {
            let text = context(&section.heading, name);
            let number = *numbers.entry(text.clone()).or_insert_with(|| {
                contexts.push(Context { text, tokens: None });
                contexts.len() - 1
            });
            context_of.push(number);
        }
        let mut draft = Self { document, units: Vec::new(), contexts, context_of };
        for number in 0..draft.document.blocks.len() {
            draft.add_block(number, limits);
        }
        draft
    }

    fn add_block(&mut self, number: usize, limits: Limits) {
        let Some(block) = self.document.blocks.get(number).cloned() else { return };
        let unit = Unit {
            range: block.range,
            section: block.section,
            block: number,
            step: Step::Block,
            tokens: None,
        };
        self.add(unit, limits);
    }

    /// Adds a piece, in smaller ones when it is too long to be counted.
    fn add(&mut self, unit: Unit, limits: Limits) {
        if unit.range.len() <= PIECE_BYTES_MAX {
            self.units.push(unit);
        } else {
            for smaller in self.smaller(&unit, limits) {
                self.add(smaller, limits);
            }
        }
    }

    fn smaller(&self, unit: &Unit, limits: Limits) -> Vec<Unit> {
        let Document { text, is_code, .. } = &self.document;
        // Each token stands for a byte at least, so a run of so few bytes fits.
        let bytes = (limits.tokens / 2).max(8) as usize;
        let (step, pieces) = match unit.step {
            Step::Block => (Step::Sentence, sentences(text, &unit.range, *is_code)),
            Step::Sentence | Step::Run => (Step::Run, runs(text, &unit.range, bytes)),
        };
        let unit = |range| Unit { range, step, tokens: None, ..unit.clone() };
        pieces.into_iter().map(unit).collect()
    }

    /// The texts that have to be counted next; none when it is done.
    #[must_use]
    pub fn uncounted(&self) -> Vec<String> {
        let contexts = self.contexts.iter().filter(|context| context.tokens.is_none());
        let units = self.units.iter().filter(|unit| unit.tokens.is_none());
        let unit = |unit: &Unit| self.document.text.get(unit.range.clone()).unwrap_or_default();
        let contexts = contexts.map(|context| context.text.clone());
        contexts.chain(units.map(unit).map(str::to_owned)).collect()
    }

    /// Takes the tokens of [`Self::uncounted`]'s texts, in their order.
    pub fn count(&mut self, mut counts: impl Iterator<Item = u32>, limits: Limits) {
        let mut next = || counts.next().unwrap_or(limits.tokens).saturating_sub(limits.marks);
        for context in self.contexts.iter_mut().filter(|context| context.tokens.is_none()) {
            context.tokens = Some(next());
        }
        for mut unit in std::mem::take(&mut self.units) {
            let counted = unit.tokens.is_some();
            let tokens = unit.tokens.unwrap_or_else(&mut next);
            unit.tokens = Some(tokens);
            if counted || self.fits(&unit, tokens, limits) {
                self.units.push(unit);
            } else {
                for smaller in self.smaller(&unit, limits) {
                    self.add(smaller, limits);
                }
            }
        }
    }

    /// Whether a piece stays as it is. One of a block that is cut anyway has at most half a passage, so
    /// that passages are filled.
    fn fits(&self, unit: &Unit, tokens: u32, limits: Limits) -> bool {
        let room = self.room(unit.section, limits);
        match unit.step {
            Step::Block => tokens <= room,
            Step::Sentence => tokens <= room / 2,
            Step::Run => true,
        }
    }

    /// Tokens that the passages of a section have for themselves.
    pub(crate) fn room(&self, section: usize, limits: Limits) -> u32 {
        let context = self.used_context(section, limits).and_then(|context| context.tokens);
        limits.tokens.saturating_sub(limits.marks).saturating_sub(context.unwrap_or(0))
    }

    /// Tokens of a piece.
    pub(crate) fn tokens(unit: &Unit) -> u32 {
        unit.tokens.unwrap_or(0)
    }

    /// What is embedded before the passages of a section; nothing where it takes too much room.
    #[must_use]
    pub fn context(&self, section: usize, limits: Limits) -> &str {
        self.used_context(section, limits).map_or("", |context| &context.text)
    }

    fn used_context(&self, section: usize, limits: Limits) -> Option<&Context> {
        let context = self.context_of.get(section).and_then(|number| self.contexts.get(*number))?;
        context.tokens.filter(|tokens| *tokens <= limits.tokens / 3).map(|_| context)
    }

    /// Bytes of text.
    pub(crate) fn bytes(&self) -> usize {
        self.document.text.len()
    }
}

/// The headings in a line, or the file's name; of what is too long the end, which says most.
fn context(heading: &[String], name: &str) -> String {
    let line = if heading.is_empty() { name.to_owned() } else { heading.join(" > ") };
    let start = line.ceil_char_boundary(line.len().saturating_sub(CONTEXT_BYTES_MAX));
    line.get(start..).unwrap_or_default().to_owned()
}
