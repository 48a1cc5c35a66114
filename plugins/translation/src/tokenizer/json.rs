//! `tokenizer.json`, as far as translators use it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::bpe::{Bpe, Merge};
use super::charsmap::CharsMap;
use super::unigram::Unigram;
use super::{Normal, Pieces, Tokenizer};
use crate::base64;
use crate::failure::{Failure, wrong_model};
use crate::settings::parse;
use crate::tensors::{long, short};

/// Patterns that find spaces, or the sign for them, and nothing else.
const SPACES: [&str; 6] = [" {2,}", " +", "\\s+", " ", "\\A +| +\\z", "\\A\u{2581}"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Model {
    Unigram {
        unk_id: Option<u32>,
        vocab: Vec<(String, f64)>,
    },
    #[serde(rename = "BPE")]
    Bpe {
        unk_token: Option<String>,
        vocab: HashMap<String, u32>,
        merges: Vec<Pair>,
    },
}

/// A merge, in the old way of writing or the new one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    Joined(String),
    Apart(String, String),
}

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, Failure> {
    let file: File = parse("tokenizer.json", bytes)?;
    let normal = file.normalizer.as_ref().map(normals).transpose()?.unwrap_or_default();
    if !file.pre_tokenizer.as_ref().is_some_and(cuts_at_spaces) {
        let text = "the model's tokenizer.json does not mark spaces as SentencePiece does";
        return Err(wrong_model(text));
    }
    let special = file.added_tokens.iter().filter(|added| added.special).map(|added| added.id);
    let special: Vec<u32> = special.collect();
    let (pieces, mut ids, unknown) = match file.model {
        Model::Unigram { unk_id, vocab } => unigram(unk_id, vocab, &special)?,
        Model::Bpe { unk_token, vocab, merges } => bpe(unk_token, vocab, merges)?,
    };
    ids.extend(file.added_tokens.into_iter().map(|added| (added.content, added.id)));
    Tokenizer::new(normal, pieces, ids, unknown, special)
}

type Read = (Pieces, HashMap<String, u32>, u32);

/// What is special stands in no text.
fn unigram(
    unknown: Option<u32>,
    vocab: Vec<(String, f64)>,
    special: &[u32],
) -> Result<Read, Failure> {
    let unknown = unknown.filter(|id| long(*id) < vocab.len());
    let unknown =
        unknown.ok_or_else(|| wrong_model("the model's tokenizer.json names no unknown token"))?;
    let ids = vocab.iter().enumerate().map(|(id, (piece, _))| (piece.clone(), short(id))).collect();
    let pieces =
        vocab.into_iter().enumerate().map(|(id, (piece, score))| (piece, (short(id), score)));
    let pieces = pieces.filter(|(_, (id, _))| *id != unknown && !special.contains(id)).collect();
    Ok((Pieces::Unigram(Unigram::new(pieces)), ids, unknown))
}

fn bpe(
    unknown: Option<String>,
    ids: HashMap<String, u32>,
    merges: Vec<Pair>,
) -> Result<Read, Failure> {
    let unknown = unknown.and_then(|token| ids.get(&token).copied());
    let unknown =
        unknown.ok_or_else(|| wrong_model("the model's tokenizer.json names no unknown token"))?;
    let mut pairs = HashMap::with_capacity(merges.len());
    for (rank, pair) in merges.iter().enumerate() {
        let (left, right) = match pair {
            Pair::Joined(both) => both.split_once(' ').unwrap_or((both, "")),
            Pair::Apart(left, right) => (left.as_str(), right.as_str()),
        };
        let whole = ids.get(&format!("{left}{right}"));
        if let (Some(left), Some(right), Some(id)) = (ids.get(left), ids.get(right), whole) {
            pairs.entry((*left, *right)).or_insert(Merge { rank, id: *id });
        }
    }
    Ok((Pieces::Bpe(Bpe::new(&ids, pairs)), ids, unknown))
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn normals(value: &Value) -> Result<Vec<Normal>, Failure> {
    match kind(value) {
        "Sequence" => {
            let steps = value.get("normalizers").and_then(Value::as_array);
            let steps: Result<Vec<_>, _> = steps.into_iter().flatten().map(normals).collect();
            Ok(steps?.into_iter().flatten().collect())
        }
        "Precompiled" => {
            let text =
                value.get("precompiled_charsmap").and_then(Value::as_str).unwrap_or_default();
            let bytes = base64::decode(text).ok_or_else(|| {
                wrong_model("the map of characters in tokenizer.json is no base64")
            })?;
            // An empty map maps nothing.
            let map = if bytes.is_empty() { None } else { Some(CharsMap::read(&bytes)?) };
            Ok(map.into_iter().map(Normal::Map).collect())
        }
        // SentencePiece's rule that spaces in a row are one, and others that only touch spaces.
        "Replace" if SPACES.contains(&pattern(value)) => Ok(vec![Normal::Spaces]),
        "Strip" => Ok(vec![Normal::Spaces]),
        other => Err(wrong_model(format!(
            "the model's tokenizer.json normalises by {other:?}, which translators do not"
        ))),
    }
}

/// What a replacement looks for.
fn pattern(value: &Value) -> &str {
    let pattern = value.get("pattern");
    let text = pattern.and_then(|pattern| pattern.get("Regex").or_else(|| pattern.get("String")));
    text.and_then(Value::as_str).unwrap_or_default()
}

/// Whether words are marked by the sign for a space.
fn cuts_at_spaces(value: &Value) -> bool {
    match kind(value) {
        "Metaspace" => true,
        "Sequence" => {
            let steps = value.get("pretokenizers").and_then(Value::as_array);
            steps.into_iter().flatten().any(cuts_at_spaces)
        }
        _ => false,
    }
}
