//! What of a text is translated and what stays as it is: line breaks, blank lines, indents, the marks
//! of lists, quotes and headings, and lines without letters.

use crate::sentences;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// Stays as it is.
    Kept(&'a str),
    /// Is translated.
    Sentence(&'a str),
}

/// The parts of a text; together they are the text. `language` tells its abbreviations.
#[must_use]
pub fn parts<'a>(text: &'a str, language: &str) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let (mark, content) = content.split_at(mark_length(content));
        let end = line.get(mark.len() + content.len()..).unwrap_or_default();
        push_kept(&mut parts, mark);
        if content.chars().any(char::is_alphabetic) {
            for sentence in sentences::split(content, language) {
                let said = sentence.trim_end();
                parts.push(Part::Sentence(said));
                push_kept(&mut parts, sentence.get(said.len()..).unwrap_or_default());
            }
        } else {
            push_kept(&mut parts, content);
        }
        push_kept(&mut parts, end);
    }
    parts
}

fn push_kept<'a>(parts: &mut Vec<Part<'a>>, text: &'a str) {
    if !text.is_empty() {
        parts.push(Part::Kept(text));
    }
}

/// Bytes of an indent and the marks after it.
fn mark_length(line: &str) -> usize {
    let mut rest = line.trim_start();
    while let Some(length) = one_mark(rest) {
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    line.len() - rest.len()
}

/// Bytes of one mark; something follows it after a space.
fn one_mark(text: &str) -> Option<usize> {
    let end = text.find(char::is_whitespace)?;
    let word = text.get(..end)?;
    (is_bullet(word) || is_number(word)).then_some(end)
}

fn is_bullet(word: &str) -> bool {
    matches!(word, "-" | "*" | "+" | "\u{2022}" | "\u{2013}" | "\u{2014}" | "[ ]" | "[x]" | "[X]")
        || word.bytes().all(|byte| byte == b'>')
        || word.len() <= 6 && word.bytes().all(|byte| byte == b'#')
}

/// `1.`, `12)`, `(3)`, `2.1.`, `a)`.
fn is_number(word: &str) -> bool {
    let inner = word.strip_prefix('(').unwrap_or(word);
    let Some(inner) = inner.strip_suffix([')', '.']) else { return false };
    let digits = |part: &str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let letter = inner.len() == 1 && inner.bytes().all(|byte| byte.is_ascii_alphabetic());
    inner.split('.').all(digits) || letter && word.ends_with(')')
}

#[cfg(test)]
mod tests {
    use super::Part::{Kept, Sentence};
    use super::*;

    #[test]
    fn lines_and_marks_are_kept() {
        let text =
            "# A title\n\n  - One thing. And more!  \n\t2.1. Two\n> > quoted\r\n---\n3.14\n\nEnd";
        let wanted = [
            Kept("# "),
            Sentence("A title"),
            Kept("\n"),
            Kept("\n"),
            Kept("  - "),
            Sentence("One thing."),
            Kept(" "),
            Sentence("And more!"),
            Kept("  \n"),
            Kept("\t2.1. "),
            Sentence("Two"),
            Kept("\n"),
            Kept("> > "),
            Sentence("quoted"),
            Kept("\r\n"),
            Kept("---"),
            Kept("\n"),
            Kept("3.14"),
            Kept("\n"),
            Kept("\n"),
            Sentence("End"),
        ];
        assert_eq!(parts(text, "en"), wanted);
    }

    #[test]
    fn marks_are_told_from_words() {
        for (line, mark) in [
            ("- x", 2),
            ("-x", 0),
            ("1. x", 3),
            ("1984 was", 0),
            ("12345. x", 0),
            ("(3) x", 4),
            ("a) x", 3),
            ("A. Smith", 0),
            ("\u{2022} x", 4),
            ("   x", 3),
            ("", 0),
        ] {
            assert_eq!(mark_length(line), mark, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_parts_are_the_text(text in "[ \n\r\ta-cA-C.!?1#>*()\u{3002}\u{e4}-]{0,60}") {
            let whole: String = parts(&text, "en").iter().map(|part| match part {
                Kept(text) | Sentence(text) => *text,
            }).collect();
            proptest::prop_assert_eq!(whole, text);
        }
    }
}
