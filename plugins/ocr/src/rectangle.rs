//! The smallest rectangle, however turned, around the corners of a hull.
//!
//! One of its sides lies along a side of the hull. So four lines that touch the hull, each a quarter
//! turn from the next, are turned around it together and come to rest at each of its sides (rotating
//! calipers). Floats have 32 bits and are computed with in the order of OpenCV 5's `minAreaRect`:
//! corners are taken at whole pixels afterwards, toward zero, so that the last bit of an upright one
//! decides where a line of text is cut out.

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

/// The rectangle of the least area; nothing without a hull that has one.
pub(crate) fn smallest(hull: &[Pixel]) -> Option<Rectangle> {
    let mut calipers = Calipers::new(hull)?;
    let mut best: Option<Candidate> = None;
    for _ in hull {
        calipers.turn();
        let candidate = calipers.candidate();
        if best.is_none_or(|best| candidate.area() <= best.area()) {
            best = Some(candidate);
        }
    }
    best.map(Candidate::rectangle)
}

/// A side of a hull.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    from: Point,
    /// From there to the next corner.
    way: Point,
    /// One by its length.
    per_length: f32,
}

impl Side {
    fn between(from: Pixel, to: Pixel) -> Self {
        let [from, to] = [from, to].map(|Pixel { x, y }| (f64::from(x), f64::from(y)));
        let (x, y) = (to.0 - from.0, to.1 - from.1);
        let point = |x, y| Point { x: single(x), y: single(y) };
        let per_length = single(1.0 / (x * x + y * y).sqrt());
        Self { from: point(from.0, from.1), way: point(x, y), per_length }
    }
}

/// Four lines around a hull.
#[derive(Debug)]
struct Calipers {
    /// Clockwise, as one sees them, from the corner farthest to the right of the topmost ones.
    sides: Vec<Side>,
    /// Where the lines above, to the right, below and to the left touch: numbers of sides that begin
    /// there.
    touching: [usize; 4],
    /// Where the line above leads to, of length one.
    direction: Point,
}

impl Calipers {
    /// Lines that stand upright; nothing when the hull has no area.
    fn new(hull: &[Pixel]) -> Option<Self> {
        if hull.len() < 3 {
            return None;
        }
        let start = (0..hull.len()).min_by_key(|at| hull.get(*at).map(|it| (it.y, -it.x)))?;
        let corners = || hull.iter().copied().cycle().skip(start);
        let sides = corners().zip(corners().skip(1)).take(hull.len());
        let sides: Vec<_> = sides.map(|(from, to)| Side::between(from, to)).collect();
        let first = |far: fn(Point) -> f32| {
            let farther = |best: usize, at: usize| {
                let of = |at: usize| sides.get(at).map(|side| far(side.from));
                if of(at) > of(best) { at } else { best }
            };
            (0..sides.len()).fold(0, farther)
        };
        let touching = [first(|it| -it.y), first(|it| it.x), first(|it| it.y), first(|it| -it.x)];
        Some(Self { sides, touching, direction: Point { x: 1.0, y: 0.0 } })
    }

    fn side(&self, number: usize) -> Side {
        self.sides.get(number).copied().unwrap_or_default()
    }

    /// Turns the lines until one of them lies along a side of the hull.
    fn turn(&mut self) {
        let Point { x, y } = self.direction;
        let (mut along, mut best) = (0, f32::NEG_INFINITY);
        for (line, (x, y)) in [(x, y), (-y, x), (-x, -y), (y, -x)].into_iter().enumerate() {
            let side = self.side(self.touching.get(line).copied().unwrap_or_default());
            let cosine = (x * side.way.x + y * side.way.y) * side.per_length;
            if cosine > best {
                (along, best) = (line, cosine);
            }
        }
        let Some(corner) = self.touching.get_mut(along) else { return };
        let number = *corner;
        *corner = (number + 1) % self.sides.len();
        let side = self.side(number);
        let (x, y) = (side.way.x * side.per_length, side.way.y * side.per_length);
        let (x, y) = match along {
            0 => (x, y),
            1 => (y, -x),
            2 => (-x, -y),
            _ => (-y, x),
        };
        self.direction = Point { x, y };
    }

    /// The rectangle within the lines.
    fn candidate(&self) -> Candidate {
        let [above, right, below, left] = self.touching.map(|number| self.side(number).from);
        let Point { x, y } = self.direction;
        let width = (right.x - left.x) * x + (right.y - left.y) * y;
        let height = (below.y - above.y) * x - (below.x - above.x) * y;
        Candidate { direction: self.direction, above, left, width, height }
    }
}

/// A rectangle by the direction of its upper side, a point of that and one of the left side.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    direction: Point,
    above: Point,
    left: Point,
    width: f32,
    height: f32,
}

impl Candidate {
    fn area(&self) -> f32 {
        self.width * self.height
    }

    fn rectangle(self) -> Rectangle {
        let Self { direction: Point { x, y }, above, left, width, height } = self;
        // Where the left and the upper side cross.
        let (along, across) = (x * left.x + left.y * y, -y * above.x + above.y * x);
        let scale = 1.0 / (x * x - -y * y);
        let corner = ((along * x - across * y) * scale, (x * across - -y * along) * scale);
        let (right, down) = ((x * width, y * width), (-y * height, x * height));
        let middle = (corner.0 + (right.0 + down.0) * 0.5, corner.1 + (right.1 + down.1) * 0.5);
        let length = |(x, y): (f32, f32)| {
            let (x, y) = (f64::from(x), f64::from(y));
            single((x * x + y * y).sqrt())
        };
        let (mut width, mut height) = (length(right), length(down));
        // Degrees from -90 on and below 0: another side is the upper one then.
        let degrees = single(f64::from(right.1).atan2(f64::from(right.0)));
        let mut degrees = single(f64::from(degrees).to_degrees());
        while degrees >= 0.0 {
            degrees -= 90.0;
            (width, height) = (height, width);
        }
        let (sine, cosine) = f64::from(degrees).to_radians().sin_cos();
        let (sine, cosine) = (single(sine) * 0.5, single(cosine) * 0.5);
        let at = |x, y| Point { x, y };
        let one = at(
            middle.0 - sine * height - cosine * width,
            middle.1 + cosine * height - sine * width,
        );
        let other = at(
            middle.0 + sine * height - cosine * width,
            middle.1 - cosine * height - sine * width,
        );
        let opposite = |point: Point| at(2.0 * middle.0 - point.x, 2.0 * middle.1 - point.y);
        let corners = [one, other, opposite(one), opposite(other)];
        Rectangle { corners: named(corners), shorter_side: width.min(height) }
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
    fn every_bit_is_that_of_opencv() {
        // Computed with `cv2.minAreaRect` and `cv2.boxPoints` of OpenCV 5.0.0: whole numbers in the
        // first case too, were they computed exactly.
        let at = |x, y| Point { x, y };
        let ragged = [(55, 1450), (60, 1449), (892, 1450), (892, 1459), (55, 1459)];
        let corners = smallest(&hull(pixels(&ragged))).unwrap().corners;
        let (left, right, top, bottom) = (55.0, 891.9999, 1448.9999, 1458.9999);
        let expected = [at(left, top), at(right, top), at(right, bottom), at(left, bottom)];
        assert_eq!(corners, expected);
        let whole = [(56, 217), (879, 217), (879, 226), (400, 227), (56, 226)];
        let corners = smallest(&hull(pixels(&whole))).unwrap().corners;
        assert_eq!(corners, [at(56.0, 217.0), at(879.0, 217.0), at(879.0, 227.0), at(56.0, 227.0)]);
    }

    #[test]
    fn lines_and_single_pixels_have_none() {
        assert_eq!(smallest(&pixels(&[(0, 0), (5, 5)])), None);
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
                hull(vec![corner(0., 0.), corner(4e3, 0.), corner(4e3, 1e3), corner(0., 1e3)]);
            let rectangle = smallest(&around).unwrap();
            prop_assert!((rectangle.shorter_side - 1e3).abs() < 2.0);
            prop_assert!((area(&rectangle.corners) / 4e6 - 1.0).abs() < 4e-3);
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
