//! Terms that have to be translated so: where they stand in a text, and whether their translations
//! stand in its translation.

use crate::failure::Failure;

/// The most terms of a glossary.
pub const TERMS_MAX: usize = 256;
/// The most bytes of a term.
pub const TERM_BYTES_MAX: usize = 200;

/// A term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// As it stands in the text; capitals do not count.
    pub source: String,
    /// As it has to stand in the translation.
    pub target: String,
}

/// A glossary, longer terms first: they go before those that they contain.
#[derive(Debug, Clone, Default)]
pub struct Glossary {
    terms: Vec<Term>,
}

impl Glossary {
    /// Checks the terms.
    ///
    /// # Errors
    /// When there are too many, or one is empty or too long.
    pub fn new(terms: Vec<Term>) -> Result<Self, Failure> {
        if terms.len() > TERMS_MAX {
            let count = terms.len();
            return Err(Failure::TooLarge(format!(
                "`glossary` has {count} terms, the most is {TERMS_MAX}"
            )));
        }
        let mut terms = terms;
        for (number, term) in terms.iter_mut().enumerate() {
            for text in [&mut term.source, &mut term.target] {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if text.is_empty() || text.len() > TERM_BYTES_MAX {
                    return Err(Failure::Invalid(format!(
                        "term {number} of `glossary`: both sides have 1 to {TERM_BYTES_MAX} bytes"
                    )));
                }
            }
        }
        terms.sort_by_key(|term| std::cmp::Reverse(term.source.len()));
        Ok(Self { terms })
    }

    /// The terms in a sentence, with how often each stands there.
    pub(crate) fn found_in(&self, sentence: &str) -> Vec<(Term, usize)> {
        let mut lower: Vec<Option<char>> = sentence.to_lowercase().chars().map(Some).collect();
        let mut found: Vec<(Term, usize)> = Vec::new();
        for term in &self.terms {
            let wanted: Vec<char> = term.source.to_lowercase().chars().collect();
            let count = take_out(&mut lower, &wanted);
            if count > 0 {
                found.push((term.clone(), count));
            }
        }
        found
    }
}

/// Removes whole words from a text, so that nothing else is found there. Says how many there were.
fn take_out(text: &mut [Option<char>], wanted: &[char]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some(window) = text.get(at..at + wanted.len()) {
        let same = window.iter().zip(wanted).all(|(one, other)| *one == Some(*other));
        let before = at.checked_sub(1).and_then(|before| text.get(before).copied().flatten());
        let after = text.get(at + wanted.len()).copied().flatten();
        if same && is_whole(before, wanted, after) {
            text.iter_mut().skip(at).take(wanted.len()).for_each(|letter| *letter = None);
            count += 1;
            at += wanted.len();
        } else {
            at += 1;
        }
    }
    count
}

/// Whether words stand alone between what is before and after them.
fn is_whole(before: Option<char>, words: &[char], after: Option<char>) -> bool {
    let apart = |one: Option<&char>, other: Option<char>| {
        !(one.is_some_and(|one| joins(*one)) && other.is_some_and(joins))
    };
    apart(words.first(), before) && apart(words.last(), after)
}

/// Whether a character makes one word with its like: not in scripts that are written without spaces.
pub(crate) fn joins(letter: char) -> bool {
    let without_spaces = matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}');
    letter.is_alphanumeric() && !without_spaces
}

/// How often words stand in a text, letter for letter and whole.
pub(crate) fn count(text: &str, words: &str) -> usize {
    let mut text: Vec<Option<char>> = text.chars().map(Some).collect();
    take_out(&mut text, &words.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glossary(terms: &[(&str, &str)]) -> Result<Glossary, Failure> {
        let term = |(source, target): &(&str, &str)| Term {
            source: (*source).to_owned(),
            target: (*target).to_owned(),
        };
        Glossary::new(terms.iter().map(term).collect())
    }

    fn found(terms: &[(&str, &str)], text: &str) -> Vec<(String, usize)> {
        let found = glossary(terms).unwrap().found_in(text);
        found.into_iter().map(|(term, count)| (term.source, count)).collect()
    }

    #[test]
    fn whole_words_are_found_whatever_their_capitals() {
        let terms = [("cat", "Kater"), ("hot dog", "Wurst"), ("dog", "Rüde")];
        let text = "Cat, concatenated: a CAT's hot dog. Dogs, a dog";
        assert_eq!(
            found(&terms, text),
            [("hot dog".to_owned(), 1), ("cat".to_owned(), 2), ("dog".to_owned(), 1)]
        );
        assert!(found(&terms, "nothing").is_empty());
        assert_eq!(found(&[("猫", "cat")], "我的猫是猫"), [("猫".to_owned(), 2)]);
    }

    #[test]
    fn translations_are_counted_letter_for_letter() {
        assert_eq!(count("Der Kater, kater, Katers; Kater", "Kater"), 2);
        assert_eq!(count("ein guter  Hund", "guter Hund"), 0);
        assert_eq!(count("我的猫", "猫"), 1);
        assert_eq!(count("", "a"), 0);
    }

    #[test]
    fn terms_are_bounded() {
        assert!(matches!(glossary(&[("", "a")]), Err(Failure::Invalid(_))));
        assert!(matches!(glossary(&[("a", "  ")]), Err(Failure::Invalid(_))));
        assert!(glossary(&[("a", &"b".repeat(201))]).is_err());
        assert!(matches!(glossary(&[("a", "b"); 257]), Err(Failure::TooLarge(_))));
    }
}
