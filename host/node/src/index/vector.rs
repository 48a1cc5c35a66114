//! Vectors: scaled to the length 1, as small whole numbers with a bound on what that changes, and
//! compared exactly.

use std::iter::zip;

/// Largest whole number of a row.
const ROW_MAX: f32 = 127.0;
/// Largest whole number of a query that has few dimensions.
const QUERY_MAX: f64 = 32_767.0;
/// More than all roundings of 32-bit fractions on the way to an approximate product come to.
const ROUNDING: f32 = 4e-6;

/// The vector scaled to the length 1, as bytes of 32-bit fractions, little end first. Its numbers are
/// finite and not all zero.
pub(crate) fn normalised(vector: &[f32]) -> Vec<u8> {
    let unit = unit(vector);
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of 32 bits is what is kept")]
    let bytes = unit.iter().flat_map(|number| (*number as f32).to_le_bytes());
    bytes.collect()
}

/// The numbers of a vector that was kept as bytes.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> + Clone {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

fn unit(vector: &[f32]) -> Vec<f64> {
    let wide: Vec<f64> = vector.iter().map(|&number| f64::from(number)).collect();
    let length = wide.iter().map(|number| number * number).sum::<f64>().sqrt();
    wide.into_iter().map(|number| number / length).collect()
}

/// A vector of length 1 as small whole numbers: `scale` times them is the vector but for a vector
/// whose length is at most `error`.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) scale: f32,
    pub(super) error: f32,
}

/// Writes a vector of length 1 as whole numbers to the end of `values`.
pub(super) fn shrink(vector: impl Iterator<Item = f32> + Clone, values: &mut Vec<i8>) -> Small {
    let largest = vector.clone().fold(0.0_f32, |most, number| most.max(number.abs()));
    let scale = largest / ROW_MAX;
    let mut wrong = 0.0_f64;
    for number in vector {
        let whole =
            if scale > 0.0 { (number / scale).round().clamp(-ROW_MAX, ROW_MAX) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number up to 127")]
        values.push(whole as i8);
        let difference = f64::from(number) - f64::from(scale) * f64::from(whole);
        wrong += difference * difference;
    }
    Small { scale, error: above(wrong.sqrt()) }
}

/// A 32-bit fraction that is not below `number`, which is small and not negative.
fn above(number: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "what is cut off is added again")]
    let cut = number as f32;
    cut.next_up()
}

/// A query, exactly and as whole numbers.
#[derive(Debug)]
pub(super) struct Query {
    exact: Vec<f64>,
    pub(super) whole: Vec<i16>,
    small: Small,
}

impl Query {
    /// The query with this vector, whose numbers are finite and not all zero.
    pub(super) fn new(vector: &[f32]) -> Self {
        let exact = unit(vector);
        let largest = exact.iter().fold(0.0_f64, |most, number| most.max(number.abs()));
        // No sum of products with a row leaves 32 bits.
        let dimensions = f64::from(u32::try_from(vector.len().max(1)).unwrap_or(u32::MAX));
        let most = (f64::from(i32::MAX) / (f64::from(ROW_MAX) * dimensions)).floor().min(QUERY_MAX);
        #[expect(clippy::cast_possible_truncation, reason = "the error is taken with this scale")]
        let scale = (largest / most) as f32;
        let step = f64::from(scale);
        let mut wrong = 0.0;
        let whole = exact.iter().map(|&number| {
            let whole = (number / step).round().clamp(-most, most);
            wrong += (number - step * whole).powi(2);
            #[expect(clippy::cast_possible_truncation, reason = "it is a whole number of 16 bits")]
            let whole = whole as i16;
            whole
        });
        let whole = whole.collect();
        Self { exact, whole, small: Small { scale, error: above(f64::sqrt(wrong)) } }
    }

    /// Between what the cosine with a row lies, whose whole numbers have this product with the
    /// query's.
    pub(super) fn bounds(&self, product: i32, scale: f32, error: f32) -> (f32, f32) {
        // What a 32-bit fraction cannot hold of the product is within ROUNDING.
        let about = product as f32 * (scale * self.small.scale);
        let wrong = error + (1.0 + error) * self.small.error + ROUNDING;
        (about - wrong, about + wrong)
    }

    /// The cosine with a vector that was kept.
    pub(super) fn cosine(&self, bytes: &[u8]) -> f64 {
        let sum: f64 =
            zip(numbers(bytes), &self.exact).map(|(one, other)| f64::from(one) * other).sum();
        sum.clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::dots::dots, *};

    fn vectors() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let number = || prop_oneof![-1.0_f32..1.0, prop::num::f32::NORMAL, Just(0.0), Just(1e-45)];
        let pair = (1_usize..200).prop_flat_map(move |count| {
            let vector = || prop::collection::vec(number(), count);
            (vector(), vector())
        });
        pair.prop_filter("a direction", |(one, other)| {
            [one, other].into_iter().all(|vector| vector.iter().any(|number| *number != 0.0))
        })
    }

    proptest! {
        /// The exact cosine lies between the bounds, however crooked the vectors are.
        #[test]
        fn bounds_hold((row, query) in vectors()) {
            let kept = normalised(&row);
            let mut values = Vec::new();
            let small = shrink(numbers(&kept), &mut values);
            let query_vector = Query::new(&query);
            let mut products = Vec::new();
            dots(&query_vector.whole, &values, &mut products);
            let (low, high) = query_vector.bounds(products[0], small.scale, small.error);
            let cosine = query_vector.cosine(&kept);
            prop_assert!(f64::from(low) <= cosine && cosine <= f64::from(high));
            prop_assert!(high - low < 0.5, "{low} to {high}");
            let (own, other) = (unit(&row), unit(&query));
            let exact: f64 = zip(own, other).map(|(one, other)| one * other).sum();
            prop_assert!((cosine - exact).abs() < 1e-6, "{cosine} and {exact}");
        }
    }

    #[test]
    fn a_vector_is_as_near_to_itself_as_can_be() {
        for vector in [vec![1e30_f32, -1e30], vec![1e-45], vec![0.5; 4_096], vec![-3.0, 0.0, 4.0]] {
            let cosine = Query::new(&vector).cosine(&normalised(&vector));
            assert!((cosine - 1.0).abs() < 1e-6, "{cosine}");
        }
    }
}
