//! Which language a text is in: trigrams and letters (`whatlang`), and the commonest words.

mod words;

use whatlang::{Detector, Lang};

use crate::languages;

/// Bytes of a text that are looked at: more make nothing surer.
const LOOKED_AT_BYTES: usize = 4096;
/// A text with fewer letters is hard to tell from one of a neighbouring language.
const LETTERS_ENOUGH: usize = 30;
/// From this on a language is not taken for a guess.
pub const SURE: f32 = 0.5;

/// A language, and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its shortest code.
    pub language: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// The language of a text; nothing where it has no letters that say anything.
#[must_use]
pub fn find(text: &str) -> Option<Found> {
    let text = start(text);
    let whole = guess(text)?;
    let confidence = whole.confidence * enough(text) * agreeing(text, &whole.language);
    Some(Found { confidence, ..whole })
}

/// What trigrams and words say together, whatever the length.
fn guess(text: &str) -> Option<Found> {
    let trigrams = Detector::new().detect(text)?;
    let language = languages::short(trigrams.lang().code());
    let sure = single(trigrams.confidence());
    let Some(words) = words::find(text) else { return Some(Found { language, confidence: sure }) };
    if words.language == language {
        let confidence = 1.0 - (1.0 - sure) * (1.0 - words.confidence);
        return Some(Found { language, confidence });
    }
    // Trigrams are surer of a sentence than they should be.
    if words.confidence > sure / 3.0 {
        let confidence = words.confidence * (1.0 - sure / 4.0);
        return Some(Found { language: words.language.to_owned(), confidence });
    }
    Some(Found { language, confidence: sure * (1.0 - words.confidence) })
}

/// The likeliest of some languages, without saying how sure it is; nothing where none of them is known
/// here, or the text has no letters.
#[must_use]
pub fn find_among(text: &str, known: &[String]) -> Option<String> {
    let is_known = |lang: &Lang| languages::find(lang.code(), known).is_some();
    let list: Vec<Lang> = Lang::all().iter().copied().filter(is_known).collect();
    if list.is_empty() {
        return None;
    }
    let found = Detector::with_allowlist(list).detect(start(text))?.lang();
    // A script of its own is told whatever is allowed.
    is_known(&found).then(|| languages::short(found.code()))
}

/// The beginning of a text, in whole characters.
fn start(text: &str) -> &str {
    let end = (0..=LOOKED_AT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// How much a text's length says: little, where several languages share its script.
fn enough(text: &str) -> f32 {
    let letters = text.chars().filter(|letter| letter.is_alphabetic()).count();
    let shared = whatlang::detect_script(text).is_none_or(|script| script.langs().len() > 1);
    // A character of Chinese or Japanese is a word.
    let enough = if shared && !text.chars().any(is_ideograph) { LETTERS_ENOUGH } else { 2 };
    (letters as f32 / enough as f32).min(1.0)
}

fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}')
}

/// The share of the letters whose own surroundings are in that language, too.
fn agreeing(text: &str, language: &str) -> f32 {
    let (mut all, mut same) = (0, 0);
    for part in parts(text) {
        let letters = part.chars().filter(|letter| letter.is_alphabetic()).count();
        let Some(found) = guess(part) else { continue };
        // A part that is a guess says nothing against the whole.
        if found.language == language || found.confidence * enough(part) < SURE {
            same += letters;
        }
        all += letters;
    }
    if all == 0 { 1.0 } else { same as f32 / all as f32 }
}

/// The text in sentences and lines.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '\n', '\u{3002}'])
}

#[expect(clippy::cast_possible_truncation, reason = "a share needs no more than 24 bits")]
fn single(value: f64) -> f32 {
    value as f32
}
