//! The words of a query. They go to the index one by one: nothing of a query is ever read as syntax.

use std::collections::BTreeSet;

use super::{IndexError, IndexErrorCode, QUERY_BYTES_MAX, WORDS_MAX};

/// The different words of a query in their order, in lower case. Letters, digits and accents that
/// stand as characters of their own are in words; everything else separates them.
///
/// # Errors
/// When the text has more than [`QUERY_BYTES_MAX`] bytes or [`WORDS_MAX`] different words.
pub fn words_of(text: &str) -> Result<Vec<String>, IndexError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("a search takes a text of at most {QUERY_BYTES_MAX} bytes");
        return Err(IndexError::new(IndexErrorCode::TooLarge, &message));
    }
    let mut known = BTreeSet::new();
    let mut words = Vec::new();
    for word in text.split(|letter: char| !is_part(letter)) {
        // An accent alone is no word.
        if !word.chars().any(char::is_alphanumeric) {
            continue;
        }
        let word = word.to_lowercase();
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    if words.len() > WORDS_MAX {
        let message = format!("a search takes at most {WORDS_MAX} different words");
        return Err(IndexError::new(IndexErrorCode::TooLarge, &message));
    }
    Ok(words)
}

/// Letters, digits, and the combining accents of Unicode's first block of them.
fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&letter)
}
