//! The order in which people read.

use crate::shape::{Corners, Point, named};

/// Lines whose upper left corners are less apart, in pixels, stand side by side.
const SAME_ROW: f32 = 10.0;

/// Sorts from top to bottom; what stands side by side, from left to right.
pub(crate) fn sort<T>(regions: &mut [T], corners: impl Fn(&T) -> &Corners) {
    let place = |region: &T| {
        let [corner, ..] = corners(region);
        (corner.y, corner.x)
    };
    regions.sort_by(|a, b| {
        let ((above, left), (below, right)) = (place(a), place(b));
        above.total_cmp(&below).then(left.total_cmp(&right))
    });
    // Each one moves to the left past its neighbours in the same row, as long as it is left of them.
    for end in 1..regions.len() {
        for here in (1..=end).rev() {
            let Some([before, after]) = regions.get_mut(here - 1..=here) else { break };
            let ((above, left), (below, right)) = (place(before), place(after));
            if (below - above).abs() >= SAME_ROW || right >= left {
                break;
            }
            std::mem::swap(before, after);
        }
    }
}

/// Sorts as the text is turned, where most lines are turned by a quarter or stand on their head; else
/// the order stays.
pub(crate) fn turned<T>(
    lines: &mut Vec<T>,
    angle: impl Fn(&T) -> f32,
    corners: impl Fn(&T) -> &Corners,
) {
    let quarter = |line: &T| (angle(line) / 90.0).round() % 4.0;
    let most = [1.0, 2.0, 3.0].into_iter().find(|wanted| {
        lines.iter().filter(|line| quarter(line) == *wanted).count() * 2 > lines.len()
    });
    let Some(quarters) = most else { return };
    let upright = |corners: &Corners| named(corners.map(|point| turned_back(point, quarters)));
    let mut sorted: Vec<_> = lines.drain(..).map(|line| (upright(corners(&line)), line)).collect();
    sort(&mut sorted, |(corners, _)| corners);
    lines.extend(sorted.into_iter().map(|(_, line)| line));
}

/// Where a place is when quarter turns clockwise are undone.
fn turned_back(point: Point, quarters: f32) -> Point {
    let Point { x, y } = point;
    if quarters == 1.0 {
        Point { x: y, y: -x }
    } else if quarters == 2.0 {
        Point { x: -x, y: -y }
    } else {
        Point { x: -y, y: x }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(x: f32, y: f32) -> Corners {
        [Point { x, y }; 4]
    }

    #[test]
    fn rows_come_before_columns() {
        let mut regions = [at(50.0, 104.0), at(9.0, 200.0), at(300.0, 100.0), at(150.0, 108.0)];
        sort(&mut regions, |corners| corners);
        let order: Vec<_> = regions.iter().map(|corners| corners[0].x).collect();
        assert_eq!(order, [50.0, 150.0, 300.0, 9.0]);
    }

    #[test]
    fn turned_pages_are_read_as_they_are_turned() {
        // Lines 1 to 4 of an upright page, two of them side by side, then turned clockwise.
        let upright = [(10.0, 10.0), (10.0, 50.0), (200.0, 52.0), (10.0, 90.0)];
        for (quarters, angle) in [(1, 90.0), (2, 181.0), (3, 269.0)] {
            let turn = |(x, y): (f32, f32)| match quarters {
                1 => (500.0 - y, x),
                2 => (500.0 - x, 500.0 - y),
                _ => (y, 500.0 - x),
            };
            let line = |(x, y): (f32, f32)| {
                let corners = [(x, y), (x + 90.0, y), (x + 90.0, y + 20.0), (x, y + 20.0)];
                named(corners.map(turn).map(|(x, y)| Point { x, y }))
            };
            let numbered: Vec<_> = upright.into_iter().map(line).zip(1..).collect();
            let mut lines = vec![numbered[2], numbered[0], numbered[3], numbered[1]];
            turned(&mut lines, |_| angle, |(corners, _)| corners);
            assert_eq!(lines, numbered, "{quarters} quarters");
        }
        let mut mixed = vec![(at(0.0, 9.0), 180.0), (at(0.0, 5.0), 0.0)];
        turned(&mut mixed, |line| line.1, |line| &line.0);
        assert_eq!(mixed[0].1, 180.0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_rows_far_apart_keep_their_order(
            places in proptest::collection::vec((0..2000_i16, 0..40_i16), 0..60),
        ) {
            let mut regions: Vec<_> =
                places.iter().map(|(x, row)| at((*x).into(), f32::from(*row) * 20.0)).collect();
            sort(&mut regions, |corners| corners);
            let sorted: Vec<_> = regions.iter().map(|c| (c[0].y, c[0].x)).collect();
            prop_assert!(sorted.is_sorted());
            prop_assert_eq!(sorted.len(), places.len());
        }
    }
}
