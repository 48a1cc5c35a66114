//! The log text of one call: bounded, one entry a line, every character that a terminal or a log
//! reader would act on written as an escape.

/// Lines kept per call, whatever their length: an empty line costs memory too.
const LINES_MAX: usize = 4_096;

/// Collects the log of one call.
#[derive(Debug, Default)]
pub(super) struct LogCollector {
    lines: Vec<String>,
    /// The line that has no end yet.
    open: Option<String>,
    kept_bytes: u64,
    offered_bytes: u64,
}

impl LogCollector {
    /// Adds text of which at most `bytes_max` (over the call) are kept.
    pub(super) fn append(&mut self, text: &str, bytes_max: u64) {
        self.offered_bytes = self.offered_bytes.saturating_add(text.len() as u64);
        let left = usize::try_from(bytes_max.saturating_sub(self.kept_bytes)).unwrap_or(usize::MAX);
        let kept = floor_char(text, left);
        // What was cut ends the log: later text would read as if it followed.
        let cut = kept.len() < text.len();
        let used = self.kept_bytes.saturating_add(kept.len() as u64);
        self.kept_bytes = if cut { bytes_max } else { used };
        for piece in kept.split_inclusive('\n') {
            if self.lines.len() >= LINES_MAX {
                return;
            }
            let line = self.open.get_or_insert_default();
            let body = piece.strip_suffix('\n').unwrap_or(piece);
            escape_into(body.strip_suffix('\r').unwrap_or(body), usize::MAX, line);
            if piece.ends_with('\n') {
                self.lines.extend(self.open.take());
            }
        }
    }

    /// The lines, and how many bytes were offered.
    pub(super) fn finish(mut self) -> (Vec<String>, u64) {
        self.lines.extend(self.open.take());
        (self.lines, self.offered_bytes)
    }
}

/// The longest start of `text` that fits in `bytes` and ends between two characters.
fn floor_char(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Writes up to `chars_max` characters of `text`: control characters, line and paragraph
/// separators and the marks that change the direction of text as Rust escapes.
pub(crate) fn escape_into(text: &str, chars_max: usize, into: &mut String) {
    let mut characters = text.chars();
    for character in characters.by_ref().take(chars_max) {
        if is_unsafe(character) {
            into.extend(character.escape_default());
        } else {
            into.push(character);
        }
    }
    if characters.next().is_some() {
        into.push('…');
    }
}

/// Unicode Bidi_Control, separators, zero-width and other invisible format characters (UAX #9,
/// UTS #39), and controls.
fn is_unsafe(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(pieces: &[&str], bytes_max: u64) -> (Vec<String>, u64) {
        let mut log = LogCollector::default();
        for piece in pieces {
            log.append(piece, bytes_max);
        }
        log.finish()
    }

    #[test]
    fn lines_are_joined_from_pieces_and_split_at_line_feeds() {
        let (lines, bytes) = collect(&["on", "e\r\ntw", "o\n\nlast"], 100);
        assert_eq!(lines, ["one", "two", "", "last"]);
        assert_eq!(bytes, 14);
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        let (lines, _) = collect(&["\u{1b}]0;x\u{7}a\rb\0\u{202e}\u{85}\ttab ä"], 100);
        assert_eq!(lines, ["\\u{1b}]0;x\\u{7}a\\rb\\u{0}\\u{202e}\\u{85}\ttab ä"]);
    }

    #[test]
    fn the_rest_is_counted_and_dropped_between_two_characters() {
        let (lines, bytes) = collect(&["äöü", "more"], 3);
        assert_eq!(lines, ["ä"]);
        assert_eq!(bytes, 10);
    }

    #[test]
    fn empty_lines_are_bounded_too() {
        let flood = "\n".repeat(100_000);
        assert_eq!(collect(&[&flood], u64::MAX).0.len(), LINES_MAX);
    }
}
