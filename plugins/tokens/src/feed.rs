//! A model of text, open and understood: what each of its inputs is fed, and which output counts.

use crate::engine::{Element, Engine, Input, Model, Output, Task, TextUse, Value};
use crate::{Encoding, Failure, Tokenizer, batches};

/// Tokens that go through a model at once, padding included: bounds what an engine keeps for it.
const TOKENS_AT_ONCE: usize = 4_096;
/// Bytes that a model may answer at once, where it says how long a token's vector is.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Tokens that a text may be cut to at most.
const TOKENS_MAX: u32 = 8_192;

/// Texts of one call.
pub const TEXTS_MAX: usize = 256;
/// Bytes of all texts of one call.
pub const TEXTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What an input is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Tokens,
    Mask,
    Sides,
}

/// An open model of text.
pub struct TextModel {
    model: Box<dyn Model>,
    name: String,
    used: TextUse,
    inputs: Vec<(Value, Feed)>,
    output: Value,
}

/// What a model gave for one batch.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Where the batch's texts stand among all of them, row by row.
    pub positions: &'a [usize],
    /// How many tokens of each row are its own.
    pub lengths: &'a [usize],
    /// What the model gave.
    pub output: Output,
}

impl std::fmt::Debug for TextModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextModel").field("name", &self.name).field("used", &self.used).finish()
    }
}

impl TextModel {
    /// Opens a model for a task.
    ///
    /// # Errors
    /// When it is not there, not described as a model of text for this task, or has inputs or
    /// outputs that do not fit it.
    pub fn open(engine: &dyn Engine, name: &str, task: Task) -> Result<Self, Failure> {
        let model = engine.open(name)?;
        let misfit = |what: &str| Failure::NoModel(format!("the model {name:?} {what}"));
        let described = model.description();
        let used = described.text.filter(|used| used.task == task).ok_or_else(|| {
            misfit("is not for this: its package has to say `task` and `tokens_max`")
        })?;
        let fed = |value: &Value| Some((value.clone(), feed(value)?));
        let inputs: Option<Vec<_>> = described.inputs.iter().map(fed).collect();
        let inputs = inputs.ok_or_else(|| misfit("has inputs that are not of text"))?;
        let rank = if task == Task::Rerank { 2 } else { 3 };
        let fits = |value: &&Value| value.element == Element::Float32 && value.shape.len() == rank;
        let output = described.outputs.iter().find(fits).cloned();
        let output = output.ok_or_else(|| misfit("has no output for this task"))?;
        Ok(Self { name: name.to_owned(), used, inputs, output, model })
    }

    /// How it is used.
    #[must_use]
    pub fn used(&self) -> TextUse {
        self.used
    }

    /// Tokens of a text or pair that it takes, the marks included.
    #[must_use]
    pub fn tokens_max(&self) -> u32 {
        self.used.tokens_max.min(TOKENS_MAX)
    }

    /// Its name and its digest.
    #[must_use]
    pub fn name_and_digest(&self) -> (&str, &str) {
        (&self.name, &self.model.description().digest)
    }

    /// The last dimension of its output, where it says it: numbers for each token or pair.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.output.shape.last().copied().flatten()
    }

    /// Its tokenizer, which cuts at [`Self::tokens_max`].
    ///
    /// # Errors
    /// When it has none, or one that is not understood.
    pub fn tokenizer(&self) -> Result<Tokenizer, Failure> {
        let tokens_max = usize::try_from(self.tokens_max()).unwrap_or_default();
        Tokenizer::read(&self.model.tokenizer()?, Some(tokens_max))
    }

    /// Its tokenizer, which cuts nothing off.
    ///
    /// # Errors
    /// When it has none, or one that is not understood.
    pub fn counting_tokenizer(&self) -> Result<Tokenizer, Failure> {
        Tokenizer::read(&self.model.tokenizer()?, None)
    }

    /// Runs texts or pairs through the model in batches, and hands each answer to `take`.
    ///
    /// # Errors
    /// When the model or the node fails, or `take` does.
    pub fn run(
        &self,
        encodings: &[Encoding],
        padding: u32,
        mut take: impl FnMut(Answer<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let lengths: Vec<usize> = encodings.iter().map(|it| it.tokens.len()).collect();
        let vector = self.width().filter(|_| self.used.task == Task::Embed).unwrap_or(1);
        let by_answer = ANSWER_BYTES_MAX / vector.saturating_mul(size_of::<f32>()).max(1);
        for positions in batches::of(&lengths, by_answer.min(TOKENS_AT_ONCE)) {
            let batch: Vec<&Encoding> =
                positions.iter().filter_map(|position| encodings.get(*position)).collect();
            let lengths: Vec<usize> = batch.iter().map(|it| it.tokens.len()).collect();
            let inputs = self.inputs.iter();
            let inputs = inputs.map(|(value, feed)| input(value, *feed, &batch, padding)).collect();
            let output = self.model.run(inputs, &self.output.name)?;
            take(Answer { positions: &positions, lengths: &lengths, output })?;
        }
        Ok(())
    }

    /// What a caller is told whose model answers in another shape than its task needs.
    #[must_use]
    pub fn misshapen(&self) -> Failure {
        let text =
            format!("the model {:?} answers in a shape that does not fit its task", self.name);
        Failure::NoModel(text)
    }
}

/// What an input is fed, by its name; nothing where it is not of text.
fn feed(value: &Value) -> Option<Feed> {
    if !matches!(value.element, Element::Int32 | Element::Int64) {
        return None;
    }
    match value.name.as_str() {
        "input_ids" => Some(Feed::Tokens),
        "attention_mask" => Some(Feed::Mask),
        "token_type_ids" => Some(Feed::Sides),
        _ => None,
    }
}

/// One input for a batch: rows as long as the longest text.
fn input(value: &Value, feed: Feed, batch: &[&Encoding], padding: u32) -> Input {
    let length = batch.iter().map(|encoding| encoding.tokens.len()).max().unwrap_or_default();
    let padding = if feed == Feed::Tokens { padding } else { 0 };
    let mut numbers = Vec::with_capacity(batch.len() * length);
    for encoding in batch {
        match feed {
            Feed::Tokens => numbers.extend(&encoding.tokens),
            Feed::Mask => numbers.extend(encoding.tokens.iter().map(|_| 1)),
            Feed::Sides => numbers.extend(&encoding.sides),
        }
        numbers.extend(std::iter::repeat_n(padding, length - encoding.tokens.len()));
    }
    Input { name: value.name.clone(), element: value.element, rows: batch.len(), numbers }
}

/// Whether these texts are few and short enough for one call.
///
/// # Errors
/// When there are none, more than [`TEXTS_MAX`], or more than [`TEXTS_BYTES_MAX`] bytes with
/// `query`; `what` says what they are.
pub fn bounded(what: &str, texts: &[String], query: &str) -> Result<(), Failure> {
    if texts.is_empty() {
        return Err(Failure::Invalid(format!("no {what}: give 1 to {TEXTS_MAX}")));
    }
    if texts.len() > TEXTS_MAX {
        let number = texts.len();
        let text = format!("{number} {what}, the most is {TEXTS_MAX}: make several calls");
        return Err(Failure::TooLarge(text));
    }
    let bytes = texts.iter().map(String::len).fold(query.len(), usize::saturating_add);
    if bytes > TEXTS_BYTES_MAX {
        let text =
            format!("{bytes} bytes of text, the most is {TEXTS_BYTES_MAX}: make several calls");
        return Err(Failure::TooLarge(text));
    }
    Ok(())
}
