//! Pictures too large for the detector: cut into tiles that overlap, and what was found in them put
//! together again. A line that crosses an edge is found in both tiles, as two regions that overlap.

use crate::number::{double, single};
use crate::shape::{Corners, Point, named, sides};

/// Pixels of a tile's side.
pub(crate) const SIDE: usize = 2_000;
/// Pixels that neighbours share. Letters up to this height are whole in one of them.
const OVERLAP: usize = 200;
/// Share of the lower region's height that two regions of one line have in common.
const SAME_LINE: f64 = 0.5;
/// Regions of one picture; what is found after them is dropped.
const REGIONS_MAX: usize = 4_000;

/// Where tiles begin along a side of that length, and how long they are.
pub(crate) fn spans(length: usize) -> Vec<(usize, usize)> {
    let Some(last) = length.checked_sub(SIDE).filter(|last| *last > 0) else {
        return vec![(0, length)];
    };
    let steps = last.div_ceil(SIDE - OVERLAP);
    (0..=steps).map(|step| (last * step / steps, SIDE)).collect()
}

/// What was found in tiles, each with the tile's number; regions of one line become one.
#[derive(Debug, Default)]
pub(crate) struct Union {
    regions: Vec<Found>,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    /// Nothing once it comes from several.
    tile: Option<usize>,
    corners: Corners,
}

impl Union {
    /// Adds a region.
    pub(crate) fn add(&mut self, tile: usize, corners: Corners) {
        let mut new = Found { tile: Some(tile), corners };
        // Each round takes one away, so there are no more rounds than regions.
        while let Some(same) = self.regions.iter().position(|old| old.is_same_line(&new)) {
            let old = self.regions.swap_remove(same);
            new = Found { tile: None, corners: united(&old.corners, &new.corners) };
        }
        if self.regions.len() < REGIONS_MAX {
            self.regions.push(new);
        }
    }

    /// All regions, in no order.
    pub(crate) fn into_regions(self) -> Vec<Corners> {
        self.regions.into_iter().map(|found| found.corners).collect()
    }
}

impl Found {
    fn is_same_line(&self, other: &Self) -> bool {
        if self.tile.is_some() && self.tile == other.tile {
            return false;
        }
        let direction = direction(&self.corners, &other.corners);
        let (mine, theirs) = (extent(&self.corners, direction), extent(&other.corners, direction));
        let lower = length(mine.across).min(length(theirs.across));
        common(mine.along, theirs.along) > 0.0
            && common(mine.across, theirs.across) >= lower * SAME_LINE
            && lower > 0.0
    }
}

/// From the first to the last place along a direction.
type Range = (f64, f64);

#[derive(Debug, Clone, Copy)]
struct Extent {
    along: Range,
    across: Range,
}

fn length(range: Range) -> f64 {
    range.1 - range.0
}

fn common(one: Range, other: Range) -> f64 {
    one.1.min(other.1) - one.0.max(other.0)
}

fn both(one: Range, other: Range) -> Range {
    (one.0.min(other.0), one.1.max(other.1))
}

/// The direction of the longest side of two shapes, of length one.
fn direction(one: &Corners, other: &Corners) -> (f64, f64) {
    let longest = |corners: &Corners| {
        let [top, right, ..] = sides(corners);
        let [a, b, c, _] = *corners;
        if top >= right { (a, b, top) } else { (b, c, right) }
    };
    let (mine, theirs) = (longest(one), longest(other));
    let (from, to, _) = if mine.2 >= theirs.2 { mine } else { theirs };
    let (x, y) = (f64::from(to.x) - f64::from(from.x), f64::from(to.y) - f64::from(from.y));
    let length = x.hypot(y);
    if length > 0.0 { (x / length, y / length) } else { (1.0, 0.0) }
}

fn extent(corners: &Corners, (x, y): (f64, f64)) -> Extent {
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let mut extent = Extent { along: none, across: none };
    for point in corners {
        let (px, py) = (f64::from(point.x), f64::from(point.y));
        let (along, across) = (px * x + py * y, py * x - px * y);
        extent.along = both(extent.along, (along, along));
        extent.across = both(extent.across, (across, across));
    }
    extent
}

/// The rectangle around both, in the direction of the longer one, on whole pixels.
fn united(one: &Corners, other: &Corners) -> Corners {
    let (x, y) = direction(one, other);
    let (mine, theirs) = (extent(one, (x, y)), extent(other, (x, y)));
    let (near, far) = both(mine.along, theirs.along);
    let (upper, lower) = both(mine.across, theirs.across);
    let corner = |along: f64, across: f64| Point {
        x: single((along * x - across * y).round()),
        y: single((along * y + across * x).round()),
    };
    named([corner(near, upper), corner(far, upper), corner(far, lower), corner(near, lower)])
}

/// How many tiles a picture of that size has.
pub(crate) fn grid(width: usize, height: usize) -> Vec<(usize, usize, usize, usize)> {
    let columns = spans(width);
    let rows = spans(height).into_iter();
    rows.flat_map(|(top, height)| {
        columns.iter().map(move |(left, width)| (*left, top, *width, height))
    })
    .collect()
}

/// A region moved from a tile into the picture.
pub(crate) fn moved(corners: Corners, left: usize, top: usize) -> Corners {
    let (left, top) = (single(double(left)), single(double(top)));
    corners.map(|point| Point { x: (point.x + left).round(), y: (point.y + top).round() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upright(x: f32, y: f32, width: f32, height: f32) -> Corners {
        let at = |x, y| Point { x, y };
        [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)]
    }

    fn union(found: &[(usize, Corners)]) -> Vec<Corners> {
        let mut union = Union::default();
        for (tile, corners) in found {
            union.add(*tile, *corners);
        }
        union.into_regions()
    }

    #[test]
    fn lines_that_cross_an_edge_become_one() {
        let left = (0, upright(100.0, 50.0, 1900.0, 40.0));
        let right = (1, upright(1800.0, 52.0, 900.0, 40.0));
        let below = (1, upright(1800.0, 95.0, 900.0, 40.0));
        let found = union(&[left, right, below]);
        assert_eq!(found, [upright(100.0, 50.0, 2600.0, 42.0), below.1]);
    }

    #[test]
    fn what_two_tiles_found_is_there_once_and_one_tile_knows_best() {
        let word = upright(1850.0, 50.0, 100.0, 40.0);
        assert_eq!(union(&[(0, word), (1, word)]), [word]);
        let near = upright(1900.0, 60.0, 100.0, 40.0);
        assert_eq!(union(&[(0, word), (0, near)]).len(), 2);
        assert_eq!(union(&[(0, word), (1, upright(1960.0, 50.0, 90.0, 40.0))]).len(), 2);
    }

    #[test]
    fn half_a_line_joins_the_whole_one() {
        let cut = upright(100.0, 1980.0, 500.0, 20.0);
        let whole = upright(98.0, 1978.0, 504.0, 44.0);
        assert_eq!(union(&[(0, cut), (1, whole)]), [whole]);
    }

    #[test]
    fn aslant_lines_stay_aslant() {
        let line = |from: f32, to: f32| {
            let at = |x: f32, y: f32| Point { x, y: x / 10.0 + y };
            [at(from, 0.0), at(to, 0.0), at(to, 40.0), at(from, 40.0)]
        };
        let found = union(&[(0, line(0.0, 2000.0)), (1, line(1800.0, 3000.0))]);
        assert_eq!(found.len(), 1);
        let [a, b, _, d] = found[0];
        assert!((b.y - a.y - 300.0).abs() < 8.0 && a.distance(d) < 50.0, "{found:?}");
    }

    proptest! {
        #[test]
        fn tiles_cover_everything_and_overlap(length in 1..70_000_usize) {
            let spans = spans(length);
            prop_assert_eq!(spans[0].0, 0);
            let (last, size) = spans[spans.len() - 1];
            prop_assert_eq!(last + size, length);
            for pair in spans.windows(2) {
                prop_assert!(pair[1].0 > pair[0].0);
                prop_assert!(pair[0].0 + SIDE >= pair[1].0 + OVERLAP);
            }
        }
    }
}
