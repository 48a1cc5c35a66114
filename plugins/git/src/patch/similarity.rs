//! How alike two files are, by git's measure: bytes of pieces that both have, over the bytes of
//! the longer one. A piece ends after a line or after 64 bytes.

use std::collections::HashMap;

/// Bytes of a piece.
const PIECE_BYTES_MAX: usize = 64;

/// Percent, rounded down.
pub(super) fn percent(old: &[u8], new: &[u8]) -> usize {
    let longer = old.len().max(new.len());
    if longer == 0 {
        return 100;
    }
    let mut bytes = HashMap::new();
    for piece in pieces(old) {
        *bytes.entry(piece).or_insert(0_usize) += piece.len();
    }
    let mut shared = 0;
    for piece in pieces(new) {
        if let Some(left) = bytes.get_mut(piece).filter(|left| **left > 0) {
            *left = left.saturating_sub(piece.len());
            shared += piece.len();
        }
    }
    // In sixty-thousandths first: git rounds there, and then again.
    shared * 60_000 / longer * 100 / 60_000
}

fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let window = rest.get(..PIECE_BYTES_MAX.min(rest.len()))?;
        let length =
            window.iter().position(|byte| *byte == b'\n').map_or(window.len(), |at| at + 1);
        let (piece, after) =
            rest.split_at_checked(length).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_lines_count_by_their_bytes() {
        let cases: [(&str, &str, usize); 5] = [
            ("", "", 100),
            ("a\nb\n", "a\nb\n", 100),
            ("a\nb\n", "b\na\n", 100),
            ("a\nb\nc\nd\n", "a\nb\nc\nx\n", 75),
            ("a\n", "b\n", 0),
        ];
        for (old, new, expected) in cases {
            assert_eq!(percent(old.as_bytes(), new.as_bytes()), expected, "{old:?} {new:?}");
        }
    }
}
