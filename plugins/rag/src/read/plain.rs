//! Plain text: paragraphs are what blank lines part.

use crate::document::{Builder, Document, Places, TooManyBlocks};

/// Reads it.
pub(super) fn read(text: String) -> Result<Document, TooManyBlocks> {
    let mut builder = Builder::new(false);
    *builder.places() = Places::lines_of(&text);
    let blocks = paragraphs(&text);
    *builder.text() = text;
    for block in blocks {
        builder.block(block);
    }
    builder.finish()
}

/// Ranges of lines that blank lines part.
fn paragraphs(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            blocks.push(start..at);
            start = at + line.len();
        }
        at += line.len();
    }
    blocks.push(start..at);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_part_paragraphs() {
        let document = read("\n\na\nb\n \t\r\nc\n\n".to_owned()).unwrap();
        let texts: Vec<_> =
            document.blocks.iter().map(|block| &document.text[block.range.clone()]).collect();
        assert_eq!(texts, ["a\nb", "c"]);
        assert_eq!(document.places.of(&document.blocks[1].range), (6, 6));
    }
}
