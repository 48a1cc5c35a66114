//! Proofs that an event is in a tree, and that one tree continues another (RFC 6962, 2.1.1 and
//! 2.1.2; checked as RFC 9162, 2.1.3.2 and 2.1.4.2 describe).

use super::{Hash, Node, Range, empty_root, parent};

/// The largest power of two below `size`; `size` is at least 2.
const fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The siblings on the way from leaf `index` to the root, the leaf's own first.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    let (mut start, mut length) = (0, size);
    while length > 1 {
        let left = split(length);
        if index - start < left {
            ranges.push(Range { start: start + left, length: length - left });
            length = left;
        } else {
            ranges.push(Range { start, length: left });
            start += left;
            length -= left;
        }
    }
    ranges.reverse();
    ranges
}

/// The parts of which both the tree of `first` leaves and that of `second` can be computed.
fn consistency_ranges(first: u64, second: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    let (mut start, mut length) = (0, second);
    // The old tree is the whole subtree until the walk turns right for the first time.
    let mut known = true;
    while first - start != length {
        let left = split(length);
        if first - start <= left {
            ranges.push(Range { start: start + left, length: length - left });
            length = left;
        } else {
            ranges.push(Range { start, length: left });
            start += left;
            length -= left;
            known = false;
        }
    }
    if !known {
        ranges.push(Range { start, length });
    }
    ranges.reverse();
    ranges
}

fn needed(ranges: Vec<Range>) -> Vec<Node> {
    ranges.into_iter().flat_map(Range::nodes).collect()
}

/// The stored subtrees that [`inclusion`] asks for.
#[must_use]
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Node> {
    if index < size { needed(inclusion_ranges(index, size)) } else { Vec::new() }
}

/// The proof that the leaf at `index` is in the tree of `size` leaves; `None` when it is not or
/// a subtree is missing.
#[must_use]
pub fn inclusion(
    index: u64,
    size: u64,
    mut lookup: impl FnMut(Node) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    inclusion_ranges(index, size).into_iter().map(|range| range.root(&mut lookup)).collect()
}

/// The stored subtrees that [`consistency`] asks for.
#[must_use]
pub fn consistency_nodes(first: u64, second: u64) -> Vec<Node> {
    if first == 0 || first > second {
        Vec::new()
    } else {
        needed(consistency_ranges(first, second))
    }
}

/// The proof that the tree of `second` leaves continues the tree of `first`; empty when one of
/// them is empty or both are the same; `None` when `first` is larger or a subtree is missing.
#[must_use]
pub fn consistency(
    first: u64,
    second: u64,
    mut lookup: impl FnMut(Node) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    if first > second {
        return None;
    }
    if first == 0 {
        return Some(Vec::new());
    }
    consistency_ranges(first, second).into_iter().map(|range| range.root(&mut lookup)).collect()
}

/// Whether `path` shows that `leaf` stands at `index` in the tree of `size` leaves with `root`.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = parent(sibling, &hash);
            // A node without a right sibling moves up unchanged.
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = parent(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` shows that the tree of `second` leaves with `second_root` continues the tree
/// of `first` leaves with `first_root`.
#[must_use]
pub fn verify_consistency(
    (first, first_root): (u64, &Hash),
    (second, second_root): (u64, &Hash),
    path: &[Hash],
) -> bool {
    if first > second {
        return false;
    }
    if first == 0 {
        return path.is_empty() && *first_root == empty_root();
    }
    if first == second {
        return path.is_empty() && first_root == second_root;
    }
    let (mut place, mut last) = (first - 1, second - 1);
    let shift = place.trailing_ones();
    place >>= shift;
    last >>= shift;
    let mut rest = path.iter();
    // When the old tree is one complete subtree, its root is where the walk begins.
    let begin = if first.is_power_of_two() { Some(first_root) } else { rest.next() };
    let Some(begin) = begin else { return false };
    let (mut old, mut new) = (*begin, *begin);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old = parent(hash, &old);
            new = parent(hash, &new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = parent(&new, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}
