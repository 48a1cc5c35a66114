//! What the plugin offers, for any engine.

use meshhost_tokens::engine::{Engine, Task};
use meshhost_tokens::feed::{TextModel, bounded};
use meshhost_tokens::{Encoding, Failure};

use crate::pool;

/// The model that is meant when none is named.
const MODEL: &str = "minilm";

/// Which model it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name that it was opened by.
    pub name: String,
    /// `blake3:` and 64 hexadecimal digits.
    pub digest: String,
    /// Numbers in a vector.
    pub dimensions: u32,
    /// Tokens of a text that it takes, the marks at its ends included.
    pub tokens_max: u32,
}

/// What a model is. Where its description does not say how long a vector is, it is asked for one.
///
/// # Errors
/// When the model is not there or does not embed texts, or the engine fails.
pub fn describe(engine: &dyn Engine, model: Option<&str>) -> Result<Model, Failure> {
    let open = open(engine, model)?;
    let dimensions = match open.width() {
        Some(width) => width,
        None => vectors(&open, &[String::new()])?.first().map_or(0, Vec::len),
    };
    described(&open, dimensions)
}

/// Tokens of each text, the marks at its ends included and nothing cut off.
///
/// # Errors
/// When there are none or too many texts, or the model is not there or does not embed texts.
pub fn count_tokens(
    engine: &dyn Engine,
    texts: &[String],
    model: Option<&str>,
) -> Result<Vec<u32>, Failure> {
    bounded("texts", texts, "")?;
    let tokenizer = open(engine, model)?.counting_tokenizer()?;
    let count = |encoding: &Encoding| u32::try_from(encoding.tokens.len()).unwrap_or(u32::MAX);
    Ok(tokenizer.texts(texts)?.iter().map(count).collect())
}

/// One vector for each text, in their order.
///
/// # Errors
/// When there are none or too many texts, the model is not there or does not embed texts, or the
/// engine fails.
pub fn embed(
    engine: &dyn Engine,
    texts: &[String],
    model: Option<&str>,
) -> Result<(Model, Vec<Vec<f32>>), Failure> {
    bounded("texts", texts, "")?;
    let open = open(engine, model)?;
    let vectors = vectors(&open, texts)?;
    let model = described(&open, vectors.first().map_or(0, Vec::len))?;
    Ok((model, vectors))
}

fn open(engine: &dyn Engine, model: Option<&str>) -> Result<TextModel, Failure> {
    TextModel::open(engine, model.unwrap_or(MODEL), Task::Embed)
}

fn vectors(model: &TextModel, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
    let tokenizer = model.tokenizer()?;
    let encodings = tokenizer.texts(texts)?;
    let mut vectors = vec![Vec::new(); texts.len()];
    model.run(&encodings, tokenizer.padding(), |answer| {
        let batch = pool::vectors(&answer.output, answer.lengths, model.used());
        let batch = batch.ok_or_else(|| model.misshapen())?;
        for (position, vector) in answer.positions.iter().zip(batch) {
            if !vector.iter().all(|value| value.is_finite()) {
                return Err(Failure::Fault("the model's answer is no number".to_owned()));
            }
            if let Some(place) = vectors.get_mut(*position) {
                *place = vector;
            }
        }
        Ok(())
    })?;
    Ok(vectors)
}

fn described(open: &TextModel, dimensions: usize) -> Result<Model, Failure> {
    let (name, digest) = open.name_and_digest();
    Ok(Model {
        name: name.to_owned(),
        digest: digest.to_owned(),
        dimensions: u32::try_from(dimensions).map_err(|_| open.misshapen())?,
        tokens_max: open.tokens_max(),
    })
}
