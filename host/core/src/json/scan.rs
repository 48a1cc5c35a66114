//! One pass over the bytes, without recursion, before they are parsed.

use super::{Bounds, DEPTH_MAX, JsonProblem};

/// Where a problem is and what it is.
type Found = (usize, JsonProblem);

/// Digits that always fit 64 bits; longer integers are looked at.
const DIGITS_SAFE: usize = 18;

/// Checks every bound. What is not JSON at all is left to the parser.
pub(super) fn check(bytes: &[u8], bounds: Bounds) -> Result<(), Found> {
    if bytes.len() > bounds.bytes_max {
        return Err((bounds.bytes_max, JsonProblem::TooLong(bounds.bytes_max)));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err((error.valid_up_to(), JsonProblem::NotUtf8));
    }
    let depth_max = bounds.depth_max.min(DEPTH_MAX);
    let (mut depth, mut values) = (0_usize, 1_usize);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = match byte {
            b'"' => after_string(bytes, at),
            b'-' | b'0'..=b'9' => after_number(bytes, at)?,
            _ => at + 1,
        };
        match byte {
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > depth_max {
            return Err((at, JsonProblem::TooDeep(depth_max)));
        }
        if values > bounds.values_max {
            return Err((at, JsonProblem::TooManyValues(bounds.values_max)));
        }
        at = next;
    }
    Ok(())
}

/// The place after the string that begins at `at`, or the end when it never closes.
fn after_string(bytes: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while let Some(byte) = bytes.get(next) {
        match byte {
            b'"' => return next + 1,
            b'\\' => next += 2,
            _ => next += 1,
        }
    }
    bytes.len()
}

/// The place after the number that begins at `at`.
fn after_number(bytes: &[u8], at: usize) -> Result<usize, Found> {
    let rest = bytes.get(at..).unwrap_or_default();
    let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = rest.iter().position(|byte| !part(byte)).unwrap_or(rest.len());
    let token = rest.get(..length).unwrap_or_default();
    let integer = !token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if integer && length > DIGITS_SAFE {
        let text = std::str::from_utf8(token).unwrap_or_default();
        if text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
            return Err((at, JsonProblem::IntegerTooLarge));
        }
    }
    Ok(at + length.max(1))
}
