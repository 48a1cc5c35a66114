//! Encoder and decoder with the cache of keys and values, as Optimum exports them: merged, with
//! `use_cache_branch`, or as two files.

use crate::engine::{Description, Model, Tensor};
use crate::failure::{Failure, wrong_model};
use crate::tensors::{self, long};

const PAST: &str = "past_key_values";
const PRESENT: &str = "present";

/// The open files of a model.
pub(crate) struct Models {
    pub(crate) encoder: Box<dyn Model>,
    /// The decoder of the first token, and of the later ones where there is no other.
    pub(crate) decoder: Box<dyn Model>,
    /// The decoder with cache, where it is a file of its own.
    pub(crate) with_past: Option<Box<dyn Model>>,
}

impl Models {
    /// The decoder of every token but the first.
    fn later(&self) -> &dyn Model {
        self.with_past.as_deref().unwrap_or(&*self.decoder)
    }
}

/// Sentences that are decoded together: what does not change from token to token, and the cache.
pub(crate) struct Run<'a> {
    models: &'a Models,
    /// The encoder's answer with its mask, and the keys and values made of it.
    fixed: Vec<Tensor>,
    /// Keys and values of the tokens so far.
    past: Vec<Tensor>,
    /// Which sentence each row belongs to.
    owners: Vec<usize>,
    begun: bool,
}

impl<'a> Run<'a> {
    /// Runs the encoder. Each sentence is one row at first.
    pub(crate) fn begin(
        models: &'a Models,
        sentences: &[&[u32]],
        pad: u32,
    ) -> Result<Self, Failure> {
        let longest = sentences.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let rows = |ids: &&[u32], fill: u32| {
            let mut row = ids.to_vec();
            row.resize(longest, fill);
            row
        };
        let ids: Vec<_> = sentences.iter().map(|ids| rows(ids, pad)).collect();
        let ones = sentences.iter().map(|ids| vec![1; ids.len()]);
        let mask: Vec<_> = ones.map(|ones| rows(&ones.as_slice(), 0)).collect();
        let inputs = vec![tensors::ids("input_ids", &ids), tensors::ids("attention_mask", &mask)];
        let (inputs, _) = taken(models.encoder.description(), inputs)?;
        let wanted = ["last_hidden_state".to_owned()];
        let answers = models.encoder.run(&inputs, &wanted)?;
        let mut hidden = named(answers, "last_hidden_state")?;
        hidden.name = "encoder_hidden_states".to_owned();
        let fixed = vec![tensors::ids("encoder_attention_mask", &mask), hidden];
        let owners = (0..sentences.len()).collect();
        Ok(Self { models, fixed, past: Vec::new(), owners, begun: false })
    }

    /// What the decoder says after one more token in each row.
    pub(crate) fn step(&mut self, tokens: &[u32]) -> Result<Vec<Vec<f32>>, Failure> {
        let begun = std::mem::replace(&mut self.begun, true);
        let model = if begun { self.models.later() } else { &*self.models.decoder };
        let description = model.description();
        let rows: Vec<_> = tokens.iter().map(|token| vec![*token]).collect();
        let mut inputs = std::mem::take(&mut self.fixed);
        inputs.push(tensors::ids("input_ids", &rows));
        inputs.push(tensors::truth("use_cache_branch", begun));
        if begun {
            inputs.append(&mut self.past);
        } else {
            let caches = description.inputs.iter().filter(|input| input.name.starts_with(PAST));
            inputs.extend(caches.map(|input| tensors::empty(input, rows.len())));
        }
        let (inputs, aside) = taken(description, inputs)?;
        let mut answers = model.run(&inputs, &wanted(description, begun))?;
        self.fixed =
            inputs.into_iter().chain(aside).filter(|one| is_fixed(&one.name, begun)).collect();
        let logits = answers.iter().position(|answer| answer.name == "logits");
        let logits = logits.map(|place| answers.swap_remove(place));
        let logits = logits.ok_or_else(|| wrong_model("the decoder gives no `logits`"))?;
        self.keep(answers);
        tensors::last_rows(&logits, tokens.len())
    }

    /// Takes what the decoder gave as what it gets next.
    fn keep(&mut self, answers: Vec<Tensor>) {
        for mut answer in answers {
            answer.name = answer.name.replacen(PRESENT, PAST, 1);
            let list = if is_of_encoder(&answer.name) { &mut self.fixed } else { &mut self.past };
            list.push(answer);
        }
    }

    /// Goes on with those rows, which may repeat, for those sentences.
    pub(crate) fn select(&mut self, rows: &[usize], owners: Vec<usize>) -> Result<(), Failure> {
        if rows.iter().copied().ne(0..self.owners.len()) {
            select(&mut self.past, rows)?;
        }
        // What comes from the encoder is the same for all rows of a sentence.
        if owners != self.owners {
            select(&mut self.fixed, rows)?;
        }
        self.owners = owners;
        Ok(())
    }
}

fn select(all: &mut [Tensor], rows: &[usize]) -> Result<(), Failure> {
    for tensor in all {
        *tensor = tensors::select(tensor, rows).ok_or_else(|| {
            wrong_model(format!("the model's {:?} has not one row for each text", tensor.name))
        })?;
    }
    Ok(())
}

fn is_of_encoder(name: &str) -> bool {
    name.contains(".encoder.")
}

/// Whether it stays for the next token. Before the first one, the encoder's part of the cache is empty.
fn is_fixed(name: &str, begun: bool) -> bool {
    name.starts_with("encoder_") || (begun && name.starts_with(PAST) && is_of_encoder(name))
}

/// What is asked of the decoder. With the cache, the encoder's part of it does not change.
fn wanted(description: &Description, begun: bool) -> Vec<String> {
    let names = description.outputs.iter().map(|output| output.name.as_str());
    let cached = |name: &str| name.starts_with(PRESENT) && !(begun && is_of_encoder(name));
    names.filter(|name| *name == "logits" || cached(name)).map(str::to_owned).collect()
}

/// What the model takes of what there is, and the rest.
fn taken(
    description: &Description,
    inputs: Vec<Tensor>,
) -> Result<(Vec<Tensor>, Vec<Tensor>), Failure> {
    let takes = |name: &str| description.inputs.iter().any(|input| input.name == name);
    let missing = |name: &str| !inputs.iter().any(|input| input.name == name);
    if let Some(unknown) = description.inputs.iter().find(|input| missing(&input.name)) {
        let text = "the model takes an input that no translator has";
        return Err(wrong_model(format!("{text}: {:?}", unknown.name)));
    }
    Ok(inputs.into_iter().partition(|input| takes(&input.name)))
}

fn named(answers: Vec<Tensor>, name: &str) -> Result<Tensor, Failure> {
    let found = answers.into_iter().find(|answer| answer.name == name);
    found.ok_or_else(|| wrong_model(format!("the encoder gives no `{name}`")))
}

/// Bytes that one row takes in a run of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowBytes {
    /// For each token of the source.
    pub(crate) source: usize,
    /// For each token of the translation so far, in and out.
    pub(crate) target: usize,
    /// Whatever the lengths.
    pub(crate) fixed: usize,
}

impl RowBytes {
    /// What a decoder says of its inputs and outputs.
    pub(crate) fn of(models: &Models) -> Self {
        let description = models.later().description();
        let sum = |encoder: bool| {
            let caches = description.inputs.iter().filter(|input| input.name.starts_with(PAST));
            caches
                .filter(|input| is_of_encoder(&input.name) == encoder)
                .map(|input| per_token(&input.shape))
                .sum()
        };
        let of = |name: &str, all: &[crate::engine::ValueInfo]| {
            all.iter().find(|one| one.name == name).map_or(0, |one| per_token(&one.shape))
        };
        let hidden = of("encoder_hidden_states", &description.inputs);
        let target: usize = sum(false);
        Self {
            source: hidden.saturating_add(sum(true)),
            target: target.saturating_mul(2),
            fixed: of("logits", &description.outputs),
        }
    }

    /// Bytes of a run.
    pub(crate) fn bytes(&self, rows: usize, source: usize, target: usize) -> usize {
        let row =
            self.source.saturating_mul(source).saturating_add(self.target.saturating_mul(target));
        row.saturating_add(self.fixed).saturating_mul(rows)
    }
}

/// Elements of 4 bytes: the known dimensions; rows and tokens are those of any size.
fn per_token(shape: &[Option<u32>]) -> usize {
    let known = shape.iter().flatten().map(|size| long(*size));
    known.fold(4, |product, size| product.saturating_mul(size.max(1)))
}
