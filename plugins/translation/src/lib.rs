//! The plugin `translation`: `meshhost:translation/translator@0.1.0`, texts in another language.
//!
//! The models run on the node, behind `meshhost:inference/sessions`; what stands here is everything
//! around them. A text is cut into lines and sentences ([`layout`]), which become tokens
//! ([`tokenizer`]); encoder and decoder run over batches of them (`batch`, `decoder`) while several
//! translations of each are followed (`search`, `scores`); a glossary's terms are forced where they
//! are missing (`wanted`). [`translate`] puts it together and knows models only as [`engine`], so
//! tests run the same code with an engine of their own.
//!
//! How a model is decoded is what its `generation_config.json` says, as `transformers` reads it.

mod base64;
mod batch;
mod choice;
mod contract;
mod cut;
mod decoder;
pub mod detect;
pub mod engine;
pub mod failure;
pub mod glossary;
mod languages;
pub mod layout;
pub mod model;
mod scores;
pub mod search;
mod sentences;
mod sessions;
pub mod settings;
mod tensors;
pub mod tokenizer;
pub mod translate;
mod wanted;

meshhost_sdk::plugin!({
    path: ["../../wit/mesh/0.1.0", "../../wit/inference/0.1.0", "../../wit/translation/0.1.0"],
    world: "meshhost:translation/provider",
    with: {
        "meshhost:mesh/invoke@0.1.0": generate,
        "meshhost:inference/sessions@0.1.0": meshhost_sdk::inference::sessions,
    },
});

use bindings::exports::meshhost::translation::translator;
use translator::{Detection, Error, Guest, Model, Term, Translations};

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn translate(
        texts: Vec<String>,
        from: Option<String>,
        to: String,
        model: Option<String>,
        beams: Option<u32>,
        tokens_max: Option<u32>,
        glossary: Option<Vec<Term>>,
    ) -> Result<Translations, Error> {
        let options = contract::options(from, to, model, beams, tokens_max, glossary);
        let (translator, found) = translate::translate(&sessions::Node, &texts, &options)?;
        Ok(Translations {
            model: contract::model(&translator),
            translations: found.into_iter().map(contract::translation).collect(),
        })
    }

    fn detect(texts: Vec<String>) -> Result<Vec<Detection>, Error> {
        translate::check(&texts)?;
        Ok(texts.iter().map(|text| contract::detection(text)).collect())
    }

    fn describe(model: Option<String>) -> Result<Model, Error> {
        let translator = translate::open(&sessions::Node, model.as_deref())?;
        Ok(contract::model(&translator))
    }
}
