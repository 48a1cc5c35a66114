//! What the worker needs from an engine. No type of an engine's own leaves its module.

use std::{fmt::Debug, sync::Arc};

use bytemuck::{AnyBitPattern, NoUninit};
use meshhost_core::inference::{InferenceError, Tensor, ValueInfo};

use crate::scan::Summary;

pub(crate) mod embedded;
pub(crate) mod onnxruntime;

/// The bytes as aligned elements. Their number is a multiple of an element's.
pub(crate) fn aligned<T: AnyBitPattern + NoUninit>(bytes: &[u8]) -> Vec<T> {
    let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>().max(1)];
    let target: &mut [u8] = bytemuck::cast_slice_mut(&mut elements);
    if target.len() == bytes.len() {
        target.copy_from_slice(bytes);
    }
    elements
}

/// An engine that runs.
pub(crate) trait Engine: Send + Sync + Debug {
    /// Its name and version, for results.
    fn name(&self) -> String;

    /// Loads a model that the scan let pass; `summary` is what the scan learnt. Fails when the
    /// provider does not really run it.
    fn load(&self, model: &[u8], summary: &Summary) -> Result<Box<dyn Session>, InferenceError>;
}

/// A loaded model: one run at a time.
pub(crate) trait Session: Send + Debug {
    /// What it takes and gives.
    fn values(&self) -> (Vec<ValueInfo>, Vec<ValueInfo>);

    /// What ends a run early.
    fn interrupt(&self) -> Arc<dyn Interrupt>;

    /// Runs the model on inputs that fit its description. Gives all outputs, in its order.
    fn run(&mut self, inputs: &[Tensor], bytes_max: u64) -> Result<Vec<Tensor>, InferenceError>;
}

/// Ends the run of one session from another thread.
pub(crate) trait Interrupt: Send + Sync + Debug {
    /// Ends the run that goes on, or the next one.
    fn interrupt(&self);

    /// Lets the next run go on to its end.
    fn reset(&self);
}
