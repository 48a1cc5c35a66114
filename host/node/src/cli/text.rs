//! Words for a terminal: what a plugin wrote is made harmless, lines are broken at 80 columns,
//! numbers get units.

use std::borrow::Cow;

use clap::builder::styling::{AnsiColor, Style};

/// Columns that every screen fits into.
pub(crate) const WIDTH: usize = 80;

/// Headings and names.
pub(crate) const BOLD: Style = Style::new().bold();
/// What is less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Errors and failed checks.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings and what needs a decision.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// What is fine or granted.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();

/// `words` in `style`. Colours leave only through `anstream`, which drops them where they do
/// not belong.
pub(crate) fn styled(style: Style, words: &str) -> String {
    format!("{style}{words}{style:#}")
}

/// Text of a plugin or file, harmless on a terminal: control characters (escape sequences among
/// them) and the marks that reorder text are spelt out. Line breaks and tabs stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    clean_except(text, |letter| letter == '\n' || letter == '\t')
}

/// As [`clean`], on one line: no plugin text can pretend to be a line of ours.
pub(crate) fn clean_line(text: &str) -> Cow<'_, str> {
    clean_except(text, |_| false)
}

fn clean_except(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|letter| stays(letter) || !is_hostile(letter)) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            _ if stays(letter) || !is_hostile(letter) => cleaned.push(letter),
            '\n' | '\r' | '\t' => cleaned.push(' '),
            _ => cleaned.extend(letter.escape_unicode()),
        }
    }
    Cow::Owned(cleaned)
}

/// Control characters, and the Unicode marks that change the direction or hide letters.
fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` broken between words so that each line, with its indent, fits [`WIDTH`]. The first
/// line starts with `first`, the others with as many spaces. Words longer than a line stay
/// whole, so that a command or path can be copied. A line that fits keeps its spaces.
pub(crate) fn wrap(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let room = WIDTH.saturating_sub(indent).max(20);
    if !text.contains('\n') && text.chars().count() <= room {
        return format!("{first}{text}");
    }
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
        }
        used += length;
    }
    format!("{first}{}", lines.join(&format!("\n{}", " ".repeat(indent))))
}

/// The first `room` letters of `text`, with `…` in place of what is left out.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `text` with `…` in place of its middle, where it has more than `room` letters: names differ at
/// both ends.
pub(crate) fn shorten_middle(text: &str, room: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let (front, back) = (kept - kept / 2, kept / 2);
    let start = letters.iter().take(front);
    let end = letters.iter().skip(letters.len() - back);
    start.chain(&['…']).chain(end).collect()
}

/// `1536` as `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in UNITS {
        if count >= size {
            // Tenths in integers: no rounding surprises at the borders.
            let tenths = count / (size / 10).max(1);
            let (whole, tenth) = (count / size, (count % size) * 10 / size);
            return if tenth == 0 || tenths >= 1000 {
                format!("{whole} {unit}")
            } else {
                format!("{whole}.{tenth} {unit}")
            };
        }
    }
    format!("{count} B")
}

/// `1500` as `1.5 s`.
pub(crate) fn milliseconds(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} ms"),
        1_000..60_000 if count.is_multiple_of(1_000) => format!("{} s", count / 1_000),
        1_000..60_000 => format!("{}.{} s", count / 1_000, count % 1_000 / 100),
        _ if count.is_multiple_of(60_000) => format!("{} min", count / 60_000),
        _ => format!("{} min {} s", count / 60_000, count % 60_000 / 1_000),
    }
}

/// `10000000000` as `10,000,000,000`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 plugin`, `2 plugins`, `0 capabilities`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number} {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_letters_are_spelt_out() {
        assert_eq!(clean("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(clean("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
        assert_eq!(clean("two\nlines\tand é"), "two\nlines\tand é");
        assert_eq!(clean_line("two\r\nlines"), "two  lines");
        assert_eq!(clean("\u{9b}31m"), "\\u{9b}31m", "the one-byte escape of terminals");
    }

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        let text = "word ".repeat(40);
        let wrapped = wrap("  note  ", &text);
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH), "{wrapped}");
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("        word")));
        let path = "x".repeat(100);
        assert_eq!(wrap("- ", &path), format!("- {path}"));
    }

    #[test]
    fn numbers_have_units() {
        for (number, words) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (256 << 20, "256 MiB")]
        {
            assert_eq!(bytes(number), words);
        }
        assert_eq!(bytes(u64::MAX), "16777215 TiB");
        for (number, words) in
            [(999, "999 ms"), (1_500, "1.5 s"), (30_000, "30 s"), (90_000, "1 min 30 s")]
        {
            assert_eq!(milliseconds(number), words);
        }
        assert_eq!(thousands(10_000_000_000), "10,000,000,000");
        assert_eq!(thousands(999), "999");
        assert_eq!(shorten("abcdef", 4), "abc…");
        for (room, short) in [(6, "abcdef"), (5, "ab…ef"), (4, "ab…f"), (1, "…"), (0, "…")]
        {
            assert_eq!(shorten_middle("abcdef", room), short, "{room}");
        }
        assert_eq!(count(1, "plugin"), "1 plugin");
        assert_eq!(count(0, "plugin"), "0 plugins");
        assert_eq!(count(2, "capability"), "2 capabilities");
    }
}
