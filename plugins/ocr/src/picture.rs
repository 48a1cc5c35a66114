//! A picture: rows of pixels of three bytes, blue, green and red, which is the order that the models
//! were trained with.

use crate::number::signed;

/// Bytes of a pixel.
pub(crate) const CHANNELS: usize = 3;

/// A picture of at least one pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture with these pixels; nothing when there are none, or not as many as the size says.
    #[must_use]
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(CHANNELS)?;
        (expected > 0 && pixels.len() == expected).then_some(Self { width, height, pixels })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The longer side in pixels.
    pub(crate) fn longer_side(&self) -> usize {
        self.width.max(self.height)
    }

    /// Its rows, from the top.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, u8> {
        self.pixels.chunks_exact(self.width * CHANNELS)
    }

    /// The row at `y`; beyond the edge the nearest one.
    pub(crate) fn row_near(&self, y: i32) -> &[u8] {
        let y = usize::try_from(y.clamp(0, signed(self.height - 1))).unwrap_or(0);
        let bytes = self.width * CHANNELS;
        self.pixels.get(y * bytes..).and_then(|rest| rest.get(..bytes)).unwrap_or_default()
    }

    /// The same, standing on its head.
    pub(crate) fn on_its_head(&self) -> Self {
        let pixels = self.pixels.chunks_exact(CHANNELS).rev().flatten().copied().collect();
        Self { pixels, ..*self }
    }

    /// The same, turned a quarter to the left.
    pub(crate) fn turned_left(&self) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for column in (0..self.width).rev().map(|x| x * CHANNELS) {
            for row in self.rows() {
                let pixel = row.get(column..column + CHANNELS);
                pixels.extend_from_slice(pixel.unwrap_or(&[0; CHANNELS]));
            }
        }
        Self { width: self.height, height: self.width, pixels }
    }

    /// A rectangle of it, cut where it ends.
    pub(crate) fn part(
        &self,
        left: usize,
        top: usize,
        width: usize,
        height: usize,
    ) -> Option<Self> {
        let width = width.min(self.width.checked_sub(left)?);
        let height = height.min(self.height.checked_sub(top)?);
        let (from, to) = (left * CHANNELS, (left + width) * CHANNELS);
        let rows = self.rows().skip(top).take(height).filter_map(|row| row.get(from..to));
        Self::new(width, height, rows.flatten().copied().collect())
    }

    /// With that many black rows above and below.
    pub(crate) fn with_bars(&self, rows: usize) -> Self {
        let bar = rows * self.width * CHANNELS;
        let mut pixels = vec![0; bar];
        pixels.reserve_exact(self.pixels.len() + bar);
        pixels.extend_from_slice(&self.pixels);
        pixels.resize(pixels.len() + bar, 0);
        Self { width: self.width, height: self.height + 2 * rows, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels whose three bytes are alike.
    fn grey(width: usize, height: usize, values: &[u8]) -> Picture {
        Picture::new(width, height, values.iter().flat_map(|value| [*value; 3]).collect()).unwrap()
    }

    #[test]
    fn sizes_must_fit() {
        assert_eq!(Picture::new(0, 3, Vec::new()), None);
        assert_eq!(Picture::new(1, 1, vec![0; 4]), None);
        assert_eq!(Picture::new(usize::MAX, 2, vec![0; 6]), None);
        assert_eq!(Picture::new(2, 1, vec![0; 6]).unwrap().longer_side(), 2);
    }

    #[test]
    fn turning_moves_pixels() {
        let picture = grey(3, 2, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(picture.on_its_head(), grey(3, 2, &[6, 5, 4, 3, 2, 1]));
        assert_eq!(picture.turned_left(), grey(2, 3, &[3, 6, 2, 5, 1, 4]));
        let around = picture.turned_left().turned_left();
        assert_eq!(around, picture.on_its_head());
    }

    #[test]
    fn parts_end_where_the_picture_ends() {
        let picture = grey(3, 2, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(picture.part(1, 0, 9, 9), Some(grey(2, 2, &[2, 3, 5, 6])));
        assert_eq!(picture.part(0, 1, 2, 1), Some(grey(2, 1, &[4, 5])));
        assert_eq!(picture.part(3, 0, 1, 1), None);
        assert_eq!(picture.part(4, 0, 1, 1), None);
    }

    #[test]
    fn rows_beyond_the_edge_are_the_nearest() {
        let picture = grey(1, 2, &[1, 2]);
        assert_eq!(picture.row_near(-4), [1; 3]);
        assert_eq!(picture.row_near(1), [2; 3]);
        assert_eq!(picture.row_near(i32::MAX), [2; 3]);
        assert_eq!(grey(1, 1, &[7]).with_bars(1), grey(1, 3, &[0, 7, 0]));
    }
}
