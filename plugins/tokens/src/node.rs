//! The node's models: `meshhost:inference/sessions`, which runs them outside of the component.

use meshhost_sdk::inference;
use meshhost_sdk::inference::sessions::{self, ElementType, Elements, Tensor};

use crate::Failure;
use crate::engine::{
    Description, Element, Engine, Input, Model, Output, Pooling, Task, TextUse, Value,
};

/// What every model of text is added with.
const TOKENIZER: &str = "tokenizer.json";

/// The node.
#[derive(Debug, Clone, Copy)]
pub struct Node;

impl Engine for Node {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let model = inference::Model::open(name)?;
        let description = description(model.describe()?);
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

    fn tokenizer(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.model.file(TOKENIZER)?)
    }

    fn run(&self, inputs: Vec<Input>, output: &str) -> Result<Output, Failure> {
        let inputs: Result<Vec<_>, _> = inputs.into_iter().map(handed).collect();
        let output = self.model.floats(&inputs?, output)?;
        Ok(Output { shape: output.shape, numbers: output.numbers })
    }
}

/// Numbers as the node takes them.
fn handed(input: Input) -> Result<Tensor, Failure> {
    let (element_type, bytes) = match input.element {
        Element::Int32 => {
            (ElementType::Int32, input.numbers.iter().flat_map(|it| it.to_le_bytes()).collect())
        }
        _ => {
            let wide = |number: &u32| i64::from(*number).to_le_bytes();
            (ElementType::Int64, input.numbers.iter().flat_map(wide).collect())
        }
    };
    let size = |length| {
        u32::try_from(length).map_err(|_| Failure::TooLarge("the texts are too long".to_owned()))
    };
    let columns = input.numbers.len().checked_div(input.rows).unwrap_or_default();
    Ok(Tensor {
        name: input.name,
        element_type,
        shape: vec![size(input.rows)?, size(columns)?],
        elements: Elements::Bytes(bytes),
    })
}

fn description(described: sessions::Description) -> Description {
    let values = |infos: Vec<sessions::ValueInfo>| infos.into_iter().map(value).collect();
    Description {
        digest: described.digest,
        inputs: values(described.inputs),
        outputs: values(described.outputs),
        text: described.text.map(text_use),
    }
}

fn value(info: sessions::ValueInfo) -> Value {
    let element = match info.element_type {
        ElementType::Int32 => Element::Int32,
        ElementType::Int64 => Element::Int64,
        ElementType::Float32 => Element::Float32,
        _ => Element::Other,
    };
    let size = |length: Option<u32>| length.and_then(|length| usize::try_from(length).ok());
    Value { name: info.name, element, shape: info.shape.into_iter().map(size).collect() }
}

fn text_use(used: sessions::TextUse) -> TextUse {
    TextUse {
        task: match used.task {
            sessions::TextTask::Embed => Task::Embed,
            sessions::TextTask::Rerank => Task::Rerank,
        },
        pooling: match used.pooling {
            sessions::Pooling::Mean => Pooling::Mean,
            sessions::Pooling::First => Pooling::First,
        },
        normalise: used.normalise,
        tokens_max: used.tokens_max,
    }
}
