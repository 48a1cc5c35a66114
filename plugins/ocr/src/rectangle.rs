//! The smallest rectangle, however turned, around the corners of a hull.

use crate::number::single;
use crate::shape::{Corners, Pixel, Point, named};

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rectangle {
    /// Its corners.
    pub(crate) corners: Corners,
    /// Its shorter side.
    pub(crate) shorter_side: f32,
}

/// The rectangle of the least area; nothing without a hull of at least two corners. One of its sides
/// always lies along a side of the hull.
pub(crate) fn smallest(hull: &[Pixel]) -> Option<Rectangle> {
    let ends = hull.iter().skip(1).chain(hull.first());
    let mut best: Option<Candidate> = None;
    for (from, to) in hull.iter().zip(ends) {
        let Some(candidate) = along(*from, *to, hull) else { continue };
        if best.is_none_or(|best| candidate.area() < best.area()) {
            best = Some(candidate);
        }
    }
    best.map(Candidate::rectangle)
}

/// What lies between these distances along a direction, and across it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    direction: (f64, f64),
    along: (f64, f64),
    across: (f64, f64),
}

/// The rectangle with a side in the direction between two pixels; nothing when they are one.
fn along(from: Pixel, to: Pixel, hull: &[Pixel]) -> Option<Candidate> {
    let (x, y) = (f64::from(to.x) - f64::from(from.x), f64::from(to.y) - f64::from(from.y));
    let length = x.hypot(y);
    if length == 0.0 {
        return None;
    }
    let direction = (x / length, y / length);
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let mut candidate = Candidate { direction, along: none, across: none };
    for pixel in hull {
        let (x, y) = (f64::from(pixel.x), f64::from(pixel.y));
        let along = x * direction.0 + y * direction.1;
        let across = y * direction.0 - x * direction.1;
        candidate.along = (candidate.along.0.min(along), candidate.along.1.max(along));
        candidate.across = (candidate.across.0.min(across), candidate.across.1.max(across));
    }
    Some(candidate)
}

impl Candidate {
    fn sides(&self) -> (f64, f64) {
        (self.along.1 - self.along.0, self.across.1 - self.across.0)
    }

    fn area(&self) -> f64 {
        let (length, width) = self.sides();
        length * width
    }

    fn rectangle(self) -> Rectangle {
        let (x, y) = self.direction;
        let corner = |along: f64, across: f64| Point {
            x: single(along * x - across * y),
            y: single(along * y + across * x),
        };
        let ((near, far), (upper, lower)) = (self.along, self.across);
        let corners =
            [corner(near, upper), corner(far, upper), corner(far, lower), corner(near, lower)];
        let (length, width) = self.sides();
        Rectangle { corners: named(corners), shorter_side: single(length.min(width)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{area, hull};
    use proptest::prelude::*;

    fn pixels(places: &[(i32, i32)]) -> Vec<Pixel> {
        places.iter().map(|(x, y)| Pixel { x: *x, y: *y }).collect()
    }

    #[test]
    fn upright_pixels_give_upright_rectangles() {
        let around = hull(pixels(&[(2, 3), (9, 3), (9, 5), (2, 5), (4, 4)]));
        let rectangle = smallest(&around).unwrap();
        let at = |x, y| Point { x, y };
        assert_eq!(rectangle.corners, [at(2.0, 3.0), at(9.0, 3.0), at(9.0, 5.0), at(2.0, 5.0)]);
        assert_eq!(rectangle.shorter_side, 2.0);
    }

    #[test]
    fn lines_and_single_pixels_have_no_width() {
        assert_eq!(smallest(&pixels(&[(0, 0), (5, 5)])).unwrap().shorter_side, 0.0);
        assert_eq!(smallest(&pixels(&[(4, 4)])), None);
        assert_eq!(smallest(&[]), None);
    }

    proptest! {
        #[test]
        fn turning_a_rectangle_turns_its_rectangle(angle in -0.7..0.7_f64) {
            let (sine, cosine) = angle.sin_cos();
            let corner = |x: f64, y: f64| Pixel {
                x: crate::number::nearest(x * cosine - y * sine),
                y: crate::number::nearest(x * sine + y * cosine),
            };
            let around =
                hull(vec![corner(0., 0.), corner(4e5, 0.), corner(4e5, 1e5), corner(0., 1e5)]);
            let rectangle = smallest(&around).unwrap();
            prop_assert!((rectangle.shorter_side - 1e5).abs() < 2.0);
            prop_assert!((area(&rectangle.corners) / 4e10 - 1.0).abs() < 1e-4);
        }

        #[test]
        fn everything_lies_within(
            places in proptest::collection::vec((0..500_i32, 0..500_i32), 3..40),
        ) {
            let given = pixels(&places);
            if let Some(rectangle) = smallest(&hull(given.clone())) {
                let left = rectangle.corners.iter().map(|p| p.x).fold(f32::INFINITY, f32::min);
                let right = rectangle.corners.iter().map(|p| p.x).fold(0.0, f32::max);
                for pixel in given {
                    let x = crate::number::float(usize::try_from(pixel.x).unwrap());
                    prop_assert!(left - 0.1 <= x && x <= right + 0.1);
                }
            }
        }
    }
}
