//! Engines that say and answer what a test wants. The tests of the plugins share this file.

use meshhost_tokens::Failure;
use meshhost_tokens::engine::{Description, Element, Engine, Input, Model, Output, TextUse, Value};

/// An engine with one model, whatever it is called.
#[derive(Clone)]
pub(crate) struct StandIn {
    description: Description,
    /// What it answers a run with, made of the inputs.
    answer: fn(&[Input]) -> Output,
}

impl StandIn {
    /// A model with BERT's inputs and one output of this shape.
    pub(crate) fn new(
        used: TextUse,
        output: &[Option<usize>],
        answer: fn(&[Input]) -> Output,
    ) -> Self {
        let value = |name: &str, element, shape| Value { name: name.to_owned(), element, shape };
        let input = |name| value(name, Element::Int64, vec![None, None]);
        let description = Description {
            digest: format!("blake3:{}", "1".repeat(64)),
            inputs: vec![input("input_ids"), input("attention_mask")],
            outputs: vec![value("output", Element::Float32, output.to_vec())],
            text: Some(used),
        };
        Self { description, answer }
    }

    /// The same with another description.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Description)) -> Self {
        change(&mut self.description);
        self
    }
}

impl Engine for StandIn {
    fn open(&self, _: &str) -> Result<Box<dyn Model>, Failure> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for StandIn {
    fn description(&self) -> &Description {
        &self.description
    }

    /// Knows the letters a, b and c.
    fn tokenizer(&self) -> Result<Vec<u8>, Failure> {
        Ok(br###"{
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": { "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6 }
            }
        }"###
        .to_vec())
    }

    fn run(&self, inputs: Vec<Input>, _: &str) -> Result<Output, Failure> {
        Ok((self.answer)(&inputs))
    }
}
