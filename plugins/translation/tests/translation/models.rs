//! Models on an engine of pure Rust, in place of the node.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use meshhost_translation::engine::{
    Description, ElementType, Elements, Engine, Model, Tensor, ValueInfo,
};
use meshhost_translation::failure::Failure;
use rten::{Dimension, Value};
use rten_tensor::AsView as _;
use rten_tensor::Layout as _;

/// The files of this test.
pub(crate) fn files() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/translation/files"))
}

/// Models in a folder, by name and file.
pub(crate) struct Folder {
    path: PathBuf,
    models: Vec<(&'static str, &'static str)>,
    /// What stands beside the encoder, by name.
    pub(crate) beside: BTreeMap<String, Vec<u8>>,
    loaded: RefCell<BTreeMap<String, Rc<rten::Model>>>,
    /// How many rows each run had, by model.
    pub(crate) runs: Rc<RefCell<Vec<(String, usize)>>>,
}

impl Folder {
    pub(crate) fn new(path: &Path, models: &[(&'static str, &'static str)]) -> Self {
        Self {
            path: path.to_owned(),
            models: models.to_vec(),
            beside: BTreeMap::new(),
            loaded: RefCell::default(),
            runs: Rc::default(),
        }
    }

    /// The tiny translator that `cargo xtask models` trains, or that `MESHHOST_MODELS_DIR` has;
    /// nothing, with the reason printed, when it is not there.
    pub(crate) fn tiny() -> Option<Self> {
        let folder = std::env::var_os("MESHHOST_MODELS_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models")),
            PathBuf::from,
        );
        let path = folder.join("tiny-translation");
        let models = [
            ("tiny-translation-encoder", "encoder_model.onnx"),
            ("tiny-translation-decoder", "decoder_model_merged.onnx"),
        ];
        let mut found = Self::new(&path, &models);
        for name in
            ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]
        {
            let Ok(bytes) = fs::read(path.join(name)) else {
                eprintln!("skipped: no {name} of tiny-translation, run cargo xtask models");
                return None;
            };
            found.beside.insert(name.to_owned(), bytes);
        }
        Some(found)
    }
}

impl Engine for Folder {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let missing = || Failure::NoModel(format!("no model {name:?}"));
        let (_, file) = self.models.iter().find(|(known, _)| *known == name).ok_or_else(missing)?;
        let mut loaded = self.loaded.borrow_mut();
        if !loaded.contains_key(*file) {
            let bytes = fs::read(self.path.join(file)).map_err(|_| missing())?;
            let options = rten::ModelOptions::with_all_ops();
            let model = options.load(bytes).map_err(|error| Failure::NoModel(error.to_string()))?;
            loaded.insert((*file).to_owned(), Rc::new(model));
        }
        let model = Rc::clone(&loaded[*file]);
        let beside = if name.ends_with("-encoder") { self.beside.clone() } else { BTreeMap::new() };
        let description = described(&model, &beside);
        let (name, runs) = (name.to_owned(), Rc::clone(&self.runs));
        Ok(Box::new(Loaded { name, model, description, beside, runs }))
    }
}

struct Loaded {
    name: String,
    model: Rc<rten::Model>,
    description: Description,
    beside: BTreeMap<String, Vec<u8>>,
    runs: Rc<RefCell<Vec<(String, usize)>>>,
}

impl Model for Loaded {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, Failure> {
        let fault = |error: &dyn std::fmt::Display| Failure::Fault(error.to_string());
        let rows = inputs.iter().find(|input| input.name == "input_ids").expect("tokens").shape[0];
        self.runs.borrow_mut().push((self.name.clone(), rows as usize));
        let node = |name: &str| self.model.node_id(name).map_err(|error| fault(&error));
        let given: Result<Vec<_>, Failure> =
            inputs.iter().map(|input| Ok((node(&input.name)?, value(input).into()))).collect();
        let wanted: Result<Vec<_>, _> = outputs.iter().map(|name| node(name)).collect();
        let answers = self.model.run(given?, &wanted?, None).map_err(|error| fault(&error))?;
        Ok(outputs.iter().zip(answers).map(|(name, answer)| floats(name, answer)).collect())
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.beside.get(name).cloned().ok_or_else(|| Failure::NoModel(name.to_owned()))
    }
}

fn described(model: &rten::Model, beside: &BTreeMap<String, Vec<u8>>) -> Description {
    let infos = |ids: &[rten::NodeId]| {
        let infos = ids.iter().map(|id| {
            let info = model.node_info(*id).expect("a node");
            let size = |size: &Dimension| match size {
                Dimension::Fixed(size) => u32::try_from(*size).ok(),
                Dimension::Symbolic(_) => None,
            };
            ValueInfo {
                name: info.name().unwrap_or_default().to_owned(),
                element_type: ElementType::Float32,
                shape: info.shape().iter().flatten().map(size).collect(),
            }
        });
        infos.collect()
    };
    Description {
        digest: "blake3:0".to_owned(),
        inputs: infos(model.input_ids()),
        outputs: infos(model.output_ids()),
        metadata: Vec::new(),
        files: beside.keys().cloned().collect(),
        text: None,
    }
}

/// The engine counts with 32 bits.
fn value(tensor: &Tensor) -> Value {
    let Elements::Bytes(bytes) = &tensor.elements else { panic!("no bytes") };
    let shape: Vec<usize> = tensor.shape.iter().map(|size| *size as usize).collect();
    let shape = shape.as_slice();
    match tensor.element_type {
        ElementType::Int64 => {
            let numbers = bytes.as_chunks().0.iter().copied().map(i64::from_le_bytes);
            let numbers = numbers.map(|number| i32::try_from(number).expect("an id"));
            rten_tensor::Tensor::from_data(shape, numbers.collect::<Vec<_>>()).into()
        }
        ElementType::Boolean => {
            let truths = bytes.iter().map(|byte| i32::from(*byte)).collect::<Vec<_>>();
            rten_tensor::Tensor::from_data(shape, truths).into()
        }
        _ => {
            let numbers = bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes);
            rten_tensor::Tensor::from_data(shape, numbers.collect::<Vec<_>>()).into()
        }
    }
}

fn floats(name: &str, value: Value) -> Tensor {
    let tensor: rten_tensor::Tensor<f32> = value.into_tensor().expect("floats");
    Tensor {
        name: name.to_owned(),
        element_type: ElementType::Float32,
        shape: tensor.shape().iter().map(|size| u32::try_from(*size).expect("a size")).collect(),
        elements: Elements::Bytes(
            tensor.to_vec().iter().flat_map(|number| number.to_le_bytes()).collect(),
        ),
    }
}
