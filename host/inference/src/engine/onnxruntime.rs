//! ONNX Runtime, through `ort`: the only module that names it. The library is loaded at run time,
//! once in a process, by path.

use std::{
    borrow::Cow,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytemuck::{AnyBitPattern, NoUninit};
use meshhost_core::inference::{
    ElementType, Elements, InferenceError, InferenceErrorCode, Tensor, ValueInfo,
};
use ort::{
    environment::Environment,
    ep::{ExecutionProviderDispatch, cuda::ConvAlgorithmSearch},
    logging::LogLevel,
    session::{RunOptions, SessionInputValue, builder::SessionBuilder},
    value::{DynValue, PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType},
};

use super::{Engine, Interrupt, Session, aligned};
use crate::{scan::Summary, settings::Provider};

mod placement;

use placement::Placement;

/// `y = x` over one number: the smallest model that makes a session.
const SMALLEST: &[u8] = b"\x08\x08B\x02\x10\x0d:5\x0a\x12\x0a\x01x\x12\x01y\x22\x08Identity:\x00\
    \x12\x05graphZ\x0b\x0a\x01x\x12\x06\x0a\x04\x08\x01\x12\x00\
    b\x0b\x0a\x01y\x12\x06\x0a\x04\x08\x01\x12\x00";

/// What sessions run on, and what each may take of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device {
    pub(crate) provider: Provider,
    /// Processor threads of one session.
    pub(crate) threads: usize,
    /// Bytes of one session's memory on a graphics card. What the process has besides is bounded
    /// by the system.
    pub(crate) memory_bytes: usize,
}

impl Device {
    /// The provider with as little of everything as a small model needs.
    pub(crate) const fn least(provider: Provider) -> Self {
        Self { provider, threads: 1, memory_bytes: 64 * 1024 * 1024 }
    }
}

/// ONNX Runtime in this process.
#[derive(Debug)]
pub(crate) struct OnnxRuntime {
    environment: Environment,
    version: String,
    device: Device,
}

impl OnnxRuntime {
    /// Loads the library. Once in a process: a second library is not loaded.
    pub(crate) fn start(library: &Path, device: Device) -> Result<Self, InferenceError> {
        let builder = ort::init_from(library).map_err(|error| {
            unavailable(&format!("the library of ONNX Runtime does not load: {}", said(&error)))
        })?;
        let environment = builder.with_name("meshhost").with_telemetry(false).build();
        let environment = environment.map_err(|error| unavailable(&error))?;
        Ok(Self { environment, version: version(library), device })
    }

    /// Makes a session that runs nothing: the provider's own libraries and its device must be there
    /// for that.
    pub(crate) fn check(&self) -> Result<(), InferenceError> {
        let session = self
            .builder(&Placement::default())
            .and_then(|mut builder| builder.commit_from_memory(SMALLEST));
        session.map(drop).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &ort::Error) -> InferenceError {
        unavailable(&format!("`{}` is not usable: {}", self.device.provider, said(error)))
    }

    fn builder(&self, placement: &Placement) -> Result<SessionBuilder, ort::Error> {
        let builder = ort::session::Session::builder(&self.environment)?
            .with_intra_threads(self.device.threads)?
            .with_inter_threads(1)?
            // A session that waits must not keep a processor busy.
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            // Where the nodes were placed is said in the log alone.
            .with_log_level(LogLevel::Verbose)?
            .with_logger(placement.listener())?;
        let providers = dispatches(self.device);
        if providers.is_empty() {
            return Ok(builder);
        }
        Ok(builder.with_execution_providers(providers)?)
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> String {
        format!("onnxruntime {}", self.version)
    }

    fn load(&self, model: &[u8], _summary: &Summary) -> Result<Box<dyn Session>, InferenceError> {
        let placement = Placement::default();
        let mut builder = self.builder(&placement).map_err(|error| self.unusable(&error))?;
        let session = builder
            .commit_from_memory(model)
            .map_err(|error| failed("the engine cannot load the model", &error))?;
        placement.assert(self.device.provider)?;
        let mut options = RunOptions::new().map_err(|error| unavailable(&error))?;
        options.set_log_level(LogLevel::Fatal).map_err(|error| unavailable(&error))?;
        let values = (values(session.inputs())?, values(session.outputs())?);
        Ok(Box::new(Loaded {
            session,
            values,
            options: Arc::new(Options(Mutex::default(), options)),
        }))
    }
}

/// The version of the library that this process has loaded. The safe part of the interface says
/// the commit that it was built from alone, so that the file's name or folder says more where it
/// holds a version: `libonnxruntime.so.1.31.1`, `onnxruntime/1.31.1/`.
pub(crate) fn version(library: &Path) -> String {
    let named = library.canonicalize().ok().and_then(|path| crate::library::named_version(&path));
    named.unwrap_or_else(|| {
        let commit = ort::info().split("git-commit-id=").nth(1).unwrap_or_default();
        format!(
            "commit {}",
            commit.chars().take_while(char::is_ascii_alphanumeric).collect::<String>()
        )
    })
}

/// What is registered for a provider, each so that it fails when it cannot be.
fn dispatches(device: Device) -> Vec<ExecutionProviderDispatch> {
    // How to convolve is looked for at each new shape and forgotten at the next one: trying all
    // ways takes several times as long as asking which should be fast.
    let cuda = || {
        ort::ep::CUDA::default()
            .with_memory_limit(device.memory_bytes)
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            .build()
    };
    let providers = match device.provider {
        Provider::Cpu => vec![],
        Provider::Cuda => vec![cuda()],
        Provider::Tensorrt => vec![ort::ep::TensorRT::default().build(), cuda()],
        Provider::Coreml => vec![ort::ep::CoreML::default().build()],
        Provider::Directml => vec![ort::ep::DirectML::default().build()],
        Provider::Openvino => vec![ort::ep::OpenVINO::default().build()],
    };
    providers.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect()
}

#[derive(Debug)]
struct Loaded {
    session: ort::session::Session,
    values: (Vec<ValueInfo>, Vec<ValueInfo>),
    options: Arc<Options>,
}

/// The options of a session's runs, and whether the run that goes on was interrupted.
struct Options(Mutex<bool>, RunOptions);

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Options").field(&self.interrupted()).finish()
    }
}

impl Options {
    fn set(&self, interrupted: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = interrupted;
        // Neither fails on options that exist.
        let _ = if interrupted { self.1.terminate() } else { self.1.unterminate() };
    }

    fn interrupted(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt for Options {
    fn interrupt(&self) {
        self.set(true);
    }

    fn reset(&self) {
        self.set(false);
    }
}

impl Session for Loaded {
    fn values(&self) -> (Vec<ValueInfo>, Vec<ValueInfo>) {
        self.values.clone()
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::clone(&self.options) as Arc<dyn Interrupt>
    }

    fn run(&mut self, inputs: &[Tensor], bytes_max: u64) -> Result<Vec<Tensor>, InferenceError> {
        let inputs: Result<Vec<_>, ort::Error> =
            inputs.iter().map(|it| Ok((Cow::Borrowed(it.name()), input(it)?))).collect();
        let inputs = inputs.map_err(|error| failed("the engine refused an input", &error))?;
        let outputs = self.session.run_with_options(inputs, &self.options.1).map_err(|error| {
            if self.options.interrupted() {
                return InferenceError::new(InferenceErrorCode::Cancelled, "the run was cancelled");
            }
            failed("the model failed on this input", &error)
        })?;
        let mut left = bytes_max;
        let mut tensors = Vec::with_capacity(outputs.len());
        for (name, value) in &outputs {
            let tensor = output(name, &value, left)?;
            left = left.saturating_sub(tensor.elements().cost_bytes());
            tensors.push(tensor);
        }
        Ok(tensors)
    }
}

fn input(tensor: &Tensor) -> Result<SessionInputValue<'_>, ort::Error> {
    let shape: Vec<i64> = tensor.shape().iter().map(|size| i64::from(*size)).collect();
    let bytes = match tensor.elements() {
        Elements::Texts(texts) => {
            return Ok(ort::value::Tensor::from_string_array((shape, texts.as_slice()))?.into());
        }
        Elements::Bytes(bytes) => bytes,
    };
    match tensor.element_type() {
        ElementType::Float32 => typed::<f32>(shape, bytes),
        ElementType::Float64 => typed::<f64>(shape, bytes),
        ElementType::Float16 => typed::<half::f16>(shape, bytes),
        ElementType::Bfloat16 => typed::<half::bf16>(shape, bytes),
        ElementType::Int8 => typed::<i8>(shape, bytes),
        ElementType::Int16 => typed::<i16>(shape, bytes),
        ElementType::Int32 => typed::<i32>(shape, bytes),
        ElementType::Int64 => typed::<i64>(shape, bytes),
        ElementType::Uint8 | ElementType::Text => typed::<u8>(shape, bytes),
        ElementType::Uint16 => typed::<u16>(shape, bytes),
        ElementType::Uint32 => typed::<u32>(shape, bytes),
        ElementType::Uint64 => typed::<u64>(shape, bytes),
        ElementType::Boolean => {
            let booleans: Vec<bool> = bytes.iter().map(|byte| *byte != 0).collect();
            Ok(ort::value::Tensor::from_array((shape, booleans))?.into())
        }
    }
}

/// The tensor over the bytes themselves where they are aligned, as large allocations are.
fn typed<T>(shape: Vec<i64>, bytes: &[u8]) -> Result<SessionInputValue<'_>, ort::Error>
where
    T: PrimitiveTensorElementType + AnyBitPattern + NoUninit + std::fmt::Debug,
{
    match bytemuck::try_cast_slice::<u8, T>(bytes) {
        Ok(elements) => Ok(TensorRef::from_array_view((shape, elements))?.into()),
        Err(_) => {
            let elements: Vec<T> = aligned(bytes);
            Ok(ort::value::Tensor::from_array((shape, elements))?.into())
        }
    }
}

fn output(name: &str, value: &DynValue, bytes_max: u64) -> Result<Tensor, InferenceError> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return Err(unsupported(name));
    };
    let element_type = element_type(*ty).ok_or_else(|| unsupported(name))?;
    let dimensions: Result<Vec<u32>, _> = shape.iter().map(|size| u32::try_from(*size)).collect();
    let dimensions = dimensions.map_err(|_| too_large(name))?;
    let elements: u64 = dimensions.iter().map(|size| u64::from(*size)).product();
    // Refused before it is copied.
    if elements.saturating_mul(element_type.size_bytes().unwrap_or(1)) > bytes_max {
        return Err(too_large(name));
    }
    let elements = match element_type {
        ElementType::Text => value.try_extract_strings().map(|(_, texts)| Elements::Texts(texts)),
        ElementType::Float32 => extracted::<f32>(value),
        ElementType::Float64 => extracted::<f64>(value),
        ElementType::Float16 => extracted::<half::f16>(value),
        ElementType::Bfloat16 => extracted::<half::bf16>(value),
        ElementType::Int8 => extracted::<i8>(value),
        ElementType::Int16 => extracted::<i16>(value),
        ElementType::Int32 => extracted::<i32>(value),
        ElementType::Int64 => extracted::<i64>(value),
        ElementType::Uint8 => extracted::<u8>(value),
        ElementType::Uint16 => extracted::<u16>(value),
        ElementType::Uint32 => extracted::<u32>(value),
        ElementType::Uint64 => extracted::<u64>(value),
        ElementType::Boolean => extracted::<bool>(value),
    };
    let elements = elements.map_err(|error| failed("an output cannot be read", &error))?;
    Tensor::new(name.to_owned(), element_type, dimensions, elements, bytes_max)
}

fn extracted<T: PrimitiveTensorElementType + NoUninit>(
    value: &DynValue,
) -> Result<Elements, ort::Error> {
    let (_, elements) = value.try_extract_tensor::<T>()?;
    Ok(Elements::Bytes(bytemuck::cast_slice(elements).to_vec()))
}

fn values(outlets: &[ort::value::Outlet]) -> Result<Vec<ValueInfo>, InferenceError> {
    outlets.iter().map(value_info).collect()
}

fn value_info(outlet: &ort::value::Outlet) -> Result<ValueInfo, InferenceError> {
    let name = outlet.name().to_owned();
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(unsupported(&name));
    };
    let element_type = element_type(*ty).ok_or_else(|| unsupported(&name))?;
    // Free dimensions are negative.
    let shape = shape.iter().map(|size| u32::try_from(*size).ok()).collect();
    Ok(ValueInfo { name, element_type, shape })
}

const fn element_type(element_type: TensorElementType) -> Option<ElementType> {
    Some(match element_type {
        TensorElementType::Float32 => ElementType::Float32,
        TensorElementType::Float64 => ElementType::Float64,
        TensorElementType::Float16 => ElementType::Float16,
        TensorElementType::Bfloat16 => ElementType::Bfloat16,
        TensorElementType::Int8 => ElementType::Int8,
        TensorElementType::Int16 => ElementType::Int16,
        TensorElementType::Int32 => ElementType::Int32,
        TensorElementType::Int64 => ElementType::Int64,
        TensorElementType::Uint8 => ElementType::Uint8,
        TensorElementType::Uint16 => ElementType::Uint16,
        TensorElementType::Uint32 => ElementType::Uint32,
        TensorElementType::Uint64 => ElementType::Uint64,
        TensorElementType::Bool => ElementType::Boolean,
        TensorElementType::String => ElementType::Text,
        _ => return None,
    })
}

fn unsupported(name: &str) -> InferenceError {
    let message = format!("`{name}` is not a tensor of a type that plugins can hold");
    InferenceError::new(InferenceErrorCode::Failed, &message)
}

fn too_large(name: &str) -> InferenceError {
    let message = format!("the output `{name}` is larger than a run may give");
    InferenceError::new(InferenceErrorCode::TooLarge, &message)
}

fn failed(what: &str, error: &ort::Error) -> InferenceError {
    InferenceError::new(InferenceErrorCode::Failed, &format!("{what}: {}", said(error)))
}

fn unavailable(error: &impl ToString) -> InferenceError {
    InferenceError::new(InferenceErrorCode::Unavailable, &said(error))
}

/// What an engine says, for plugins as well: its first line, without the functions that it came
/// through, without folders, and without what CUDA adds, which names the machine. What stands in
/// quotes is the model's.
fn said(error: &impl ToString) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.rsplit("[ONNXRuntimeError] : ").next().unwrap_or_default();
    let line = line.split_once(" ; GPU=").map_or(line, |(line, _)| failure(line));
    let without_folders = |word| match str::rsplit_once(word, '/') {
        Some((_, name)) if !word.contains(['\'', '"', '`']) => name,
        _ => word,
    };
    line.split(' ').map(without_folders).collect::<Vec<_>>().join(" ")
}

/// `CUDA failure 2: out of memory`, behind everything else.
fn failure(line: &str) -> &str {
    let library = line.rfind(" failure ").and_then(|at| line.get(..at)?.rfind(' '));
    library.and_then(|at| line.get(at + 1..)).unwrap_or(line)
}

#[cfg(test)]
mod tests;
