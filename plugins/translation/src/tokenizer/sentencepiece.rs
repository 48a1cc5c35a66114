//! A model file of SentencePiece: protocol buffers, of which three fields count.

use std::collections::HashMap;

use super::bpe::{Bpe, Merge};
use super::charsmap::CharsMap;
use super::unigram::Unigram;
use super::{Normal, PIECES_MAX, Pieces, Tokenizer};
use crate::failure::{Failure, wrong_model};
use crate::settings::parse;

/// The kinds of pieces that stand in texts: ordinary ones and those that the trainer's user defined.
const IN_TEXTS: [u64; 2] = [1, 4];
/// The kind of the piece for what is unknown.
const UNKNOWN: u64 = 2;
/// The number of byte pair encoding among the kinds of models; 1 is Unigram.
const BPE: u64 = 2;

/// What a file says.
#[derive(Default)]
struct File<'a> {
    pieces: Vec<Piece<'a>>,
    kind: u64,
    map: &'a [u8],
}

struct Piece<'a> {
    text: &'a str,
    score: f32,
    kind: u64,
}

pub(super) fn read(bytes: &[u8], vocabulary: &[u8]) -> Result<Tokenizer, Failure> {
    let file = parsed(bytes)
        .ok_or_else(|| wrong_model("the model's vocabulary is no model of SentencePiece"))?;
    let ids: HashMap<String, u32> = parse("vocab.json", vocabulary)?;
    let unknown = file.pieces.iter().find(|piece| piece.kind == UNKNOWN);
    let unknown = unknown.and_then(|piece| ids.get(piece.text)).copied();
    let unknown =
        unknown.ok_or_else(|| wrong_model("the model's vocab.json has no unknown token"))?;
    let mut normal = vec![Normal::Spaces];
    if !file.map.is_empty() {
        normal.insert(0, Normal::Map(CharsMap::read(file.map)?));
    }
    let other = file.pieces.iter().filter(|piece| !IN_TEXTS.contains(&piece.kind));
    let special = other.filter_map(|piece| ids.get(piece.text)).copied().collect();
    let pieces = if file.kind == BPE { bpe(&file, &ids) } else { unigram(&file, &ids, unknown) };
    Tokenizer::new(normal, pieces, ids, unknown, special)
}

/// Pieces that `vocab.json` does not have are cut out all the same and unknown, as in Python.
fn unigram(file: &File<'_>, ids: &HashMap<String, u32>, unknown: u32) -> Pieces {
    let pieces = file.pieces.iter().filter(|piece| IN_TEXTS.contains(&piece.kind));
    let pieces = pieces.map(|piece| {
        let id = ids.get(piece.text).copied().unwrap_or(unknown);
        (piece.text.to_owned(), (id, f64::from(piece.score)))
    });
    Pieces::Unigram(Unigram::new(pieces.collect()))
}

/// Every piece is the merge of any two that make it; the likelier was merged earlier.
fn bpe(file: &File<'_>, ids: &HashMap<String, u32>) -> Pieces {
    let mut ordered: Vec<_> =
        file.pieces.iter().filter(|piece| IN_TEXTS.contains(&piece.kind)).collect();
    ordered.sort_by(|one, other| other.score.total_cmp(&one.score));
    let mut merges = HashMap::new();
    for (rank, piece) in ordered.into_iter().enumerate() {
        for (at, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(at);
            if let (Some(left), Some(right), Some(id)) =
                (ids.get(left), ids.get(right), ids.get(piece.text))
            {
                merges.insert((*left, *right), Merge { rank, id: *id });
            }
        }
    }
    Pieces::Bpe(Bpe::new(ids, merges))
}

fn parsed(bytes: &[u8]) -> Option<File<'_>> {
    let mut file = File { kind: 1, ..File::default() };
    for field in Fields(bytes) {
        match field? {
            (1, Field::Bytes(bytes)) => {
                file.pieces.push(piece(bytes)?);
                if file.pieces.len() > PIECES_MAX {
                    return None;
                }
            }
            (2, Field::Bytes(bytes)) => file.kind = number(bytes, 3)?.unwrap_or(file.kind),
            (3, Field::Bytes(bytes)) => {
                for field in Fields(bytes) {
                    if let (2, Field::Bytes(map)) = field? {
                        file.map = map;
                    }
                }
            }
            _ => {}
        }
    }
    (!file.pieces.is_empty()).then_some(file)
}

fn piece(bytes: &[u8]) -> Option<Piece<'_>> {
    let mut piece = Piece { text: "", score: 0.0, kind: 1 };
    for field in Fields(bytes) {
        match field? {
            (1, Field::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?,
            (2, Field::Four(bits)) => piece.score = f32::from_bits(bits),
            (3, Field::Number(kind)) => piece.kind = kind,
            _ => {}
        }
    }
    piece.score.is_finite().then_some(piece)
}

/// The number in a field of a message; absent where the field is.
fn number(bytes: &[u8], wanted: u64) -> Option<Option<u64>> {
    let mut found = None;
    for field in Fields(bytes) {
        if let (field, Field::Number(value)) = field?
            && field == wanted
        {
            found = Some(value);
        }
    }
    Some(found)
}

/// What a field holds.
enum Field<'a> {
    Number(u64),
    Four(u32),
    Eight,
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers; a `None` among them means that it is broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Eight
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Four(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, field))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
