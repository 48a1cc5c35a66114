//! An engine without models: it finds what is dark and reads nothing. What it is asked is kept.

use std::cell::RefCell;
use std::rc::Rc;

use meshhost_ocr::engine::{Engine, Model, Tensor};
use meshhost_ocr::failure::Failure;

/// The shapes of the tensors that were handed over, by model.
pub(crate) type Asked = Rc<RefCell<Vec<(String, Vec<usize>)>>>;

#[derive(Default)]
pub(crate) struct StandIn {
    pub(crate) asked: Asked,
    /// What every run answers instead.
    pub(crate) failure: Option<Failure>,
}

impl Engine for StandIn {
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure> {
        if !name.starts_with("ppocr-") {
            return Err(Failure::NoModel(name.to_owned()));
        }
        let (asked, failure) = (Rc::clone(&self.asked), self.failure.clone());
        Ok(Box::new(Dark { name: name.to_owned(), asked, failure }))
    }
}

struct Dark {
    name: String,
    asked: Asked,
    failure: Option<Failure>,
}

impl Model for Dark {
    fn run(&self, input: Tensor) -> Result<Tensor, Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.asked.borrow_mut().push((self.name.clone(), input.shape.clone()));
        let [count, channels, height, width] = input.shape[..] else { panic!("four dimensions") };
        assert_eq!(input.elements.len(), count * channels * height * width);
        Ok(match self.name.as_str() {
            "ppocr-det" => {
                let plane = &input.elements[..height * width];
                let elements = plane.iter().map(|value| f32::from(*value < -0.5)).collect();
                Tensor { shape: vec![1, 1, height, width], elements }
            }
            // The first three lines of a batch stand upright.
            "ppocr-cls" => {
                let pair = |line| if line < 3 { [0.99, 0.01] } else { [0.05, 0.95] };
                Tensor { shape: vec![count, 2], elements: (0..count).flat_map(pair).collect() }
            }
            // Every line says `b`, less surely from line to line.
            _ => {
                let line = |line: usize| [0.0, 0.0, 0.9 - 0.15 * line as f32, 0.0];
                Tensor { shape: vec![count, 1, 4], elements: (0..count).flat_map(line).collect() }
            }
        })
    }

    fn metadata(&self, _key: &str) -> Result<Option<String>, Failure> {
        Ok(Some("a\nb".to_owned()))
    }
}
