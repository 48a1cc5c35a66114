//! Provides `meshhost:embedding` without a model: a text's vector counts its words. Texts that share
//! words are near one another, which is all that tests of searching need.

meshhost_sdk::plugin!({
    path: [
        "../../../wit/mesh/0.1.0",
        "../../../wit/inference/0.1.0",
        "../../../wit/embedding/0.1.0",
    ],
    world: "meshhost:embedding/provider",
    generate_all,
});

use bindings::exports::meshhost::embedding::embedder::{Embeddings, Error, Guest, Model};

/// Numbers in a vector.
const DIMENSIONS: u32 = 64;

struct WordVectors;

export!(WordVectors with_types_in bindings);

impl Guest for WordVectors {
    fn describe(model: Option<String>) -> Result<Model, Error> {
        let name = model.unwrap_or_else(|| "words".to_owned());
        if name != "words" {
            return Err(Error::NoModel(format!("there is no model {name}; `words` is all")));
        }
        let digest = format!("blake3:{:064x}", 1);
        Ok(Model { name, digest, dimensions: DIMENSIONS, tokens_max: 128 })
    }

    fn count_tokens(texts: Vec<String>, model: Option<String>) -> Result<Vec<u32>, Error> {
        Self::describe(model)?;
        let count = |text: &String| u32::try_from(words(text).count()).unwrap_or(u32::MAX);
        Ok(texts.iter().map(count).collect())
    }

    fn embed(texts: Vec<String>, model: Option<String>) -> Result<Embeddings, Error> {
        let model = Self::describe(model)?;
        Ok(Embeddings { model, vectors: texts.iter().map(|text| vector(text)).collect() })
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// How often words with each remainder occur, brought to length 1.
fn vector(text: &str) -> Vec<f32> {
    let mut counts = vec![0.0_f32; DIMENSIONS as usize];
    // Without words it is still a vector.
    counts[0] = 0.01;
    for word in words(text) {
        let hash = word.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
        counts[(hash % DIMENSIONS) as usize] += 1.0;
    }
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
    counts.iter().map(|count| count / length).collect()
}
