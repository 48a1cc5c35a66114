//! The tree over all events: RFC 6962, one leaf per event in the order of sequence, so that the
//! tree of an earlier time is always a prefix of a later one. Leaf data are the protocol's,
//! `correlation_id`, a zero byte, the event's content hash in hexadecimal, a line feed.
//!
//! Appending keeps one hash per set bit of the size. Each complete subtree is handed out once,
//! to be stored; roots and proofs for any past size are then made from a few stored subtrees:
//! ask [`root_nodes`], [`inclusion_nodes`] or [`consistency_nodes`] what is needed, fetch it, and
//! pass a lookup. Sequences count from 1, leaves from 0.

use super::hash::Hash;
use crate::id::CorrelationId;

pub use proof::{
    consistency, consistency_nodes, inclusion, inclusion_nodes, verify_consistency,
    verify_inclusion,
};

mod proof;

/// Hash of an event's leaf.
#[must_use]
pub fn leaf(correlation_id: &CorrelationId, content_hash: &Hash) -> Hash {
    leaf_of(correlation_id.as_str(), content_hash)
}

/// As [`leaf`], for a correlation that was not checked.
pub(super) fn leaf_of(correlation_id: &str, content_hash: &Hash) -> Hash {
    let hex = content_hash.hex();
    Hash::of_parts(&[b"\x00", correlation_id.as_bytes(), b"\x00", hex.as_str().as_bytes(), b"\n"])
}

/// Hash of an inner node.
#[must_use]
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    Hash::of_parts(&[b"\x01", left.as_bytes(), right.as_bytes()])
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// The store head of version 1: SHA-256 over the sorted `correlation_id`, zero byte, head hash,
/// line feed. Costs a sort over all correlations; version 2 is the root of the tree.
#[must_use]
pub fn head_v1<'a>(heads: impl IntoIterator<Item = (&'a str, Hash)>) -> Hash {
    let mut lines: Vec<(&str, Hash)> = heads.into_iter().collect();
    lines.sort_unstable();
    let mut text = Vec::with_capacity(lines.len() * 96);
    for (correlation, head) in lines {
        text.extend_from_slice(correlation.as_bytes());
        text.push(0);
        text.extend_from_slice(head.hex().as_str().as_bytes());
        text.push(b'\n');
    }
    Hash::of(&text)
}

/// A complete subtree: the leaves from `index << level`, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// 0 for a leaf.
    pub level: u8,
    /// Counted within its level.
    pub index: u64,
}

impl Node {
    /// The sequence of the event whose leaf completes it: its last one. `None` beyond every
    /// sequence.
    #[must_use]
    pub const fn completed_by(self) -> Option<u64> {
        match (1_u64.checked_shl(self.level as u32), self.index.checked_add(1)) {
            (Some(leaves), Some(end)) => end.checked_mul(leaves),
            _ => None,
        }
    }
}

/// The growing tree: its size and the roots of the complete subtrees that it consists of,
/// largest first. At most 64 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The tree of `size` leaves from its stored subtrees ([`root_nodes`] says which); `None`
    /// when one of them is missing.
    #[must_use]
    pub fn resume(size: u64, lookup: impl FnMut(Node) -> Option<Hash>) -> Option<Self> {
        let peaks = root_nodes(size).into_iter().map(lookup).collect::<Option<_>>()?;
        Some(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf and hands every subtree that it completes, itself first, to `store`.
    pub fn append(&mut self, leaf: Hash, mut store: impl FnMut(Node, Hash)) {
        let mut node = Node { level: 0, index: self.size };
        let mut hash = leaf;
        store(node, hash);
        while node.index % 2 == 1 {
            // An odd index means that the left sibling is the smallest peak.
            let Some(left) = self.peaks.pop() else { break };
            hash = parent(&left, &hash);
            node = Node { level: node.level + 1, index: node.index / 2 };
            store(node, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.peaks.iter().rev();
        let smallest = from_right.next().copied().unwrap_or_else(empty_root);
        from_right.fold(smallest, |right, left| parent(left, &right))
    }
}

/// Leaves that follow one another, as the RFC's recursion splits them: `start` is a multiple of
/// the smallest power of two that is not below `length`.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: u64,
    length: u64,
}

impl Range {
    /// The complete subtrees that it consists of, largest first.
    fn nodes(self) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut start = self.start;
        for level in (0..64_u8).rev().filter(|level| self.length >> level & 1 == 1) {
            nodes.push(Node { level, index: start >> level });
            start += 1 << level;
        }
        nodes
    }

    /// Its root.
    fn root(self, lookup: &mut impl FnMut(Node) -> Option<Hash>) -> Option<Hash> {
        let hashes: Vec<Hash> = self.nodes().into_iter().map(lookup).collect::<Option<_>>()?;
        let mut from_right = hashes.into_iter().rev();
        let smallest = from_right.next()?;
        Some(from_right.fold(smallest, |right, left| parent(&left, &right)))
    }
}

/// The subtrees that the root of the first `size` leaves is made of, largest first.
#[must_use]
pub fn root_nodes(size: u64) -> Vec<Node> {
    Range { start: 0, length: size }.nodes()
}

/// The root of the first `size` leaves from stored subtrees; `None` when one is missing.
#[must_use]
pub fn root_at(size: u64, mut lookup: impl FnMut(Node) -> Option<Hash>) -> Option<Hash> {
    if size == 0 {
        return Some(empty_root());
    }
    Range { start: 0, length: size }.root(&mut lookup)
}

#[cfg(test)]
mod tests;
