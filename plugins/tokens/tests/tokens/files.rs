//! `tokenizer.json` of several kinds.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use serde_json::{Value, json};

const MARKS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// One of BERT's kind with a small vocabulary: letters, syllables and whole words of several scripts.
pub(crate) fn small() -> Value {
    let mut vocabulary: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |piece: String| {
        let next = vocabulary.len();
        vocabulary.entry(piece).or_insert(next);
    };
    MARKS.iter().for_each(|mark| add((*mark).to_owned()));
    for letter in ('!'..='~').chain("éßσς中文東京яжñ가\u{1100}\u{1161}„“—€½".chars())
    {
        add(letter.to_string());
        add(format!("##{letter}"));
    }
    for word in ["how", "the", "cafe", "café", "is", "spelt", "\"quoted\\", "aa", "ss"] {
        add(word.to_owned());
    }
    for piece in ["ing", "ed", "aaa", "é", "fe", "\u{301}"] {
        add(format!("##{piece}"));
    }
    json!({
        "version": "1.0",
        "truncation": { "max_length": 128, "strategy": "LongestFirst", "stride": 0 },
        "padding": {
            "strategy": { "Fixed": 128 }, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        },
        "added_tokens": marks(&MARKS),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": template("[CLS]", 2, "[SEP]", 3),
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

/// As multilingual models have it: unigrams, ▁ before a word.
pub(crate) fn unigram() -> Value {
    let pieces =
        ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁the", "caf", "é", "e", "s", "p", "l", "t"];
    let vocabulary: Vec<_> = pieces.iter().map(|piece| json!([piece, -3.0])).collect();
    let space = json!({
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true,
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": marks(&pieces[..4]),
        "normalizer": { "type": "NFKC" }, "pre_tokenizer": space,
        "post_processor": template("<s>", 0, "</s>", 2),
        "decoder": space,
        "model": { "type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": false },
    })
}

/// As newer models have it: byte pairs, words cut by a pattern.
pub(crate) fn byte_pairs() -> Value {
    let mut pieces: Vec<String> = ["<s>", "<pad>", "</s>", "<unk>"].map(str::to_owned).into();
    let bytes = ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..='\u{143}');
    pieces.extend(bytes.map(String::from));
    pieces.extend(["th", "the", "Ġthe"].map(str::to_owned));
    let vocabulary: BTreeMap<_, _> = pieces.iter().cloned().zip(0..).collect();
    let marks: Vec<_> = pieces.iter().take(4).map(String::as_str).collect();
    let level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": self::marks(&marks),
        "normalizer": null, "pre_tokenizer": level,
        "post_processor": template("<s>", 0, "</s>", 2),
        "decoder": level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": [["t", "h"], ["th", "e"], ["Ġ", "the"]],
        },
    })
}

fn marks(contents: &[&str]) -> Value {
    let mark = |(id, content): (usize, &&str)| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    contents.iter().enumerate().map(mark).collect()
}

fn template(begin: &str, begin_id: u32, end: &str, end_id: u32) -> Value {
    let mark = |id: &str, side: u32| json!({ "SpecialToken": { "id": id, "type_id": side } });
    let text = |id: &str, side: u32| json!({ "Sequence": { "id": id, "type_id": side } });
    let single = [mark(begin, 0), text("A", 0), mark(end, 0)];
    let pair: Vec<_> = single.iter().cloned().chain([text("B", 1), mark(end, 1)]).collect();
    let special = |id: &str, number: u32| json!({ "id": id, "ids": [number], "tokens": [id] });
    json!({
        "type": "TemplateProcessing", "single": single, "pair": pair,
        "special_tokens": { begin: special(begin, begin_id), end: special(end, end_id) },
    })
}

/// The tokenizer of all-MiniLM-L6-v2; nothing, with the reason printed, where it is not there.
pub(crate) fn minilm() -> Option<Vec<u8>> {
    let folder = env::var_os("MESHHOST_MODELS_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models")),
        PathBuf::from,
    );
    let read = std::fs::read(folder.join("minilm/tokenizer.json")).ok();
    if read.is_none() {
        eprintln!("skipped: run cargo xtask models");
    }
    read
}
