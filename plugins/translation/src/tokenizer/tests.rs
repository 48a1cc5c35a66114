//! `tokenizer.json` in its ways of writing.

use super::*;

fn read(text: &str) -> Result<Tokenizer, Failure> {
    Tokenizer::from_json(text.as_bytes())
}

const SPACES: &str = r#""pre_tokenizer": {"type": "Metaspace", "replacement": "▁"}"#;

#[test]
fn merges_are_read_in_both_ways() {
    for merges in [r#"["▁ a", "b c", "▁a bc"]"#, r#"[["▁", "a"], ["b", "c"], ["▁a", "bc"]]"#]
    {
        let text = format!(
            r#"{{"added_tokens": [{{"id": 9, "content": "deu_Latn", "special": true}}], "normalizer": null,
                {SPACES}, "model": {{"type": "BPE", "unk_token": "?", "merges": {merges},
                "vocab": {{"?": 0, "▁": 1, "a": 2, "b": 3, "c": 4, "▁a": 5, "bc": 6, "▁abc": 7}}}}}}"#
        );
        let tokens = read(&text).unwrap();
        assert_eq!(tokens.encode("abc bc a"), [7, 1, 6, 5]);
        assert_eq!(tokens.encode("xxa"), [1, 0, 2]);
        assert_eq!(tokens.decode(&[9, 7, 1, 6, 0]), "abc bc");
        assert_eq!(tokens.id("deu_Latn"), Some(9));
        // What is special is only letters in a text.
        assert!(!tokens.encode("deu_Latn").contains(&9));
    }
}

#[test]
fn the_likeliest_pieces_win_and_special_ones_never_stand_in_texts() {
    let text = format!(
        r#"{{"added_tokens": [{{"id": 0, "content": "</s>", "special": true}}],
            {SPACES}, "model": {{"type": "Unigram", "unk_id": 1, "vocab": [["</s>", 0.0], ["<unk>", 0.0],
            ["▁", -3.0], ["▁a", -2.0], ["ab", -1.5], ["b", -4.0], ["a", -4.0], ["<", -5.0]]}}}}"#
    );
    let tokens = read(&text).unwrap();
    assert_eq!(tokens.encode("ab"), [2, 4]);
    assert_eq!(tokens.encode("a b"), [3, 2, 5]);
    assert_eq!(tokens.encode("xyzab"), [2, 1, 4]);
    assert_eq!(tokens.encode("</s>"), [2, 7, 1]);
    let longest = "b".repeat(2 * WORD_CHARS_MAX + 7);
    assert_eq!(tokens.encode(&longest).len(), longest.len() + 1);
}

#[test]
fn what_translators_do_not_have_is_refused() {
    let model = r#""model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]]}"#;
    assert!(read(&format!("{{{SPACES}, {model}}}")).is_ok());
    for text in [
        String::new(),
        "{}".to_owned(),
        format!("{{{model}}}"),
        format!(r#"{{"pre_tokenizer": {{"type": "ByteLevel"}}, {model}}}"#),
        format!(r#"{{{SPACES}, "normalizer": {{"type": "BertNormalizer"}}, {model}}}"#),
        format!(
            r#"{{{SPACES}, "normalizer": {{"type": "Replace", "pattern": {{"String": "a"}}, "content": "b"}}, {model}}}"#
        ),
        format!(r#"{{{SPACES}, "model": {{"type": "WordPiece", "vocab": {{}}}}}}"#),
        format!(r#"{{{SPACES}, "model": {{"type": "Unigram", "unk_id": 7, "vocab": []}}}}"#),
        format!(r#"{{{SPACES}, "model": {{"type": "BPE", "vocab": {{}}, "merges": []}}}}"#),
        format!(
            r#"{{{SPACES}, "normalizer": {{"type": "Precompiled", "precompiled_charsmap": "AAAA/w=="}}, {model}}}"#
        ),
        format!(r#"{{"added_tokens": [{{"id": 4000000000, "content": "x"}}], {SPACES}, {model}}}"#),
    ] {
        assert!(matches!(read(&text), Err(Failure::NoModel(_))), "{text}");
    }
}

#[test]
fn the_converters_of_transformers_say_what_sentencepiece_does_with_spaces() {
    let old = r#"[{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]"#;
    let new = r#"[{"type": "Replace", "pattern": {"Regex": "\\A +| +\\z"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        {"type": "Replace", "pattern": {"Regex": "\\A▁"}, "content": "▁▁"}]"#;
    for steps in [old, new] {
        let text = format!(
            r#"{{"normalizer": {{"type": "Sequence", "normalizers": {steps}}},
                "pre_tokenizer": {{"type": "Sequence", "pretokenizers": [{{"type": "WhitespaceSplit"}},
                {{"type": "Metaspace", "replacement": "▁"}}]}}, "model": {{"type": "Unigram", "unk_id": 0,
                "vocab": [["<unk>", 0.0], ["▁a", -1.0], ["▁b", -1.0]]}}}}"#
        );
        assert_eq!(read(&text).unwrap().encode("  a   b "), [1, 2]);
    }
}
