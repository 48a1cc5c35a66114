//! Tensors as the models take and give them. The first dimension counts the rows.

use crate::engine::{ElementType, Elements, Tensor, ValueInfo};
use crate::failure::{Failure, wrong_model};

/// Numbers of tokens in rows of equal length.
pub(crate) fn ids(name: &str, rows: &[Vec<u32>]) -> Tensor {
    let bytes = rows.iter().flatten().flat_map(|id| i64::from(*id).to_le_bytes()).collect();
    let length = rows.first().map_or(0, Vec::len);
    tensor(name, ElementType::Int64, vec![short(rows.len()), short(length)], bytes)
}

/// One truth.
pub(crate) fn truth(name: &str, value: bool) -> Tensor {
    tensor(name, ElementType::Boolean, vec![1], vec![u8::from(value)])
}

/// What a model takes, without any elements: dimensions of any size are 0, but for the rows.
pub(crate) fn empty(input: &ValueInfo, rows: usize) -> Tensor {
    let sizes = input.shape.iter().skip(1).map(|size| size.unwrap_or(0));
    let shape = std::iter::once(short(rows)).chain(sizes).collect();
    tensor(&input.name, input.element_type, shape, Vec::new())
}

fn tensor(name: &str, element_type: ElementType, shape: Vec<u32>, bytes: Vec<u8>) -> Tensor {
    Tensor { name: name.to_owned(), element_type, shape, elements: Elements::Bytes(bytes) }
}

/// The bytes of all elements.
pub(crate) fn bytes(tensor: &Tensor) -> &[u8] {
    match &tensor.elements {
        Elements::Bytes(bytes) => bytes,
        Elements::Texts(_) => &[],
    }
}

/// A tensor of those rows, which may repeat; nothing where one is not there.
pub(crate) fn select(tensor: &Tensor, rows: &[usize]) -> Option<Tensor> {
    let count = tensor.shape.first().map_or(0, |count| long(*count));
    let all = bytes(tensor);
    let length = all.len().checked_div(count)?;
    let mut selected = Vec::with_capacity(length * rows.len());
    for row in rows {
        let begin = length * (*row < count).then_some(*row)?;
        selected.extend_from_slice(all.get(begin..begin + length)?);
    }
    let mut shape = tensor.shape.clone();
    *shape.first_mut()? = short(rows.len());
    Some(self::tensor(&tensor.name, tensor.element_type, shape, selected))
}

/// The numbers of each row's last token: what a decoder says of the next one.
pub(crate) fn last_rows(logits: &Tensor, rows: usize) -> Result<Vec<Vec<f32>>, Failure> {
    let wrong =
        || wrong_model("the decoder's `logits` are no 32-bit floats for each row and token");
    let [count, length, vocabulary] = *logits.shape else { return Err(wrong()) };
    let (length, vocabulary) = (long(length), long(vocabulary));
    let (numbers, rest) = bytes(logits).as_chunks::<4>();
    let fits = rows.checked_mul(length).and_then(|tokens| tokens.checked_mul(vocabulary))
        == Some(numbers.len());
    let floats = logits.element_type == ElementType::Float32 && rest.is_empty();
    if !floats || !fits || long(count) != rows || length == 0 || vocabulary == 0 {
        return Err(wrong());
    }
    let last = numbers.chunks_exact(vocabulary).skip(length - 1).step_by(length);
    Ok(last.map(|row| row.iter().copied().map(f32::from_le_bytes).collect()).collect())
}

/// A length as the contract has it.
pub(crate) fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A length or the number of a token, to count with.
pub(crate) fn long(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_selected_in_any_order() {
        let rows = ids("x", &[vec![1, 2], vec![3, 4], vec![5, 6]]);
        assert_eq!(rows.shape, [3, 2]);
        let selected = select(&rows, &[2, 0, 2, 1]).unwrap();
        assert_eq!(selected.shape, [4, 2]);
        let wanted = ids("x", &[vec![5, 6], vec![1, 2], vec![5, 6], vec![3, 4]]);
        assert_eq!(bytes(&selected), bytes(&wanted));
        assert!(select(&rows, &[3]).is_none());
        assert_eq!(select(&rows, &[]).unwrap().shape, [0, 2]);
    }

    #[test]
    fn the_last_token_of_each_row_counts() {
        let numbers: Vec<u8> = (0_u8..12).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        let logits =
            |shape: &[u32]| tensor("logits", ElementType::Float32, shape.to_vec(), numbers.clone());
        let rows = last_rows(&logits(&[2, 3, 2]), 2).unwrap();
        assert_eq!(rows, [[4.0, 5.0], [10.0, 11.0]]);
        for (shape, rows) in [(&[2, 3, 2][..], 3), (&[2, 3, 3], 2), (&[12], 12), (&[2, 0, 6], 2)] {
            assert!(last_rows(&logits(shape), rows).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn a_cache_begins_without_tokens() {
        let input = ValueInfo {
            name: "past".to_owned(),
            element_type: ElementType::Float32,
            shape: vec![None, Some(4), None, Some(16)],
        };
        assert_eq!(empty(&input, 3).shape, [3, 4, 0, 16]);
    }
}
