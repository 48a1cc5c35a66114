//! Another size for a picture: between the two nearest pixels in each direction, measured from the
//! pixels' middles, as the models saw it in training. Shrinking takes no mean, for the same reason.
//!
//! Rounding is that of OpenCV's `resize` with `INTER_LINEAR`, so that every byte is the same: a
//! place is a float of 32 bits, each weight is rounded by itself, and sums lose their last bits.

use crate::number::{double, index, share, signed, single, whole};
use crate::picture::{CHANNELS, Picture};

/// A weight of one. Eleven bits keep the sums of a row within 20.
const ONE: i32 = 2048;

/// Where one row or column of the result comes from.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// The two nearest.
    nearest: [usize; 2],
    /// The weight of each, together [`ONE`].
    weights: [i32; 2],
}

/// The picture with another size; nothing when it has no pixels.
pub(crate) fn resize(picture: &Picture, width: usize, height: usize) -> Option<Picture> {
    if (picture.width(), picture.height()) == (width, height) {
        return Some(picture.clone());
    }
    let mut pixels = Vec::with_capacity(width.checked_mul(height)?.checked_mul(CHANNELS)?);
    let columns = sources(picture.width(), width);
    let (mut upper, mut lower) = (Row::default(), Row::default());
    for Source { nearest: [first, second], weights } in sources(picture.height(), height) {
        // Rows are asked for in order: the lower one becomes the upper one.
        if lower.is(first) {
            std::mem::swap(&mut upper, &mut lower);
        }
        upper.fill(picture, first, &columns);
        lower.fill(picture, second, &columns);
        let pairs = upper.values.iter().zip(&lower.values);
        pixels.extend(pairs.map(|(upper, lower)| {
            let sum = (((upper >> 4) * weights[0]) >> 16) + (((lower >> 4) * weights[1]) >> 16);
            u8::try_from((sum + 2) >> 2).unwrap_or(u8::MAX)
        }));
    }
    Picture::new(width, height, pixels)
}

/// One row of the picture, its columns resized, each value times [`ONE`].
#[derive(Debug, Default)]
struct Row {
    number: Option<usize>,
    values: Vec<i32>,
}

impl Row {
    fn is(&self, number: usize) -> bool {
        self.number == Some(number)
    }

    fn fill(&mut self, picture: &Picture, number: usize, columns: &[Source]) {
        if self.is(number) {
            return;
        }
        let row = picture.row_near(signed(number)).as_chunks::<CHANNELS>().0;
        self.values.clear();
        self.values.reserve(columns.len() * CHANNELS);
        for Source { nearest: [first, second], weights } in columns {
            let (Some(first), Some(second)) = (row.get(*first), row.get(*second)) else { continue };
            let mix = |first: u8, second: u8| {
                i32::from(first) * weights[0] + i32::from(second) * weights[1]
            };
            let ([a, b, c], [d, e, f]) = (*first, *second);
            self.values.extend([mix(a, d), mix(b, e), mix(c, f)]);
        }
        self.number = Some(number);
    }
}

/// Where each of `target` rows or columns comes from among `source` of them.
fn sources(source: usize, target: usize) -> Vec<Source> {
    // Not `source / target`, which rounds otherwise.
    let scale = 1.0 / (double(target) / double(source));
    let last = signed(source) - 1;
    let of = |number: usize| {
        let place = single((double(number) + 0.5) * scale - 0.5);
        let fraction = place - place.floor();
        let first = whole(place.floor());
        Source {
            nearest: [first, first + 1].map(|near| index(near.min(last))),
            weights: [1.0 - fraction, fraction].map(|weight| share(weight.into(), ONE)),
        }
    };
    (0..target).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize, values: &[u8]) -> Picture {
        Picture::new(width, height, values.iter().flat_map(|value| [*value; 3]).collect()).unwrap()
    }

    #[track_caller]
    fn check(from: (usize, usize, &[u8]), to: (usize, usize, &[u8])) {
        let resized = resize(&grey(from.0, from.1, from.2), to.0, to.1);
        assert_eq!(resized, Some(grey(to.0, to.1, to.2)));
    }

    #[test]
    fn values_lie_between_the_middles_of_pixels() {
        check((2, 1, &[0, 100]), (4, 1, &[0, 25, 75, 100]));
        check((1, 2, &[0, 100]), (1, 4, &[0, 25, 75, 100]));
        check((4, 1, &[0, 10, 20, 30]), (2, 1, &[5, 25]));
        check((4, 2, &[0, 10, 20, 30, 100, 110, 120, 130]), (2, 1, &[55, 75]));
        // Four pixels become one: the two in the middle count, not all of them.
        check((4, 1, &[255, 10, 20, 255]), (1, 1, &[15]));
        check((1, 1, &[9]), (3, 2, &[9; 6]));
    }

    #[test]
    fn every_byte_is_that_of_opencv() {
        // Computed with `cv2.resize` of OpenCV 5.0.0.
        let from: (_, _, &[u8]) = (4, 3, &[78, 204, 64, 34, 16, 250, 233, 32, 103, 122, 13, 204]);
        let large = [
            [78, 123, 195, 134, 62, 45, 34],
            [53, 114, 210, 177, 124, 68, 33],
            [16, 100, 233, 242, 219, 104, 32],
            [68, 106, 166, 137, 103, 123, 135],
            [103, 110, 120, 67, 27, 136, 204],
        ];
        check(from, (7, 5, large.as_flattened()));
        check(from, (3, 2, &[88, 161, 45, 93, 111, 145]));
    }

    #[test]
    fn nothing_comes_of_no_pixels() {
        assert_eq!(resize(&grey(1, 1, &[1]), 0, 4), None);
        assert_eq!(resize(&grey(1, 1, &[1]), usize::MAX, 4), None);
    }
}
