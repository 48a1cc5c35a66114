//! `tokenizer.json`, read in one pass, where it is a tokenizer of BERT's kind.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::json::Reader;
use crate::marks::{Mark, Marks};
use crate::template::Template;
use crate::vocabulary::Pieces;
use crate::wordpiece::WordPiece;

/// The parts of the file that count, as they stand in it. What it says of cutting off and of filling
/// up does not count, but for the token that fills: how many tokens a model takes stands in its
/// description.
#[derive(Debug, Default)]
struct Parts<'a> {
    padding: Option<&'a str>,
    added_tokens: Option<&'a str>,
    normalizer: Option<&'a str>,
    pre_tokenizer: Option<&'a str>,
    post_processor: Option<&'a str>,
    model: Model<'a>,
}

/// What the file says of the model.
#[derive(Debug, Default)]
struct Model<'a> {
    kind: Option<Cow<'a, str>>,
    unknown: Option<Cow<'a, str>>,
    prefix: Option<Cow<'a, str>>,
    word_characters_max: Option<u32>,
    pieces: Option<Pieces>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Padding {
    pad_id: u32,
}

/// The tokenizer in the file, and the token that fills a row up. Nothing where any part of it is of
/// another kind than the one that is written here, or not understood.
pub(crate) fn word_piece(bytes: &[u8]) -> Option<(WordPiece, u32)> {
    let file = std::str::from_utf8(bytes).ok()?;
    let Parts { padding, added_tokens, normalizer, pre_tokenizer, post_processor, model } =
        Parts::read(file)?;
    let is = |part, kind: &str| parsed::<Kind>(part).filter(|part| part.kind == kind);
    is(normalizer, "BertNormalizer")?;
    is(pre_tokenizer, "BertPreTokenizer")?;
    model.kind.filter(|kind| kind == "WordPiece")?;
    let vocabulary = model.pieces?.table(file)?;
    let marks: Vec<Mark> = parsed(added_tokens)?;
    if marks.iter().any(|mark| vocabulary.get(&mark.content) != Some(mark.id)) {
        return None;
    }
    let ours = WordPiece {
        unknown: vocabulary.get(&model.unknown?)?,
        normaliser: parsed(normalizer)?,
        marks: Marks::new(marks)?,
        template: Template::new(parsed(post_processor)?)?,
        prefix: model.prefix?.into_owned(),
        word_characters_max: usize::try_from(model.word_characters_max?).ok()?,
        vocabulary,
    };
    let padding = parsed::<Option<Padding>>(padding)?;
    Some((ours, padding.map_or(0, |padding| padding.pad_id)))
}

/// A small part, made of what stands in the file.
fn parsed<T: DeserializeOwned>(part: Option<&str>) -> Option<T> {
    serde_json::from_str(part.unwrap_or("null")).ok()
}

impl<'a> Parts<'a> {
    fn read(file: &'a str) -> Option<Self> {
        let mut parts = Self::default();
        Reader::new(file).members(|reader, key| {
            let part = match &*key {
                "padding" => &mut parts.padding,
                "added_tokens" => &mut parts.added_tokens,
                "normalizer" => &mut parts.normalizer,
                "pre_tokenizer" => &mut parts.pre_tokenizer,
                "post_processor" => &mut parts.post_processor,
                "model" => {
                    parts.model = Model::read(reader, file.len())?;
                    return Some(());
                }
                _ => return reader.value().map(|_| ()),
            };
            *part = Some(reader.value()?);
            Some(())
        })?;
        Some(parts)
    }
}

impl<'a> Model<'a> {
    fn read(reader: &mut Reader<'a>, file_bytes: usize) -> Option<Self> {
        let mut model = Self::default();
        reader.members(|reader, key| {
            match &*key {
                "type" => model.kind = Some(reader.string()?),
                "unk_token" => model.unknown = Some(reader.string()?),
                "continuing_subword_prefix" => model.prefix = Some(reader.string()?),
                "max_input_chars_per_word" => model.word_characters_max = Some(reader.number()?),
                "vocab" => model.pieces = Some(Pieces::read(reader, file_bytes)?),
                _ => {
                    reader.value()?;
                }
            }
            Some(())
        })?;
        Some(model)
    }
}
