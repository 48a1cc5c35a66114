//! Runs a model as a component does that knows `wasi:nn` alone: by name, and from bytes, which a node
//! refuses.

meshhost_sdk::plugin!({
    path: "../../../wit/deps/wasi-nn",
    inline: "
        package fixture:adder@0.1.0;

        world provider {
            include wasi:nn/ml@0.2.0-rc-2024-10-28;

            export add: func(model: string, a: list<f32>, b: list<f32>) -> result<list<f32>, string>;
            export add-by-bytes: func(model: list<u8>) -> result<_, string>;
        }
    ",
    world: "fixture:adder/provider",
    generate_all,
});

use bindings::wasi::nn::errors::Error;
use bindings::wasi::nn::graph::{self, ExecutionTarget, GraphEncoding};
use bindings::wasi::nn::tensor::{Tensor, TensorType};

struct Adder;

export!(Adder with_types_in bindings);

impl bindings::Guest for Adder {
    fn add(model: String, a: Vec<f32>, b: Vec<f32>) -> Result<Vec<f32>, String> {
        let graph = graph::load_by_name(&model).map_err(said)?;
        let context = graph.init_execution_context().map_err(said)?;
        let inputs = vec![("a".to_owned(), tensor(&a)), ("b".to_owned(), tensor(&b))];
        let outputs = context.compute(inputs).map_err(said)?;
        let (name, sum) = outputs.first().ok_or("there is no output")?;
        let of_floats = matches!(sum.ty(), TensorType::Fp32);
        if name != "y" || !of_floats || sum.dimensions() != tensor(&a).dimensions() {
            return Err(format!("{name} has another shape or type"));
        }
        let bytes = sum.data();
        Ok(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect())
    }

    fn add_by_bytes(model: Vec<u8>) -> Result<(), String> {
        let loaded = graph::load(&[model], GraphEncoding::Onnx, ExecutionTarget::Cpu);
        loaded.map(|_| ()).map_err(said)
    }
}

/// One row of numbers.
fn tensor(numbers: &[f32]) -> Tensor {
    let columns = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Tensor::new(&[1, columns], TensorType::Fp32, &bytes)
}

fn said(error: Error) -> String {
    format!("{:?}: {}", error.code(), error.data())
}
