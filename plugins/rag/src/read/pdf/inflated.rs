//! How large the compressed streams of a PDF are: looked at before anything keeps them in memory.

use std::io;
use std::io::Read;

use flate2::read::ZlibDecoder;

/// Bytes of one stream once inflated.
const STREAM_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of all streams of a file once inflated.
const TOTAL_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// How often one stream may be deflated.
const LAYERS_MAX: u32 = 4;
/// Bytes before a stream in which its dictionary says what it is.
const DICTIONARY_BYTES: usize = 512;

/// Whether all that is deflated in a file stays within bounds. Pictures are not counted: they are not
/// decoded. Finding them needs no reading of the file's structure, which may be false: a stream
/// begins after the word.
pub(super) fn is_bounded(file: &[u8]) -> bool {
    is_within(file, STREAM_BYTES_MAX, TOTAL_BYTES_MAX)
}

fn is_within(file: &[u8], stream_bytes_max: u64, total_bytes_max: u64) -> bool {
    let mut total = 0_u64;
    let mut at = 0;
    while let Some(found) = find(file, at, b"stream") {
        let dictionary = file.get(at.max(found.saturating_sub(DICTIONARY_BYTES))..found);
        at = found + b"stream".len();
        let Some(data) = file.get(at..).and_then(after_line) else { continue };
        if dictionary.is_some_and(is_picture) || !is_zlib(data) {
            continue;
        }
        for layers in 1..=LAYERS_MAX {
            let bytes = inflated(data, layers, stream_bytes_max + 1);
            total = total.saturating_add(bytes.length);
            if bytes.length > stream_bytes_max || total > total_bytes_max {
                return false;
            }
            if !bytes.is_deflated {
                break;
            }
        }
    }
    true
}

/// What data is once inflated.
struct Inflated {
    length: u64,
    /// It is deflated itself.
    is_deflated: bool,
}

/// Data that is deflated so many times; at most `at_most` bytes are looked at. What is damaged counts
/// until there, as it does for the library.
fn inflated(data: &[u8], layers: u32, at_most: u64) -> Inflated {
    let mut inflating: Box<dyn Read + '_> = Box::new(data);
    for _ in 0..layers {
        inflating = Box::new(ZlibDecoder::new(inflating));
    }
    let mut begins = Vec::new();
    let _ = inflating.by_ref().take(2).read_to_end(&mut begins);
    let mut counted = Counted(begins.len() as u64);
    let _ = io::copy(&mut inflating.take(at_most), &mut counted);
    Inflated { length: counted.0, is_deflated: is_zlib(&begins) }
}

struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn find(file: &[u8], from: usize, word: &[u8]) -> Option<usize> {
    file.get(from..)?.windows(word.len()).position(|window| window == word).map(|at| from + at)
}

fn after_line(data: &[u8]) -> Option<&[u8]> {
    data.strip_prefix(b"\r\n")
        .or_else(|| data.strip_prefix(b"\n"))
        .or_else(|| data.strip_prefix(b"\r"))
}

fn is_picture(dictionary: &[u8]) -> bool {
    let own = dictionary.windows(3).rposition(|window| window == b"obj").unwrap_or(0);
    dictionary.get(own..).is_some_and(|own| find(own, 0, b"/Image").is_some())
}

/// The header of zlib: the method, and a check over both bytes.
fn is_zlib(data: &[u8]) -> bool {
    matches!(data, [method, flags, ..]
        if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn stream(dictionary: &str, bytes: usize) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b' '; bytes]).unwrap();
        let mut file = format!("1 0 obj <<{dictionary}>>\nstream\r\n").into_bytes();
        file.extend(encoder.finish().unwrap());
        file.extend(b"\nendstream endobj\n");
        file
    }

    #[test]
    fn one_stream_and_all_together_are_bounded() {
        let file = stream("", 1_000);
        assert!(is_within(&file, 1_000, 1_000));
        assert!(!is_within(&file, 999, 1_000));
        let file = [stream("", 1_000), stream("", 1_000)].concat();
        assert!(is_within(&file, 1_000, 2_000));
        assert!(!is_within(&file, 1_000, 1_999));
    }

    #[test]
    fn pictures_are_not_counted_and_what_follows_them_is() {
        let picture = stream("/Subtype /Image", 1_000);
        assert!(is_within(&picture, 10, 10));
        assert!(!is_within(&[picture, stream("", 11)].concat(), 10, 10));
    }

    #[test]
    fn what_is_deflated_twice_is_inflated_twice() {
        let deflate = |bytes: &[u8]| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut file = b"1 0 obj <<>>\nstream\n".to_vec();
        file.extend(deflate(&deflate(&[b' '; 100_000])));
        assert!(!is_within(&file, 99_999, 1_000_000));
        assert!(is_within(&file, 100_000, 1_000_000));
    }

    #[test]
    fn what_is_cut_off_counts_as_far_as_it_goes() {
        let mut file = stream("", 100_000);
        file.truncate(file.len() - 40);
        assert!(!is_within(&file, 1_000, 1_000));
        assert!(is_within(b"stream", 1, 1));
        assert!(is_within(b"", 1, 1));
    }
}
