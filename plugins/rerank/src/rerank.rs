//! What the plugin offers, for any engine.

use meshhost_tokens::Failure;
use meshhost_tokens::engine::{Engine, Task};
use meshhost_tokens::feed::{TextModel, bounded};

/// The model that is meant when none is named.
const MODEL: &str = "tiny-rerank";

/// Which model it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name that it was opened by.
    pub name: String,
    /// `blake3:` and 64 hexadecimal digits.
    pub digest: String,
    /// Tokens of a query and a passage together that it takes, the marks included.
    pub tokens_max: u32,
}

/// What a model is.
///
/// # Errors
/// When the model is not there or does not rank passages.
pub fn describe(engine: &dyn Engine, model: Option<&str>) -> Result<Model, Failure> {
    Ok(described(&open(engine, model)?))
}

/// What the model says of each passage, in their order: more is better.
///
/// # Errors
/// When there are none or too many passages, the model is not there or does not rank passages, the
/// engine fails, or the model answers with what is no number.
pub fn scores(
    engine: &dyn Engine,
    query: &str,
    passages: &[String],
    model: Option<&str>,
) -> Result<(Model, Vec<f32>), Failure> {
    bounded("passages", passages, query)?;
    let model = open(engine, model)?;
    let tokenizer = model.tokenizer()?;
    let pairs = tokenizer.pairs(query, passages)?;
    let mut scores = vec![0.0; passages.len()];
    model.run(&pairs, tokenizer.padding(), |answer| {
        if answer.output.shape != [answer.positions.len(), 1] {
            return Err(model.misshapen());
        }
        for (position, score) in answer.positions.iter().zip(answer.output.numbers) {
            if !score.is_finite() {
                return Err(Failure::Fault("the model's answer is no number".to_owned()));
            }
            if let Some(place) = scores.get_mut(*position) {
                *place = score;
            }
        }
        Ok(())
    })?;
    Ok((described(&model), scores))
}

/// Where each passage stood, with its score, the best first; those with the same in their order.
#[must_use]
pub fn ranked(scores: &[f32]) -> Vec<(u32, f32)> {
    let mut ranked: Vec<_> = (0..).zip(scores.iter().copied()).collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    ranked
}

fn open(engine: &dyn Engine, model: Option<&str>) -> Result<TextModel, Failure> {
    TextModel::open(engine, model.unwrap_or(MODEL), Task::Rerank)
}

fn described(model: &TextModel) -> Model {
    let (name, digest) = model.name_and_digest();
    Model { name: name.to_owned(), digest: digest.to_owned(), tokens_max: model.tokens_max() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stands_first_and_equals_in_their_order() {
        let ranked = ranked(&[0.5, -1.0, 2.0, 0.5]);
        assert_eq!(ranked, [(2, 2.0), (0, 0.5), (3, 0.5), (1, -1.0)]);
    }
}
