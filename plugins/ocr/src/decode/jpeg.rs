//! Whether a JPEG has its end. The decoder shows what it has and fills the rest with grey, as a
//! viewer should; text in the missing part would be missing silently.

/// The picture's end marker follows its first scan.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    scan(bytes).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// What follows the header of the first scan. Segments before it, which may hold whole pictures of
/// their own, are passed over by their lengths.
fn scan(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(2..)?;
    loop {
        match rest {
            // Fill bytes may stand before a marker.
            [0xff, 0xff, ..] => rest = rest.get(1..)?,
            // Markers without a segment.
            [0xff, 0x01 | 0xd0..=0xd8, ..] => rest = rest.get(2..)?,
            [0xff, marker, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let after = rest.get(length.checked_add(2)?..)?;
                if *marker == 0xda {
                    return Some(after);
                }
                rest = after;
            }
            // Decoders pass over what stands between segments.
            [_, ..] => rest = rest.get(1..)?,
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_counts_only_after_the_scan() {
        let thumbnail = [0xff, 0xe1, 0, 4, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 3, 9, 1, 2, 3];
        let file = |parts: &[&[u8]]| [&[0xff, 0xd8], parts.concat().as_slice()].concat();
        assert!(is_whole(&file(&[&thumbnail, &scan, &[0xff, 0xd9]])));
        assert!(is_whole(&file(&[&scan, &[0xff, 0xd9, 7, 7]])));
        assert!(!is_whole(&file(&[&thumbnail, &scan])));
        assert!(!is_whole(&file(&[&thumbnail])));
        assert!(!is_whole(&[]));
        assert!(!is_whole(&file(&[&[0xff, 0xe1, 0xff, 0xff]])));
    }
}
