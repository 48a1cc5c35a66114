//! A file as it was read: its text, in blocks, under headings, each at its place.

use std::ops::Range;

/// Blocks in one file.
const BLOCKS_MAX: usize = 200_000;
/// Bytes of one heading that are kept.
const HEADING_BYTES_MAX: usize = 160;
/// Levels of headings.
const LEVELS_MAX: usize = 6;

/// What was read from a file.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The text: the file's own, or what was taken out of it.
    pub text: String,
    /// Pieces of it that belong together, in order, without what lies between them.
    pub blocks: Vec<Block>,
    /// Stretches that no passage crosses; blocks name theirs by its number.
    pub sections: Vec<Section>,
    /// Where in the file the text comes from.
    pub places: Places,
    /// Whether lines are kept together rather than sentences.
    pub is_code: bool,
}

/// A paragraph, a list, a top-level block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it lies in the text.
    pub range: Range<usize>,
    /// The number of its section.
    pub section: usize,
}

/// A stretch under one heading, or on one page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
}

/// What the numbers of [`Places`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Lines of the file.
    #[default]
    Lines,
    /// Pages.
    Pages,
}

/// Which line or page each part of the text comes from.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// What is counted.
    pub unit: Unit,
    /// From this offset on it is this number; ordered by offset.
    marks: Vec<(usize, u32)>,
}

impl Places {
    /// Those of a text that is the file's own.
    #[must_use]
    pub fn lines_of(text: &str) -> Self {
        let mut places = Self::default();
        places.mark(0, 1);
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        for (number, (end, _)) in (2..).zip(ends) {
            places.mark(end + 1, number);
        }
        places
    }

    /// Says that from `offset` on it is `number`. Offsets only grow.
    pub fn mark(&mut self, offset: usize, number: u32) {
        if self.marks.last().is_none_or(|(_, last)| *last != number) {
            self.marks.push((offset, number));
        }
    }

    /// The first and the last number of a piece.
    #[must_use]
    pub fn of(&self, range: &Range<usize>) -> (u32, u32) {
        (self.at(range.start), self.at(range.end.saturating_sub(1).max(range.start)))
    }

    /// The number at an offset.
    #[must_use]
    pub fn at(&self, offset: usize) -> u32 {
        let after = self.marks.partition_point(|(start, _)| *start <= offset);
        after.checked_sub(1).and_then(|at| self.marks.get(at)).map_or(1, |(_, number)| *number)
    }
}

/// A file has more blocks than are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyBlocks;

/// Puts a document together from beginning to end.
#[derive(Debug, Default)]
pub struct Builder {
    document: Document,
    /// The headings that are open, with their levels.
    open: Vec<(u8, String)>,
    /// The last section holds nothing but its heading.
    only_heading: bool,
    too_many: bool,
}

impl Builder {
    /// Begins.
    #[must_use]
    pub fn new(is_code: bool) -> Self {
        let document =
            Document { sections: vec![Section::default()], is_code, ..Document::default() };
        Self { document, only_heading: true, ..Self::default() }
    }

    /// What stands above all headings.
    pub fn title(&mut self, title: &str) {
        let path = heading(title).into_iter().collect();
        if let Some(first) = self.document.sections.first_mut() {
            first.heading = path;
        }
    }

    /// A heading, which the next block holds. What stands alone under its own heading goes on below the
    /// next deeper one: a passage that is nothing but a heading answers nothing.
    pub fn heading(&mut self, level: u8, title: &str) {
        while self.open.last().is_some_and(|(open, _)| *open >= level) {
            self.open.pop();
        }
        if self.open.len() < LEVELS_MAX {
            self.open.extend(heading(title).map(|title| (level, title)));
        }
        let section =
            Section { heading: self.open.iter().map(|(_, title)| title.clone()).collect() };
        match self.document.sections.last_mut() {
            Some(last) if self.only_heading && last.is_above(&section) => *last = section,
            _ => self.document.sections.push(section),
        }
        self.only_heading = true;
    }

    /// A new section without headings.
    pub fn page(&mut self) {
        if !self.document.blocks.is_empty() {
            self.document.sections.push(Section::default());
        }
    }

    /// The block of the heading that was just said; what comes next belongs to it as well.
    pub fn heading_block(&mut self, range: Range<usize>) {
        let only_heading = self.only_heading;
        self.block(range);
        self.only_heading = only_heading;
    }

    /// A block. Blank ones are left out.
    pub fn block(&mut self, range: Range<usize>) {
        let written = self.document.text.get(range.clone()).unwrap_or_default();
        let end = range.start + written.trim_end().len();
        let start = range.start + (written.len() - written.trim_start_matches(['\n', '\r']).len());
        if start >= end {
            return;
        }
        if self.document.blocks.len() >= BLOCKS_MAX {
            self.too_many = true;
            return;
        }
        let section = self.document.sections.len().saturating_sub(1);
        // A heading and what follows it are one block, so that no passage ends between them.
        match self.document.blocks.last_mut() {
            Some(last) if self.only_heading && last.section == section => last.range.end = end,
            _ => self.document.blocks.push(Block { range: start..end, section }),
        }
        self.only_heading = false;
    }

    /// The text so far.
    pub fn text(&mut self) -> &mut String {
        &mut self.document.text
    }

    /// Where the text comes from.
    pub fn places(&mut self) -> &mut Places {
        &mut self.document.places
    }

    /// The document.
    ///
    /// # Errors
    /// When it has too many blocks.
    pub fn finish(self) -> Result<Document, TooManyBlocks> {
        if self.too_many { Err(TooManyBlocks) } else { Ok(self.document) }
    }
}

impl Section {
    /// Whether its headings are those that `below` begins with.
    fn is_above(&self, below: &Self) -> bool {
        below.heading.len() > self.heading.len() && below.heading.starts_with(&self.heading)
    }
}

/// A heading on one line, bounded; nothing when it says nothing.
fn heading(title: &str) -> Option<String> {
    let mut line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|character| !character.is_control());
    line.truncate(line.floor_char_boundary(HEADING_BYTES_MAX));
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(document: &Document) -> Vec<Vec<String>> {
        document.sections.iter().map(|section| section.heading.clone()).collect()
    }

    fn built(parts: &[(Option<u8>, &str)]) -> Document {
        let mut builder = Builder::new(false);
        for (level, text) in parts {
            let start = builder.text().len();
            builder.text().push_str(text);
            builder.text().push('\n');
            let range = start..start + text.len();
            match level {
                Some(level) => {
                    builder.heading(*level, text);
                    builder.heading_block(range);
                }
                None => builder.block(range),
            }
        }
        builder.finish().unwrap()
    }

    #[test]
    fn headings_have_the_path_to_them() {
        let document = built(&[
            (None, "before"),
            (Some(1), "A"),
            (None, "a"),
            (Some(3), "B"),
            (None, "b"),
            (Some(2), "C"),
            (None, "c"),
        ]);
        assert_eq!(paths(&document), [vec![], vec!["A"], vec!["A", "B"], vec!["A", "C"]]);
        let sections: Vec<_> = document.blocks.iter().map(|block| block.section).collect();
        assert_eq!(sections, [0, 1, 2, 3]);
    }

    #[test]
    fn a_heading_alone_goes_on_below_the_next_deeper_one() {
        let document = built(&[(Some(1), "A"), (Some(2), "B"), (None, "b"), (Some(2), "C")]);
        assert_eq!(paths(&document), [vec!["A", "B"], vec!["A", "C"]]);
        let texts: Vec<_> =
            document.blocks.iter().map(|block| &document.text[block.range.clone()]).collect();
        assert_eq!(texts, ["A\nB\nb", "C"]);
        let document = built(&[(Some(2), "A"), (Some(2), "B"), (None, "b")]);
        assert_eq!(paths(&document), [vec!["A"], vec!["B"]]);
    }

    #[test]
    fn headings_are_one_bounded_line() {
        assert_eq!(heading(" a\n\tb\u{7} "), Some("a b".to_owned()));
        assert_eq!(heading(" \n"), None);
        assert_eq!(heading(&"ü".repeat(500)).unwrap().len(), HEADING_BYTES_MAX);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let places = Places::lines_of("a\nbc\n\nd");
        assert_eq!(places.of(&(0..1)), (1, 1));
        assert_eq!(places.of(&(0..3)), (1, 2));
        assert_eq!(places.of(&(6..7)), (4, 4));
        assert_eq!(Places::default().at(5), 1);
    }

    #[test]
    fn blank_blocks_are_left_out() {
        let document = built(&[(None, "  "), (None, "\n\n  a \n")]);
        let block = document.blocks.first().unwrap();
        assert_eq!(document.blocks.len(), 1);
        assert_eq!(document.text.get(block.range.clone()), Some("  a"));
    }
}
