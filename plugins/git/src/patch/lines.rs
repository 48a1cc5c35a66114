//! The hunks of a unified difference.

use gix::diff::blob::{Algorithm, Hunk, InternedInput, diff_with_slider_heuristics};

/// Bytes of the line that a hunk's header names.
const HEADING_BYTES_MAX: usize = 80;

/// Appends the hunks that turn `old` into `new`.
pub(super) fn hunks(out: &mut Vec<u8>, old: &[u8], new: &[u8], context: u32) {
    let input = InternedInput::new(old, new);
    let diff = diff_with_slider_heuristics(Algorithm::Myers, &input);
    let line = |token| -> &[u8] { input.interner[token] };
    let before: Vec<&[u8]> = input.before.iter().map(|token| line(*token)).collect();
    let after: Vec<&[u8]> = input.after.iter().map(|token| line(*token)).collect();
    let changes: Vec<Hunk> = diff.hunks().collect();
    // Changes whose contexts touch share one hunk.
    for group in changes.chunk_by(|a, b| b.before.start - a.before.end <= 2 * context) {
        hunk(out, group, &before, &after, context);
    }
}

fn hunk(out: &mut Vec<u8>, group: &[Hunk], before: &[&[u8]], after: &[&[u8]], context: u32) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let lead = context.min(first.before.start);
    let old_start = first.before.start - lead;
    let new_start = first.after.start - lead;
    let length = u32::try_from(before.len()).unwrap_or(u32::MAX);
    let tail = context.min(length - last.before.end);
    let old_length = last.before.end + tail - old_start;
    let new_length = last.after.end + tail - new_start;
    out.extend(b"@@ -");
    range(out, old_start, old_length);
    out.extend(b" +");
    range(out, new_start, new_length);
    out.extend(b" @@");
    if let Some(heading) = heading(before, old_start) {
        out.push(b' ');
        out.extend(heading);
    }
    out.push(b'\n');
    let mut at = old_start;
    for change in group {
        lines(out, b' ', before, at..change.before.start);
        lines(out, b'-', before, change.before.clone());
        lines(out, b'+', after, change.after.clone());
        at = change.before.end;
    }
    lines(out, b' ', before, at..at + tail);
}

/// `START,LENGTH`, with git's short forms.
fn range(out: &mut Vec<u8>, start: u32, length: u32) {
    let text = match length {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{length}", start + 1),
    };
    out.extend(text.bytes());
}

fn lines(out: &mut Vec<u8>, sign: u8, all: &[&[u8]], range: std::ops::Range<u32>) {
    for line in all.get(range.start as usize..range.end as usize).unwrap_or_default() {
        out.push(sign);
        out.extend_from_slice(line);
        if line.last() != Some(&b'\n') {
            out.extend(b"\n\\ No newline at end of file\n");
        }
    }
}

/// The last line above that begins with a letter, `_` or `$`: mostly the function's.
fn heading<'a>(before: &[&'a [u8]], start: u32) -> Option<&'a [u8]> {
    let above = before.get(..start as usize)?;
    let begins = |line: &&&[u8]| {
        line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$'))
    };
    let line = above.iter().rev().find(begins)?;
    Some(line.get(..HEADING_BYTES_MAX).unwrap_or(line).trim_ascii_end())
}
