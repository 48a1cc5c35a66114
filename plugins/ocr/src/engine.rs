//! What runs the models, as the pipeline sees it: the node in a component, anything else in tests.

use crate::failure::Failure;

/// Numbers in rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its elements in row-major order; as many as the shape says.
    pub elements: Vec<f32>,
}

/// A model with one input and one output.
pub trait Model {
    /// Runs it once.
    ///
    /// # Errors
    /// When the engine has no room, or the model fails on this input.
    fn run(&self, input: Tensor) -> Result<Tensor, Failure>;

    /// What its author wrote into it under `key`.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn metadata(&self, key: &str) -> Result<Option<String>, Failure>;
}

/// What has models.
pub trait Engine {
    /// Opens a model by name.
    ///
    /// # Errors
    /// When there is none of that name, or the engine is not there.
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure>;
}
