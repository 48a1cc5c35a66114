//! Models of text: cuts texts into tokens, runs the model, and makes one row of each. In the
//! worker, since tokenizers are files that somebody wrote. The only module that names `tokenizers`.

use meshhost_core::inference::{
    ElementType, Elements, InferenceError, InferenceErrorCode, Tensor, TextTask, ValueInfo,
};
use tokenizers::{Encoding, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::{engine::Session, message::TextRows, store::TextModel};

mod rows;

use rows::{Hidden, scores};

/// Texts that go through the model at once. They are sorted by length before, so that little of
/// it is padding.
const ROWS_AT_ONCE: usize = 16;
/// Tokens that a text may be cut to at most.
const TOKENS_MAX: u32 = 8_192;

/// The tokenizer of a loaded model, and what to do with its outputs.
#[derive(Debug)]
pub(crate) struct TextPart {
    tokenizer: Tokenizer,
    padding: i64,
    task: TextTask,
    /// The model's inputs, with what each is fed.
    inputs: Vec<(ValueInfo, Feed)>,
    output: String,
}

/// What an input is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Tokens,
    Mask,
    Types,
}

impl Feed {
    fn of(name: &str) -> Option<Self> {
        match name {
            "input_ids" => Some(Self::Tokens),
            "attention_mask" => Some(Self::Mask),
            "token_type_ids" => Some(Self::Types),
            _ => None,
        }
    }
}

/// One text, cut into tokens.
#[derive(Debug)]
struct Row {
    /// Where its result belongs.
    position: usize,
    encoding: Encoding,
}

impl TextPart {
    /// The text part of a model with these inputs and outputs.
    pub(crate) fn new(
        tokenizer: &[u8],
        model: &TextModel,
        inputs: &[ValueInfo],
        outputs: &[ValueInfo],
    ) -> Result<Self, InferenceError> {
        let read = Tokenizer::from_bytes(tokenizer);
        let mut tokenizer =
            read.map_err(|error| failed(&format!("the tokenizer cannot be read: {error}")))?;
        let padding = tokenizer.get_padding().map_or(0, |padding| i64::from(padding.pad_id));
        tokenizer.with_padding(None);
        let truncation = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: usize::try_from(model.usage.tokens_max.clamp(1, TOKENS_MAX)).unwrap_or(1),
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        let truncated = tokenizer.with_truncation(Some(truncation));
        truncated.map_err(|error| failed(&format!("the tokenizer cannot cut texts: {error}")))?;
        let feeds: Option<Vec<_>> =
            inputs.iter().map(|info| Some((info.clone(), Feed::of(&info.name)?))).collect();
        let inputs = feeds.ok_or_else(|| failed("the model has inputs that are not of text"))?;
        let rank = if matches!(model.usage.task, TextTask::Rerank) { 2 } else { 3 };
        let fits = |info: &&ValueInfo| {
            info.element_type == ElementType::Float32 && info.shape.len() == rank
        };
        let output = outputs.iter().find(fits).map(|info| info.name.clone());
        let output = output.ok_or_else(|| failed("the model has no output for this task"))?;
        Ok(Self { tokenizer, padding, task: model.usage.task, inputs, output })
    }

    /// One row of the result for each row of text: vectors, or a score each.
    pub(crate) fn run(
        &self,
        session: &mut dyn Session,
        rows: TextRows,
        bytes_max: u64,
    ) -> Result<Tensor, InferenceError> {
        let mut encoded = Vec::with_capacity(rows.len());
        for (position, row) in rows.into_iter().enumerate() {
            let encoding = match row {
                (text, None) => self.tokenizer.encode(text, true),
                (query, Some(passage)) => self.tokenizer.encode((query, passage), true),
            };
            let encoding =
                encoding.map_err(|error| failed(&format!("a text has no tokens: {error}")))?;
            encoded.push(Row { position, encoding });
        }
        encoded.sort_by_key(|row| row.encoding.len());
        let mut results: Vec<Vec<f32>> = vec![Vec::new(); encoded.len()];
        for group in encoded.chunks(ROWS_AT_ONCE) {
            let vectors = self.group(session, group, bytes_max)?;
            for (row, vector) in group.iter().zip(vectors) {
                if let Some(result) = results.get_mut(row.position) {
                    *result = vector;
                }
            }
        }
        joined(&results, bytes_max)
    }

    fn group(
        &self,
        session: &mut dyn Session,
        group: &[Row],
        bytes_max: u64,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let length = group.iter().map(|row| row.encoding.len()).max().unwrap_or(0).max(1);
        let inputs: Result<Vec<Tensor>, InferenceError> =
            self.inputs.iter().map(|(info, feed)| self.input(info, *feed, group, length)).collect();
        let outputs = session.run(&inputs?, bytes_max)?;
        let output = outputs.into_iter().find(|tensor| tensor.name() == self.output);
        let output = output.ok_or_else(|| failed("the model did not give its output"))?;
        match self.task {
            TextTask::Rerank => scores(&output, group.len()),
            TextTask::Embed { pooling, normalise } => {
                let hidden = Hidden::new(&output, group.len(), length)?;
                let masks = group.iter().map(|row| row.encoding.get_attention_mask());
                Ok(hidden.pooled(masks, pooling, normalise))
            }
        }
    }

    fn input(
        &self,
        info: &ValueInfo,
        feed: Feed,
        group: &[Row],
        length: usize,
    ) -> Result<Tensor, InferenceError> {
        let padding = if feed == Feed::Tokens { self.padding } else { 0 };
        let mut numbers: Vec<i64> = Vec::with_capacity(group.len() * length);
        for row in group {
            let values = match feed {
                Feed::Tokens => row.encoding.get_ids(),
                Feed::Mask => row.encoding.get_attention_mask(),
                Feed::Types => row.encoding.get_type_ids(),
            };
            numbers.extend(values.iter().map(|value| i64::from(*value)));
            numbers.extend((values.len()..length).map(|_| padding));
        }
        let bytes: Vec<u8> = match info.element_type {
            ElementType::Int64 => numbers.iter().flat_map(|it| it.to_le_bytes()).collect(),
            // Tokens have 32 bits.
            ElementType::Int32 => {
                let narrow = |number: &i64| i32::try_from(*number).unwrap_or(0).to_le_bytes();
                numbers.iter().flat_map(narrow).collect()
            }
            _ => return Err(failed("the model takes tokens of a type that texts do not give")),
        };
        let shape = vec![size(group.len())?, size(length)?];
        let elements = Elements::Bytes(bytes);
        Tensor::new(info.name.clone(), info.element_type, shape, elements, u64::MAX)
    }
}

/// The elements of a tensor of `float32`.
pub(crate) fn floats(tensor: &Tensor) -> Result<Vec<f32>, InferenceError> {
    match tensor.elements() {
        Elements::Bytes(bytes) => {
            Ok(bytes.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect())
        }
        Elements::Texts(_) => Err(failed("the model gave texts where numbers belong")),
    }
}

/// The rows as one tensor; all are equally long.
fn joined(rows: &[Vec<f32>], bytes_max: u64) -> Result<Tensor, InferenceError> {
    let width = rows.first().map_or(0, Vec::len);
    let bytes = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![size(rows.len())?, size(width)?];
    let elements = Elements::Bytes(bytes);
    Tensor::new("rows".to_owned(), ElementType::Float32, shape, elements, bytes_max)
}

fn size(length: usize) -> Result<u32, InferenceError> {
    u32::try_from(length).map_err(|_| failed("too many tokens"))
}

fn failed(message: &str) -> InferenceError {
    InferenceError::new(InferenceErrorCode::Failed, message)
}
