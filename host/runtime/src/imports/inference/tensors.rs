//! Tensors as the interface and as the core have them.

use meshhost_core::inference::{
    self as core, Description, InferenceError, Pooling, TextTask, TextUse, ValueInfo,
};

use super::bindings::meshhost::inference::sessions;

/// Bytes that tensors take on the host.
pub(super) fn bytes(tensors: &[sessions::Tensor]) -> u64 {
    tensors
        .iter()
        .map(|tensor| match &tensor.elements {
            sessions::Elements::Bytes(bytes) => bytes.len() as u64,
            sessions::Elements::Texts(texts) => {
                texts.iter().map(|text| text.len().saturating_add(size_of::<String>()) as u64).sum()
            }
        })
        .sum()
}

/// The guest's tensors, each whole and bounded.
pub(super) fn read(
    tensors: Vec<sessions::Tensor>,
    bytes_max: u64,
) -> Result<Vec<core::Tensor>, InferenceError> {
    let read = |tensor: sessions::Tensor| {
        let elements = match tensor.elements {
            sessions::Elements::Bytes(bytes) => core::Elements::Bytes(bytes),
            sessions::Elements::Texts(texts) => core::Elements::Texts(texts),
        };
        let element_type = element_type(tensor.element_type);
        core::Tensor::new(tensor.name, element_type, tensor.shape, elements, bytes_max)
    };
    tensors.into_iter().map(read).collect()
}

/// A tensor for the guest.
pub(super) fn write(tensor: core::Tensor) -> sessions::Tensor {
    sessions::Tensor {
        name: tensor.name().to_owned(),
        element_type: shown(tensor.element_type()),
        shape: tensor.shape().to_vec(),
        elements: match tensor.into_elements() {
            core::Elements::Bytes(bytes) => sessions::Elements::Bytes(bytes),
            core::Elements::Texts(texts) => sessions::Elements::Texts(texts),
        },
    }
}

/// A description for the guest.
pub(super) fn describe(description: &Description) -> sessions::Description {
    let values = |values: &[ValueInfo]| {
        values
            .iter()
            .map(|value| sessions::ValueInfo {
                name: value.name.clone(),
                element_type: shown(value.element_type),
                shape: value.shape.clone(),
            })
            .collect()
    };
    sessions::Description {
        digest: description.digest.to_string(),
        inputs: values(&description.inputs),
        outputs: values(&description.outputs),
        metadata: description.metadata.clone(),
        files: description.files.clone(),
        text: description.text.as_ref().map(text_use),
    }
}

fn text_use(usage: &TextUse) -> sessions::TextUse {
    let (task, pooling, normalise) = match usage.task {
        TextTask::Embed { pooling, normalise } => (sessions::TextTask::Embed, pooling, normalise),
        TextTask::Rerank => (sessions::TextTask::Rerank, Pooling::First, false),
    };
    let pooling = match pooling {
        Pooling::Mean => sessions::Pooling::Mean,
        Pooling::First => sessions::Pooling::First,
    };
    sessions::TextUse { task, pooling, normalise, tokens_max: usage.tokens_max }
}

/// The types of the interface, each with that of the core.
macro_rules! element_types {
    ($($name:ident)*) => {
        const fn element_type(shown: sessions::ElementType) -> core::ElementType {
            match shown {
                $(sessions::ElementType::$name => core::ElementType::$name,)*
            }
        }

        const fn shown(element_type: core::ElementType) -> sessions::ElementType {
            match element_type {
                $(core::ElementType::$name => sessions::ElementType::$name,)*
            }
        }
    };
}

element_types! {
    Float32 Float64 Float16 Bfloat16 Int8 Int16 Int32 Int64 Uint8 Uint16 Uint32 Uint64 Boolean Text
}
