//! The node's models: `meshhost:inference/sessions`, which runs them outside of the component.

use meshhost_sdk::inference;

use crate::engine::{Description, Engine, Model, Tensor};
use crate::failure::Failure;

/// The node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node;

impl Engine for Node {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let model = inference::Model::open(name)?;
        let description = model.describe()?;
        Ok(Box::new(Open { model, description }))
    }
}

/// An open model.
struct Open {
    model: inference::Model,
    description: Description,
}

impl Model for Open {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, Failure> {
        Ok(self.model.run(inputs, outputs)?)
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.model.file(name)?)
    }
}
