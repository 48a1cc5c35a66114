//! A pixel from the sixteen around a place, by cubic curves; beyond the edge the nearest counts.

use crate::number::{byte, index, nearest, signed, single};
use crate::picture::{CHANNELS, Picture};

/// How much the curves overshoot.
const SHARPNESS: f32 = -0.75;
/// Farther away from a picture than any place that matters.
const FAR: f64 = 1e9;

/// The pixel at a place of a picture.
pub(super) fn at(picture: &Picture, x: f64, y: f64) -> [u8; CHANNELS] {
    let ((left, right), (top, down)) = (parts(x), parts(y));
    if right == 0.0 && down == 0.0 {
        return pixel(picture.row_near(top), left);
    }
    let (across, along) = (weights(right), weights(down));
    let mut sum = [0.0; CHANNELS];
    for (number, weight) in (-1..=2).zip(along) {
        let row = picture.row_near(top.saturating_add(number));
        let [a, b, c] = mixed(row, left, across);
        let [d, e, f] = sum;
        sum = [d + a * weight, e + b * weight, f + c * weight];
    }
    sum.map(byte)
}

/// The last pixel at or before a place, and how far beyond it the place lies.
fn parts(place: f64) -> (i32, f32) {
    let place = if place.is_nan() { FAR } else { place.clamp(-FAR, FAR) };
    (nearest(place.floor()), single(place - place.floor()))
}

/// Four pixels of a row, from the one before `left`.
fn mixed(row: &[u8], left: i32, weights: [f32; 4]) -> [f32; CHANNELS] {
    let within = usize::try_from(left).ok().and_then(|left| left.checked_sub(1));
    let four = within.and_then(|first| row.get(first * CHANNELS..)?.first_chunk::<12>());
    let four = match four {
        Some([a, b, c, d, e, f, g, h, i, j, k, l]) => {
            [[*a, *b, *c], [*d, *e, *f], [*g, *h, *i], [*j, *k, *l]]
        }
        None => [-1, 0, 1, 2].map(|number| pixel(row, left.saturating_add(number))),
    };
    let mut sum = [0.0; CHANNELS];
    for ([blue, green, red], weight) in four.into_iter().zip(weights) {
        let [a, b, c] = sum;
        let weighted = |value: u8| f32::from(value) * weight;
        sum = [a + weighted(blue), b + weighted(green), c + weighted(red)];
    }
    sum
}

/// The pixel in a column; beyond the edge the nearest one.
fn pixel(row: &[u8], column: i32) -> [u8; CHANNELS] {
    let pixels = row.as_chunks::<CHANNELS>().0;
    let last = signed(pixels.len()) - 1;
    pixels.get(index(column.min(last))).copied().unwrap_or_default()
}

/// The weights of four pixels in a row, for a place `fraction` after the second.
fn weights(fraction: f32) -> [f32; 4] {
    let far = |distance: f32| {
        ((SHARPNESS * distance - 5.0 * SHARPNESS) * distance + 8.0 * SHARPNESS) * distance
            - 4.0 * SHARPNESS
    };
    let near = |distance: f32| {
        ((SHARPNESS + 2.0) * distance - (SHARPNESS + 3.0)) * distance * distance + 1.0
    };
    let (first, second, third) = (far(fraction + 1.0), near(fraction), near(1.0 - fraction));
    [first, second, third, 1.0 - first - second - third]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_a_cubic_curve() {
        assert_eq!(weights(0.0), [0.0, 1.0, 0.0, 0.0]);
        let half = weights(0.5);
        assert_eq!(half, [-0.09375, 0.59375, 0.59375, -0.09375]);
    }

    #[test]
    fn beyond_the_edge_the_nearest_counts() {
        let picture = Picture::new(2, 1, vec![0, 0, 0, 200, 100, 50]).unwrap();
        assert_eq!(at(&picture, 0.0, 0.0), [0, 0, 0]);
        assert_eq!(at(&picture, 0.5, 0.0), [100, 50, 25]);
        assert_eq!(at(&picture, 0.5, 30.0), [100, 50, 25]);
        assert_eq!(at(&picture, -40.0, 0.1), [0, 0, 0]);
        assert_eq!(at(&picture, 40.0, -0.1), [200, 100, 50]);
        assert_eq!(at(&picture, f64::INFINITY, f64::NEG_INFINITY), [200, 100, 50]);
    }
}
