//! A model that translates: its files, its languages, and how a sentence is handed to it.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::batch::{self, Sentence, Steps};
use crate::decoder::Models;
use crate::engine::{Engine, Model};
use crate::failure::{Failure, wrong_model};
use crate::languages;
use crate::search::Decoded;
use crate::settings::{self, Settings};
use crate::tokenizer::Tokenizer;
use crate::wanted::Wanted;

/// What a model's names begin with where the caller says nothing.
pub const DEFAULT: &str = "tiny-translation";
/// The longest beginning of a model's names: the host bounds the whole name at 64 bytes.
const NAME_BYTES_MAX: usize = 40;
/// Names of the file with the decoder with cache. Most models have it in the decoder's own.
const WITH_PAST: &str = "decoder-with-past";

/// How a model is told languages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Telling {
    /// It translates between two, or does not say.
    Nothing,
    /// A token before the text names the target: `>>deu<<`.
    Before,
    /// A token before the text names the source, and the first token of the translation the target.
    /// The token is the language's name between these marks.
    Both(&'static str),
}

impl Telling {
    /// The token of a language.
    fn token(&self, name: &str) -> String {
        match self {
            Self::Nothing => name.to_owned(),
            Self::Before => format!(">>{name}<<"),
            Self::Both(marks) => format!("{marks}{name}{marks}"),
        }
    }
}

/// A model and all that is needed to use it.
pub struct Translator {
    /// What its names begin with.
    pub name: String,
    pub(crate) models: Models,
    pub(crate) settings: Settings,
    pub(crate) source: Tokenizer,
    /// The tokens of translations, where they are others.
    target: Option<Tokenizer>,
    /// Languages that it translates from, as it names them; empty where it does not say.
    pub sources: Vec<String>,
    /// Languages that it translates into, as it names them; empty where it does not say.
    pub targets: Vec<String>,
    telling: Telling,
}

impl std::fmt::Debug for Translator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Translator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Translator {
    /// Opens a model by what its names begin with.
    ///
    /// # Errors
    /// When there is none of that name, or it is no translator.
    pub fn open(engine: &dyn Engine, name: &str) -> Result<Self, Failure> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let text = format!(
                "`model` has 1 to {NAME_BYTES_MAX} bytes: what the names of its files begin with"
            );
            return Err(Failure::Invalid(text));
        }
        let encoder = engine.open(&format!("{name}-encoder"))?;
        let decoder = engine.open(&format!("{name}-decoder"))?;
        // A decoder that takes no cache has a second file that does.
        let cached = decoder
            .description()
            .inputs
            .iter()
            .any(|input| input.name.starts_with("past_key_values"));
        let with_past =
            if cached { None } else { Some(engine.open(&format!("{name}-{WITH_PAST}"))?) };
        let files = Files(&*encoder);
        let config = files.needed("config.json")?;
        let generation = files.get("generation_config.json")?;
        let settings = Settings::read(&config, generation.as_deref())?;
        let (mut source, target) = files.tokenizers()?;
        let said = files.languages()?;
        let (telling, sources, targets) = spoken(&settings.kind, &source, said)?;
        let names: HashSet<String> = targets.iter().map(|name| telling.token(name)).collect();
        source.keep_out(|text| telling != Telling::Nothing && names.contains(text));
        let models = Models { encoder, decoder, with_past };
        let name = name.to_owned();
        Ok(Self { name, models, settings, source, target, sources, targets, telling })
    }

    /// Decodes sentences that are tokens with their ends; there is one answer for each, in their order.
    ///
    /// # Errors
    /// When a sentence does not fit into a run, or the engine fails.
    pub fn decode(
        &self,
        sentences: &[Vec<u32>],
        settings: &Settings,
    ) -> Result<Vec<Option<Decoded>>, Failure> {
        let sentence = |ids: &Vec<u32>| Sentence { ids: ids.clone(), wanted: Wanted::default() };
        let sentences: Vec<_> = sentences.iter().map(sentence).collect();
        batch::decode(&self.models, &sentences, settings, &mut Steps::new())
    }

    /// The tokens of translations.
    pub(crate) fn target(&self) -> &Tokenizer {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// Digests of encoder and decoder.
    #[must_use]
    pub fn digests(&self) -> (&str, &str) {
        (&self.models.encoder.description().digest, &self.models.decoder.description().digest)
    }

    /// A sentence's tokens as the encoder takes them, from those of its text.
    pub(crate) fn framed(&self, text: &[u32], from: &str, to: &str) -> Vec<u32> {
        let first = match &self.telling {
            Telling::Nothing => None,
            Telling::Before => self.source.id(&self.telling.token(to)),
            Telling::Both(_) => self.source.id(&self.telling.token(from)),
        };
        let last = self.settings.ends.first();
        first.iter().chain(text).chain(last).copied().collect()
    }

    /// Tokens that stand around those of a text.
    pub(crate) fn frame(&self) -> usize {
        if self.telling == Telling::Nothing { 1 } else { 2 }
    }

    /// How it is decoded into that language.
    pub(crate) fn settings_into(&self, to: &str) -> Settings {
        let mut settings = self.settings.clone();
        if matches!(self.telling, Telling::Both(_)) {
            settings.forced_first = self.source.id(&self.telling.token(to));
        }
        settings
    }
}

/// The files that were added with an encoder.
struct Files<'a>(&'a dyn Model);

impl Files<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.description().files.iter().any(|file| file == name)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        if self.has(name) { self.0.file(name).map(Some) } else { Ok(None) }
    }

    fn needed(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.get(name)?.ok_or_else(|| {
            wrong_model(format!(
                "the model was added without its {name}: add it again with that file"
            ))
        })
    }

    fn tokenizers(&self) -> Result<(Tokenizer, Option<Tokenizer>), Failure> {
        if let Some(bytes) = self.get("tokenizer.json")? {
            return Ok((Tokenizer::from_json(&bytes)?, None));
        }
        if self.has("sentencepiece.bpe.model") {
            let vocabulary = self.vocabulary_with_languages()?;
            let bytes = self.needed("sentencepiece.bpe.model")?;
            return Ok((Tokenizer::from_sentencepiece(&bytes, &vocabulary)?, None));
        }
        if !self.has("source.spm") {
            let text =
                "the model was added without tokenizer.json, source.spm or sentencepiece.bpe.model";
            return Err(wrong_model(text));
        }
        let vocabulary = self.needed("vocab.json")?;
        // Models with two vocabularies number the pieces of translations in a file of their own.
        let of_target = self.get("target_vocab.json")?;
        let source = Tokenizer::from_sentencepiece(&self.needed("source.spm")?, &vocabulary)?;
        let of_target = of_target.as_ref().unwrap_or(&vocabulary);
        let target = Tokenizer::from_sentencepiece(&self.needed("target.spm")?, of_target)?;
        Ok((source, Some(target)))
    }

    /// `vocab.json` of M2M100, whose languages follow in the order of another file.
    fn vocabulary_with_languages(&self) -> Result<Vec<u8>, Failure> {
        let vocabulary = self.needed("vocab.json")?;
        let Some(bytes) = self.get("special_tokens_map.json")? else { return Ok(vocabulary) };
        let map: Special = settings::parse("special_tokens_map.json", &bytes)?;
        let mut ids: serde_json::Map<String, Value> = settings::parse("vocab.json", &vocabulary)?;
        let first = ids.len();
        for (place, token) in map.additional_special_tokens.into_iter().enumerate() {
            ids.entry(token).or_insert_with(|| Value::from(first + place));
        }
        serde_json::to_vec(&ids).map_err(|error| wrong_model(error.to_string()))
    }

    fn languages(&self) -> Result<Said, Failure> {
        let bytes = self.get("tokenizer_config.json")?;
        let said = bytes.map(|bytes| settings::parse("tokenizer_config.json", &bytes)).transpose();
        Ok(said?.unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct Special {
    #[serde(default)]
    additional_special_tokens: Vec<String>,
}

/// What a Marian model says of its languages.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    source_lang: Option<String>,
    target_lang: Option<String>,
}

type Spoken = (Telling, Vec<String>, Vec<String>);

/// Which languages a model of that kind has.
fn spoken(kind: &str, tokens: &Tokenizer, said: Said) -> Result<Spoken, Failure> {
    let one =
        |name: Option<String>| name.filter(|name| languages::is_name(name)).into_iter().collect();
    match kind {
        "marian" => {
            let targets = between(tokens, ">>", "<<");
            if targets.is_empty() {
                return Ok((Telling::Nothing, one(said.source_lang), one(said.target_lang)));
            }
            Ok((Telling::Before, one(said.source_lang), targets))
        }
        "m2m_100" | "mbart" => {
            let marked = between(tokens, "__", "__");
            let (marks, all) = if marked.is_empty() { ("", plain(tokens)) } else { ("__", marked) };
            if all.is_empty() {
                return Err(wrong_model("the model's vocabulary has no tokens for languages"));
            }
            Ok((Telling::Both(marks), all.clone(), all))
        }
        other => Err(wrong_model(format!(
            "the model is of the kind {other:?}: translations are made with marian, m2m_100 and mbart"
        ))),
    }
}

/// Names of languages between marks, sorted.
fn between(tokens: &Tokenizer, before: &str, after: &str) -> Vec<String> {
    let inner = |text: &str| {
        let name = text.strip_prefix(before)?.strip_suffix(after)?;
        languages::is_name(name).then(|| name.to_owned())
    };
    let mut names: Vec<_> = tokens.tokens().filter_map(|(text, _)| inner(text)).collect();
    names.sort();
    names
}

/// Names of languages with a script (`deu_Latn`) or a region (`de_DE`), sorted.
fn plain(tokens: &Tokenizer) -> Vec<String> {
    let is_one = |text: &str| {
        let Some((language, rest)) = text.split_once('_') else { return false };
        let lower = language.bytes().all(|byte| byte.is_ascii_lowercase());
        let script = rest.len() == 4 && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
        let region = rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_uppercase());
        lower && (language.len() == 3 && script || language.len() == 2 && region)
    };
    let names = tokens.tokens().map(|(text, _)| text).filter(|text| is_one(text));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}
