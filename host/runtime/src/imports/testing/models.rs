//! One model, in memory: it doubles every byte of its inputs.

use std::sync::Arc;

use async_trait::async_trait;
use meshhost_core::{
    id::Digest,
    inference::{
        Description, ElementType, Elements, Inference, InferenceCaller, InferenceError,
        InferenceErrorCode, Pooling, RunReport, Tensor, TextTask, TextUse, ValueInfo,
    },
    ports::ModelNames,
};

/// The model `doubling`; the node has no other.
#[derive(Debug)]
pub(super) struct Doubling;

fn digest() -> Digest {
    Digest::of(b"doubling")
}

fn report() -> RunReport {
    let (engine, provider) = ("memory 1".into(), "cpu".into());
    RunReport { model: digest(), engine, provider, queue_us: 1, run_us: 2, batch: 1 }
}

#[async_trait]
impl ModelNames for Doubling {
    async fn digest_of(&self, name: &str) -> Option<Digest> {
        (name == "doubling").then(digest)
    }
}

#[async_trait]
impl Inference for Doubling {
    async fn describe(
        &self,
        _: &InferenceCaller,
        model: &Digest,
    ) -> Result<Arc<Description>, InferenceError> {
        let value = |name: &str| ValueInfo {
            name: name.to_owned(),
            element_type: ElementType::Uint8,
            shape: vec![None, Some(2)],
        };
        Ok(Arc::new(Description {
            digest: *model,
            inputs: vec![value("x")],
            outputs: vec![value("y")],
            metadata: vec![("author".to_owned(), "us".to_owned())],
            files: vec!["notes".to_owned()],
            text: Some(TextUse {
                task: TextTask::Embed { pooling: Pooling::First, normalise: true },
                tokens_max: 256,
            }),
        }))
    }

    async fn run(
        &self,
        caller: &InferenceCaller,
        model: &Digest,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
    ) -> Result<(Vec<Tensor>, RunReport), InferenceError> {
        let description = self.describe(caller, model).await?;
        description.check_inputs(&inputs)?;
        description.check_outputs(&outputs)?;
        let double = |tensor: Tensor| {
            let (element_type, shape) = (tensor.element_type(), tensor.shape().to_vec());
            let Elements::Bytes(bytes) = tensor.into_elements() else { unreachable!("checked") };
            let doubled = bytes.into_iter().map(|byte| byte.wrapping_mul(2)).collect();
            Tensor::new("y".to_owned(), element_type, shape, Elements::Bytes(doubled), u64::MAX)
        };
        let outputs = inputs.into_iter().map(double).collect::<Result<_, _>>()?;
        Ok((outputs, report()))
    }

    async fn embed(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        texts: Vec<String>,
    ) -> Result<(Vec<Vec<f32>>, RunReport), InferenceError> {
        Ok((texts.iter().map(|text| vec![text.len() as f32; 3]).collect(), report()))
    }

    async fn rerank(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        query: String,
        passages: Vec<String>,
    ) -> Result<(Vec<f32>, RunReport), InferenceError> {
        let fits = |passage: &String| if passage.contains(&query) { 1.0 } else { 0.0 };
        Ok((passages.iter().map(fits).collect(), report()))
    }

    async fn file(
        &self,
        _: &InferenceCaller,
        _: &Digest,
        name: &str,
    ) -> Result<Vec<u8>, InferenceError> {
        if name == "notes" {
            return Ok(b"doubles".to_vec());
        }
        Err(InferenceError::new(InferenceErrorCode::NotFound, "the model has no such file"))
    }
}
