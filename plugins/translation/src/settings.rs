//! How a model is decoded: `config.json` and `generation_config.json`.

use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, wrong_model};

/// The most beams that are followed.
pub const BEAMS_MAX: usize = 8;
/// Tokens that are decoded where the model does not say its length.
const LENGTH_DEFAULT: usize = 512;
/// The most tokens that are decoded, whatever the model says.
const LENGTH_MAX: usize = 1024;
/// Bad words beyond these are refused.
const BAD_WORDS_MAX: usize = 10_000;

/// When the search for a sentence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stopping {
    /// When no open translation is better now than the worst of the finished ones.
    #[default]
    Likely,
    /// As soon as there are as many finished translations as beams.
    Early,
    /// When no open translation can become better than the worst of the finished ones.
    Never,
}

/// How a model is decoded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// What its architecture is called.
    pub kind: String,
    /// The token that decoding starts with.
    pub start: u32,
    /// The tokens that end a translation.
    pub ends: Vec<u32>,
    /// The token that fills rows.
    pub pad: u32,
    /// The token that has to come first.
    pub forced_first: Option<u32>,
    /// The tokens one of which has to come at the greatest length.
    pub forced_last: Vec<u32>,
    /// Sequences that never come.
    pub bad_words: Vec<Vec<u32>>,
    /// Sequences of that many tokens never come twice; 0 for no such rule.
    pub no_repeat: usize,
    /// Whether likelihoods are made to add up to 1 once more, after all rules.
    pub renormalise: bool,
    /// How many translations are followed at once.
    pub beams: usize,
    /// Tokens of a translation, the one that it starts with included.
    pub length_max: usize,
    /// A translation's score is divided by its length to this power.
    pub length_penalty: f32,
    /// When the search ends.
    pub stopping: Stopping,
    /// Tokens that the encoder takes.
    pub source_max: usize,
}

impl Settings {
    /// Reads both files; what the second one says goes before.
    ///
    /// # Errors
    /// When one is no JSON, or says nothing of where decoding starts and ends.
    pub fn read(config: &[u8], generation: Option<&[u8]>) -> Result<Self, Failure> {
        let config: File = parse("config.json", config)?;
        let kind = config.model_type.clone().unwrap_or_default();
        let positions = config.max_position_embeddings.unwrap_or(LENGTH_DEFAULT);
        let read = |bytes| parse::<File>("generation_config.json", bytes);
        let own = generation.map(read).transpose()?.unwrap_or_default();
        Self::of(kind, positions, own.over(config))
    }

    fn of(kind: String, positions: usize, file: File) -> Result<Self, Failure> {
        let lacks = |what| wrong_model(format!("the model's configuration says no {what}"));
        let ends = file.eos_token_id.map(Tokens::list).unwrap_or_default();
        let end = *ends.first().ok_or_else(|| lacks("`eos_token_id`"))?;
        let bad_words = file.bad_words_ids.unwrap_or_default();
        if bad_words.len() > BAD_WORDS_MAX {
            return Err(wrong_model(format!("the model has more than {BAD_WORDS_MAX} bad words")));
        }
        let longest = positions.clamp(2, LENGTH_MAX);
        let length = file.max_new_tokens.map(|new| new.saturating_add(1)).or(file.max_length);
        Ok(Self {
            kind,
            start: file.decoder_start_token_id.ok_or_else(|| lacks("`decoder_start_token_id`"))?,
            pad: file.pad_token_id.unwrap_or(end),
            ends,
            forced_first: file.forced_bos_token_id,
            forced_last: file.forced_eos_token_id.map(Tokens::list).unwrap_or_default(),
            bad_words,
            no_repeat: file.no_repeat_ngram_size.unwrap_or(0),
            renormalise: file.renormalize_logits.unwrap_or(false),
            beams: file.num_beams.unwrap_or(1).clamp(1, BEAMS_MAX),
            length_max: length.unwrap_or(longest).clamp(2, longest),
            length_penalty: finite(file.length_penalty)?,
            stopping: stopping(file.early_stopping)?,
            source_max: positions.clamp(8, LENGTH_DEFAULT),
        })
    }
}

fn finite(penalty: Option<f32>) -> Result<f32, Failure> {
    let penalty = penalty.unwrap_or(1.0);
    let fits = penalty.is_finite() && penalty.abs() <= 100.0;
    fits.then_some(penalty).ok_or_else(|| wrong_model("the model's `length_penalty` is no number"))
}

fn stopping(word: Option<Value>) -> Result<Stopping, Failure> {
    match word {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Stopping::Likely),
        Some(Value::Bool(true)) => Ok(Stopping::Early),
        Some(Value::String(word)) if word == "never" => Ok(Stopping::Never),
        Some(_) => Err(wrong_model("the model's `early_stopping` is not true, false or \"never\"")),
    }
}

/// Reads a file of the model.
pub(crate) fn parse<'a, T: Deserialize<'a>>(name: &str, bytes: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| wrong_model(format!("the model's {name} is not as expected: {error}")))
}

/// One token or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tokens {
    One(u32),
    Several(Vec<u32>),
}

impl Tokens {
    fn list(self) -> Vec<u32> {
        match self {
            Self::One(token) => vec![token],
            Self::Several(tokens) => tokens,
        }
    }
}

/// What either file may say of decoding.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    model_type: Option<String>,
    max_position_embeddings: Option<usize>,
    decoder_start_token_id: Option<u32>,
    eos_token_id: Option<Tokens>,
    pad_token_id: Option<u32>,
    forced_bos_token_id: Option<u32>,
    forced_eos_token_id: Option<Tokens>,
    bad_words_ids: Option<Vec<Vec<u32>>>,
    no_repeat_ngram_size: Option<usize>,
    renormalize_logits: Option<bool>,
    num_beams: Option<usize>,
    max_length: Option<usize>,
    max_new_tokens: Option<usize>,
    length_penalty: Option<f32>,
    early_stopping: Option<Value>,
}

impl File {
    /// This one, and where it says nothing, the other.
    fn over(self, other: Self) -> Self {
        Self {
            model_type: self.model_type.or(other.model_type),
            max_position_embeddings: self.max_position_embeddings.or(other.max_position_embeddings),
            decoder_start_token_id: self.decoder_start_token_id.or(other.decoder_start_token_id),
            eos_token_id: self.eos_token_id.or(other.eos_token_id),
            pad_token_id: self.pad_token_id.or(other.pad_token_id),
            forced_bos_token_id: self.forced_bos_token_id.or(other.forced_bos_token_id),
            forced_eos_token_id: self.forced_eos_token_id.or(other.forced_eos_token_id),
            bad_words_ids: self.bad_words_ids.or(other.bad_words_ids),
            no_repeat_ngram_size: self.no_repeat_ngram_size.or(other.no_repeat_ngram_size),
            renormalize_logits: self.renormalize_logits.or(other.renormalize_logits),
            num_beams: self.num_beams.or(other.num_beams),
            max_length: self.max_length.or(other.max_length),
            max_new_tokens: self.max_new_tokens.or(other.max_new_tokens),
            length_penalty: self.length_penalty.or(other.length_penalty),
            early_stopping: self.early_stopping.or(other.early_stopping),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str, generation: Option<&str>) -> Result<Settings, Failure> {
        Settings::read(config.as_bytes(), generation.map(str::as_bytes))
    }

    #[test]
    fn a_published_configuration_is_read() {
        let config = r#"{"model_type": "marian", "max_position_embeddings": 512, "num_beams": 6,
            "decoder_start_token_id": 58100, "eos_token_id": 0, "vocab_size": 58101}"#;
        let generation = r#"{"bad_words_ids": [[58100]], "bos_token_id": 0, "eos_token_id": 0,
            "forced_eos_token_id": 0, "max_length": 512, "num_beams": 4, "pad_token_id": 58100,
            "decoder_start_token_id": 58100, "renormalize_logits": true}"#;
        let settings = read(config, Some(generation)).unwrap();
        assert_eq!(
            (settings.start, settings.pad, settings.ends.as_slice()),
            (58100, 58100, &[0][..])
        );
        assert_eq!((settings.beams, settings.length_max, settings.source_max), (4, 512, 512));
        assert_eq!((settings.bad_words, settings.forced_last), (vec![vec![58100]], vec![0]));
        assert!(settings.renormalise);
        assert_eq!((settings.length_penalty, settings.stopping), (1.0, Stopping::Likely));
        assert_eq!(read(config, None).unwrap().beams, 6);
    }

    #[test]
    fn the_words_for_stopping_are_those_of_transformers() {
        for (word, stopping) in
            [("true", Stopping::Early), ("false", Stopping::Likely), ("\"never\"", Stopping::Never)]
        {
            let text = format!(
                r#"{{"eos_token_id": [2, 3], "decoder_start_token_id": 2, "early_stopping": {word}}}"#
            );
            let settings = read(&text, None).unwrap();
            assert_eq!((settings.stopping, settings.ends), (stopping, vec![2, 3]));
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_and_lengths_are_bounded() {
        for config in ["", "[]", "{}", r#"{"eos_token_id": 0}"#, r#"{"eos_token_id": -1}"#] {
            assert!(matches!(read(config, None), Err(Failure::NoModel(_))), "{config}");
        }
        let base = r#""eos_token_id": 0, "decoder_start_token_id": 1"#;
        for extra in [r#""length_penalty": 1e9"#, r#""early_stopping": "soon""#] {
            assert!(read(&format!("{{{base}, {extra}}}"), None).is_err(), "{extra}");
        }
        let large =
            r#""max_length": 1000000000, "num_beams": 900, "max_position_embeddings": 1000000"#;
        let settings = read(&format!("{{{base}, {large}}}"), None).unwrap();
        assert_eq!((settings.length_max, settings.beams, settings.source_max), (1024, 8, 512));
    }
}
