//! Models of text on an engine of pure Rust, in place of the node. The tests of the plugins share
//! this file.

use std::cell::Cell;
use std::env;
use std::path::PathBuf;
use std::rc::Rc;

use meshhost_tokens::Failure;
use meshhost_tokens::engine::{Description, Element, Engine, Input, Model, Output, TextUse, Value};
use rten_tensor::prelude::*;

/// One model in a folder, by the name of its package.
pub(crate) struct Folder {
    path: PathBuf,
    name: &'static str,
    model: Rc<rten::Model>,
    used: TextUse,
    /// How often the model ran so far.
    pub(crate) runs: Rc<Cell<usize>>,
}

impl Folder {
    /// The package in the folder that `cargo xtask models` fills, or that `MESHHOST_MODELS_DIR`
    /// names; nothing, with the reason printed, when it is not there.
    pub(crate) fn find(name: &'static str, used: TextUse) -> Option<Self> {
        let folder = env::var_os("MESHHOST_MODELS_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models")),
            PathBuf::from,
        );
        let path = folder.join(name);
        let file = path.join("model.onnx");
        if !file.exists() {
            eprintln!("skipped: run cargo xtask models");
            return None;
        }
        let model = Rc::new(rten::Model::load_file(file).expect("a model that was checked"));
        Some(Self { path, name, model, used, runs: Rc::default() })
    }

    /// A file of the package.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path.join(name)).expect("a file of the package")
    }
}

impl Engine for Folder {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        if name != self.name {
            return Err(Failure::NoModel(format!("no model {name:?}")));
        }
        let values = |ids: &[rten::NodeId]| ids.iter().map(|id| self.value(*id)).collect();
        let description = Description {
            digest: format!("blake3:{}", "0".repeat(64)),
            inputs: values(self.model.input_ids()),
            outputs: values(self.model.output_ids()),
            text: Some(self.used),
        };
        let tokenizer = self.file("tokenizer.json");
        let (model, runs) = (Rc::clone(&self.model), Rc::clone(&self.runs));
        Ok(Box::new(Loaded { model, description, tokenizer, runs }))
    }
}

impl Folder {
    fn value(&self, id: rten::NodeId) -> Value {
        let info = self.model.node_info(id).expect("a node of the model");
        let size = |dimension: rten::Dimension| match dimension {
            rten::Dimension::Fixed(size) => Some(size),
            rten::Dimension::Symbolic(_) => None,
        };
        let name = info.name().expect("a name").to_owned();
        let element = if name.ends_with("ids") || name.ends_with("mask") {
            Element::Int64
        } else {
            Element::Float32
        };
        let shape = info.shape().expect("a shape").into_iter().map(size).collect();
        Value { name, element, shape }
    }
}

struct Loaded {
    model: Rc<rten::Model>,
    description: Description,
    tokenizer: Vec<u8>,
    runs: Rc<Cell<usize>>,
}

impl Model for Loaded {
    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenizer(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.tokenizer.clone())
    }

    fn run(&self, inputs: Vec<Input>, output: &str) -> Result<Output, Failure> {
        self.runs.set(self.runs.get() + 1);
        let node = |name: &str| self.model.node_id(name).expect("an input or output");
        let fed = inputs.into_iter().map(|input| {
            let shape = [input.rows, input.numbers.len() / input.rows];
            let signed = input.numbers.iter().map(|number| number.cast_signed());
            let numbers: Vec<i32> = signed.collect();
            let tensor = rten_tensor::Tensor::from_data(&shape, numbers);
            (node(&input.name), tensor.into())
        });
        let outputs = self.model.run(fed.collect(), &[node(output)], None).expect("a run");
        let output = outputs.into_iter().next().expect("an output");
        let output: rten_tensor::Tensor<f32> = output.into_tensor().expect("floats");
        Ok(Output { shape: output.shape().to_vec(), numbers: output.into_data() })
    }
}
