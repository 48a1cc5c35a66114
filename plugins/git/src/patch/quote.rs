//! Names as git writes them: C-style quotes around anything unusual.

/// `prefix` and `path`, quoted when a byte of it needs it.
pub(super) fn quoted(prefix: &[u8], path: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if path.iter().all(plain) {
        return [prefix, path].concat();
    }
    let mut out = vec![b'"'];
    for byte in prefix.iter().chain(path) {
        match byte {
            b'\x07' => out.extend(b"\\a"),
            b'\x08' => out.extend(b"\\b"),
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            b'\x0b' => out.extend(b"\\v"),
            b'\x0c' => out.extend(b"\\f"),
            b'\r' => out.extend(b"\\r"),
            b'"' => out.extend(b"\\\""),
            b'\\' => out.extend(b"\\\\"),
            byte if plain(byte) => out.push(*byte),
            byte => out.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_names_are_quoted_as_git_does() {
        let cases: [(&str, &str); 6] = [
            ("plain name.txt", "a/plain name.txt"),
            ("tab\there", "\"a/tab\\there\""),
            ("new\nline", "\"a/new\\nline\""),
            ("quote\"d", "\"a/quote\\\"d\""),
            ("back\\slash", "\"a/back\\\\slash\""),
            ("é", "\"a/\\303\\251\""),
        ];
        for (name, expected) in cases {
            assert_eq!(String::from_utf8(quoted(b"a/", name.as_bytes())).unwrap(), expected);
        }
    }
}
