//! Which lines stand on their head.

use crate::engine::Model;
use crate::failure::Failure;
use crate::picture::Picture;
use crate::tensors;

/// Size of what the classifier takes.
pub(crate) const WIDTH: usize = 192;
/// Height of what the classifier takes.
pub(crate) const HEIGHT: usize = 48;
/// What the classifier must say for a line to be turned.
const SURE: f32 = 0.9;

/// Whether each of some lines stands on its head.
pub(crate) fn on_their_heads(model: &dyn Model, lines: &[Picture]) -> Result<Vec<bool>, Failure> {
    let output = model.run(tensors::of(lines, WIDTH, HEIGHT))?;
    let (pairs, rest) = output.elements.as_chunks::<2>();
    if output.shape != [lines.len(), 2] || pairs.len() != lines.len() || !rest.is_empty() {
        return Err(Failure::NoModel(format!(
            "the classifier answered the shape {:?} for {} lines: it is no PP-OCR classifier",
            output.shape,
            lines.len()
        )));
    }
    Ok(pairs.iter().map(|[upright, turned]| turned > upright && *turned > SURE).collect())
}
