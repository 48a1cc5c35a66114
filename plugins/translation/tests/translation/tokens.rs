//! Tokens, compared with those of the libraries SentencePiece and `tokenizers`
//! (`tests/python/vocabularies.py`).

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use meshhost_translation::failure::Failure;
use meshhost_translation::tokenizer::Tokenizer;

use crate::models;

#[derive(Deserialize)]
struct Asked {
    text: String,
    ids: Vec<u32>,
}

fn read(name: &str) -> Vec<u8> {
    fs::read(models::files().join(name)).unwrap()
}

fn vocabulary(name: &str) -> Tokenizer {
    let (model, ids) = (read(&format!("{name}.spm")), read(&format!("{name}.vocab.json")));
    Tokenizer::from_sentencepiece(&model, &ids).unwrap()
}

#[test]
fn texts_become_the_tokens_of_the_library() {
    let asked: BTreeMap<String, Vec<Asked>> = serde_json::from_slice(&read("tokens.json")).unwrap();
    assert_eq!(asked.len(), 4);
    for (name, asked) in asked {
        let tokens = if name.ends_with(".json") {
            Tokenizer::from_json(&read(&name)).unwrap()
        } else {
            vocabulary(&name)
        };
        assert!(asked.len() > 15, "{name}: {}", asked.len());
        for Asked { text, ids } in asked {
            assert_eq!(tokens.encode(&text), ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn tokens_become_the_text_again() {
    for name in ["unigram", "bpe"] {
        let tokens = vocabulary(name);
        for text in ["The cat sees the dog.", "letters and more letters!"] {
            assert_eq!(tokens.decode(&tokens.encode(text)), text);
        }
        assert_eq!(tokens.decode(&[tokens.id("</s>").unwrap(), tokens.unknown(), 4_000_000]), "");
    }
}

#[test]
fn broken_vocabularies_are_refused_and_never_more() {
    let (model, ids) = (read("unigram.spm"), read("unigram.vocab.json"));
    for length in 0..model.len() {
        // Whatever is left is either no vocabulary or a smaller one.
        if let Ok(tokens) = Tokenizer::from_sentencepiece(&model[..length], &ids) {
            tokens.encode("The cat \u{ff23}\u{ff21} sees");
        }
    }
    for place in 0..model.len() {
        let mut changed = model.clone();
        changed[place] ^= 0x55;
        if let Ok(tokens) = Tokenizer::from_sentencepiece(&changed, &ids) {
            tokens.encode("The cat \u{ff23}\u{ff21} sees");
        }
    }
    for (model, ids) in
        [(&b""[..], &ids[..]), (&model, b"{}"), (&model, b""), (b"\xff\xff\xff", &ids)]
    {
        let refused = Tokenizer::from_sentencepiece(model, ids);
        assert!(matches!(refused, Err(Failure::NoModel(_))));
    }
}
