//! The pieces that a model knows, with their numbers: a table of our own, because every call reads
//! the file anew. Pieces are places in the text of the file, and nothing is allocated for one alone.

use crate::json::Reader;

/// Bytes of a file for each piece, about: room for them is made at once.
const PIECE_BYTES: usize = 12;

/// Pieces by text.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// The file; after it the pieces that stand escaped in it.
    text: String,
    entries: Vec<Entry>,
    /// The number of an entry plus one, at the place that its hash says or after it; 0 is free. At
    /// most half of them are taken, and their number is a power of two.
    slots: Vec<u32>,
    longest: usize,
}

/// One piece: where it stands, and its number.
#[derive(Debug, Clone, Copy)]
struct Entry {
    begin: u32,
    end: u32,
    hash: Hash,
    id: u32,
}

/// The pieces of a file as they were read.
#[derive(Debug)]
pub(crate) struct Pieces {
    entries: Vec<Entry>,
    /// Pieces that stand escaped in the file, as they are meant.
    escaped: String,
}

/// FNV-1a of a text, which can be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u32);

impl Hash {
    /// That of the empty text.
    pub(crate) const EMPTY: Self = Self(0x811c_9dc5);

    /// That of the text so far with `more` after it.
    pub(crate) fn then(self, more: &str) -> Self {
        more.bytes().fold(self, Self::byte)
    }

    fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    fn slot(self, slots: usize) -> usize {
        // The upper half is mixed better than the lower.
        index(self.0 ^ (self.0 >> 15)) & (slots - 1)
    }
}

impl Pieces {
    /// Reads an object of pieces and numbers in a file of `file_bytes`.
    pub(crate) fn read(reader: &mut Reader<'_>, file_bytes: usize) -> Option<Self> {
        let mut entries = Vec::with_capacity(file_bytes / PIECE_BYTES);
        let mut escaped = String::new();
        let mut escape = |piece: &str| {
            let begin = file_bytes + escaped.len();
            escaped.push_str(piece);
            Some((begin..begin + piece.len(), Hash::EMPTY.then(piece)))
        };
        reader.members_by(
            |reader| {
                let mut hash = Hash::EMPTY;
                let plain = reader.plain_string(|byte| hash = hash.byte(byte));
                plain.map(|place| (place, hash)).or_else(|| escape(&reader.string()?))
            },
            |reader, (place, hash)| {
                let begin = u32::try_from(place.start).ok()?;
                let end = u32::try_from(place.end).ok()?;
                entries.push(Entry { begin, end, hash, id: reader.number()? });
                Some(())
            },
        )?;
        Some(Self { entries, escaped })
    }

    /// The table of these pieces, which stand in `file`.
    pub(crate) fn table(self, file: &str) -> Option<Vocabulary> {
        let Self { entries, escaped } = self;
        let text = [file, &escaped].concat();
        let number = u32::try_from(entries.len()).ok()?;
        let mut slots = vec![0; (entries.len() * 2).next_power_of_two().max(2)];
        // Of two pieces with the same text the later one counts: it is the first to take a place.
        for (number, entry) in (1..=number).rev().zip(entries.iter().rev()) {
            take(&mut slots, entry.hash, number);
        }
        let longest = entries.iter().map(|entry| index(entry.end - entry.begin)).max().unwrap_or(0);
        Some(Vocabulary { text, entries, slots, longest })
    }
}

impl Vocabulary {
    /// Bytes of the longest piece.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The number of a piece.
    pub(crate) fn get(&self, piece: &str) -> Option<u32> {
        self.find(Hash::EMPTY.then(piece), "", piece)
    }

    /// The number of the piece `begin` + `rest`, whose hash is `hash`.
    pub(crate) fn find(&self, hash: Hash, begin: &str, rest: &str) -> Option<u32> {
        let mut slot = hash.slot(self.slots.len());
        loop {
            let number = self.slots.get(slot).copied().filter(|number| *number != 0)?;
            let entry = self.entries.get(index(number - 1))?;
            if entry.hash == hash {
                let text = self.text.get(index(entry.begin)..index(entry.end))?;
                if text.strip_prefix(begin) == Some(rest) {
                    return Some(entry.id);
                }
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// Puts `number` at the first free place for `hash`.
fn take(slots: &mut [u32], hash: Hash, number: u32) {
    let mask = slots.len() - 1;
    let mut slot = hash.slot(slots.len());
    while let Some(place) = slots.get_mut(slot) {
        if *place == 0 {
            *place = number;
            return;
        }
        slot = (slot + 1) & mask;
    }
}

/// Both targets have at least 32 bits.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(json: &str) -> Vocabulary {
        let pieces = Pieces::read(&mut Reader::new(json), json.len()).unwrap();
        pieces.table(json).unwrap()
    }

    #[test]
    fn pieces_are_found_whole_or_in_two_parts() {
        let vocabulary =
            vocabulary(r###"{"a": 1, "##a" : 2, "\"ä\\": 3, "": 4, "\u0062":6,"a": 5}"###);
        assert_eq!(vocabulary.get("a"), Some(5));
        assert_eq!(vocabulary.get("\"ä\\"), Some(3));
        assert_eq!(vocabulary.get(""), Some(4));
        assert_eq!(vocabulary.get("b"), Some(6));
        assert_eq!(vocabulary.get("##"), None);
        assert_eq!(vocabulary.find(Hash::EMPTY.then("##").then("a"), "##", "a"), Some(2));
        assert_eq!(vocabulary.longest(), 4);
    }

    #[test]
    fn a_table_has_room_for_all() {
        let pieces: Vec<_> = (0..50_000).map(|id| format!("\"p{id}\":{id}")).collect();
        let vocabulary = vocabulary(&format!("{{{}}}", pieces.join(",")));
        assert!((0..50_000).all(|id| vocabulary.get(&format!("p{id}")) == Some(id)));
        assert_eq!(vocabulary.get("p50000"), None);
        assert_eq!(self::vocabulary("{}").get("a"), None);
    }

    #[test]
    fn numbers_that_do_not_fit_are_not_understood() {
        for json in [r#"{"a": -1}"#, r#"{"a": 4294967296}"#, r#"{"a": "b"}"#, r#"[["a", -1.5]]"#] {
            assert!(Pieces::read(&mut Reader::new(json), json.len()).is_none(), "{json}");
        }
    }
}
