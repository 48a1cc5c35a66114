//! Makes one row for each text of what the model gave.

use meshhost_core::inference::{InferenceError, InferenceErrorCode, Pooling, Tensor};

use super::floats;

/// A vector for each token of each text.
#[derive(Debug)]
pub(super) struct Hidden {
    values: Vec<f32>,
    tokens: usize,
    width: usize,
}

impl Hidden {
    /// The output of a model that was given `rows` texts of `tokens` tokens.
    pub(super) fn new(output: &Tensor, rows: usize, tokens: usize) -> Result<Self, InferenceError> {
        let shape: Vec<usize> =
            output.shape().iter().filter_map(|size| usize::try_from(*size).ok()).collect();
        let [first, second, width] = shape.as_slice() else { return Err(misshapen()) };
        if (*first, *second) != (rows, tokens) || *width == 0 {
            return Err(misshapen());
        }
        Ok(Self { values: floats(output)?, tokens, width: *width })
    }

    /// One vector for each text; `masks` says which tokens are its own.
    pub(super) fn pooled<'a>(
        &self,
        masks: impl Iterator<Item = &'a [u32]>,
        pooling: Pooling,
        normalise: bool,
    ) -> Vec<Vec<f32>> {
        let texts = self.values.chunks(self.tokens * self.width);
        let pooled = texts.zip(masks).map(|(text, mask)| {
            let mut vector = match pooling {
                Pooling::First => text.iter().take(self.width).copied().collect(),
                Pooling::Mean => self.mean(text, mask),
            };
            if normalise {
                scale(&mut vector);
            }
            vector
        });
        pooled.collect()
    }

    fn mean(&self, text: &[f32], mask: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        let own = text.chunks(self.width).zip(mask).filter(|(_, mask)| **mask != 0);
        let mut count = 0_usize;
        for (vector, _) in own {
            count += 1;
            for (sum, value) in sum.iter_mut().zip(vector) {
                *sum += value;
            }
        }
        let count = count.max(1) as f32;
        sum.iter_mut().for_each(|value| *value /= count);
        sum
    }
}

/// Scales a vector to the length 1; the zero vector stays.
fn scale(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

/// The only number that the model gave for each row.
pub(super) fn scores(output: &Tensor, rows: usize) -> Result<Vec<Vec<f32>>, InferenceError> {
    let values = floats(output)?;
    if values.len() != rows {
        return Err(misshapen());
    }
    Ok(values.into_iter().map(|value| vec![value]).collect())
}

fn misshapen() -> InferenceError {
    let message = "the model's output does not have the shape that its task needs";
    InferenceError::new(InferenceErrorCode::Failed, message)
}

#[cfg(test)]
mod tests {
    use meshhost_core::inference::{ElementType, Elements};

    use super::*;

    fn tensor(shape: &[u32], values: &[f32]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let elements = Elements::Bytes(bytes);
        Tensor::new("h".into(), ElementType::Float32, shape.to_vec(), elements, 4096).unwrap()
    }

    #[test]
    fn padding_does_not_count_and_vectors_have_the_length_one() {
        let output = tensor(&[2, 2, 2], &[3.0, 0.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0]);
        let hidden = Hidden::new(&output, 2, 2).unwrap();
        let masks: [&[u32]; 2] = [&[1, 0], &[1, 1]];
        let mean = hidden.pooled(masks.into_iter(), Pooling::Mean, false);
        assert_eq!(mean, [[3.0, 0.0], [2.0, 3.0]]);
        let first = hidden.pooled(masks.into_iter(), Pooling::First, true);
        assert_eq!(first[0], [1.0, 0.0]);
        assert!((first[1].iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(Hidden::new(&output, 2, 3).is_err());
        assert!(Hidden::new(&tensor(&[4, 2], &[0.0; 8]), 4, 1).is_err());
    }

    #[test]
    fn each_row_has_one_score() {
        assert_eq!(scores(&tensor(&[2, 1], &[0.5, 1.5]), 2).unwrap(), [[0.5], [1.5]]);
        assert!(scores(&tensor(&[2, 2], &[0.0; 4]), 2).is_err());
    }
}
