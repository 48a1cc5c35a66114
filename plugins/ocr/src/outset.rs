//! A shape grown on all sides, its corners rounded. The detector marks less than the letters'
//! height; growing gives it back.

use std::f64::consts::PI;

use crate::number::{nearest, size};
use crate::shape::{Corners, Pixel, area, sides};

/// How far an arc may lie inside the true one, in pixels.
const ARC_TOLERANCE: f64 = 0.25;

/// Pixels around `corners`, as far away as area times `ratio` by circumference. They are what a hull
/// is made of, in no order. Corners are taken at whole pixels, toward zero.
pub(crate) fn grown(corners: &Corners, ratio: f64) -> Vec<Pixel> {
    let around: f64 = sides(corners).into_iter().map(f64::from).sum();
    let distance = area(corners) * ratio / around;
    if !(distance > 0.0 && distance.is_finite()) {
        return Vec::new();
    }
    let mut corners = corners.map(|point| (f64::from(point.x.trunc()), f64::from(point.y.trunc())));
    if is_reversed(&corners) {
        corners.reverse();
    }
    let [a, b, c, d] = corners;
    let mut pixels = Vec::new();
    for (before, corner, after) in [(d, a, b), (a, b, c), (b, c, d), (c, d, a)] {
        arc(before, corner, after, distance, &mut pixels);
    }
    pixels
}

type Place = (f64, f64);

fn is_reversed(corners: &[Place; 4]) -> bool {
    let [a, b, c, d] = *corners;
    let cross = |p: Place, q: Place| p.0 * q.1 - q.0 * p.1;
    cross(a, b) + cross(b, c) + cross(c, d) + cross(d, a) < 0.0
}

/// The direction away from a side, of length one; nothing when the side has no length.
fn outward(from: Place, to: Place) -> Option<Place> {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = x.hypot(y);
    (length > 0.0).then(|| (y / length, -x / length))
}

/// The rounded corner from one side to the next.
fn arc(before: Place, corner: Place, after: Place, distance: f64, pixels: &mut Vec<Pixel>) {
    let one = outward(before, corner);
    let other = outward(corner, after);
    let (Some(one), Some(other)) = (one.or(other), other.or(one)) else { return };
    let mut push = |(x, y): Place| {
        let pixel =
            Pixel { x: nearest(corner.0 + x * distance), y: nearest(corner.1 + y * distance) };
        pixels.push(pixel);
    };
    let sine = one.0 * other.1 - one.1 * other.0;
    let cosine = one.0 * other.0 + one.1 * other.1;
    let angle = sine.atan2(cosine);
    let around = steps_around(distance);
    let steps = size((around / (2.0 * PI) * angle.abs()).round()).max(1);
    let (turn_sine, turn_cosine) = (2.0 * PI / around).sin_cos();
    let mut direction = one;
    for _ in 0..steps {
        push(direction);
        let (x, y) = direction;
        direction = (x * turn_cosine - y * turn_sine, x * turn_sine + y * turn_cosine);
    }
    push(other);
}

/// How many straight pieces make a whole circle.
fn steps_around(radius: f64) -> f64 {
    let tolerance = ARC_TOLERANCE.min(radius * ARC_TOLERANCE);
    (PI / (1.0 - tolerance / radius).acos()).min(radius * PI).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rectangle::smallest;
    use crate::shape::{Point, hull};
    use proptest::prelude::*;

    fn upright(x: f32, y: f32, width: f32, height: f32) -> Corners {
        let at = |x, y| Point { x, y };
        [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)]
    }

    #[test]
    fn a_line_grows_by_area_over_circumference() {
        // 100 by 20: 2000 · 1.6 / 240 = 13.3 pixels on each side.
        let around = smallest(&hull(grown(&upright(50.0, 40.0, 100.0, 20.0), 1.6))).unwrap();
        assert_eq!(around.corners, upright(37.0, 27.0, 126.0, 46.0));
    }

    #[test]
    fn what_has_no_area_does_not_grow() {
        assert!(grown(&upright(5.0, 5.0, 0.0, 20.0), 1.6).is_empty());
        assert!(grown(&upright(5.0, 5.0, 0.0, 0.0), 1.6).is_empty());
        assert!(grown(&upright(f32::NAN, 5.0, 3.0, 3.0), 1.6).is_empty());
        assert!(grown(&upright(5.0, 5.0, f32::INFINITY, 3.0), 1.6).is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_corners_does_not_matter(
            x in 0..900_i16, y in 0..900_i16, width in 3..900_i16, height in 3..99_i16,
        ) {
            let corners = upright(x.into(), y.into(), width.into(), height.into());
            let mut reversed = corners;
            reversed.reverse();
            let around = hull(grown(&corners, 1.6));
            prop_assert_eq!(&around, &hull(grown(&reversed, 1.6)));
            let rectangle = smallest(&around).unwrap();
            prop_assert!(area(&rectangle.corners) > area(&corners));
        }
    }
}
