//! Our own tokenizer gives what the crate `tokenizers` gives: for hard texts, for whatever a
//! property test comes upon, and for each way in which a file may differ.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod files;
mod texts;

use meshhost_tokens::{Encoding, Failure, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::{TruncationDirection, TruncationParams, TruncationStrategy};

/// The crate's tokenizer as it is used with models of text.
fn theirs(file: &[u8], tokens_max: Option<usize>) -> tokenizers::Tokenizer {
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(file).unwrap();
    tokenizer.with_padding(None);
    let truncation = tokens_max.map(|max_length| TruncationParams {
        direction: TruncationDirection::Right,
        max_length,
        strategy: TruncationStrategy::LongestFirst,
        stride: 0,
    });
    tokenizer.with_truncation(truncation).unwrap();
    tokenizer
}

fn encoding(encoding: tokenizers::Result<tokenizers::Encoding>) -> Encoding {
    let encoding = encoding.unwrap();
    Encoding { tokens: encoding.get_ids().to_vec(), sides: encoding.get_type_ids().to_vec() }
}

/// Compares both, alone and in pairs.
struct Both {
    ours: Tokenizer,
    theirs: tokenizers::Tokenizer,
}

impl Both {
    fn new(file: &[u8], tokens_max: Option<usize>) -> Self {
        let ours = Tokenizer::read(file, tokens_max).unwrap();
        Self { ours, theirs: theirs(file, tokens_max) }
    }

    fn check_text(&self, text: &str) {
        let expected = encoding(self.theirs.encode(text, true));
        assert_eq!(self.ours.texts(&[text.to_owned()]).unwrap(), [expected], "{text:?}");
    }

    fn check_pair(&self, query: &str, passage: &str) {
        let expected = encoding(self.theirs.encode((query, passage), true));
        let found = self.ours.pairs(query, &[passage.to_owned()]).unwrap();
        assert_eq!(found, [expected], "{query:?} {passage:?}");
    }

    fn check_all(&self) {
        for text in texts::hard() {
            self.check_text(&text);
            self.check_pair("How is café spelt?", &text);
            self.check_pair(&text, "In France [SEP] with an accent.");
        }
    }
}

/// The same file with a part of it changed.
fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut file = files::small();
    *file.pointer_mut(pointer).unwrap() = value;
    serde_json::to_vec(&file).unwrap()
}

#[test]
fn hard_texts_have_the_same_tokens() {
    let file = serde_json::to_vec(&files::small()).unwrap();
    for tokens_max in [None, Some(8), Some(9), Some(16), Some(64)] {
        let both = Both::new(&file, tokens_max);
        assert!(both.ours.is_ours());
        both.check_all();
    }
}

#[test]
fn hard_texts_have_the_same_tokens_with_the_real_vocabulary() {
    let Some(file) = files::minilm() else { return };
    for tokens_max in [None, Some(16), Some(256)] {
        let both = Both::new(&file, tokens_max);
        assert!(both.ours.is_ours());
        both.check_all();
    }
}

#[test]
fn every_character_is_treated_alike() {
    let both = Both::new(&serde_json::to_vec(&files::small()).unwrap(), None);
    // The planes between have no characters, the last two none that mean anything.
    let planes = ('\0'..='\u{3ffff}').chain('\u{e0000}'..='\u{e0fff}');
    let characters: Vec<char> = planes.chain(['\u{f0000}', char::MAX]).collect();
    for some in characters.chunks(128) {
        let text: String = some.iter().map(|character| format!("a{character}b ")).collect();
        both.check_text(&text);
    }
}

#[test]
fn each_setting_of_a_file_is_followed() {
    let bert = json!({ "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] });
    for (pointer, value) in [
        ("/normalizer/clean_text", json!(false)),
        ("/normalizer/handle_chinese_chars", json!(false)),
        ("/normalizer/strip_accents", json!(true)),
        ("/normalizer/strip_accents", json!(false)),
        ("/normalizer/lowercase", json!(false)),
        ("/model/max_input_chars_per_word", json!(5)),
        ("/model/continuing_subword_prefix", json!("")),
        ("/model/unk_token", json!("[MASK]")),
        ("/post_processor", bert),
        ("/added_tokens", json!([])),
    ] {
        let both = Both::new(&changed(pointer, value.clone()), None);
        assert!(both.ours.is_ours(), "{pointer} {value}");
        both.check_all();
    }
}

#[test]
fn what_is_not_known_here_is_left_to_the_library() {
    let marks = |key: &str, value: Value| {
        let mut marks = files::small().pointer("/added_tokens").unwrap().clone();
        *marks.pointer_mut(&format!("/4/{key}")).unwrap() = value;
        marks
    };
    for (pointer, value) in [
        ("/normalizer", json!({ "type": "Lowercase" })),
        ("/normalizer", Value::Null),
        ("/pre_tokenizer", json!({ "type": "Whitespace" })),
        ("/post_processor", Value::Null),
        ("/added_tokens", marks("lstrip", json!(true))),
        ("/added_tokens", marks("normalized", json!(true))),
        ("/added_tokens", marks("content", json!("<new>"))),
    ] {
        let both = Both::new(&changed(pointer, value.clone()), Some(32));
        assert!(!both.ours.is_ours(), "{pointer} {value}");
        both.check_all();
    }
    for file in [files::unigram(), files::byte_pairs()] {
        let both = Both::new(&serde_json::to_vec(&file).unwrap(), Some(32));
        assert!(!both.ours.is_ours());
        both.check_all();
    }
}

#[test]
fn a_file_that_is_no_tokenizer_is_told() {
    for file in ["", "{}", "[1]", r#"{"model": {"type": "WordPiece", "vocab": {"a": -1}}}"#] {
        let failure = Tokenizer::read(file.as_bytes(), None).unwrap_err();
        let Failure::NoModel(text) = failure else { panic!("{failure}") };
        assert!(text.contains("tokenizer.json is not understood"), "{text}");
    }
    let file = serde_json::to_vec(&files::small()).unwrap();
    assert!(matches!(Tokenizer::read(&file, Some(7)), Err(Failure::NoModel(_))));
}

#[test]
fn long_words_and_many_marks_take_no_longer_than_their_length() {
    let file = serde_json::to_vec(&files::small()).unwrap();
    let tokenizer = Tokenizer::read(&file, None).unwrap();
    let length = 1 << 20;
    for text in ["a".repeat(length), "[SEP]".repeat(length / 5), "[".repeat(length)] {
        assert!(tokenizer.texts(&[text]).unwrap().iter().all(|text| !text.tokens.is_empty()));
    }
}

proptest! {
    #[test]
    fn any_text_has_the_same_tokens(
        query in texts::any(),
        passage in texts::any(),
        tokens_max in proptest::option::of(8_usize..40),
    ) {
        let both = Both::new(&serde_json::to_vec(&files::small()).unwrap(), tokens_max);
        both.check_text(&query);
        both.check_pair(&query, &passage);
    }
}
