//! `wasi:nn`, for components that were written for it: the same models, grants and checks as
//! `meshhost:inference`. A graph is loaded by the name of a granted model (`load-by-name`); loading
//! one from bytes is refused, since models come from the operator alone.

use meshhost_core::inference::{self as core, InferenceError, InferenceErrorCode, TENSORS_MAX};
use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::nn::{
    errors::{self, ErrorCode},
    graph::{self, ExecutionTarget, GraphEncoding},
    inference,
    tensor::{self, TensorType},
};
use super::{Imports, View, inference::Session};
use crate::state::{BufferCharge, HostState};

pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-nn",
        world: "wasi:nn/ml",
        imports: { default: async | trappable },
        with: {
            "wasi:nn/errors.error": super::NnError,
            "wasi:nn/graph.graph": super::Graph,
            "wasi:nn/inference.graph-execution-context": super::ExecutionContext,
            "wasi:nn/tensor.tensor": super::NnTensor,
        },
        require_store_data_send: true,
    });
}

/// Tensors of the guest, or what is wrong with them.
type Read = Result<Vec<core::Tensor>, InferenceError>;
/// What a function answers, or what ends the call.
type Answer<T> = wasmtime::Result<Result<T, Resource<NnError>>>;

/// Links `wasi:nn`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    errors::add_to_linker::<_, Imports>(linker, View::of)?;
    graph::add_to_linker::<_, Imports>(linker, View::of)?;
    inference::add_to_linker::<_, Imports>(linker, View::of)?;
    tensor::add_to_linker::<_, Imports>(linker, View::of)
}

/// A tensor that the host keeps for the guest, as long as the guest holds it.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct NnTensor {
    dimensions: Vec<u32>,
    element_type: TensorType,
    bytes: Vec<u8>,
    /// Host memory of the call.
    _held: BufferCharge,
}

/// A model by name.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Graph(Session);

/// The same model, ready to compute.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ExecutionContext(Session);

/// Why an operation did not work.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct NnError {
    code: ErrorCode,
    data: String,
}

impl View<'_> {
    fn nn_error(&mut self, error: InferenceError) -> wasmtime::Result<Resource<NnError>> {
        let code = match error.code {
            InferenceErrorCode::NotFound => ErrorCode::NotFound,
            InferenceErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
            InferenceErrorCode::TooLarge => ErrorCode::TooLarge,
            InferenceErrorCode::Cancelled => ErrorCode::Timeout,
            InferenceErrorCode::Quota
            | InferenceErrorCode::Busy
            | InferenceErrorCode::Failed
            | InferenceErrorCode::Unavailable => ErrorCode::RuntimeError,
        };
        Ok(self.table.push(NnError { code, data: error.message })?)
    }

    fn nn_answer<T>(&mut self, answer: Result<T, InferenceError>) -> Answer<T> {
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(error) => Ok(Err(self.nn_error(error)?)),
        }
    }

    /// Takes the guest's inputs out of its hands, with what they hold of the host's memory.
    fn nn_inputs(
        &mut self,
        inputs: Vec<inference::NamedTensor>,
    ) -> wasmtime::Result<(Read, Vec<BufferCharge>)> {
        let (mut tensors, mut held) = (Vec::new(), Vec::new());
        let bytes_max = self.context.call.limits.tensor_bytes;
        for (name, tensor) in inputs {
            let tensor = self.table.delete(tensor)?;
            held.push(tensor._held);
            let elements = core::Elements::Bytes(tensor.bytes);
            let element_type = of_guest(tensor.element_type);
            let read =
                core::Tensor::new(name, element_type, tensor.dimensions, elements, bytes_max);
            tensors.push(read);
        }
        Ok((tensors.into_iter().collect(), held))
    }

    /// Gives the guest its outputs.
    fn nn_outputs(
        &mut self,
        outputs: Vec<core::Tensor>,
    ) -> wasmtime::Result<Result<Vec<inference::NamedTensor>, InferenceError>> {
        let mut given = Vec::with_capacity(outputs.len());
        for output in outputs {
            let name = output.name().to_owned();
            let dimensions = output.shape().to_vec();
            let element_type = for_guest(output.element_type());
            let (Some(element_type), core::Elements::Bytes(bytes)) =
                (element_type, output.into_elements())
            else {
                let message = format!("wasi:nn has no type for the output `{name}`");
                return Ok(Err(InferenceError::new(InferenceErrorCode::Failed, &message)));
            };
            let held = self.context.record.charge_buffer(bytes.len() as u64)?;
            let tensor = NnTensor { dimensions, element_type, bytes, _held: held };
            given.push((name, self.table.push(tensor)?));
        }
        Ok(Ok(given))
    }
}

const fn of_guest(element_type: TensorType) -> core::ElementType {
    match element_type {
        TensorType::Fp16 => core::ElementType::Float16,
        TensorType::Fp32 => core::ElementType::Float32,
        TensorType::Fp64 => core::ElementType::Float64,
        TensorType::Bf16 => core::ElementType::Bfloat16,
        TensorType::U8 => core::ElementType::Uint8,
        TensorType::I32 => core::ElementType::Int32,
        TensorType::I64 => core::ElementType::Int64,
    }
}

const fn for_guest(element_type: core::ElementType) -> Option<TensorType> {
    Some(match element_type {
        core::ElementType::Float16 => TensorType::Fp16,
        core::ElementType::Float32 => TensorType::Fp32,
        core::ElementType::Float64 => TensorType::Fp64,
        core::ElementType::Bfloat16 => TensorType::Bf16,
        core::ElementType::Uint8 => TensorType::U8,
        core::ElementType::Int32 => TensorType::I32,
        core::ElementType::Int64 => TensorType::I64,
        _ => return None,
    })
}

impl errors::Host for View<'_> {}

impl errors::HostError for View<'_> {
    async fn code(&mut self, error: Resource<NnError>) -> wasmtime::Result<ErrorCode> {
        Ok(self.table.get(&error)?.code)
    }

    async fn data(&mut self, error: Resource<NnError>) -> wasmtime::Result<String> {
        Ok(self.table.get(&error)?.data.clone())
    }

    async fn drop(&mut self, error: Resource<NnError>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

impl tensor::Host for View<'_> {}

impl tensor::HostTensor for View<'_> {
    async fn new(
        &mut self,
        dimensions: Vec<u32>,
        element_type: TensorType,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Resource<NnTensor>> {
        let held = (bytes.len() as u64).saturating_add(size_of_val(dimensions.as_slice()) as u64);
        let held = self.context.record.charge_buffer(held)?;
        Ok(self.table.push(NnTensor { dimensions, element_type, bytes, _held: held })?)
    }

    async fn dimensions(&mut self, tensor: Resource<NnTensor>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&tensor)?.dimensions.clone())
    }

    async fn ty(&mut self, tensor: Resource<NnTensor>) -> wasmtime::Result<TensorType> {
        Ok(self.table.get(&tensor)?.element_type)
    }

    async fn data(&mut self, tensor: Resource<NnTensor>) -> wasmtime::Result<Vec<u8>> {
        let bytes = &self.table.get(&tensor)?.bytes;
        let _copied = self.context.record.charge_buffer(bytes.len() as u64)?;
        Ok(bytes.clone())
    }

    async fn drop(&mut self, tensor: Resource<NnTensor>) -> wasmtime::Result<()> {
        self.table.delete(tensor)?;
        Ok(())
    }
}

impl graph::Host for View<'_> {
    async fn load(
        &mut self,
        _: Vec<Vec<u8>>,
        _: GraphEncoding,
        _: ExecutionTarget,
    ) -> Answer<Resource<Graph>> {
        let data = "a model is not loaded from bytes: the operator adds it and grants model=NAME, \
                    and load-by-name takes that name";
        let error = NnError { code: ErrorCode::Security, data: data.to_owned() };
        Ok(Err(self.table.push(error)?))
    }

    async fn load_by_name(&mut self, name: String) -> Answer<Resource<Graph>> {
        let session = self.context.session(name, "wasi:nn/graph#load-by-name").await;
        match session {
            Ok(session) => Ok(Ok(self.table.push(Graph(session))?)),
            Err(error) => self.nn_answer(Err(error)),
        }
    }
}

impl graph::HostGraph for View<'_> {
    async fn init_execution_context(
        &mut self,
        graph: Resource<Graph>,
    ) -> Answer<Resource<ExecutionContext>> {
        let session = self.table.get(&graph)?.0.clone();
        Ok(Ok(self.table.push(ExecutionContext(session))?))
    }

    async fn drop(&mut self, graph: Resource<Graph>) -> wasmtime::Result<()> {
        self.table.delete(graph)?;
        Ok(())
    }
}

impl inference::Host for View<'_> {}

impl inference::HostGraphExecutionContext for View<'_> {
    async fn compute(
        &mut self,
        context: Resource<ExecutionContext>,
        inputs: Vec<inference::NamedTensor>,
    ) -> Answer<Vec<inference::NamedTensor>> {
        const FUNCTION: &str = "wasi:nn/inference#graph-execution-context.compute";
        let session = self.table.get(&context)?.0.clone();
        if inputs.len() > TENSORS_MAX {
            let message = format!("a run takes at most {TENSORS_MAX} tensors");
            let error = InferenceError::new(InferenceErrorCode::TooLarge, &message);
            return self.nn_answer(Err(error));
        }
        let (inputs, _held) = self.nn_inputs(inputs)?;
        let outputs = match inputs {
            Ok(inputs) => self.context.run_model(&session, FUNCTION, inputs, Vec::new()).await,
            Err(error) => Err(error),
        };
        match outputs {
            Ok(outputs) => {
                let given = self.nn_outputs(outputs)?;
                self.nn_answer(given)
            }
            Err(error) => self.nn_answer(Err(error)),
        }
    }

    async fn drop(&mut self, context: Resource<ExecutionContext>) -> wasmtime::Result<()> {
        self.table.delete(context)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
