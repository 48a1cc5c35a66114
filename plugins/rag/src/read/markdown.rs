//! Markdown: blocks are its top-level blocks as they stand in the file, sections its headings.

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::document::{Builder, Document, Places, TooManyBlocks};

/// Reads it.
pub(super) fn read(text: String) -> Result<Document, TooManyBlocks> {
    let mut builder = Builder::new(false);
    *builder.places() = Places::lines_of(&text);
    let parts = parts(&text);
    *builder.text() = text;
    let mut at = 0;
    for part in parts {
        // What lies between two blocks belongs to none: link definitions, for one.
        builder.block(at..part.range.start.max(at));
        match part.heading {
            Some((level, title)) => {
                builder.heading(level, &title);
                builder.heading_block(part.range.clone());
            }
            None => builder.block(part.range.clone()),
        }
        at = part.range.end;
    }
    let end = builder.text().len();
    builder.block(at..end);
    builder.finish()
}

/// A top-level block.
struct Part {
    range: std::ops::Range<usize>,
    heading: Option<(u8, String)>,
}

fn parts(text: &str) -> Vec<Part> {
    let mut options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    options |= Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_GFM;
    let mut parts: Vec<Part> = Vec::new();
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    let heading = match tag {
                        Tag::Heading { level, .. } => Some((level as u8, String::new())),
                        _ => None,
                    };
                    parts.push(Part { range, heading });
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(said) | Event::Code(said) => {
                if let Some(Part { heading: Some((_, title)), .. }) = parts.last_mut()
                    && depth > 0
                {
                    title.push_str(&said);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(Part { heading: Some((_, title)), .. }) = parts.last_mut() {
                    title.push(' ');
                }
            }
            _ if depth == 0 => parts.push(Part { range, heading: None }),
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, String)> {
        let document = read(text.to_owned()).unwrap();
        let show = |block: &crate::document::Block| {
            let path = document.sections[block.section].heading.join(" > ");
            (path, document.text[block.range.clone()].to_owned())
        };
        document.blocks.iter().map(show).collect()
    }

    fn pairs(shown: &[(String, String)]) -> Vec<(&str, &str)> {
        shown.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
    }

    #[test]
    fn blocks_stand_under_their_headings_as_written() {
        let text = "---\ntitle: x\n---\n\nIntro.\n\n# The *first* `one`\n\nText\nmore.\n\n- a\n\n- b\n\n\
                    Second\n------\n\n```rust\n# no heading\n```\n\n> ## quoted\n\n[link]: /there\n\n---\n";
        let shown = shown(text);
        assert_eq!(
            pairs(&shown),
            [
                ("", "---\ntitle: x\n---"),
                ("", "Intro."),
                ("The first one", "# The *first* `one`\n\nText\nmore."),
                ("The first one", "- a\n\n- b"),
                ("The first one > Second", "Second\n------\n\n```rust\n# no heading\n```"),
                ("The first one > Second", "> ## quoted"),
                ("The first one > Second", "[link]: /there"),
                ("The first one > Second", "---"),
            ]
        );
    }

    #[test]
    fn an_indented_code_block_keeps_its_indentation() {
        let shown = shown("a\n\n    code\n      more\n");
        assert_eq!(shown[1].1.trim_start_matches(' '), "code\n      more");
    }
}
