//! Points, four-cornered shapes, and the hull around points.

use crate::number::{double, float};

/// A place between pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// To the right, in pixels.
    pub x: f32,
    /// Downwards, in pixels.
    pub y: f32,
}

/// Four corners: top left, top right, bottom right, bottom left.
pub type Corners = [Point; 4];

/// A pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pixel {
    pub(crate) x: i32,
    pub(crate) y: i32,
}

impl Point {
    /// How far it is to the other.
    pub(crate) fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// The lengths of the sides at the top, right, bottom and left.
pub(crate) fn sides(corners: &Corners) -> [f32; 4] {
    let [a, b, c, d] = *corners;
    [a.distance(b), b.distance(c), c.distance(d), d.distance(a)]
}

/// The area within.
pub(crate) fn area(corners: &Corners) -> f64 {
    let [a, b, c, d] = *corners;
    let cross =
        |p: Point, q: Point| f64::from(p.x) * f64::from(q.y) - f64::from(q.x) * f64::from(p.y);
    (cross(a, b) + cross(b, c) + cross(c, d) + cross(d, a)).abs() / 2.0
}

/// Names the corners by where they are: the two leftmost ones are on the left.
pub(crate) fn named(mut corners: Corners) -> Corners {
    corners.sort_by(|a, b| a.x.total_cmp(&b.x));
    let [a, b, c, d] = corners;
    let (top_left, bottom_left) = if b.y < a.y { (b, a) } else { (a, b) };
    let (top_right, bottom_right) = if d.y < c.y { (d, c) } else { (c, d) };
    [top_left, top_right, bottom_right, bottom_left]
}

/// Moves corners into a picture of that size, onto whole pixels.
pub(crate) fn within(corners: Corners, width: usize, height: usize) -> Corners {
    let last = |length: usize| float(length.saturating_sub(1));
    corners.map(|point| Point {
        x: point.x.clamp(0.0, last(width)).trunc(),
        y: point.y.clamp(0.0, last(height)).trunc(),
    })
}

/// The corners of the convex hull, in order, none of them between its neighbours.
pub(crate) fn hull(mut pixels: Vec<Pixel>) -> Vec<Pixel> {
    pixels.sort_unstable();
    pixels.dedup();
    if pixels.len() < 3 {
        return pixels;
    }
    let mut hull = half(pixels.iter().copied());
    // Each half ends where the other begins.
    hull.pop();
    let mut back = half(pixels.into_iter().rev());
    back.pop();
    hull.extend(back);
    hull
}

/// One side of the hull of pixels that are sorted.
fn half(pixels: impl Iterator<Item = Pixel>) -> Vec<Pixel> {
    let mut side: Vec<Pixel> = Vec::new();
    for pixel in pixels {
        while let [.., before, last] = side.as_slice() {
            if turn(*before, *last, pixel) > 0 {
                break;
            }
            side.pop();
        }
        side.push(pixel);
    }
    side
}

/// Positive where the way over `b` turns to one side, zero where it is straight.
fn turn(a: Pixel, b: Pixel, c: Pixel) -> i64 {
    let difference = |to: i32, from: i32| i64::from(to) - i64::from(from);
    difference(b.x, a.x) * difference(c.y, b.y) - difference(b.y, a.y) * difference(c.x, b.x)
}

/// The mean of some numbers; 0 of none.
pub(crate) fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (mut sum, mut count) = (0.0_f64, 0_usize);
    for value in values {
        sum += f64::from(value);
        count += 1;
    }
    if count == 0 { 0.0 } else { crate::number::single(sum / double(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixels(places: &[(i32, i32)]) -> Vec<Pixel> {
        places.iter().map(|(x, y)| Pixel { x: *x, y: *y }).collect()
    }

    #[test]
    fn corners_are_named_by_where_they_are() {
        let at = |x, y| Point { x, y };
        let named_of = named([at(9.0, 9.0), at(1.0, 8.0), at(8.0, 0.0), at(0.0, 1.0)]);
        assert_eq!(named_of, [at(0.0, 1.0), at(8.0, 0.0), at(9.0, 9.0), at(1.0, 8.0)]);
        let straight = [at(0.0, 0.0), at(5.0, 0.0), at(5.0, 2.0), at(0.0, 2.0)];
        assert_eq!(named(straight), straight);
        assert_eq!(area(&straight), 10.0);
        assert_eq!(sides(&straight), [5.0, 2.0, 5.0, 2.0]);
        let inside = within([at(-3.0, 1.7), at(9.0, 0.0), at(f32::NAN, 2.0), at(0.0, 99.0)], 5, 4);
        assert_eq!(inside[0], at(0.0, 1.0));
        assert_eq!(inside[1], at(4.0, 0.0));
        assert_eq!(inside[3], at(0.0, 3.0));
    }

    #[test]
    fn the_hull_leaves_out_what_lies_within_and_between() {
        let around = hull(pixels(&[(0, 0), (4, 0), (2, 0), (4, 4), (0, 4), (2, 2), (4, 4)]));
        assert_eq!(around, pixels(&[(0, 0), (4, 0), (4, 4), (0, 4)]));
        assert_eq!(hull(pixels(&[(3, 3), (1, 1), (2, 2)])), pixels(&[(1, 1), (3, 3)]));
        assert_eq!(hull(pixels(&[(1, 1), (1, 1)])), pixels(&[(1, 1)]));
        assert_eq!(hull(Vec::new()), Vec::new());
    }

    proptest! {
        #[test]
        fn every_pixel_lies_within_the_hull(
            places in proptest::collection::vec((-1000..1000_i32, -1000..1000_i32), 1..60),
        ) {
            let given = pixels(&places);
            let around = hull(given.clone());
            prop_assert!(around.iter().all(|corner| given.contains(corner)));
            for (index, corner) in around.iter().enumerate() {
                let next = around[(index + 1) % around.len()];
                prop_assert!(given.iter().all(|pixel| turn(*corner, next, *pixel) >= 0));
            }
        }
    }
}
