//! What is wrong in a file that a person wrote, shown where it stands: file, line, column, the
//! line itself and a hint. Every TOML file is read through [`read_toml`], which bounds it first.
//!
//! Deliberately absent: several errors at once. The first one is shown; the next run shows the
//! next.

use std::{fmt, ops::Range};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{code::Code, outcome::Refusal};

mod nearest;

pub use nearest::nearest;

/// Longest piece of a source line that is shown, in characters: with its number it fits 80 columns.
const EXCERPT_CHARS_MAX: usize = 70;
/// Longest file name that is kept, in characters.
const FILE_CHARS_MAX: usize = 512;
/// Longest message or hint that is kept, in characters: both may repeat words of the file.
const MESSAGE_CHARS_MAX: usize = 512;

/// One error in a file, with the place where it stands. [`fmt::Display`] is the short form on
/// one line; [`Diagnostic::render`] shows the source line with a caret. As the details of a
/// [`Refusal`] it travels to whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Which kind of file it is in: manifest, configuration or grant.
    pub code: Code,
    /// The file's name as it was given, bounded and escaped.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong, bounded and escaped.
    pub message: String,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
    /// The source line around the column, bounded and escaped; empty when there is none.
    source_line: String,
    /// Where the caret stands in the source line, in characters from 0.
    caret: u32,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The field of a refusal's details that holds the diagnostic.
const DETAIL: &str = "diagnostic";

impl From<Diagnostic> for Refusal {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::new(diagnostic.code, diagnostic.to_string())
            .with_details(json!({ DETAIL: diagnostic }))
    }
}

impl Diagnostic {
    /// The same with this hint, when there is one.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.map(|hint| bounded(&hint, MESSAGE_CHARS_MAX)).or(self.hint);
        self
    }

    /// The diagnostic that a refusal was made from.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Option<Self> {
        let detail = refusal.details.as_ref()?.get(DETAIL)?;
        Self::deserialize(detail).ok().filter(|found| found.code == refusal.code)
    }

    /// Several lines of plain text: the message on the first, then the place, the source line
    /// with a caret below the wrong part, the hint.
    #[must_use]
    pub fn render(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let mut text =
            format!("{}\n{gutter}--> {}:{}:{}\n", self.message, self.file, self.line, self.column);
        if !self.source_line.is_empty() {
            let indent = usize::try_from(self.caret).unwrap_or_default().min(EXCERPT_CHARS_MAX);
            let shown = format!(
                "{gutter} |\n{number} | {}\n{gutter} | {}^\n",
                self.source_line.trim_end(),
                " ".repeat(indent)
            );
            text.push_str(&shown);
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{gutter} = hint: {hint}\n"));
        }
        text
    }
}

/// A file that is being read: its name as given, its text and the code of its errors.
#[derive(Debug, Clone, Copy)]
pub struct Source<'text> {
    /// The code that errors in this file carry.
    pub code: Code,
    /// The name as the person gave it.
    pub file: &'text str,
    /// All of it.
    pub text: &'text str,
}

impl Source<'_> {
    /// An error at a byte range of the text; a range outside the text stands at its end.
    #[must_use]
    pub fn error(&self, span: Range<usize>, message: impl fmt::Display) -> Diagnostic {
        let start = self.text.floor_char_boundary(span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = self.text.get(line_start..).unwrap_or_default();
        let line_text = line_text.split('\n').next().unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        // A long line is shown from some way before the error on.
        let skipped = column.saturating_sub(EXCERPT_CHARS_MAX / 2);
        let shown = line_text.chars().skip(skipped).take(EXCERPT_CHARS_MAX).map(one_column);
        Diagnostic {
            code: self.code,
            file: bounded(self.file, FILE_CHARS_MAX),
            line: narrow(before.matches('\n').count() + 1),
            column: narrow(column + 1),
            message: bounded(&message.to_string(), MESSAGE_CHARS_MAX),
            hint: None,
            source_line: shown.collect(),
            caret: narrow(column - skipped),
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn error_with_hint(
        &self,
        span: Range<usize>,
        message: impl fmt::Display,
        hint: impl fmt::Display,
    ) -> Diagnostic {
        self.error(span, message).with_hint(Some(hint.to_string()))
    }

    /// An error of the TOML parser or of a type that is read from it.
    fn toml_error(&self, error: &toml::de::Error) -> Diagnostic {
        let end = self.text.len();
        let found = self.error(error.span().unwrap_or(end..end), error.message());
        found.with_hint(suggestion(error.message()))
    }
}

/// Reads a TOML file of at most `bytes_max` bytes. Nesting is bounded by the parser (80 levels).
///
/// # Errors
/// When the file is too large, is not TOML, has an unknown key or a value of another type.
pub fn read_toml<T: DeserializeOwned>(
    source: &Source<'_>,
    bytes_max: usize,
) -> Result<T, Diagnostic> {
    if source.text.len() > bytes_max {
        let message = format!("the file is larger than {bytes_max} bytes");
        return Err(Source { text: "", ..*source }.error(0..0, message));
    }
    toml::from_str(source.text).map_err(|error| source.toml_error(&error))
}

/// A hint for serde's "unknown field `x`, expected one of `a`, `b`": the nearest known name.
fn suggestion(message: &str) -> Option<String> {
    let unknown = message.strip_prefix("unknown field ");
    let unknown = unknown.or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = unknown.split('`').skip(1).step_by(2);
    let word = quoted.next()?;
    let known = nearest(word, quoted)?;
    Some(format!("did you mean `{known}`?"))
}

/// At most `chars_max` characters, on one line, without control characters.
fn bounded(text: &str, chars_max: usize) -> String {
    let mut short: String = text.trim_end().chars().take(chars_max).map(one_column).collect();
    if text.trim_end().chars().nth(chars_max).is_some() {
        short.push('…');
    }
    short
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The text on one line, with stand-ins for characters that control, hide or reorder text: what
/// is shown to a person says what it seems to say.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(one_column).collect()
}

fn one_column(character: char) -> char {
    let hides = matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    match character {
        '\t' | '\n' | '\r' => ' ',
        _ if hides || character.is_control() => '\u{fffd}',
        _ => character,
    }
}

#[cfg(test)]
mod tests;
