//! Where text stands: the detector says of each pixel how likely it belongs to a line, and what
//! is likely enough and hangs together becomes a rectangle.
//!
//! The numbers are those that the models were published with, as the Python package
//! `rapidocr-onnxruntime` uses them.

mod likelihood;

use likelihood::Likelihood;

use crate::contour::Mask;
use crate::engine::{Model, Tensor};
use crate::failure::Failure;
use crate::number::{double, float, size};
use crate::outset::grown;
use crate::picture::Picture;
use crate::rectangle::smallest;
use crate::resize::resize;
use crate::shape::{Corners, Pixel, Point, hull, named, sides, within};
use crate::tensors;

/// Sides of what the detector takes are multiples of this.
const STEP: f64 = 32.0;
/// A shorter side below this is enlarged to it.
const SHORTER_SIDE_MIN: f64 = 736.0;
/// Enlarging ends here: a strip would become larger than what the memory holds.
const LONGER_SIDE_MAX: f64 = 4_000.0;
/// Likelihood of a pixel that belongs to a line.
const PIXEL_LIKELIHOOD: f32 = 0.3;
/// Mean likelihood of a rectangle that is a line.
const LINE_LIKELIHOOD: f32 = 0.5;
/// Shorter side of a rectangle, before it is grown; 2 more afterwards.
const SHORTER_SIDE_OF_LINE_MIN: f32 = 3.0;
/// Shorter sides of a region in the picture.
const REGION_SIDE_MIN: i32 = 4;
/// By how much rectangles grow.
const GROWTH: f64 = 1.6;
/// Regions of one picture or tile.
pub(crate) const REGIONS_MAX: usize = 1_000;

/// The regions of text in a picture, in no order.
pub(crate) fn detect(model: &dyn Model, picture: &Picture) -> Result<Vec<Corners>, Failure> {
    let (width, height) = size_for_detector(picture.width(), picture.height());
    let Some(resized) = resize(picture, width, height) else { return Ok(Vec::new()) };
    let output = model.run(tensors::of(&[resized], width, height))?;
    let likelihood = checked(output, width, height)?;
    Ok(regions(&likelihood, picture.width(), picture.height()))
}

/// The size that a picture of that size has for the detector.
fn size_for_detector(width: usize, height: usize) -> (usize, usize) {
    let (width, height) = (double(width), double(height));
    let enlarged = (SHORTER_SIDE_MIN / width.min(height)).max(1.0);
    let ratio = enlarged.min((LONGER_SIDE_MAX / width.max(height)).max(1.0));
    let side = |length: f64| {
        let steps = ((length * ratio).trunc() / STEP).round_ties_even();
        size(steps.max(1.0) * STEP)
    };
    (side(width), side(height))
}

fn checked(output: Tensor, width: usize, height: usize) -> Result<Likelihood, Failure> {
    let found = output.elements.len();
    Likelihood::new(width, output.elements)
        .filter(|_| output.shape == [1, 1, height, width] && found == width * height)
        .ok_or_else(|| {
            Failure::NoModel(format!(
                "the detector answered {found} values in the shape {:?} for {width} by {height} \
                 pixels: it is no PP-OCR detector",
                output.shape
            ))
        })
}

/// The regions of a picture of that size that are likely enough.
fn regions(likelihood: &Likelihood, width: usize, height: usize) -> Vec<Corners> {
    let mut regions = Vec::new();
    mask(likelihood).borders(|border| {
        let region = line(likelihood, border)
            .map(|corners| scaled(corners, likelihood, width, height))
            .map(|corners| within(named(corners), width, height))
            .filter(is_large_enough);
        regions.extend(region);
        regions.len() < REGIONS_MAX
    });
    regions
}

/// What is likely enough, each pixel grown by one to the right and down.
fn mask(likelihood: &Likelihood) -> Mask {
    let mut above = vec![false; likelihood.width()];
    let rows = likelihood.rows().flat_map(|row| {
        let here: Vec<_> = row.iter().map(|value| *value > PIXEL_LIKELIHOOD).collect();
        let mut grown: Vec<_> = here.iter().zip(&above).map(|(here, above)| here | above).collect();
        let mut left = false;
        for cell in &mut grown {
            let cell_before = *cell;
            *cell |= left;
            left = cell_before;
        }
        above = here;
        grown
    });
    let rows: Vec<bool> = rows.collect();
    Mask::new(likelihood.width(), rows.chunks_exact(likelihood.width()))
}

/// The rectangle around a border, grown, where it is likely to be a line.
fn line(likelihood: &Likelihood, border: &[Pixel]) -> Option<Corners> {
    let rectangle = smallest(&hull(border.to_vec()))?;
    if rectangle.shorter_side < SHORTER_SIDE_OF_LINE_MIN {
        return None;
    }
    if likelihood.mean_within(&rectangle.corners) < LINE_LIKELIHOOD {
        return None;
    }
    let around = smallest(&hull(grown(&rectangle.corners, GROWTH)))?;
    (around.shorter_side >= SHORTER_SIDE_OF_LINE_MIN + 2.0).then_some(around.corners)
}

/// From the detector's picture to one of that size, on whole pixels.
fn scaled(corners: Corners, from: &Likelihood, width: usize, height: usize) -> Corners {
    let scaled = |value: f32, from: usize, to: usize| {
        (value / float(from) * float(to)).round_ties_even().clamp(0.0, float(to))
    };
    corners.map(|point| Point {
        x: scaled(point.x, from.width(), width),
        y: scaled(point.y, from.height(), height),
    })
}

fn is_large_enough(corners: &Corners) -> bool {
    let [top, _, _, left] = sides(corners);
    crate::number::whole(top) >= REGION_SIDE_MIN && crate::number::whole(left) >= REGION_SIDE_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_multiples_of_32_with_736_at_least() {
        let cases = [
            ((1240, 1754), (1248, 1760)),
            ((736, 736), (736, 736)),
            ((752, 816), (768, 832)),
            ((100, 50), (1472, 736)),
            ((2000, 500), (2944, 736)),
            ((2000, 32), (4000, 64)),
            ((32, 2000), (64, 4000)),
            ((1, 1), (736, 736)),
            ((1, 2000), (32, 4000)),
        ];
        for ((width, height), expected) in cases {
            assert_eq!(size_for_detector(width, height), expected, "{width} by {height}");
        }
    }

    /// Likelihood of 1 in rectangles given by left, top, width and height.
    fn likely(width: usize, height: usize, lines: &[(usize, usize, usize, usize)]) -> Likelihood {
        let mut values = vec![0.0; width * height];
        for (left, top, length, depth) in lines {
            for y in *top..top + depth {
                values[y * width + left..y * width + left + length].fill(1.0);
            }
        }
        Likelihood::new(width, values).unwrap()
    }

    #[test]
    fn what_is_likely_becomes_a_grown_region() {
        let found = regions(&likely(320, 160, &[(40, 40, 200, 20), (40, 100, 3, 2)]), 640, 320);
        // The mask has one pixel more to the right and down, which growing starts from.
        assert_eq!(found.len(), 1);
        let [top_left, _, bottom_right, _] = found[0];
        assert!((top_left.x - 50.0).abs() <= 2.0, "{found:?}");
        assert!((top_left.y - 50.0).abs() <= 2.0, "{found:?}");
        assert!((bottom_right.x - 510.0).abs() <= 2.0, "{found:?}");
        assert!((bottom_right.y - 150.0).abs() <= 2.0, "{found:?}");
    }

    #[test]
    fn regions_are_bounded_in_number() {
        let lines: Vec<_> =
            (0..40).flat_map(|x| (0..40).map(move |y| (x * 20 + 5, y * 20 + 5, 8, 8))).collect();
        assert_eq!(regions(&likely(800, 800, &lines), 800, 800).len(), REGIONS_MAX);
    }

    #[test]
    fn an_answer_of_another_shape_is_no_detector() {
        let tensor =
            |shape: &[usize], count| Tensor { shape: shape.to_vec(), elements: vec![0.0; count] };
        assert!(checked(tensor(&[1, 1, 32, 64], 2048), 64, 32).is_ok());
        for bad in [tensor(&[1, 1, 64, 32], 2048), tensor(&[1, 1, 32, 64], 9), tensor(&[], 0)] {
            assert!(matches!(checked(bad, 64, 32), Err(Failure::NoModel(_))));
        }
    }
}
