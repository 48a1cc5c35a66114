//! What runs the models, as the decoder sees it: the node in a component, anything else in tests.
//!
//! The tensors are those of the contract, so that nothing is copied on its way to the node.

pub use meshhost_sdk::inference::sessions::{
    Description, ElementType, Elements, Tensor, ValueInfo,
};

use crate::failure::Failure;

/// An open model.
pub trait Model {
    /// What the model says of itself.
    fn description(&self) -> &Description;

    /// Runs it once; there is one answer for each of `outputs`, in their order.
    ///
    /// # Errors
    /// When the engine has no room, or the model fails on this input.
    fn run(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Vec<Tensor>, Failure>;

    /// A file that was added with the model.
    ///
    /// # Errors
    /// When it cannot be read.
    fn file(&self, name: &str) -> Result<Vec<u8>, Failure>;
}

/// What has models.
pub trait Engine {
    /// Opens a model by name.
    ///
    /// # Errors
    /// When there is none of that name, or the engine is not there.
    fn open(&self, name: &str) -> Result<Box<dyn Model>, Failure>;
}
