//! The borders of what is marked in a mask, outer ones and those of holes: border following as
//! Suzuki and Abe described it in 1985, without their hierarchy.

use crate::number::{index, signed};
use crate::shape::Pixel;

/// Not marked.
const NOTHING: i8 = 0;
/// Marked, and on no border so far.
const MARKED: i8 = 1;
/// On a border that was followed.
const FOLLOWED: i8 = 2;
/// The same, with nothing to its right: where a hole or the outside begins.
const FOLLOWED_END: i8 = -2;

/// The eight neighbours, clockwise from the right.
const NEIGHBOURS: [(i32, i32); 8] =
    [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];

/// What is marked in a picture, with an empty pixel on all sides.
#[derive(Debug)]
pub(crate) struct Mask {
    stride: usize,
    cells: Vec<i8>,
}

impl Mask {
    /// A mask of rows that say what is marked.
    pub(crate) fn new<'a>(width: usize, rows: impl Iterator<Item = &'a [bool]>) -> Self {
        let stride = width + 2;
        let mut cells = vec![NOTHING; stride];
        for row in rows {
            cells.push(NOTHING);
            cells.extend(row.iter().take(width).map(|marked| i8::from(*marked)));
            cells.resize(cells.len().next_multiple_of(stride), NOTHING);
        }
        cells.resize(cells.len() + stride, NOTHING);
        Self { stride, cells }
    }

    /// Follows each border and gives its pixels to `visit`, until that says that it has enough.
    /// A border is visited once, so all of them together have at most four times the mask's pixels.
    pub(crate) fn borders(mut self, mut visit: impl FnMut(&[Pixel]) -> bool) {
        let mut border = Vec::new();
        let mut previous = NOTHING;
        for place in 0..self.cells.len() {
            let cell = self.at(place);
            let start = if previous == NOTHING && cell == MARKED {
                // The outside lies to the left.
                Some((place, 4))
            } else if cell == NOTHING && previous > NOTHING {
                // A hole lies to the right of the pixel before.
                place.checked_sub(1).map(|before| (before, 0))
            } else {
                None
            };
            if let Some((start, outside)) = start {
                border.clear();
                self.follow(start, outside, &mut border);
                if !visit(&border) {
                    return;
                }
            }
            previous = self.at(place);
        }
    }

    /// Follows the border through `start`, whose neighbour in direction `outside` is not marked.
    fn follow(&mut self, start: usize, outside: usize, border: &mut Vec<Pixel>) {
        // The last pixel of the border: the first one clockwise from outside.
        let last = (1..8).map(|turn| (outside + turn) % 8).find(|d| self.marked(start, *d));
        let Some(last) = last else {
            self.set(start, FOLLOWED_END);
            border.push(self.pixel(start));
            return;
        };
        let last = self.neighbour(start, last);
        let (mut here, mut back) = (start, direction_of(self, start, last));
        loop {
            border.push(self.pixel(here));
            let mut right_is_empty = false;
            // Counter-clockwise from where we came, the next marked one.
            let mut next = back;
            for turn in 1..=8 {
                next = (back + 8 - turn) % 8;
                if self.marked(here, next) {
                    break;
                }
                right_is_empty |= next == 0;
            }
            if right_is_empty {
                self.set(here, FOLLOWED_END);
            } else if self.at(here) == MARKED {
                self.set(here, FOLLOWED);
            }
            let there = self.neighbour(here, next);
            if there == start && here == last {
                return;
            }
            (here, back) = (there, (next + 4) % 8);
        }
    }

    fn at(&self, place: usize) -> i8 {
        self.cells.get(place).copied().unwrap_or(NOTHING)
    }

    fn set(&mut self, place: usize, value: i8) {
        if let Some(cell) = self.cells.get_mut(place) {
            *cell = value;
        }
    }

    fn marked(&self, place: usize, direction: usize) -> bool {
        self.at(self.neighbour(place, direction)) != NOTHING
    }

    /// The place of a neighbour. Marked places are never at the edge, so there always is one.
    fn neighbour(&self, place: usize, direction: usize) -> usize {
        let (x, y) = NEIGHBOURS.get(direction).copied().unwrap_or_default();
        index(signed(place) + y * signed(self.stride) + x)
    }

    /// Where a place lies in the picture.
    fn pixel(&self, place: usize) -> Pixel {
        Pixel { x: signed(place % self.stride) - 1, y: signed(place / self.stride) - 1 }
    }
}

/// The direction from a place to its neighbour.
fn direction_of(mask: &Mask, from: usize, to: usize) -> usize {
    (0..8).find(|direction| mask.neighbour(from, *direction) == to).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::hull;
    use proptest::prelude::*;

    fn borders(rows: &[Vec<bool>]) -> Vec<Vec<Pixel>> {
        let mut found = Vec::new();
        let width = rows.first().map_or(0, Vec::len);
        Mask::new(width, rows.iter().map(Vec::as_slice)).borders(|border| {
            found.push(border.to_vec());
            true
        });
        found
    }

    fn drawn(text: &str) -> Vec<Vec<bool>> {
        text.split_whitespace().map(|row| row.chars().map(|c| c == '#').collect()).collect()
    }

    fn places(pixels: &[Pixel]) -> Vec<(i32, i32)> {
        let mut places: Vec<_> = pixels.iter().map(|pixel| (pixel.x, pixel.y)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    #[test]
    fn single_pixels_and_lines_have_one_border() {
        assert_eq!(places(&borders(&drawn("... .#. ..."))[0]), [(1, 1)]);
        let line = borders(&drawn("###"));
        assert_eq!(line.len(), 1);
        assert_eq!(places(&line[0]), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(borders(&drawn("#.# ... #.#")).len(), 4);
        assert_eq!(borders(&drawn("#.# .#. #.#")).len(), 1);
    }

    #[test]
    fn a_ring_has_an_outer_and_an_inner_border() {
        let found = borders(&drawn("##### #...# #...# #####"));
        assert_eq!(found.len(), 2);
        assert_eq!(places(&found[0]).len(), 14);
        // The hole's border are the marked pixels around it, without those at the corners.
        assert_eq!(places(&found[1]).len(), 10);
    }

    #[test]
    fn it_ends_when_nobody_wants_more() {
        let mut visits = 0;
        let rows = drawn("#.#.#");
        Mask::new(5, rows.iter().map(Vec::as_slice)).borders(|_| {
            visits += 1;
            visits < 2
        });
        assert_eq!(visits, 2);
    }

    /// Groups of marked pixels that touch, corners included.
    fn groups(rows: &[Vec<bool>]) -> Vec<Vec<Pixel>> {
        let mut rows = rows.to_vec();
        let mut groups = Vec::new();
        for y in 0..rows.len() {
            for x in 0..rows[y].len() {
                let (mut group, mut open) = (Vec::new(), vec![(x, y)]);
                while let Some((x, y)) = open.pop() {
                    if !rows.get(y).and_then(|row| row.get(x)).is_some_and(|marked| *marked) {
                        continue;
                    }
                    rows[y][x] = false;
                    group.push(Pixel { x: signed(x), y: signed(y) });
                    for (dx, dy) in NEIGHBOURS {
                        let (x, y) = (signed(x) + dx, signed(y) + dy);
                        open.extend(usize::try_from(x).ok().zip(usize::try_from(y).ok()));
                    }
                }
                if !group.is_empty() {
                    groups.push(group);
                }
            }
        }
        groups
    }

    proptest! {
        #[test]
        fn the_hull_of_each_group_is_that_of_one_border(
            rows in (1..14_usize).prop_flat_map(|width| {
                proptest::collection::vec(proptest::collection::vec(any::<bool>(), width), 1..14)
            }),
        ) {
            let found: Vec<_> = borders(&rows).into_iter().map(hull).collect();
            for group in groups(&rows) {
                prop_assert!(found.contains(&hull(group)));
            }
        }
    }
}
