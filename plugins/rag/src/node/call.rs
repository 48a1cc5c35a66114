//! The reranker, called by name: it need not be there.

use serde_json::{Value, json};

use crate::bindings::meshhost::mesh::invoke::{CallError, call};
use crate::failure::shortened;
use crate::ports::{Ranking, Reranker};

/// What is called.
const CAPABILITY: &str = "rerank.rerank";

/// Whoever provides [`CAPABILITY`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mesh;

impl Reranker for Mesh {
    fn rerank(
        &self,
        question: &str,
        passages: &[&str],
        model: Option<&str>,
    ) -> Result<Ranking, String> {
        let input = json!({ "query": question, "passages": passages, "model": model });
        let output = call(CAPABILITY, &input.to_string()).map_err(|error| why(&error))?;
        ranking(&output, passages.len())
            .ok_or_else(|| "the reranker answered something else than a ranking".to_owned())
    }
}

fn why(error: &CallError) -> String {
    let (what, text) = match error {
        CallError::Denied(text) => ("it may not be called, or is not there", text),
        CallError::Failure(text) => ("it failed", text),
        CallError::Skipped(text) => ("it is disabled", text),
        CallError::Indeterminate(text) => ("it did not end", text),
        CallError::Invalid(text) => ("it could not be called", text),
    };
    format!("{CAPABILITY}: {what}: {}", shortened(text))
}

/// The scores of `count` passages; nothing unless each of them has one.
fn ranking(output: &str, count: usize) -> Option<Ranking> {
    let output: Value = serde_json::from_str(output).ok()?;
    let model = shortened(output.get("model")?.get("name")?.as_str()?).to_owned();
    let mut scores = vec![None; count];
    for ranked in output.get("ranked")?.as_array()? {
        let passage = usize::try_from(ranked.get("passage")?.as_u64()?).ok()?;
        *scores.get_mut(passage)? = Some(ranked.get("score")?.as_f64()?);
    }
    Some(Ranking { model, scores: scores.into_iter().collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_has_a_score_for_each_passage() {
        let output = r#"{"model": {"name": "m", "digest": "d", "tokens_max": 512},
            "ranked": [{"passage": 1, "score": 2.5}, {"passage": 0, "score": -1}]}"#;
        let expected = Ranking { model: "m".to_owned(), scores: vec![-1.0, 2.5] };
        assert_eq!(ranking(output, 2), Some(expected));
        assert_eq!(ranking(output, 1), None);
        assert_eq!(ranking(output, 3), None);
        assert_eq!(ranking("{}", 0), None);
        assert_eq!(ranking("", 0), None);
    }
}
