//! `meshhost:inference/text`: models of text by their task. The host cuts texts into tokens.

use meshhost_core::inference::{InferenceError, InferenceErrorCode, TEXTS_MAX};

use super::{Answer, bindings::meshhost::inference::text, told};
use crate::imports::{Context, View};

impl Context {
    async fn embed(
        &self,
        model: &str,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let digest = self.model(model, "meshhost:inference/text#embed").await?;
        check_count(texts.len())?;
        let caller = self.inference_caller();
        let (vectors, report) = self.shared.ports.inference.embed(&caller, &digest, texts).await?;
        self.record.ran(&report);
        Ok(vectors)
    }

    async fn rerank(
        &self,
        model: &str,
        query: String,
        passages: Vec<String>,
    ) -> Result<Vec<f32>, InferenceError> {
        let digest = self.model(model, "meshhost:inference/text#rerank").await?;
        check_count(passages.len())?;
        let caller = self.inference_caller();
        let (scores, report) =
            self.shared.ports.inference.rerank(&caller, &digest, query, passages).await?;
        self.record.ran(&report);
        Ok(scores)
    }
}

fn check_count(texts: usize) -> Result<(), InferenceError> {
    if (1..=TEXTS_MAX).contains(&texts) {
        return Ok(());
    }
    let message = format!("give 1 to {TEXTS_MAX} texts at once");
    Err(InferenceError::new(InferenceErrorCode::InvalidArgument, &message))
}

/// Bytes that texts take on the host.
fn bytes(texts: &[String]) -> u64 {
    texts.iter().map(|text| text.len().saturating_add(size_of::<String>()) as u64).sum()
}

impl text::Host for View<'_> {
    async fn embed(&mut self, model: String, texts: Vec<String>) -> Answer<Vec<Vec<f32>>> {
        let mut held = self.context.record.charge_buffer(bytes(&texts))?;
        let answer = self.context.embed(&model, texts).await;
        if let Ok(vectors) = &answer {
            held.grow(vectors.iter().map(|vector| size_of_val(vector.as_slice()) as u64).sum())?;
        }
        Ok(answer.map_err(told))
    }

    async fn rerank(
        &mut self,
        model: String,
        query: String,
        passages: Vec<String>,
    ) -> Answer<Vec<f32>> {
        let _held = self
            .context
            .record
            .charge_buffer(bytes(&passages).saturating_add(query.len() as u64))?;
        Ok(self.context.rerank(&model, query, passages).await.map_err(told))
    }
}
