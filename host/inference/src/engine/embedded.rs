//! The engine that is part of the binary: `rten`, pure Rust, on the processor. The only module
//! that names it.
//!
//! Inside it has four types of elements. What a model declares stands in the file, and values are
//! converted on the way in and out; types that would lose something are refused at the load.
//! A run cannot be ended early: the node ends the worker when it has to.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use meshhost_core::inference::{
    ElementType, Elements, InferenceError, InferenceErrorCode, Tensor, ValueInfo,
};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::Layout as _;

use super::{Engine, Interrupt, Session, aligned};
use crate::scan::{Declared, Summary};

/// Its name and version in results; a test holds the number to the one that is built in.
pub(crate) const NAME: &str = "rten 0.27.0";

/// The embedded engine.
#[derive(Debug)]
pub(crate) struct Embedded {
    threads: Arc<ThreadPool>,
}

impl Embedded {
    pub(crate) fn start(threads: usize) -> Self {
        Self { threads: Arc::new(ThreadPool::with_num_threads(threads)) }
    }
}

impl Engine for Embedded {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn load(&self, model: &[u8], summary: &Summary) -> Result<Box<dyn Session>, InferenceError> {
        let inputs = supported(&summary.inputs)?;
        let outputs = supported(&summary.outputs)?;
        let mut options = ModelOptions::with_all_ops();
        // A quarter of the time for the weights once more in memory.
        options.prepack_weights(true);
        let loaded = caught(|| options.load(model.to_vec()))?
            .map_err(|error| failed(&format!("the engine cannot load the model: {error}")))?;
        let nodes = |values: &[ValueInfo]| -> Result<Vec<NodeId>, InferenceError> {
            let find = |info: &ValueInfo| loaded.find_node(&info.name);
            let nodes: Option<Vec<NodeId>> = values.iter().map(find).collect();
            nodes.ok_or_else(|| failed("the model does not have the values that it declares"))
        };
        let nodes = (nodes(&inputs)?, nodes(&outputs)?);
        let threads = Arc::clone(&self.threads);
        Ok(Box::new(Loaded { model: loaded, inputs, outputs, nodes, threads }))
    }
}

struct Loaded {
    model: Model,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    nodes: (Vec<NodeId>, Vec<NodeId>),
    threads: Arc<ThreadPool>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loaded").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

/// It has no way to end a run.
#[derive(Debug)]
struct Never;

impl Interrupt for Never {
    fn interrupt(&self) {}
    fn reset(&self) {}
}

impl Session for Loaded {
    fn values(&self) -> (Vec<ValueInfo>, Vec<ValueInfo>) {
        (self.inputs.clone(), self.outputs.clone())
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Never)
    }

    fn run(&mut self, inputs: &[Tensor], bytes_max: u64) -> Result<Vec<Tensor>, InferenceError> {
        let mut values: Vec<(NodeId, ValueOrView<'_>)> = Vec::with_capacity(inputs.len());
        for tensor in inputs {
            let mut known = self.inputs.iter().zip(&self.nodes.0);
            let node = known.find(|(info, _)| info.name == tensor.name()).map(|(_, node)| *node);
            let node = node.ok_or_else(|| failed("the model has no such input"))?;
            values.push((node, input(tensor)?.into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let outputs = caught(|| self.model.run(values, &self.nodes.1, Some(options)))?
            .map_err(|error| failed(&format!("the model failed on this input: {error}")))?;
        let mut left = bytes_max;
        let mut tensors = Vec::with_capacity(outputs.len());
        for (info, value) in self.outputs.iter().zip(outputs) {
            let tensor = output(info, value, left)?;
            left = left.saturating_sub(tensor.elements().cost_bytes());
            tensors.push(tensor);
        }
        Ok(tensors)
    }
}

/// A panic in the engine is an error of this model: nothing of the engine is shared but threads.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, InferenceError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| failed("the engine gave up on this model"))
}

/// The declared values, when all are of types that go through the engine without a loss.
fn supported(declared: &[Declared]) -> Result<Vec<ValueInfo>, InferenceError> {
    let supported = |value: &Declared| {
        value.info.clone().filter(|info| {
            matches!(
                info.element_type,
                ElementType::Float32
                    | ElementType::Int32
                    | ElementType::Int64
                    | ElementType::Boolean
                    | ElementType::Int8
                    | ElementType::Uint8
            )
        })
    };
    let all: Option<Vec<ValueInfo>> = declared.iter().map(supported).collect();
    all.ok_or_else(|| {
        failed("the embedded engine does not have a type of this model: install ONNX Runtime")
    })
}

fn input(tensor: &Tensor) -> Result<Value, InferenceError> {
    let sizes: Result<Vec<usize>, _> =
        tensor.shape().iter().map(|size| usize::try_from(*size)).collect();
    let shape = sizes.map_err(|_| failed("an input is too large"))?;
    let Elements::Bytes(bytes) = tensor.elements() else { return Err(unsupported(tensor.name())) };
    let value = match tensor.element_type() {
        ElementType::Float32 => Value::from_shape(&shape, aligned::<f32>(bytes)).ok(),
        ElementType::Int32 => Value::from_shape(&shape, aligned::<i32>(bytes)).ok(),
        ElementType::Int64 => Value::from_shape(&shape, narrowed(tensor.name(), bytes)?).ok(),
        ElementType::Boolean => {
            Value::from_shape(&shape, bytes.iter().map(|byte| i32::from(*byte)).collect()).ok()
        }
        ElementType::Int8 => Value::from_shape(&shape, aligned::<i8>(bytes)).ok(),
        ElementType::Uint8 => Value::from_shape(&shape, bytes.clone()).ok(),
        _ => None,
    };
    value.ok_or_else(|| unsupported(tensor.name()))
}

/// Numbers of 64 bits as the engine holds them; one that does not fit is not cut.
fn narrowed(name: &str, bytes: &[u8]) -> Result<Vec<i32>, InferenceError> {
    let narrow = |word: &[u8; 8]| i32::try_from(i64::from_le_bytes(*word));
    let narrowed: Result<Vec<i32>, _> = bytes.as_chunks::<8>().0.iter().map(narrow).collect();
    narrowed.map_err(|_| {
        let message = format!("`{name}` has a number beyond 32 bits: the embedded engine has none");
        InferenceError::new(InferenceErrorCode::InvalidArgument, &message)
    })
}

fn output(info: &ValueInfo, value: Value, bytes_max: u64) -> Result<Tensor, InferenceError> {
    let name = &info.name;
    let (shape, bytes): (Vec<usize>, Vec<u8>) = match value {
        Value::FloatTensor(tensor) => {
            (tensor.shape().to_vec(), bytemuck::cast_slice(&tensor.into_data()).to_vec())
        }
        Value::Int32Tensor(tensor) => {
            let shape = tensor.shape().to_vec();
            let numbers = tensor.into_data();
            let bytes = match info.element_type {
                ElementType::Int64 => {
                    numbers.iter().flat_map(|number| i64::from(*number).to_le_bytes()).collect()
                }
                ElementType::Boolean => numbers.iter().map(|it| u8::from(*it != 0)).collect(),
                _ => bytemuck::cast_slice(&numbers).to_vec(),
            };
            (shape, bytes)
        }
        Value::Int8Tensor(tensor) => {
            (tensor.shape().to_vec(), bytemuck::cast_slice(&tensor.into_data()).to_vec())
        }
        Value::UInt8Tensor(tensor) => (tensor.shape().to_vec(), tensor.into_data()),
        _ => return Err(unsupported(name)),
    };
    let shape: Result<Vec<u32>, _> = shape.into_iter().map(u32::try_from).collect();
    let shape = shape.map_err(|_| failed("an output is too large"))?;
    // A value of another type than the declared one does not have the bytes of its shape.
    Tensor::new(name.clone(), info.element_type, shape, Elements::Bytes(bytes), bytes_max)
}

fn unsupported(name: &str) -> InferenceError {
    failed(&format!("`{name}` has a type that the embedded engine does not have"))
}

fn failed(message: &str) -> InferenceError {
    InferenceError::new(InferenceErrorCode::Failed, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{FLOAT, INT64, Size, add, identity, unknown_operator},
        scan::scan,
    };

    fn load(model: &[u8]) -> Result<Box<dyn Session>, InferenceError> {
        Embedded::start(1).load(model, &scan(model).unwrap())
    }

    fn tensor(name: &str, element_type: ElementType, shape: &[u32], bytes: Vec<u8>) -> Tensor {
        let elements = Elements::Bytes(bytes);
        Tensor::new(name.into(), element_type, shape.to_vec(), elements, 1024).unwrap()
    }

    fn floats(name: &str, values: [f32; 2]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensor(name, ElementType::Float32, &[1, 2], bytes)
    }

    #[test]
    fn a_model_runs() {
        let mut session = load(&add(2)).unwrap();
        let (inputs, outputs) = session.values();
        assert_eq!((inputs[0].name.as_str(), &inputs[0].shape), ("a", &vec![None, Some(2)]));
        assert_eq!(outputs.len(), 1);
        let inputs = [floats("b", [1.0, 2.0]), floats("a", [10.0, 20.0])];
        assert_eq!(session.run(&inputs, 99).unwrap(), [floats("y", [11.0, 22.0])]);
        assert_eq!(session.run(&inputs, 7).unwrap_err().code, InferenceErrorCode::TooLarge);
    }

    #[test]
    fn types_come_out_as_they_are_declared_or_are_refused() {
        for (number, element_type, size) in [
            (FLOAT, ElementType::Float32, 4),
            (6, ElementType::Int32, 4),
            (INT64, ElementType::Int64, 8),
            (9, ElementType::Boolean, 1),
            (3, ElementType::Int8, 1),
            (2, ElementType::Uint8, 1),
        ] {
            let mut session = load(&identity(number, &[Size::Free("n")])).unwrap();
            let bytes = (0..2 * size).map(|at| u8::from(at % size == 0)).collect();
            let x = tensor("x", element_type, &[2], bytes);
            let y = session.run(std::slice::from_ref(&x), 99).unwrap();
            assert_eq!(y[0].elements(), x.elements(), "{element_type:?}");
        }
        for number in [8, 10, 11, 12, 13, 16] {
            assert!(load(&identity(number, &[Size::Free("n")])).is_err(), "{number}");
        }
        let mut session = load(&identity(INT64, &[])).unwrap();
        let large = tensor("x", ElementType::Int64, &[], (1_i64 << 40).to_le_bytes().to_vec());
        let error = session.run(&[large], 99).unwrap_err();
        assert_eq!(error.code, InferenceErrorCode::InvalidArgument);
    }

    #[test]
    fn what_it_cannot_run_is_an_error() {
        assert!(load(&unknown_operator()).is_err());
    }

    #[test]
    fn its_version_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../../Cargo.lock");
        let version = lock.split("name = \"rten\"\nversion = \"").nth(1).unwrap();
        assert_eq!(Some(NAME), version.split('"').next().map(|it| format!("rten {it}")).as_deref());
    }
}
