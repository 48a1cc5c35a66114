//! The plugin `embedding`: `meshhost:embedding/embedder@0.1.0`, texts as vectors.
//!
//! The model runs on the node, behind `meshhost:inference/sessions`; what stands around it happens
//! here: `meshhost_tokens` cuts texts into tokens and puts them into batches, [`embed`] makes one
//! vector of each text's tokens. Models are known only as `engine`, so tests run the same code with
//! an engine of their own.

mod contract;
pub mod embed;
mod pool;

meshhost_sdk::plugin!({
    path: ["../../wit/inference/0.1.0", "../../wit/mesh/0.1.0", "../../wit/embedding/0.1.0"],
    world: "meshhost:embedding/provider",
    with: {
        "meshhost:inference/sessions@0.1.0": meshhost_sdk::inference::sessions,
        "meshhost:mesh/invoke@0.1.0": generate,
    },
});

use bindings::exports::meshhost::embedding::embedder;
use embedder::{Embeddings, Error, Guest, Model};
use meshhost_tokens::node::Node;

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn describe(model: Option<String>) -> Result<Model, Error> {
        Ok(contract::model(embed::describe(&Node, model.as_deref())?))
    }

    fn count_tokens(texts: Vec<String>, model: Option<String>) -> Result<Vec<u32>, Error> {
        Ok(embed::count_tokens(&Node, &texts, model.as_deref())?)
    }

    fn embed(texts: Vec<String>, model: Option<String>) -> Result<Embeddings, Error> {
        let (model, vectors) = embed::embed(&Node, &texts, model.as_deref())?;
        Ok(Embeddings { model: contract::model(model), vectors })
    }
}
