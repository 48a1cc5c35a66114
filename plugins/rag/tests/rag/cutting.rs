//! Cutting: nothing is lost, order is kept, sizes are bounded, lines are true.

use meshhost_rag::cut::{Draft, Limits, PASSAGE_BYTES_MAX, Passage, passages};
use meshhost_rag::document::Document;
use meshhost_rag::kind::Kind;
use meshhost_rag::read;
use proptest::prelude::*;

use crate::stand_in::tokens;

const LIMITS: Limits = Limits { tokens: 40, marks: 2 };

fn cut(kind: Kind, text: &str) -> (Document, Vec<Passage>) {
    let document = read::read(kind, text.as_bytes().to_vec()).unwrap();
    let mut draft = Draft::new(document.clone(), "name", LIMITS);
    let mut rounds = 0;
    loop {
        let texts = draft.uncounted();
        if texts.is_empty() {
            break;
        }
        draft.count(texts.iter().map(|text| tokens(text)), LIMITS);
        rounds += 1;
        assert!(rounds <= 4, "counting does not end");
    }
    let passages = passages(&draft, LIMITS);
    for passage in &passages {
        let context = draft.context(passage.section, LIMITS);
        let body = &document.text[passage.range.clone()];
        assert!(tokens(&format!("{context}\n{body}")) <= LIMITS.tokens, "{body:?}");
    }
    (document, passages)
}

/// Holds for every document.
fn check(document: &Document, passages: &[Passage]) {
    let text = &document.text;
    let (mut at, mut before) = (0, None::<&Passage>);
    for passage in passages {
        let body = &text[passage.range.clone()];
        assert!(!body.trim().is_empty() && body.len() <= PASSAGE_BYTES_MAX);
        if let Some(before) = before {
            assert!(
                before.range.start < passage.range.start && before.range.end < passage.range.end
            );
            assert!(before.section <= passage.section);
            // Overlap is within a section.
            assert!(before.range.end <= passage.range.start || before.section == passage.section);
        }
        // What lies between two passages is blank.
        assert_eq!(text.get(at..passage.range.start).unwrap_or_default().trim(), "");
        at = passage.range.end;
        before = Some(passage);
    }
    assert_eq!(text[at..].trim(), "");
    // Each section is whole: no passage holds a block of another.
    for block in &document.blocks {
        for passage in passages.iter().filter(|passage| passage.section != block.section) {
            let apart =
                passage.range.end <= block.range.start || block.range.end <= passage.range.start;
            assert!(apart, "{passage:?} holds something of {block:?}");
        }
    }
}

/// The lines of a passage are where it stands in the file.
fn check_lines(file: &str, document: &Document, passages: &[Passage]) {
    let lines: Vec<&str> = file.split('\n').collect();
    for passage in passages {
        let (first, last) = document.places.of(&passage.range);
        let there = lines[first as usize - 1..last as usize].join("\n");
        let body = &document.text[passage.range.clone()];
        assert!(there.contains(body), "{body:?} in lines {first} to {last}");
        assert!(lines[first as usize - 1].contains(body.split('\n').next().unwrap()));
    }
}

fn paragraphs() -> impl Strategy<Value = String> {
    let word = "[a-zä]{1,12}[.,!]?";
    let words = prop::collection::vec(word, 1..90);
    let line = (words, prop::sample::select(vec![" ", "\n", "  "]))
        .prop_map(|(words, space)| words.join(space));
    let heading = "#{1,4} [a-z]{1,9}( [a-z]{1,9}){0,3}";
    let code = "```\n([a-z ]{0,30}\n){1,6}```";
    let part = prop_oneof![4 => line, 2 => heading, 1 => code, 1 => "[a-z]{300}", 1 => " {0,9}- [a-z]{1,9}"];
    let blank = prop::sample::select(vec!["\n", "\n\n", "\n\n\n \n", "\r\n\r\n"]);
    prop::collection::vec((part, blank), 0..12)
        .prop_map(|parts| parts.into_iter().map(|(part, blank)| part + blank).collect())
}

proptest! {
    #[test]
    fn plain_text_code_and_markdown(text in paragraphs()) {
        for kind in [Kind::Text, Kind::Code, Kind::Markdown] {
            let (document, passages) = cut(kind, &text);
            check(&document, &passages);
            check_lines(&text, &document, &passages);
        }
    }

    #[test]
    fn anything_at_all(text in "[a-c#`>\\-*|.\n\t \u{3000}ü€<&;=]{0,400}") {
        for kind in [Kind::Text, Kind::Code, Kind::Markdown] {
            let (document, passages) = cut(kind, &text);
            check(&document, &passages);
            check_lines(&text, &document, &passages);
        }
        let (document, passages) = cut(Kind::Html, &text);
        check(&document, &passages);
    }

    #[test]
    fn html_stands_under_its_headings(parts in prop::collection::vec(("[a-z]{2,8}", 1..50_usize, 1..4_u8), 1..8)) {
        let mut html = String::new();
        for (word, count, level) in &parts {
            html.push_str(&format!("<h{level}>{word}</h{level}>\n<p>{}</p>\n", format!("{word}\n").repeat(*count)));
        }
        let (document, passages) = cut(Kind::Html, &html);
        check(&document, &passages);
        for passage in &passages {
            let (first, last) = document.places.of(&passage.range);
            let lines: Vec<&str> = html.split('\n').collect();
            let there = lines[first as usize - 1..last as usize].join(" ");
            let heading = document.sections[passage.section].heading.last().unwrap();
            let body = &document.text[passage.range.clone()];
            prop_assert!(body.split_whitespace().all(|word| word == heading), "{body:?} under {heading}");
            prop_assert!(there.contains(heading.as_str()));
        }
    }
}

#[test]
fn a_long_paragraph_says_again_what_it_said_last() {
    let sentences: Vec<_> = (0..40).map(|number| format!("Sentence {number} is short.")).collect();
    let text = sentences.join(" ");
    let (document, passages) = cut(Kind::Text, &text);
    assert!(passages.len() > 3);
    for pair in passages.windows(2) {
        let [one, two] = pair else { panic!() };
        let again = &document.text[two.range.start..one.range.end];
        assert!(again.starts_with("Sentence") && again.ends_with("short."), "{again:?}");
    }
}

#[test]
fn no_passage_is_a_heading_alone() {
    let word = "letters ";
    for words in 1..120 {
        for end in ["", ". "] {
            let text = format!("# One\n\n## Two\n\n{}", format!("{word}{end}").repeat(words));
            let (_, passages) = cut(Kind::Markdown, &text);
            assert!(passages[0].range.len() > "# One\n\n## Two\n\n".len(), "{words} words");
        }
    }
}

#[test]
fn a_word_without_an_end_is_cut_as_well() {
    let text = "x".repeat(100_000);
    let (document, passages) = cut(Kind::Text, &text);
    check(&document, &passages);
    assert!(passages.len() > 100);
}

#[test]
fn blank_lines_without_an_end_are_left_out() {
    let text = format!("a{}b", "\n".repeat(50_000));
    let (document, passages) = cut(Kind::Text, &text);
    check(&document, &passages);
    assert_eq!(passages.len(), 2);
}
