//! Bytes as text: UTF-8, or UTF-16 with a byte order mark.

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoText {
    /// They hold zeros, as no text does.
    Binary,
    /// They hold none, but are not UTF-8.
    OtherEncoding,
}

/// The text; the byte order mark is left out.
///
/// # Errors
/// When it is none.
pub fn text(bytes: Vec<u8>) -> Result<String, NoText> {
    if let Some(rest) = bytes.strip_prefix(b"\xFF\xFE") {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        return utf16(rest, u16::from_be_bytes);
    }
    if bytes.contains(&0) {
        return Err(NoText::Binary);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| NoText::OtherEncoding)?;
    if text.starts_with('\u{FEFF}') {
        text.drain(..'\u{FEFF}'.len_utf8());
    }
    Ok(text)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, rest) = bytes.as_chunks();
    let units = pairs.iter().copied().map(unit);
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() && !text.contains('\0') => Ok(text),
        _ => Err(NoText::Binary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_and_utf16_are_text() {
        assert_eq!(text("grün".into()), Ok("grün".to_owned()));
        assert_eq!(text("\u{FEFF}grün".into()), Ok("grün".to_owned()));
        let units: Vec<u16> = "\u{FEFF}grün 𝄞".encode_utf16().collect();
        let little = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(text(little), Ok("grün 𝄞".to_owned()));
        assert_eq!(text(big), Ok("grün 𝄞".to_owned()));
    }

    #[test]
    fn zeros_are_binary_and_the_rest_is_another_encoding() {
        assert_eq!(text(b"\x7fELF\0\0".to_vec()), Err(NoText::Binary));
        assert_eq!(text(b"gr\xFCn".to_vec()), Err(NoText::OtherEncoding));
        assert_eq!(text(b"\xFF\xFEa".to_vec()), Err(NoText::Binary));
        assert_eq!(text(b"\xFF\xFE\x00\xD8".to_vec()), Err(NoText::Binary));
    }
}
