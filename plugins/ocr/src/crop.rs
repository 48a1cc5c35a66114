//! A region as an upright picture of its own, between pixels where it stands aslant: what OpenCV 5
//! makes of it with `warpPerspective` and `INTER_CUBIC`. Earlier versions round each place to a
//! thirty-second of a pixel.

mod cubic;

use crate::number::{double, float, single, size};
use crate::picture::Picture;
use crate::shape::{Corners, Point, sides};

/// A region this many times higher than wide is read after a quarter turn to the left.
const TALL: f64 = 1.5;

/// Width and height of a region's picture, before it is turned.
fn extent(corners: &Corners) -> (usize, usize) {
    let [top, right, bottom, left] = sides(corners);
    (size(top.max(bottom).into()).max(1), size(right.max(left).into()).max(1))
}

/// Whether a region is read after a quarter turn to the left.
pub(crate) fn is_tall(corners: &Corners) -> bool {
    let (width, height) = extent(corners);
    double(height) / double(width) >= TALL
}

/// Width by height of what [`crop`] gives.
pub(crate) fn ratio(corners: &Corners) -> f64 {
    let (width, height) = extent(corners);
    if is_tall(corners) { double(height) / double(width) } else { double(width) / double(height) }
}

/// A region as an upright picture.
pub(crate) fn crop(picture: &Picture, corners: &Corners) -> Option<Picture> {
    let (width, height) = extent(corners);
    let upright = if is_upright(corners, picture) {
        let [Point { x, y }, ..] = *corners;
        picture.part(size(x.into()), size(y.into()), width, height)
    } else {
        straightened(picture, corners, width, height)
    };
    upright.map(|picture| if is_tall(corners) { picture.turned_left() } else { picture })
}

/// Whether pixels can be taken as they are.
fn is_upright(corners: &Corners, picture: &Picture) -> bool {
    let [a, b, c, d] = *corners;
    let on_pixels = corners.iter().all(|point| point.x.fract() == 0.0 && point.y.fract() == 0.0);
    let inside = c.x <= float(picture.width()) && c.y <= float(picture.height());
    let ahead = a.x >= 0.0 && a.y >= 0.0 && a.x < c.x && a.y < c.y;
    on_pixels && inside && ahead && a.y == b.y && b.x == c.x && c.y == d.y && d.x == a.x
}

/// A region that stands aslant.
fn straightened(
    picture: &Picture,
    corners: &Corners,
    width: usize,
    height: usize,
) -> Option<Picture> {
    let projection = Projection::new(corners);
    let mut pixels = Vec::with_capacity(width.checked_mul(height)?.checked_mul(3)?);
    for row in 0..height {
        let down = double(row) / double(height);
        for column in 0..width {
            let (x, y) = projection.place(double(column) / double(width), down);
            pixels.extend(cubic::at(picture, x, y));
        }
    }
    Picture::new(width, height, pixels)
}

/// From the unit square to a four-cornered shape.
#[derive(Debug, Clone, Copy)]
struct Projection {
    x: [f64; 3],
    y: [f64; 3],
    depth: [f64; 2],
}

impl Projection {
    fn new(corners: &Corners) -> Self {
        let [a, b, c, d] = corners.map(|point| (f64::from(point.x), f64::from(point.y)));
        let (one, other) = ((b.0 - c.0, b.1 - c.1), (d.0 - c.0, d.1 - c.1));
        let sum = (a.0 - b.0 + c.0 - d.0, a.1 - b.1 + c.1 - d.1);
        let scale = one.0 * other.1 - other.0 * one.1;
        let divided = |value: f64| if scale == 0.0 { 0.0 } else { value / scale };
        let right = divided(sum.0 * other.1 - other.0 * sum.1);
        let down = divided(one.0 * sum.1 - sum.0 * one.1);
        Self {
            x: [b.0 - a.0 + right * b.0, d.0 - a.0 + down * d.0, a.0],
            y: [b.1 - a.1 + right * b.1, d.1 - a.1 + down * d.1, a.1],
            depth: [right, down],
        }
    }

    /// Where a place of the unit square lies.
    fn place(&self, right: f64, down: f64) -> (f64, f64) {
        let depth = self.depth[0] * right + self.depth[1] * down + 1.0;
        let [x1, x2, x3] = self.x;
        let [y1, y2, y3] = self.y;
        ((x1 * right + x2 * down + x3) / depth, (y1 * right + y2 * down + y3) / depth)
    }
}

/// By how many degrees the upper side is turned clockwise.
pub(crate) fn angle(corners: &Corners) -> f32 {
    let [a, b, ..] = *corners;
    single(f64::from(b.y - a.y).atan2((b.x - a.x).into()).to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(x: f32, y: f32) -> Point {
        Point { x, y }
    }

    fn upright(x: f32, y: f32, width: f32, height: f32) -> Corners {
        [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)]
    }

    /// Values that rise by 3 to the right and by 5 downwards.
    fn slope(width: usize, height: usize) -> Picture {
        let value = |x: usize, y: usize| u8::try_from(3 * x + 5 * y).unwrap();
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [value(x, y); 3]));
        Picture::new(width, height, pixels.collect()).unwrap()
    }

    #[test]
    fn upright_regions_are_copied() {
        let picture = slope(20, 10);
        let corners = upright(3.0, 2.0, 9.0, 4.0);
        assert_eq!(crop(&picture, &corners), picture.part(3, 2, 9, 4));
        let straight = straightened(&picture, &corners, 9, 4);
        assert_eq!(straight, picture.part(3, 2, 9, 4));
    }

    #[test]
    fn tall_regions_are_turned_to_the_left() {
        let picture = slope(10, 20);
        let tall = upright(1.0, 1.0, 4.0, 12.0);
        assert!(is_tall(&tall));
        assert_eq!(ratio(&tall), 3.0);
        let part = picture.part(1, 1, 4, 12).unwrap().turned_left();
        assert_eq!(crop(&picture, &tall), Some(part));
        assert!(!is_tall(&upright(0.0, 0.0, 4.0, 5.0)));
    }

    #[test]
    fn the_square_goes_to_the_corners() {
        let corners = [at(3.0, 1.0), at(40.0, 9.0), at(33.0, 30.0), at(1.0, 20.0)];
        let projection = Projection::new(&corners);
        let places = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
        for (corner, (right, down)) in corners.iter().zip(places) {
            let (x, y) = projection.place(right, down);
            assert!(
                (x - f64::from(corner.x)).abs() < 1e-9 && (y - f64::from(corner.y)).abs() < 1e-9
            );
        }
    }

    #[test]
    fn aslant_regions_are_straightened() {
        // A line through a slope: values along it rise evenly.
        let corners = [at(4.0, 2.0), at(24.0, 7.0), at(23.0, 11.0), at(3.0, 6.0)];
        let straight = crop(&slope(30, 14), &corners).unwrap();
        assert_eq!((straight.width(), straight.height()), (20, 4));
        let first = straight.rows().next().unwrap();
        for (column, value) in first.iter().step_by(3).enumerate() {
            let (x, y) = (4.0 + double(column), 2.0 + double(column) * 5.0 / 20.0);
            assert!((f64::from(*value) - (3.0 * x + 5.0 * y)).abs() < 1.0, "{column}");
        }
        assert!((angle(&corners) - 14.0).abs() < 0.1);
    }

    #[test]
    fn every_byte_is_that_of_opencv() {
        // Computed with `cv2.warpPerspective` of OpenCV 5.0.0.
        let values = [
            [138_u8, 172, 208, 127, 124, 100, 12, 151],
            [222, 203, 251, 153, 211, 235, 80, 182],
            [176, 41, 88, 7, 141, 241, 73, 124],
            [223, 123, 222, 37, 84, 55, 200, 102],
            [211, 60, 159, 237, 53, 138, 57, 140],
            [55, 21, 7, 18, 118, 67, 241, 138],
        ];
        let pixels = values.as_flattened().iter().flat_map(|value| [*value; 3]).collect();
        let corners = [at(1.0, 1.0), at(7.0, 2.0), at(6.0, 5.0), at(0.0, 4.0)];
        let straight = crop(&Picture::new(8, 6, pixels).unwrap(), &corners).unwrap();
        let expected = [
            [203, 229, 108, 190, 255, 64],
            [78, 80, 18, 59, 102, 166],
            [186, 152, 206, 120, 55, 113],
        ];
        let expected = expected.as_flattened().iter().flat_map(|value| [*value; 3]).collect();
        assert_eq!(straight, Picture::new(6, 3, expected).unwrap());
    }

    proptest! {
        #[test]
        fn any_corners_give_a_picture(values in proptest::array::uniform8(-50.0..90.0_f32)) {
            let [a, b, c, d, e, f, g, h] = values;
            let corners = [at(a, b), at(c, d), at(e, f), at(g, h)];
            let (width, height) = extent(&corners);
            let cropped = crop(&slope(20, 20), &corners).unwrap();
            let size = (cropped.width(), cropped.height());
            prop_assert!(size == (width, height) || size == (height, width));
        }
    }
}
