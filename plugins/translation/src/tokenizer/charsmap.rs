//! The map of characters that SentencePiece compiles into a model: a double-array trie over the bytes
//! of what is replaced, and the texts that replace it.

use crate::failure::{Failure, wrong_model};
use crate::tensors::long;

/// Characters that become others.
#[derive(Debug)]
pub(super) struct CharsMap {
    units: Vec<u32>,
    texts: Vec<u8>,
}

impl CharsMap {
    /// Reads what a model holds: the trie's length in bytes, the trie, the texts with a zero after each.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let wrong = || wrong_model("the map of characters in the model's vocabulary is broken");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = long(u32::from_le_bytes(*length));
        let (trie, texts) = rest.split_at_checked(length).ok_or_else(wrong)?;
        let (units, odd) = trie.as_chunks::<4>();
        if !odd.is_empty() {
            return Err(wrong());
        }
        let units = units.iter().copied().map(u32::from_le_bytes).collect();
        Ok(Self { units, texts: texts.to_vec() })
    }

    /// The text with all replacements, the longest first at each place.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut mapped = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = self
                .longest(rest.as_bytes())
                .and_then(|(length, at)| Some((self.text(at)?, rest.get(length..)?)));
            if let Some((replaced, after)) = found {
                mapped.push_str(replaced);
                rest = after;
            } else {
                mapped.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
        mapped
    }

    /// How many of the bytes are replaced, and where the text begins that replaces them.
    fn longest(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let mut place = offset(*self.units.first()?);
        let mut found = None;
        for (number, byte) in bytes.iter().enumerate() {
            place ^= usize::from(*byte);
            let Some(unit) = self.units.get(place) else { break };
            // The label, with the bit that marks a value.
            if unit & 0x8000_00ff != u32::from(*byte) {
                break;
            }
            place ^= offset(*unit);
            if unit & 0x100 != 0 {
                let value = self.units.get(place)?;
                found = Some((number + 1, long(value & 0x7fff_ffff)));
            }
        }
        found
    }

    fn text(&self, at: usize) -> Option<&str> {
        let rest = self.texts.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }
}

fn offset(unit: u32) -> usize {
    long((unit >> 10) << ((unit & 0x200) >> 6))
}
