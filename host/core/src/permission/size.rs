//! Sizes: `8MiB`, `64KiB`, plain bytes.

use crate::limits::{KIB, MIB};

const GIB: u64 = 1024 * MIB;
/// Largest size that can be written: one tebibyte.
const BYTES_MAX: u64 = 1024 * GIB;
const UNITS: [(&str, u64); 3] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];

/// A number of bytes from `8MiB`, `64KiB`, `1GiB` or plain digits; 1 byte to 1 TiB. `None` for
/// everything else: fractions, other units, spaces.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (digits, unit) = unit.unwrap_or((text, 1));
    let plain =
        (1..=13).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit)?;
    (1..=BYTES_MAX).contains(&bytes).then_some(bytes)
}

/// The shortest exact spelling.
pub(crate) fn format_size(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}
