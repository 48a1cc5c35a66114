//! Globs over arguments: `*` stands for characters other than `/`, `**` for any characters, and
//! `\` takes the next character as it is. Everything else stands for itself.
//!
//! The work is at most text × glob steps with both bounded, whatever they hold, and nothing is
//! allocated: texts come from guests.

/// Longest glob in bytes.
pub const GLOB_BYTES_MAX: usize = 256;
/// Longest text that a glob with stars matches, in bytes; longer ones never match.
pub const TEXT_BYTES_MAX: usize = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Star,
    DoubleStar,
    End,
}

/// Why a glob was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a glob has 1 to {GLOB_BYTES_MAX} bytes, no control characters, at most two stars in a row and no final `\\`"
)]
pub struct GlobError;

/// Checks a glob before it is kept.
///
/// # Errors
/// When it is empty, too long, or ends in the middle of an escape.
pub fn check(glob: &str) -> Result<(), GlobError> {
    let open = glob.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    let fits = (1..=GLOB_BYTES_MAX).contains(&glob.len());
    let three = glob.contains("***");
    if !fits || open || three || glob.chars().any(char::is_control) {
        return Err(GlobError);
    }
    Ok(())
}

/// Whether the glob stands for this text. A text with a `.` or `..` segment, which may lead
/// elsewhere than it seems, matches only `**` and its own literal spelling.
#[must_use]
pub fn matches(glob: &str, text: &str) -> bool {
    if glob == "**" {
        return true;
    }
    let mut tokens = Tokens(glob.as_bytes());
    let mut rest = text.as_bytes();
    // Most globs begin with plain text, and most texts differ there.
    while let Some(Token::Byte(byte)) = tokens.peek() {
        let [first, tail @ ..] = rest else { return false };
        if *first != byte {
            return false;
        }
        tokens.next();
        rest = tail;
    }
    ends(tokens, rest, glob, text)
}

/// Whether what is left of the glob stands for what is left of the text.
fn ends(tokens: Tokens<'_>, rest: &[u8], glob: &str, text: &str) -> bool {
    if tokens.0.is_empty() {
        return rest.is_empty();
    }
    let dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
    let bounded = text.len() <= TEXT_BYTES_MAX && glob.len() <= GLOB_BYTES_MAX;
    bounded && !dots && (tokens.0 == b"**" || simulate(tokens, rest))
}

/// A glob that was read once: what every text of its begins with is compared in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    text: String,
    /// The plain text before the first star, without escapes.
    start: Vec<u8>,
    /// Where in the glob that text ends.
    start_end: usize,
}

impl Glob {
    /// Reads a glob.
    pub(crate) fn new(glob: &str) -> Self {
        let mut tokens = Tokens(glob.as_bytes());
        let mut start = Vec::new();
        while let Some(Token::Byte(byte)) = tokens.peek() {
            start.push(byte);
            tokens.next();
        }
        let start_end = glob.len().saturating_sub(tokens.0.len());
        Self { text: glob.to_owned(), start, start_end }
    }

    /// As [`matches`].
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(rest) = text.as_bytes().strip_prefix(self.start.as_slice()) else { return false };
        let tokens = Tokens(self.text.as_bytes().get(self.start_end..).unwrap_or_default());
        self.text == "**" || ends(tokens, rest, &self.text, text)
    }
}

/// Whether the glob stands for every text that `other` stands for. May say no where the answer is
/// yes; never the other way round.
#[must_use]
pub fn covers(glob: &str, other: &str) -> bool {
    glob == other || glob == "**" || literal(other).is_some_and(|text| matches(glob, &text))
}

/// The text with everything escaped that a glob would read in its own way, spaces too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '\\' | ' ') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The one text that a glob without stars stands for.
fn literal(glob: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = Tokens(glob.as_bytes())
        .map(|token| if let Token::Byte(byte) = token { Some(byte) } else { None })
        .collect();
    String::from_utf8(bytes?).ok()
}

/// The tokens of a glob, read as they are needed.
#[derive(Clone, Copy)]
struct Tokens<'glob>(&'glob [u8]);

impl Tokens<'_> {
    fn peek(self) -> Option<Token> {
        let mut copy = self;
        copy.next()
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let (token, rest) = match self.0 {
            [] => return None,
            [b'*', b'*', rest @ ..] => (Token::DoubleStar, rest),
            [b'*', rest @ ..] => (Token::Star, rest),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (Token::Byte(*byte), rest),
        };
        self.0 = rest;
        Some(token)
    }
}

/// Follows all positions in the glob at once, one byte of the text after the other: at each
/// position `here` says whether the text so far can lead to it.
fn simulate(tokens: Tokens<'_>, text: &[u8]) -> bool {
    let mut pattern = [Token::End; GLOB_BYTES_MAX + 1];
    for (cell, token) in pattern.iter_mut().zip(tokens.take(GLOB_BYTES_MAX)) {
        *cell = token;
    }
    let mut active = [false; GLOB_BYTES_MAX + 1];
    if let Some(first) = active.first_mut() {
        *first = true;
    }
    for byte in text {
        let mut next = [false; GLOB_BYTES_MAX + 1];
        let (mut reached, mut advanced) = (false, false);
        for ((token, here), then) in pattern.iter().zip(active).zip(&mut next) {
            let here = here || reached;
            *then = advanced || (here && token.repeats(*byte));
            reached = here && token.is_star();
            advanced = here && *token == Token::Byte(*byte);
            if *token == Token::End {
                break;
            }
        }
        active = next;
    }
    let mut reached = false;
    for (token, here) in pattern.iter().zip(active) {
        let here = here || reached;
        if *token == Token::End {
            return here;
        }
        reached = here && token.is_star();
    }
    false
}

impl Token {
    /// Stars may stand for nothing, so the position behind one is reached with it.
    const fn is_star(self) -> bool {
        matches!(self, Self::Star | Self::DoubleStar)
    }

    /// Whether this token takes the byte and stays where it is.
    const fn repeats(self, byte: u8) -> bool {
        match self {
            Self::DoubleStar => true,
            Self::Star => byte != b'/',
            Self::Byte(_) | Self::End => false,
        }
    }
}

#[cfg(test)]
mod tests;
