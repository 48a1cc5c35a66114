//! HTML: the text that a reader sees, in blocks, with the lines of the file that it comes from.
//!
//! Tags are told from text as browsers do it; no tree is built, since nothing here asks what stands
//! inside what, but for headings and what is not seen.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use crate::document::{Builder, Document, Places, TooManyBlocks};

/// Elements whose content is not read.
const UNSEEN: &[&[u8]] = &[
    b"datalist",
    b"iframe",
    b"math",
    b"noembed",
    b"noframes",
    b"noscript",
    b"object",
    b"script",
    b"select",
    b"style",
    b"svg",
    b"template",
];

/// Elements that stand within a line. All others begin a block and end one.
const WITHIN_A_LINE: &[&[u8]] = &[
    b"a",
    b"abbr",
    b"acronym",
    b"b",
    b"bdi",
    b"bdo",
    b"big",
    b"button",
    b"cite",
    b"code",
    b"data",
    b"del",
    b"dfn",
    b"em",
    b"font",
    b"i",
    b"img",
    b"input",
    b"ins",
    b"kbd",
    b"label",
    b"mark",
    b"meter",
    b"nobr",
    b"output",
    b"progress",
    b"q",
    b"rp",
    b"rt",
    b"ruby",
    b"s",
    b"samp",
    b"small",
    b"span",
    b"strike",
    b"strong",
    b"sub",
    b"sup",
    b"time",
    b"tt",
    b"u",
    b"var",
    b"wbr",
];

/// Reads it.
pub(super) fn read(html: &str) -> Result<Document, TooManyBlocks> {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut page = Page::new(html);
    for token in Tokenizer::new_with_emitter(html, emitter) {
        // Reading from memory does not fail.
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.start(&tag.name, tag.self_closing),
            Token::EndTag(tag) => page.end(&tag.name),
            Token::String(text) => {
                page.text(&String::from_utf8_lossy(&text.value), text.span.start)
            }
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    page.end_block();
    page.builder.finish()
}

struct Page {
    builder: Builder,
    /// Lines of the file.
    lines: Places,
    /// Where the block begins that is being written.
    block: usize,
    /// The element whose content is not seen, and how often it is open.
    unseen: Option<(Vec<u8>, usize)>,
    /// The level of the heading that is being read.
    heading: Option<u8>,
    /// What the title says, while it is being read.
    title: Option<String>,
    /// How often `pre` is open: white space stays as it is.
    verbatim: usize,
    /// White space came, and something before it.
    space: bool,
}

impl Page {
    fn new(html: &str) -> Self {
        Self {
            builder: Builder::new(false),
            lines: Places::lines_of(html),
            block: 0,
            unseen: None,
            heading: None,
            title: None,
            verbatim: 0,
            space: false,
        }
    }

    fn start(&mut self, name: &[u8], self_closing: bool) {
        if let Some((element, open)) = &mut self.unseen {
            *open += usize::from(element == name && !self_closing);
            return;
        }
        if UNSEEN.contains(&name) {
            self.unseen = (!self_closing).then(|| (name.to_vec(), 1));
            return;
        }
        match name {
            b"br" => self.newline(),
            b"title" => self.title = Some(String::new()),
            // Cells stand beside each other.
            b"td" | b"th" => self.space = true,
            _ if WITHIN_A_LINE.contains(&name) => {}
            _ => {
                self.end_block();
                self.heading = level(name).or(self.heading);
                self.verbatim += usize::from(name == b"pre");
            }
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some((element, open)) = &mut self.unseen {
            *open -= usize::from(element == name);
            if *open == 0 {
                self.unseen = None;
            }
            return;
        }
        match name {
            b"title" => {
                if let Some(title) = self.title.take() {
                    self.builder.title(&title);
                }
            }
            b"td" | b"th" => self.space = true,
            // What is unseen and was never opened ends nothing.
            _ if WITHIN_A_LINE.contains(&name) || UNSEEN.contains(&name) => {}
            _ => {
                self.end_block();
                self.heading = self.heading.filter(|_| level(name).is_none());
                self.verbatim = self.verbatim.saturating_sub(usize::from(name == b"pre"));
            }
        }
    }

    fn text(&mut self, said: &str, at: usize) {
        if self.unseen.is_some() {
            return;
        }
        if let Some(title) = &mut self.title {
            title.push_str(said);
            return;
        }
        let mut line = self.lines.at(at);
        for piece in said.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if !word.is_empty() {
                self.word(word, line);
            }
            line = line.saturating_add(u32::from(piece.ends_with('\n')));
            match piece.chars().next_back() {
                Some('\n') if self.verbatim > 0 => self.newline(),
                Some(blank) if self.verbatim > 0 && blank.is_whitespace() => {
                    let at = self.builder.text().len();
                    self.builder.places().mark(at, line);
                    self.builder.text().push(blank);
                }
                Some(blank) if blank.is_whitespace() => self.space = true,
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &str, line: u32) {
        let block = self.block;
        let space = std::mem::take(&mut self.space);
        let text = self.builder.text();
        if space && text.len() > block && !text.ends_with(char::is_whitespace) {
            text.push(' ');
        }
        let at = text.len();
        text.push_str(word);
        self.builder.places().mark(at, line);
    }

    fn newline(&mut self) {
        self.space = false;
        if self.builder.text().len() > self.block {
            self.builder.text().push('\n');
        }
    }

    fn end_block(&mut self) {
        self.space = false;
        let range = self.block..self.builder.text().len();
        let heading = self.heading.take();
        if range.is_empty() {
            self.heading = heading;
            return;
        }
        if let Some(level) = heading {
            let title = self.builder.text().get(range.clone()).unwrap_or_default().to_owned();
            self.builder.heading(level, &title);
            self.builder.heading_block(range);
        } else {
            self.builder.block(range);
        }
        self.builder.text().push('\n');
        self.block = self.builder.text().len();
    }
}

fn level(name: &[u8]) -> Option<u8> {
    match name {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(html: &str) -> Vec<(String, String, (u32, u32))> {
        let document = read(html).unwrap();
        let show = |block: &crate::document::Block| {
            let path = document.sections[block.section].heading.join(" > ");
            let lines = document.places.of(&block.range);
            (path, document.text[block.range.clone()].to_owned(), lines)
        };
        document.blocks.iter().map(show).collect()
    }

    fn expect(html: &str, expected: &[(&str, &str, (u32, u32))]) {
        let shown = shown(html);
        let shown: Vec<_> = shown
            .iter()
            .map(|(path, text, lines)| (path.as_str(), text.as_str(), *lines))
            .collect();
        assert_eq!(shown, expected, "{html}");
    }

    #[test]
    fn what_is_seen_is_read_with_its_lines() {
        let html = "<!doctype html>\n<title>Ti&amp;tle</title>\n<style>p { }</style>\n\
                    <body><p>Intro <b>bo</b>ld\n   goes\non.</p>\n<script>if (a < b) {}</script>\n\
                    <h1>First</h1><h2>Se<i>co</i>nd</h2>\n<ul><li>one<li>two</ul>\n\
                    <pre>  a\n    b</pre>\n<p>x<br>y<table><tr><td>1</td><td>2</td></tr></table>";
        expect(
            html,
            &[
                ("Ti&tle", "Intro bold goes on.", (4, 6)),
                ("First > Second", "First\nSecond\none", (8, 9)),
                ("First > Second", "two", (9, 9)),
                ("First > Second", "  a\n    b", (10, 11)),
                ("First > Second", "x\ny", (12, 12)),
                ("First > Second", "1 2", (12, 12)),
            ],
        );
    }

    #[test]
    fn headings_hold_what_they_hold() {
        expect("<h1><div>A</div></h1><p>b", &[("A", "A\nb", (1, 1))]);
        expect("<h1></h1><p>b", &[("", "b", (1, 1))]);
        expect("<h2>A<p>b", &[("A", "A\nb", (1, 1))]);
    }

    #[test]
    fn unseen_elements_end_where_they_were_opened() {
        expect("<svg><svg/><g>no</g></svg>yes", &[("", "yes", (1, 1))]);
        expect("<template><template>a</template>b</template>c", &[("", "c", (1, 1))]);
        expect("<noscript>a</noscript>b</svg>c", &[("", "bc", (1, 1))]);
        expect("a<!-- b --><select><option>c</select>d<svg/>e", &[("", "ade", (1, 1))]);
    }

    proptest! {
        #[test]
        fn anything_is_read(html in "[<>/a-z &;=\"!\\-\n]{0,200}") {
            let document = read(&html).unwrap();
            for block in &document.blocks {
                let (first, last) = document.places.of(&block.range);
                prop_assert!(first <= last && last as usize <= html.split('\n').count());
            }
        }

        #[test]
        fn paragraphs_stand_on_their_lines(words in prop::collection::vec(("[a-z]{1,8}", 0..4_usize), 1..30)) {
            let mut html = String::new();
            let mut expected = Vec::new();
            for (word, blank) in &words {
                html.push_str(&"\n".repeat(*blank));
                let line = u32::try_from(html.matches('\n').count()).unwrap() + 1;
                html.push_str(&format!("<p>{word}</p>"));
                expected.push((String::new(), word.clone(), (line, line)));
            }
            prop_assert_eq!(shown(&html), expected);
        }
    }
}
