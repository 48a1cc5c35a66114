//! The real models on an engine of pure Rust, in place of the node.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use meshhost_ocr::engine::{Engine, Model, Tensor};
use meshhost_ocr::failure::Failure;

/// Models in a folder, loaded when they are first opened.
pub(crate) struct Folder {
    path: PathBuf,
    loaded: RefCell<BTreeMap<String, Rc<rten::Model>>>,
    spent: Rc<Cell<Duration>>,
}

impl Folder {
    /// The folder that `cargo xtask models` fills, or that `MESHHOST_MODELS_DIR` names; nothing, with
    /// the reason printed, when the models are not there.
    pub(crate) fn find() -> Option<Self> {
        let folder = env::var_os("MESHHOST_MODELS_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models")),
            PathBuf::from,
        );
        let path = folder.join("ppocr");
        if ["det.onnx", "rec.onnx", "cls.onnx"].iter().any(|name| !path.join(name).exists()) {
            eprintln!("skipped: run cargo xtask models");
            return None;
        }
        Some(Self { path, loaded: RefCell::default(), spent: Rc::default() })
    }

    /// How long models have run so far.
    pub(crate) fn spent(&self) -> Duration {
        self.spent.get()
    }
}

impl Engine for Folder {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        let missing = || Failure::NoModel(format!("no model {name:?}"));
        let file = name.strip_prefix("ppocr-").ok_or_else(missing)?;
        let mut loaded = self.loaded.borrow_mut();
        if !loaded.contains_key(file) {
            let path = self.path.join(file).with_extension("onnx");
            let model = rten::Model::load_file(path).map_err(|_| missing())?;
            loaded.insert(file.to_owned(), Rc::new(model));
        }
        let model = loaded.get(file).map(Rc::clone).ok_or_else(missing)?;
        Ok(Box::new(Loaded { model, spent: Rc::clone(&self.spent) }))
    }
}

struct Loaded {
    model: Rc<rten::Model>,
    spent: Rc<Cell<Duration>>,
}

impl Model for Loaded {
    fn run(&self, input: Tensor) -> Result<Tensor, Failure> {
        let begun = Instant::now();
        let input = rten_tensor::Tensor::from_data(&input.shape, input.elements);
        let output = self.model.run_one(input.into(), None);
        let output = output.map_err(|error| Failure::Fault(error.to_string()))?;
        let output: rten_tensor::Tensor<f32> =
            output.into_tensor().ok_or_else(|| Failure::Fault("no floats".to_owned()))?;
        self.spent.set(self.spent.get() + begun.elapsed());
        use rten_tensor::prelude::*;
        Ok(Tensor { shape: output.shape().to_vec(), elements: output.into_data() })
    }

    fn metadata(&self, key: &str) -> Result<Option<String>, Failure> {
        Ok(self.model.metadata().get(key).map(str::to_owned))
    }
}
