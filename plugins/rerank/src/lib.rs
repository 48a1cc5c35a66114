//! The plugin `rerank`: `meshhost:rerank/reranker@0.1.0`, passages in the order in which they answer
//! a query.
//!
//! The model, a cross-encoder, runs on the node, behind `meshhost:inference/sessions`; what stands
//! around it happens here: `meshhost_tokens` makes pairs of tokens and puts them into batches,
//! [`rerank`] sorts by what the model says of each. Models are known only as `engine`, so tests run
//! the same code with an engine of their own.

mod contract;
pub mod rerank;

meshhost_sdk::plugin!({
    path: ["../../wit/inference/0.1.0", "../../wit/mesh/0.1.0", "../../wit/rerank/0.1.0"],
    world: "meshhost:rerank/provider",
    with: {
        "meshhost:inference/sessions@0.1.0": meshhost_sdk::inference::sessions,
        "meshhost:mesh/invoke@0.1.0": generate,
    },
});

use bindings::exports::meshhost::rerank::reranker;
use meshhost_tokens::node::Node;
use reranker::{Error, Guest, Model, Ranking};

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn describe(model: Option<String>) -> Result<Model, Error> {
        Ok(contract::model(rerank::describe(&Node, model.as_deref())?))
    }

    fn rerank(
        query: String,
        passages: Vec<String>,
        model: Option<String>,
    ) -> Result<Ranking, Error> {
        let (model, scores) = rerank::scores(&Node, &query, &passages, model.as_deref())?;
        Ok(contract::ranking(model, &scores))
    }
}
