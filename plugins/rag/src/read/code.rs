//! Source code in any language: a top-level block is what begins at the left margin after a blank line.
//!
//! Nothing is parsed. Languages are alike in how people lay them out: what is inside something is
//! indented, or ends with a line that closes it; comments and attributes stand directly above what
//! they belong to.

use std::ops::Range;

use crate::document::{Builder, Document, Places, TooManyBlocks};

/// Words that end or go on with the block before them.
const CLOSING: [&str; 9] =
    ["end", "else", "elif", "elsif", "fi", "done", "esac", "except", "finally"];

/// Reads it.
pub(super) fn read(text: String) -> Result<Document, TooManyBlocks> {
    let mut builder = Builder::new(true);
    *builder.places() = Places::lines_of(&text);
    let blocks = top_level(&text);
    *builder.text() = text;
    for block in blocks {
        builder.block(block);
    }
    builder.finish()
}

fn top_level(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut after_blank = false;
    for line in text.split_inclusive('\n') {
        if after_blank && begins(line) {
            blocks.push(start..at);
            start = at;
        }
        after_blank = line.trim().is_empty();
        at += line.len();
    }
    blocks.push(start..at);
    blocks
}

/// Whether a line at the left margin begins something.
fn begins(line: &str) -> bool {
    let word =
        line.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
    !line.starts_with([' ', '\t', '\r', '\n', '}', ')', ']']) && !CLOSING.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<String> {
        let document = read(text.to_owned()).unwrap();
        let text = |range: Range<usize>| document.text[range].to_owned();
        document.blocks.iter().map(|block| text(block.range.clone())).collect()
    }

    #[test]
    fn functions_keep_their_comments_and_their_blank_lines() {
        let source =
            "use a;\nuse b;\n\n/// One.\nfn one() {\n    a();\n\n    b();\n\n}\n\nfn two() {}\n";
        let one = "/// One.\nfn one() {\n    a();\n\n    b();\n\n}";
        assert_eq!(blocks(source), ["use a;\nuse b;", one, "fn two() {}"]);
    }

    #[test]
    fn indentation_and_closing_words_keep_a_block_together() {
        let source =
            "class A:\n\n    def b(self):\n        pass\n\n    c = 1\n\ndef d():\n    pass\n";
        assert_eq!(blocks(source).len(), 2);
        assert_eq!(blocks("if true\n\n  a\n\nelse\n  b\nend\n\nc()\n").len(), 2);
        assert_eq!(blocks("if true\n\n  a\n\nelsewhere()\n").len(), 2);
    }
}
