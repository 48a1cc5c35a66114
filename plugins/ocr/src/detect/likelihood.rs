//! What the detector says of each pixel.

use crate::number::{float, index, signed, whole};
use crate::shape::{Corners, mean};

/// Values from 0 to 1 in rows.
#[derive(Debug)]
pub(super) struct Likelihood {
    width: usize,
    values: Vec<f32>,
}

impl Likelihood {
    /// Values in rows of `width`; nothing when there are no whole rows of them.
    pub(super) fn new(width: usize, values: Vec<f32>) -> Option<Self> {
        let is_whole = width > 0 && !values.is_empty() && values.len().is_multiple_of(width);
        is_whole.then_some(Self { width, values })
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn height(&self) -> usize {
        self.values.len() / self.width
    }

    pub(super) fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }

    /// The mean of the pixels that a shape covers, its border included; its corners are taken at
    /// whole pixels, toward zero.
    pub(super) fn mean_within(&self, corners: &Corners) -> f32 {
        let corners = corners.map(|point| (whole(point.x.max(0.0)), whole(point.y.max(0.0))));
        let top = corners.iter().map(|corner| corner.1).min().unwrap_or(0);
        let bottom = corners.iter().map(|corner| corner.1).max().unwrap_or(0);
        let bottom = bottom.min(signed(self.height()) - 1);
        let rows = self.rows().skip(index(top)).zip(top..=bottom);
        mean(rows.flat_map(|(row, y)| {
            let (left, right) = covered(&corners, y);
            row.get(left..row.len().min(right + 1)).unwrap_or_default().iter().copied()
        }))
    }
}

/// The first and last column that a convex shape covers in row `y`.
fn covered(corners: &[(i32, i32); 4], y: i32) -> (usize, usize) {
    let (mut left, mut right) = (f32::INFINITY, 0.0_f32);
    let [a, b, c, d] = *corners;
    let row = float(index(y));
    for (from, to) in [(a, b), (b, c), (c, d), (d, a)] {
        let (upper, lower) = if from.1 <= to.1 { (from, to) } else { (to, from) };
        if y < upper.1 || y > lower.1 {
            continue;
        }
        let [x1, y1, x2, y2] = [upper.0, upper.1, lower.0, lower.1].map(|v| float(index(v)));
        if upper.1 == lower.1 {
            left = left.min(x1.min(x2));
            right = right.max(x1.max(x2));
            continue;
        }
        // A flat side covers as much of the row as it passes within half a pixel of it.
        for near in [row - 0.5, row + 0.5] {
            let share = (near.clamp(y1, y2) - y1) / (y2 - y1);
            let x = x1 + (x2 - x1) * share;
            left = left.min(x);
            right = right.max(x);
        }
    }
    (index(whole(left.round())), index(whole(right.round())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Point;

    #[test]
    fn upright_shapes_cover_their_border() {
        let mut values = vec![0.0; 100];
        for y in 2..=4 {
            values[y * 10 + 3..=y * 10 + 7].fill(1.0);
        }
        let likelihood = Likelihood::new(10, values).unwrap();
        let at = |x, y| Point { x, y };
        let exact = [at(3.9, 2.0), at(7.0, 2.0), at(7.0, 4.0), at(3.0, 4.9)];
        assert_eq!(likelihood.mean_within(&exact), 1.0);
        let twice = [at(3.0, 2.0), at(7.0, 2.0), at(7.0, 7.0), at(3.0, 7.0)];
        assert_eq!(likelihood.mean_within(&twice), 0.5);
        let outside = [at(30.0, 20.0), at(70.0, 20.0), at(70.0, 70.0), at(30.0, 70.0)];
        assert_eq!(likelihood.mean_within(&outside), 0.0);
    }

    #[test]
    fn turned_shapes_cover_what_lies_within() {
        let diamond = [(5, 0), (10, 5), (5, 10), (0, 5)];
        assert_eq!(covered(&diamond, 0), (5, 6));
        assert_eq!(covered(&diamond, 5), (0, 10));
        let flat = [(0, 0), (10, 1), (10, 3), (0, 2)];
        assert_eq!(covered(&flat, 0), (0, 5));
        assert_eq!(covered(&flat, 3), (5, 10));
        assert_eq!(covered(&flat, 1), (0, 10));
    }

    #[test]
    fn rows_must_be_whole() {
        assert!(Likelihood::new(0, Vec::new()).is_none());
        assert!(Likelihood::new(3, vec![0.0; 4]).is_none());
        assert_eq!(Likelihood::new(2, vec![0.0; 4]).unwrap().height(), 2);
    }
}
