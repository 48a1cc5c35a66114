//! The picture as the models work on it: shrunk when it is too large, enlarged when it is too small,
//! with bars above and below when it is very flat; or as it is, in tiles.

use crate::detect::detect;
use crate::engine::Model;
use crate::failure::Failure;
use crate::number::{double, float, size};
use crate::picture::Picture;
use crate::resize::resize;
use crate::shape::{Corners, Point, within};
use crate::tiles::{self, Union};

/// A longer side above this is shrunk.
const LONGER_SIDE_MAX: usize = 2_000;
/// A longer side above this would be shrunk so far that print of common size is lost.
const SHRINK_MAX: usize = 4_000;
/// A shorter side below this is enlarged.
const SHORTER_SIDE_MIN: usize = 30;
/// Sides that are shrunk or enlarged become multiples of this.
const STEP: f64 = 32.0;
/// The detector sees too little of something flatter than this many times its height.
const FLAT: usize = 8;

/// How a large picture is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sizing {
    /// Tiles when the longer side has more than 4,000 pixels, else shrunk.
    #[default]
    Automatic,
    /// Shrunk to 2,000 pixels.
    Shrink,
    /// Tiles of 2,000 pixels.
    Tiles,
}

/// A picture prepared.
#[derive(Debug)]
pub(crate) struct View {
    picture: Picture,
    /// Width and height of what it was made of.
    original: (usize, usize),
    /// Rows of the bars above and below.
    bars: usize,
    in_tiles: bool,
}

impl View {
    /// Prepares a picture.
    pub(crate) fn new(picture: Picture, sizing: Sizing) -> Self {
        let original = (picture.width(), picture.height());
        let in_tiles = match sizing {
            Sizing::Automatic => picture.longer_side() > SHRINK_MAX,
            Sizing::Shrink => false,
            Sizing::Tiles => picture.longer_side() > LONGER_SIDE_MAX,
        };
        if in_tiles {
            return Self { picture, original, bars: 0, in_tiles };
        }
        let (width, height) = working_size(picture.width(), picture.height());
        let picture = resize(&picture, width, height).unwrap_or(picture);
        let bars = bars(picture.width(), picture.height());
        let picture = if bars > 0 { picture.with_bars(bars) } else { picture };
        Self { picture, original, bars, in_tiles }
    }

    /// What the models work on.
    pub(crate) fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Width and height of the picture that it was made of.
    pub(crate) fn original_size(&self) -> (usize, usize) {
        self.original
    }

    /// The regions of text, in no order.
    pub(crate) fn detect(&self, model: &dyn Model) -> Result<Vec<Corners>, Failure> {
        if !self.in_tiles {
            return detect(model, &self.picture);
        }
        let (width, height) = self.original;
        let mut union = Union::default();
        for (number, (left, top, width, height)) in
            tiles::grid(width, height).into_iter().enumerate()
        {
            let Some(part) = self.picture.part(left, top, width, height) else { continue };
            let tile = Self::new(part, Sizing::Shrink);
            for corners in detect(model, &tile.picture)? {
                union.add(number, tiles::moved(tile.to_original(corners), left, top));
            }
        }
        let regions = union.into_regions().into_iter();
        Ok(regions.map(|corners| within(corners, width, height)).collect())
    }

    /// From the view to the picture that it was made of.
    pub(crate) fn to_original(&self, corners: Corners) -> Corners {
        let (across, down) = self.ratios();
        let (width, height) = self.original;
        corners.map(|point| Point {
            x: (point.x * across).clamp(0.0, float(width)),
            y: ((point.y - float(self.bars)) * down).clamp(0.0, float(height)),
        })
    }

    /// From the picture that it was made of to the view, on whole pixels.
    pub(crate) fn to_view(&self, corners: Corners) -> Corners {
        let (across, down) = self.ratios();
        let moved = corners.map(|point| Point {
            x: (point.x / across).round(),
            y: (point.y / down + float(self.bars)).round(),
        });
        within(moved, self.picture.width(), self.picture.height())
    }

    /// How many pixels of the original a pixel of the view is wide and high.
    fn ratios(&self) -> (f32, f32) {
        let (width, height) = self.original;
        let rows = self.picture.height() - 2 * self.bars;
        (float(width) / float(self.picture.width()), float(height) / float(rows))
    }
}

/// The size that the models work on.
fn working_size(width: usize, height: usize) -> (usize, usize) {
    let (shorter, longer) = (width.min(height), width.max(height));
    let ratio = if longer > LONGER_SIDE_MAX {
        double(LONGER_SIDE_MAX) / double(longer)
    } else if shorter < SHORTER_SIDE_MIN {
        double(SHORTER_SIDE_MIN) / double(shorter)
    } else {
        return (width, height);
    };
    let side = |length: usize| {
        let steps = ((double(length) * ratio).trunc() / STEP).round_ties_even();
        size(steps.max(1.0) * STEP)
    };
    (side(width), side(height))
}

/// Rows of bars above and below that a picture of that size needs.
fn bars(width: usize, height: usize) -> usize {
    if height > SHORTER_SIDE_MIN && width <= FLAT * height {
        return 0;
    }
    let wanted = 2 * (width / FLAT).max(SHORTER_SIDE_MIN);
    wanted.abs_diff(height) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(width: usize, height: usize, sizing: Sizing) -> View {
        View::new(Picture::new(width, height, vec![9; width * height * 3]).unwrap(), sizing)
    }

    #[test]
    fn large_pictures_shrink_and_small_ones_grow() {
        let cases = [
            ((1240, 1754), (1240, 1754, 0)),
            ((2480, 3508), (1408, 1984, 0)),
            ((4000, 3000), (1984, 1504, 0)),
            ((40, 20), (64, 32, 0)),
            ((400, 30), (400, 100, 35)),
            ((1000, 100), (1000, 250, 75)),
            ((800, 100), (800, 100, 0)),
        ];
        for ((width, height), (wide, high, bars)) in cases {
            let view = view(width, height, Sizing::Automatic);
            let found = (view.picture.width(), view.picture.height(), view.bars);
            assert_eq!(found, (wide, high, bars), "{width} by {height}");
            assert!(!view.in_tiles);
        }
    }

    #[test]
    fn tiles_come_with_size_or_on_wish() {
        assert!(view(4001, 10, Sizing::Automatic).in_tiles);
        assert!(!view(4001, 10, Sizing::Shrink).in_tiles);
        assert!(view(10, 2001, Sizing::Tiles).in_tiles);
        assert!(!view(2000, 10, Sizing::Tiles).in_tiles);
    }

    #[test]
    fn corners_come_back_from_the_view() {
        for (width, height) in [(1240, 1754), (3000, 2000), (40, 20), (3000, 200), (400, 30)] {
            let view = view(width, height, Sizing::Automatic);
            let at = |x, y| Point { x, y: y + float(view.bars) };
            let corners = [at(3.0, 4.0), at(30.0, 4.0), at(30.0, 20.0), at(3.0, 20.0)];
            let original = view.to_original(corners);
            assert_eq!(view.to_view(original), corners, "{width} by {height}: {original:?}");
        }
    }
}
