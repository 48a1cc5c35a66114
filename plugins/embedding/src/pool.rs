//! One vector for each text of those of its tokens.

use meshhost_tokens::engine::{Output, Pooling, TextUse};

/// One vector for each text of a batch, of which `lengths` says how many tokens are its own.
/// Nothing when the output has another shape than a vector for each token.
pub(crate) fn vectors(output: &Output, lengths: &[usize], used: TextUse) -> Option<Vec<Vec<f32>>> {
    let [rows, tokens, width] = *output.shape.as_slice() else { return None };
    let fits = rows == lengths.len()
        && width > 0
        && lengths.iter().all(|length| (1..=tokens).contains(length))
        && tokens.checked_mul(width)?.checked_mul(rows)? == output.numbers.len();
    if !fits {
        return None;
    }
    let texts = output.numbers.chunks_exact(tokens * width).zip(lengths);
    Some(texts.map(|(text, length)| vector(text, width, *length, used)).collect())
}

fn vector(text: &[f32], width: usize, length: usize, used: TextUse) -> Vec<f32> {
    let tokens = match used.pooling {
        Pooling::Mean => length,
        Pooling::First => 1,
    };
    let mut sum = vec![0.0; width];
    for token in text.chunks_exact(width).take(tokens) {
        for (sum, value) in sum.iter_mut().zip(token) {
            *sum += value;
        }
    }
    // The mean has the sum's direction: where its length does not count, it need not be divided.
    let divisor = if used.normalise {
        sum.iter().map(|value| value * value).sum::<f32>().sqrt()
    } else {
        u16::try_from(tokens).map_or(f32::INFINITY, f32::from)
    };
    if divisor > 0.0 {
        sum.iter_mut().for_each(|value| *value /= divisor);
    }
    sum
}

#[cfg(test)]
mod tests {
    use meshhost_tokens::engine::Task;

    use super::*;

    fn used(pooling: Pooling, normalise: bool) -> TextUse {
        TextUse { task: Task::Embed, pooling, normalise, tokens_max: 8 }
    }

    #[test]
    fn what_fills_does_not_count_and_vectors_have_the_length_one() {
        let numbers = vec![3.0, 0.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0];
        let output = Output { shape: vec![2, 2, 2], numbers };
        let mean = vectors(&output, &[1, 2], used(Pooling::Mean, false)).unwrap();
        assert_eq!(mean, [[3.0, 0.0], [2.0, 3.0]]);
        let first = vectors(&output, &[1, 2], used(Pooling::First, false)).unwrap();
        assert_eq!(first, [[3.0, 0.0], [1.0, 2.0]]);
        for vector in vectors(&output, &[2, 2], used(Pooling::Mean, true)).unwrap() {
            let length = vector.iter().map(|value| value * value).sum::<f32>();
            assert!((length - 1.0).abs() < 1e-6, "{vector:?}");
        }
    }

    #[test]
    fn the_zero_vector_stays() {
        let output = Output { shape: vec![1, 1, 2], numbers: vec![0.0, 0.0] };
        assert_eq!(vectors(&output, &[1], used(Pooling::Mean, true)).unwrap(), [[0.0, 0.0]]);
    }

    #[test]
    fn other_shapes_are_refused() {
        let output = Output { shape: vec![1, 2, 2], numbers: vec![0.0; 4] };
        let mean = used(Pooling::Mean, false);
        assert!(vectors(&output, &[2, 2], mean).is_none());
        assert!(vectors(&output, &[3], mean).is_none());
        assert!(vectors(&output, &[0], mean).is_none());
        let output = Output { shape: vec![1, 2], numbers: vec![0.0; 2] };
        assert!(vectors(&output, &[1], mean).is_none());
        let output = Output { shape: vec![1, usize::MAX, 2], numbers: vec![0.0; 2] };
        assert!(vectors(&output, &[1], mean).is_none());
    }
}
