//! Cutting what is too long: between sentences or lines first, then wherever it has to be.

use std::ops::Range;

/// The sentences of prose or the lines of code within a range.
pub(crate) fn sentences(text: &str, range: &Range<usize>, is_code: bool) -> Vec<Range<usize>> {
    let piece = text.get(range.clone()).unwrap_or_default();
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut characters = piece.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let end = at + character.len_utf8();
        let before_space = characters.peek().is_none_or(|(_, next)| next.is_whitespace());
        let ends = match character {
            '\n' => true,
            '.' | '!' | '?' | '…' => !is_code && before_space,
            '。' | '！' | '？' => !is_code,
            _ => false,
        };
        if ends {
            pieces.push(start..end);
            start = end;
        }
    }
    pieces.push(start..piece.len());
    trimmed(text, range.start, pieces, is_code)
}

/// Runs of at most `bytes` bytes within a range: between words where there are any.
pub(crate) fn runs(text: &str, range: &Range<usize>, bytes: usize) -> Vec<Range<usize>> {
    let piece = text.get(range.clone()).unwrap_or_default();
    let mut runs = Vec::new();
    let mut start = 0;
    while let Some(rest) = piece.get(start..).filter(|rest| !rest.is_empty()) {
        let mut end = rest.floor_char_boundary(bytes);
        if end == 0 {
            end = rest.chars().next().map_or(rest.len(), char::len_utf8);
        }
        if end < rest.len() {
            let window = rest.get(..end).unwrap_or_default();
            let word = window.rfind(char::is_whitespace).map(|at| rest.ceil_char_boundary(at + 1));
            end = word.unwrap_or(end);
        }
        runs.push(start..start + end);
        start += end;
    }
    trimmed(text, range.start, runs, false)
}

/// The pieces without white space around them (code keeps that before it), as ranges of the text.
fn trimmed(
    text: &str,
    offset: usize,
    pieces: Vec<Range<usize>>,
    is_code: bool,
) -> Vec<Range<usize>> {
    let trim = |piece: Range<usize>| {
        let range = offset + piece.start..offset + piece.end;
        let written = text.get(range.clone())?;
        let end = range.start + written.trim_end().len();
        let blank = if is_code { 0 } else { written.len() - written.trim_start().len() };
        (range.start + blank < end).then_some(range.start + blank..end)
    };
    pieces.into_iter().filter_map(trim).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown<'a>(text: &'a str, pieces: &[Range<usize>]) -> Vec<&'a str> {
        pieces.iter().map(|piece| &text[piece.clone()]).collect()
    }

    #[test]
    fn prose_is_cut_after_sentences_and_code_after_lines() {
        let text = "Version 1.2 is out. Is it?\nYes! 是。不是。";
        let pieces = sentences(text, &(0..text.len()), false);
        assert_eq!(
            shown(text, &pieces),
            ["Version 1.2 is out.", "Is it?", "Yes!", "是。", "不是。"]
        );
        let code = "a. b\n  c!\n\n";
        assert_eq!(shown(code, &sentences(code, &(0..code.len()), true)), ["a. b", "  c!"]);
    }

    #[test]
    fn runs_end_between_words_where_there_are_any() {
        let text = "one two threefour";
        assert_eq!(shown(text, &runs(text, &(0..text.len()), 8)), ["one two", "threefou", "r"]);
        let text = "üüü";
        assert_eq!(shown(text, &runs(text, &(0..text.len()), 1)), ["ü", "ü", "ü"]);
        let text = "a\u{3000}bbbb";
        assert_eq!(shown(text, &runs(text, &(0..text.len()), 5)), ["a", "bbbb"]);
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost(text in "[a-c.!ü\u{3000} \n]{0,80}", bytes in 1..20_usize) {
            let all = 0..text.len();
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            for pieces in [sentences(&text, &all, false), sentences(&text, &all, true), runs(&text, &all, bytes)] {
                prop_assert_eq!(bare(&shown(&text, &pieces).concat()), bare(&text));
            }
            for run in runs(&text, &all, bytes.max(3)) {
                prop_assert!(run.len() <= bytes.max(3));
            }
        }
    }
}
