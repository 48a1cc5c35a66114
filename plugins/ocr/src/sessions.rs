//! The node's models: `meshhost:inference/sessions`, which runs them outside of the component.

use meshhost_sdk::inference;
use meshhost_sdk::inference::sessions::{ElementType, Elements, Tensor as Handed};

use crate::engine::{Engine, Model, Tensor};
use crate::failure::Failure;

/// The node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node;

impl Engine for Node {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let model = inference::Model::open(name)?;
        let description = model.describe()?;
        let (Some(input), Some(output)) =
            (description.inputs.into_iter().next(), description.outputs.into_iter().next())
        else {
            return Err(Failure::NoModel(format!("the model {name:?} takes or gives nothing")));
        };
        Ok(Box::new(Open {
            model,
            input: input.name,
            output: output.name,
            metadata: description.metadata,
        }))
    }
}

/// An open model.
struct Open {
    model: inference::Model,
    input: String,
    output: String,
    metadata: Vec<(String, String)>,
}

impl Model for Open {
    fn run(&self, input: Tensor) -> Result<Tensor, Failure> {
        let output = self.model.floats(&[handed(&self.input, input)?], &self.output)?;
        Ok(Tensor { shape: output.shape, elements: output.numbers })
    }

    fn metadata(&self, key: &str) -> Result<Option<String>, Failure> {
        let found = self.metadata.iter().find(|(known, _)| known == key);
        Ok(found.map(|(_, text)| text.clone()))
    }
}

/// A tensor as the node takes it. It is taken apart, so that it is not in memory twice for longer
/// than needed.
fn handed(name: &str, tensor: Tensor) -> Result<Handed, Failure> {
    let shape: Result<_, _> = tensor.shape.iter().map(|length| u32::try_from(*length)).collect();
    let shape = shape.map_err(|_| Failure::TooLarge("the tensor is too large".to_owned()))?;
    let mut bytes = vec![0; tensor.elements.len() * size_of::<f32>()];
    for (four, value) in bytes.as_chunks_mut().0.iter_mut().zip(tensor.elements) {
        *four = value.to_le_bytes();
    }
    Ok(Handed {
        name: name.to_owned(),
        element_type: ElementType::Float32,
        shape,
        elements: Elements::Bytes(bytes),
    })
}
