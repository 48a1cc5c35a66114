//! Texts as models of BERT's kind see them: cleaned, without accents, in lower case, cut into words
//! and marks. Which characters are which is asked of the same tables that the crate `tokenizers`
//! asks, so that both agree to the last character.

use serde::Deserialize;
use unicode_categories::UnicodeCategories as _;
use unicode_normalization_alignments::UnicodeNormalization as _;

/// What is done to a text: `BertNormalizer` of `tokenizer.json`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Normaliser {
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    lowercase: bool,
}

impl Normaliser {
    /// Cuts `text` into words and hands each to `word`, until that says `false`.
    pub(crate) fn words(self, text: &str, word: impl FnMut(&str) -> bool) {
        if text.is_ascii() {
            cut(text.bytes().filter_map(|byte| self.plain(byte)), word);
        } else {
            cut(self.characters(text), word);
        }
    }

    /// A character of ASCII after everything that is done to it; nothing where it is dropped. The
    /// same as [`Self::characters`], without the steps that do nothing to such a character.
    fn plain(self, byte: u8) -> Option<char> {
        let character = char::from(byte);
        match character {
            _ if self.clean_text && is_dropped(character) => None,
            _ if self.clean_text && character.is_ascii_whitespace() => Some(' '),
            _ if self.lowercase => Some(character.to_ascii_lowercase()),
            _ => Some(character),
        }
    }

    /// The text's characters after everything that is done to them.
    fn characters(self, text: &str) -> impl Iterator<Item = char> {
        let kept = move |character: &char| !self.clean_text || !is_dropped(*character);
        let spaced = move |character: char| {
            if self.clean_text && character.is_whitespace() { ' ' } else { character }
        };
        let apart = move |character: char| {
            let space = (self.handle_chinese_chars && is_chinese(character)).then_some(' ');
            [space, Some(character), space].into_iter().flatten()
        };
        let characters = text.chars().filter(kept).map(spaced).flat_map(apart);
        // What is decomposed has its marks apart.
        let (bare, stripped) = if self.strip_accents.unwrap_or(self.lowercase) {
            (
                None,
                Some(characters.nfd().map(|(one, _)| one).filter(|one| !one.is_mark_nonspacing())),
            )
        } else {
            (Some(characters), None)
        };
        let bare = bare.into_iter().flatten();
        let characters = bare.chain(stripped.into_iter().flatten());
        characters.flat_map(move |character| {
            let (lower, same) = if self.lowercase {
                (Some(character.to_lowercase()), None)
            } else {
                (None, Some(character))
            };
            lower.into_iter().flatten().chain(same)
        })
    }
}

/// Cuts characters into words and marks that stand alone, and hands each to `word`, until that says
/// `false`.
fn cut(characters: impl Iterator<Item = char>, mut word: impl FnMut(&str) -> bool) {
    let mut open = String::new();
    let mut whole = |text: &str| text.is_empty() || word(text);
    for character in characters {
        let alone = is_punctuation(character);
        if !alone && !character.is_whitespace() {
            open.push(character);
            continue;
        }
        let mut going_on = whole(&open);
        open.clear();
        if alone && going_on {
            going_on = whole(character.encode_utf8(&mut [0; 4]));
        }
        if !going_on {
            return;
        }
    }
    whole(&open);
}

/// Whether cleaning drops a character: what controls, what is private, what is no character.
fn is_dropped(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => false,
        '\u{fffd}' => true,
        // The tables are searched for each category.
        _ if character.is_ascii() => character.is_ascii_control(),
        _ => character.is_other(),
    }
}

/// Whether a character stands alone: marks of any script, and all of ASCII that is no letter or
/// digit.
fn is_punctuation(character: char) -> bool {
    if character.is_ascii() { character.is_ascii_punctuation() } else { character.is_punctuation() }
}

/// Whether a character is an ideograph, in the blocks that BERT knew.
fn is_chinese(character: char) -> bool {
    matches!(character,
        '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b81f}'
        | '\u{2b920}'..='\u{2ceaf}'
        | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Normaliser = Normaliser {
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: None,
        lowercase: true,
    };

    fn words(normaliser: Normaliser, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        normaliser.words(text, |word| {
            words.push(word.to_owned());
            true
        });
        words
    }

    #[test]
    fn words_are_clean_and_in_lower_case() {
        assert_eq!(words(PLAIN, " Größe,\tÉcole!\u{0}x "), ["große", ",", "ecole", "!", "x"]);
        assert_eq!(words(PLAIN, "a中文b"), ["a", "中", "文", "b"]);
        assert_eq!(words(PLAIN, ""), Vec::<String>::new());
    }

    #[test]
    fn what_the_file_does_not_ask_for_is_not_done() {
        let bare = Normaliser {
            clean_text: false,
            handle_chinese_chars: false,
            strip_accents: None,
            lowercase: false,
        };
        assert_eq!(words(bare, "Écò\u{1}le 中文"), ["Écò\u{1}le", "中文"]);
        let accents = Normaliser { strip_accents: Some(true), ..bare };
        assert_eq!(words(accents, "Écò"), ["Eco"]);
    }

    #[test]
    fn nobody_reads_on_who_has_enough() {
        let mut seen = 0;
        PLAIN.words("a b c", |_| {
            seen += 1;
            seen < 2
        });
        assert_eq!(seen, 2);
    }
}
