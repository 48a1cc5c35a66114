//! Finding lines by regular expression, file by file and line by line, within bounds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use regex::bytes::{Regex, RegexBuilder};

use crate::files::{Error, LineMatch, LineMatches};
use crate::glob::Glob;
use crate::walk::{Found, Walk};

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 1_024;
/// Bytes that the compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// Groups within groups of a pattern: they cost stack.
const NESTING_MAX: u32 = 32;
/// Lines when the caller names no limit.
const LIMIT_DEFAULT: u32 = 200;
/// The most lines.
const LIMIT_MAX: u32 = 5_000;
/// The most bytes that are read.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of a line that are searched; what comes after is passed over.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a line that are shown.
const SHOWN_BYTES_MAX: usize = 512;
/// Bytes at the beginning of a file where a zero byte means that it is not text.
const SNIFF_BYTES: usize = 8 * 1024;

/// What is searched.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) pattern: &'a str,
    pub(crate) path: Option<&'a str>,
    pub(crate) glob: Option<&'a str>,
    pub(crate) ignore_case: bool,
    pub(crate) limit: Option<u32>,
    pub(crate) limit_bytes: Option<u64>,
}

/// Lines that match.
pub(crate) fn grep(search: &Search<'_>) -> Result<LineMatches, Error> {
    let regex = regex(search)?;
    let glob = search.glob.map(Glob::new).transpose()?;
    let mut budget = Budget {
        lines: search.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize,
        bytes: search.limit_bytes.unwrap_or(BYTES_MAX).min(BYTES_MAX),
    };
    let mut result =
        LineMatches { matches: vec![], files_searched: 0, bytes_searched: 0, truncated: false };
    let mut walk = Walk::new(search.path.unwrap_or("."), |found| match &glob {
        Some(glob) => glob.may_hold(found),
        None => !name_is_hidden(&found.relative),
    })?;
    for found in walk.by_ref() {
        let named = found.relative.is_empty() || glob.as_ref().is_none_or(|g| g.matches(&found));
        if !found.is_file || !named {
            continue;
        }
        // A file that cannot be read, or is gone, is left out and says so.
        if search_file(&found, &regex, &mut budget, &mut result).is_err() {
            result.truncated = true;
        }
        if budget.is_used_up() {
            result.truncated = true;
            return Ok(result);
        }
    }
    result.truncated |= walk.truncated();
    Ok(result)
}

fn regex(search: &Search<'_>) -> Result<Regex, Error> {
    if search.pattern.len() > PATTERN_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "a pattern has at most {PATTERN_BYTES_MAX} bytes, this one has {}",
            search.pattern.len()
        )));
    }
    RegexBuilder::new(search.pattern)
        .case_insensitive(search.ignore_case)
        .nest_limit(NESTING_MAX)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| Error::Invalid(format!("the pattern is wrong: {error}")))
}

fn name_is_hidden(relative: &str) -> bool {
    relative.rsplit('/').next().is_some_and(|name| name.starts_with('.'))
}

/// What the search may still take.
struct Budget {
    lines: usize,
    bytes: u64,
}

impl Budget {
    fn is_used_up(&self) -> bool {
        self.lines == 0 || self.bytes == 0
    }
}

fn search_file(
    found: &Found,
    regex: &Regex,
    budget: &mut Budget,
    result: &mut LineMatches,
) -> io::Result<()> {
    let mut source = BufReader::with_capacity(64 * 1024, File::open(&found.place)?);
    result.files_searched += 1;
    if source.fill_buf()?.iter().take(SNIFF_BYTES).any(|byte| *byte == 0) {
        return Ok(());
    }
    let mut line = Vec::new();
    let mut number = 0;
    while !budget.is_used_up() {
        let read = next_line(&mut source, &mut line, budget.bytes)?;
        if read == 0 {
            break;
        }
        number += 1;
        budget.bytes -= read;
        result.bytes_searched += read;
        if let Some(at) = regex.find(&line) {
            budget.lines -= 1;
            result.matches.push(LineMatch {
                path: found.path.clone(),
                line: number,
                column: at.start() as u64 + 1,
                text: shown(&line, at.start()),
            });
        }
    }
    Ok(())
}

/// Reads one line without its end; answers how many bytes were taken from the file.
fn next_line(source: &mut impl BufRead, line: &mut Vec<u8>, at_most: u64) -> io::Result<u64> {
    line.clear();
    let mut read =
        source.by_ref().take(LINE_BYTES_MAX.min(at_most)).read_until(b'\n', line)? as u64;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        return Ok(read);
    }
    while read >= LINE_BYTES_MAX && read < at_most {
        let piece = source.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(piece.len(), |end| end + 1);
        source.consume(used);
        read = (read + used as u64).min(at_most);
        if end.is_some() || used == 0 {
            break;
        }
    }
    Ok(read)
}

/// The part of a line around a match, as text.
fn shown(line: &[u8], at: usize) -> String {
    let from = if line.len() <= SHOWN_BYTES_MAX { 0 } else { at.saturating_sub(64) };
    let part = line.get(from..).unwrap_or_default();
    let part = part.get(..SHOWN_BYTES_MAX).unwrap_or(part);
    String::from_utf8_lossy(part).into_owned()
}
