//! An engine without models: what it translates is what it was given, token for token. It remembers what
//! it was asked in its cache alone, as a real one does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;

use meshhost_translation::engine::{
    Description, ElementType, Elements, Engine, Model, Tensor, ValueInfo,
};
use meshhost_translation::failure::Failure;

use crate::models::files;

/// How the answers of the decoder are spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Spoilt {
    #[default]
    Not,
    /// There are fewer rows than were asked for.
    Rows,
    /// The logits are no numbers.
    Numbers,
    /// There are no logits.
    Without,
    /// The logits are of another type.
    Type,
    /// It ends the translation never.
    Endless,
}

pub(crate) struct StandIn {
    /// What stands beside the encoder, by name.
    pub(crate) beside: BTreeMap<String, Vec<u8>>,
    /// Tokens that the encoder was given, row by row.
    pub(crate) asked: Rc<RefCell<Vec<Vec<u32>>>>,
    /// Runs of the decoder.
    pub(crate) steps: Rc<RefCell<usize>>,
    /// What the decoder answers from that run on.
    pub(crate) failure: Option<(usize, Failure)>,
    pub(crate) spoilt: Spoilt,
    /// Width of the caches.
    pub(crate) width: u32,
}

impl StandIn {
    /// With a configuration, and the Unigram vocabulary of the tests.
    pub(crate) fn new(config: &str) -> Self {
        let mut beside = BTreeMap::from([("config.json".to_owned(), config.into())]);
        for (name, file) in [
            ("source.spm", "unigram.spm"),
            ("target.spm", "unigram.spm"),
            ("vocab.json", "unigram.vocab.json"),
        ] {
            beside.insert(name.to_owned(), fs::read(files().join(file)).unwrap());
        }
        let (asked, steps) = (Rc::default(), Rc::default());
        Self { beside, asked, steps, failure: None, spoilt: Spoilt::Not, width: 1 }
    }

    /// A Marian model from English to German.
    pub(crate) fn marian() -> Self {
        let end = id("</s>");
        let config = format!(
            r#"{{"model_type": "marian", "eos_token_id": {end}, "decoder_start_token_id": {end},
                "pad_token_id": {end}, "max_position_embeddings": 64, "num_beams": 2}}"#
        );
        let mut made = Self::new(&config);
        let said = r#"{"source_lang": "en", "target_lang": "de"}"#;
        made.beside.insert("tokenizer_config.json".to_owned(), said.into());
        made
    }
}

/// The number of a token of the vocabulary.
pub(crate) fn id(token: &str) -> u32 {
    let ids: BTreeMap<String, u32> =
        serde_json::from_slice(&fs::read(files().join("unigram.vocab.json")).unwrap()).unwrap();
    ids[token]
}

/// Tokens that the logits speak of.
const VOCABULARY: usize = 200;

impl Engine for StandIn {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let is_encoder = name.ends_with("-encoder");
        if !is_encoder && !name.ends_with("-decoder") {
            return Err(Failure::NoModel(name.to_owned()));
        }
        let cache = |name: &str| (name.to_owned(), vec![None, Some(1), None, Some(self.width)]);
        let (inputs, outputs): (Vec<(String, Vec<_>)>, Vec<_>) = if is_encoder {
            let ids = |name: &str| (name.to_owned(), vec![None, None]);
            (vec![ids("input_ids"), ids("attention_mask")], vec![])
        } else {
            let plain = ["encoder_attention_mask", "input_ids", "encoder_hidden_states"];
            let plain = plain.map(|name| (name.to_owned(), vec![None, None]));
            let caches =
                ["past_key_values.0.decoder.key", "past_key_values.0.encoder.key"].map(cache);
            let branch = [("use_cache_branch".to_owned(), vec![Some(1)])];
            let presents = ["present.0.decoder.key", "present.0.encoder.key"].map(cache);
            let logits = [("logits".to_owned(), vec![None, None, Some(200)])];
            (
                plain.into_iter().chain(caches).chain(branch).collect(),
                logits.into_iter().chain(presents).collect(),
            )
        };
        let infos = |all: Vec<(String, Vec<_>)>| {
            let info =
                |(name, shape)| ValueInfo { name, element_type: ElementType::Float32, shape };
            all.into_iter().map(info).collect()
        };
        let beside = if is_encoder { self.beside.clone() } else { BTreeMap::new() };
        let description = Description {
            digest: format!("blake3:{name}"),
            inputs: infos(inputs),
            outputs: infos(outputs),
            metadata: Vec::new(),
            files: beside.keys().cloned().collect(),
            text: None,
        };
        let (asked, steps) = (Rc::clone(&self.asked), Rc::clone(&self.steps));
        let (failure, spoilt, width) = (self.failure.clone(), self.spoilt, self.width);
        Ok(Box::new(Copier {
            description,
            is_encoder,
            beside,
            asked,
            steps,
            failure,
            spoilt,
            width,
            end: id("</s>") as usize,
        }))
    }
}

struct Copier {
    description: Description,
    is_encoder: bool,
    beside: BTreeMap<String, Vec<u8>>,
    asked: Rc<RefCell<Vec<Vec<u32>>>>,
    steps: Rc<RefCell<usize>>,
    failure: Option<(usize, Failure)>,
    spoilt: Spoilt,
    width: u32,
    /// What it says when nothing is left to copy.
    end: usize,
}

impl Model for Copier {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, Failure> {
        let input = |name: &str| inputs.iter().find(|input| input.name == name).expect("an input");
        if self.is_encoder {
            let (ids, mask) = (ids(input("input_ids")), ids(input("attention_mask")));
            let real = ids.iter().zip(&mask).map(|(ids, mask)| {
                ids.iter().zip(mask).filter(|(_, mask)| **mask == 1).map(|(id, _)| *id).collect()
            });
            self.asked.borrow_mut().extend(real);
            let rows: Vec<Vec<f32>> =
                ids.iter().map(|row| row.iter().map(|id| *id as f32).collect()).collect();
            return Ok(vec![floats("last_hidden_state", &rows, 1, &[])]);
        }
        *self.steps.borrow_mut() += 1;
        if let Some((_, failure)) =
            self.failure.as_ref().filter(|(run, _)| *self.steps.borrow() >= *run)
        {
            return Err(failure.clone());
        }
        let begun = bytes(input("use_cache_branch")) == [1];
        let source =
            input(if begun { "past_key_values.0.encoder.key" } else { "encoder_hidden_states" });
        let width = if begun { self.width as usize } else { 1 };
        let (source, past) = (
            numbers(source, width),
            numbers(input("past_key_values.0.decoder.key"), self.width as usize),
        );
        let last = ids(input("input_ids"));
        assert!(begun || past.iter().all(Vec::is_empty));
        let mut present = past.clone();
        present.iter_mut().zip(&last).for_each(|(row, last)| row.push(last[0] as f32));
        let logits = source.iter().zip(&past).map(|(source, past)| self.next(source, past.len()));
        let logits = logits.collect::<Vec<_>>();
        let empty = vec![vec![]; last.len()];
        let answers = outputs.iter().filter_map(|name| match name.as_str() {
            "logits" if self.spoilt == Spoilt::Without => None,
            "logits" => Some(self.spoil(floats("logits", &logits, VOCABULARY, &[1]))),
            "present.0.decoder.key" => Some(wide(name, &present, self.width)),
            _ => Some(wide(name, if begun { &empty } else { &source }, self.width)),
        });
        Ok(answers.collect())
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.beside.get(name).cloned().ok_or_else(|| Failure::NoModel(name.to_owned()))
    }
}

impl Copier {
    fn next(&self, source: &[f32], place: usize) -> Vec<f32> {
        let place = if self.spoilt == Spoilt::Endless { 0 } else { place };
        let wanted = source.get(place).map_or(self.end, |id| *id as usize);
        let mut logits = vec![0.0; VOCABULARY];
        logits[wanted] = 12.0;
        if self.spoilt == Spoilt::Numbers {
            logits.fill(f32::NAN);
        }
        logits
    }

    fn spoil(&self, mut logits: Tensor) -> Tensor {
        match self.spoilt {
            Spoilt::Rows => logits.shape[0] += 1,
            Spoilt::Type => logits.element_type = ElementType::Int32,
            _ => {}
        }
        logits
    }
}

fn bytes(tensor: &Tensor) -> &[u8] {
    let Elements::Bytes(bytes) = &tensor.elements else { panic!("texts") };
    bytes
}

fn ids(tensor: &Tensor) -> Vec<Vec<u32>> {
    let length = tensor.shape[1] as usize;
    let all: Vec<u32> = bytes(tensor)
        .as_chunks()
        .0
        .iter()
        .map(|eight| u32::try_from(i64::from_le_bytes(*eight)).expect("an id"))
        .collect();
    all.chunks(length).map(<[u32]>::to_vec).collect()
}

/// The first of each `width` numbers, row by row.
fn numbers(tensor: &Tensor, width: usize) -> Vec<Vec<f32>> {
    let all: Vec<f32> =
        bytes(tensor).as_chunks().0.iter().copied().map(f32::from_le_bytes).collect();
    let rows = tensor.shape[0] as usize;
    let length = all.len() / rows;
    (0..rows)
        .map(|row| all[row * length..(row + 1) * length].iter().step_by(width).copied().collect())
        .collect()
}

fn floats(name: &str, rows: &[Vec<f32>], last: usize, between: &[u32]) -> Tensor {
    let all = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let length = rows.first().map_or(0, Vec::len) / last;
    let mut shape = vec![u32::try_from(rows.len()).expect("rows")];
    if between.is_empty() {
        shape.push(u32::try_from(length).expect("tokens"));
    }
    shape.extend(between);
    shape.push(u32::try_from(last).expect("a width"));
    Tensor {
        name: name.to_owned(),
        element_type: ElementType::Float32,
        shape,
        elements: Elements::Bytes(all),
    }
}

/// A cache: each number is repeated.
fn wide(name: &str, rows: &[Vec<f32>], width: u32) -> Tensor {
    let wide = rows.iter().flatten().flat_map(|one| std::iter::repeat_n(*one, width as usize));
    let length = rows.first().map_or(0, Vec::len);
    Tensor {
        name: name.to_owned(),
        element_type: ElementType::Float32,
        shape: vec![
            u32::try_from(rows.len()).expect("rows"),
            1,
            u32::try_from(length).expect("tokens"),
            width,
        ],
        elements: Elements::Bytes(wide.flat_map(f32::to_le_bytes).collect()),
    }
}
