//! One run in the worker, for one call or several, and how its outputs are divided.

use std::time::Instant;

use meshhost_core::{
    id::{Digest, PluginName},
    inference::{Elements, InferenceError, Tensor},
};

/// A run that goes on.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) model: Digest,
    pub(super) parts: Vec<Part>,
    pub(super) since: Instant,
    /// When the worker was told to end it early.
    pub(super) cancelled: Option<Instant>,
    /// It was ended early because it took too long.
    pub(super) slow: bool,
}

/// The part of one call.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) call: u64,
    pub(super) plugin: PluginName,
    pub(super) rows: u32,
}

impl Run {
    /// What a part takes of the whole run's microseconds.
    pub(super) fn share(&self, part: &Part, run_us: u64) -> u64 {
        let all: u64 = self.parts.iter().map(|part| u64::from(part.rows.max(1))).sum();
        run_us.saturating_mul(u64::from(part.rows.max(1))).div_ceil(all.max(1))
    }
}

/// The outputs for each part; none when they do not have the rows of all parts.
pub(super) fn divide(outputs: Vec<Tensor>, parts: &[Part]) -> Option<Vec<Vec<Tensor>>> {
    if parts.len() <= 1 {
        return Some(vec![outputs]);
    }
    let mut divided: Vec<Vec<Tensor>> = parts.iter().map(|_| Vec::new()).collect();
    let rows: u32 = parts.iter().map(|part| part.rows).sum();
    for output in &outputs {
        let (first, rest) = output.shape().split_first()?;
        let Elements::Bytes(bytes) = output.elements() else { return None };
        if *first != rows || rows == 0 {
            return None;
        }
        let row_bytes = bytes.len() / usize::try_from(rows).ok()?;
        let mut left = bytes.as_slice();
        for (part, divided) in parts.iter().zip(&mut divided) {
            let length = row_bytes.checked_mul(usize::try_from(part.rows).ok()?)?;
            let (own, others) = left.split_at_checked(length)?;
            left = others;
            let shape = std::iter::once(part.rows).chain(rest.iter().copied()).collect();
            divided.push(piece(output, shape, own).ok()?);
        }
    }
    Some(divided)
}

fn piece(output: &Tensor, shape: Vec<u32>, bytes: &[u8]) -> Result<Tensor, InferenceError> {
    let elements = Elements::Bytes(bytes.to_vec());
    Tensor::new(output.name().to_owned(), output.element_type(), shape, elements, u64::MAX)
}

#[cfg(test)]
mod tests {
    use meshhost_core::inference::ElementType;

    use super::*;

    fn part(call: u64, rows: u32) -> Part {
        Part { call, plugin: "a".parse().unwrap(), rows }
    }

    fn tensor(shape: &[u32], bytes: &[u8]) -> Tensor {
        let elements = Elements::Bytes(bytes.to_vec());
        Tensor::new("y".into(), ElementType::Uint8, shape.to_vec(), elements, 100).unwrap()
    }

    #[test]
    fn each_call_gets_its_own_rows() {
        let parts = [part(1, 1), part(2, 2)];
        let divided = divide(vec![tensor(&[3, 2], &[1, 2, 3, 4, 5, 6])], &parts).unwrap();
        assert_eq!(divided[0], [tensor(&[1, 2], &[1, 2])]);
        assert_eq!(divided[1], [tensor(&[2, 2], &[3, 4, 5, 6])]);
    }

    #[test]
    fn outputs_without_the_rows_of_all_calls_are_not_divided() {
        let parts = [part(1, 1), part(2, 2)];
        for outputs in [tensor(&[2, 2], &[0; 4]), tensor(&[], &[0])] {
            assert_eq!(divide(vec![outputs], &parts), None);
        }
        let alone = vec![tensor(&[], &[0])];
        assert_eq!(divide(alone.clone(), &[part(1, 5)]), Some(vec![alone]));
    }

    #[test]
    fn a_run_is_charged_by_rows_and_never_less_than_it_took() {
        let parts = vec![part(1, 1), part(2, 2)];
        let model = Digest::of(b"m");
        let run = Run { model, parts, since: Instant::now(), cancelled: None, slow: false };
        assert_eq!(run.parts.iter().map(|part| run.share(part, 100)).sum::<u64>(), 34 + 67);
    }
}
