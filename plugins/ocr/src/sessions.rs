//! The node's models: `meshhost:inference/sessions`, which runs them outside of the component.

use crate::bindings::meshhost::inference::sessions::{
    ElementType, Elements, Error, ErrorCode, Session, Tensor as Handed,
};
use crate::engine::{Engine, Model, Tensor};
use crate::failure::Failure;

/// The node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node;

impl Engine for Node {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let failed = |error| failure(name, error);
        let session = Session::open(name).map_err(failed)?;
        let description = session.describe().map_err(failed)?;
        let (Some(input), Some(output)) =
            (description.inputs.into_iter().next(), description.outputs.into_iter().next())
        else {
            return Err(Failure::NoModel(format!("the model {name:?} takes or gives nothing")));
        };
        Ok(Box::new(Open {
            name: name.to_owned(),
            session,
            input: input.name,
            output: output.name,
            metadata: description.metadata,
        }))
    }
}

/// An open model.
struct Open {
    name: String,
    session: Session,
    input: String,
    output: String,
    metadata: Vec<(String, String)>,
}

impl Model for Open {
    fn run(&self, input: Tensor) -> Result<Tensor, Failure> {
        let input = handed(&self.input, input)?;
        let outputs = self.session.run(&[input], std::slice::from_ref(&self.output));
        let outputs = outputs.map_err(|error| failure(&self.name, error))?;
        outputs.into_iter().next().and_then(taken).ok_or_else(|| {
            Failure::NoModel(format!(
                "the model {:?} does not answer with 32-bit floats",
                self.name
            ))
        })
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

/// A tensor as the node gave it; nothing when it has other elements than ours.
fn taken(tensor: Handed) -> Option<Tensor> {
    let Elements::Bytes(bytes) = tensor.elements else { return None };
    let (values, rest) = bytes.as_chunks::<4>();
    if tensor.element_type != ElementType::Float32 || !rest.is_empty() {
        return None;
    }
    let shape: Option<_> =
        tensor.shape.into_iter().map(|length| usize::try_from(length).ok()).collect();
    Some(Tensor {
        shape: shape?,
        elements: values.iter().copied().map(f32::from_le_bytes).collect(),
    })
}

fn failure(model: &str, error: Error) -> Failure {
    let text = format!("the model {model:?}: {}", error.message);
    match error.code {
        ErrorCode::NotFound | ErrorCode::InvalidArgument => Failure::NoModel(text),
        ErrorCode::TooLarge => Failure::TooLarge(text),
        ErrorCode::Busy => Failure::Busy(text),
        ErrorCode::Quota => Failure::Quota(text),
        ErrorCode::Unavailable => Failure::Unavailable(text),
        ErrorCode::Failed | ErrorCode::Cancelled => Failure::Fault(text),
    }
}
