//! Merkle proofs: those that are made hold, and no other does.

use std::collections::HashMap;

use meshhost_core::evidence::{
    hash::Hash,
    merkle::{Node, Tree, consistency, inclusion, verify_consistency, verify_inclusion},
};

/// Leaves of the trees that are made.
const LEAVES_MAX: u64 = 70;

/// Reads numbers and hashes from the front of the bytes; zeros when they are used up.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn below(&mut self, bound: u64) -> u64 {
        u64::from(self.byte()) % bound.max(1)
    }

    fn hash(&mut self) -> Hash {
        Hash::of(&[self.byte()])
    }

    /// A path that is the one given, or differs from it.
    fn path_like(&mut self, path: &[Hash]) -> Vec<Hash> {
        let mut other = path.to_vec();
        match self.byte() % 4 {
            0 => {
                other.pop();
            }
            1 => other.push(self.hash()),
            2 if !other.is_empty() => {
                let place = usize::from(self.byte()) % other.len();
                if let Some(hash) = other.get_mut(place) {
                    *hash = self.hash();
                }
            }
            _ => {}
        }
        other
    }
}

/// Numbers and paths without any tree, then proofs in a tree of some size.
pub(crate) fn merkle(bytes: &[u8]) {
    let mut reader = Reader(bytes);
    anything(&mut reader);
    let size = 1 + reader.below(LEAVES_MAX);
    let mut nodes: HashMap<Node, Hash> = HashMap::new();
    let mut tree = Tree::new();
    let mut roots = vec![tree.root()];
    let leaves: Vec<Hash> = (0..size).map(|place| Hash::of(&place.to_le_bytes())).collect();
    for leaf in &leaves {
        tree.append(*leaf, |node, hash| {
            nodes.insert(node, hash);
        });
        roots.push(tree.root());
    }
    let lookup = |node: Node| nodes.get(&node).copied();
    let place = reader.below(size);
    let leaf = Hash::of(&place.to_le_bytes());
    let path = inclusion(place, size, lookup).unwrap_or_default();
    let root = tree.root();
    assert!(verify_inclusion(&leaf, place, size, &path, &root), "leaf {place} of {size}");
    let other = reader.path_like(&path);
    let index = reader.below(size + 2);
    if verify_inclusion(&leaf, index, size, &other, &root) {
        assert!(index == place && other == path, "a second proof of {place} of {size}");
    }

    let first = reader.below(size + 1);
    let old = usize::try_from(first).ok().and_then(|first| roots.get(first).copied());
    let old = old.unwrap_or(root);
    let path = consistency(first, size, lookup).unwrap_or_default();
    assert!(verify_consistency((first, &old), (size, &root), &path), "{first} of {size}");
    let other = reader.path_like(&path);
    if verify_consistency((first, &old), (size, &root), &other) {
        assert_eq!(other, path, "a second proof of {first} of {size}");
    }
}

/// No number and no path is too much.
fn anything(reader: &mut Reader<'_>) {
    let (index, size) = (reader.number(), reader.number());
    let (leaf, root) = (reader.hash(), reader.hash());
    let path: Vec<Hash> = (0..reader.below(80)).map(|_| reader.hash()).collect();
    assert!(!verify_inclusion(&leaf, index, size, &path, &root) || path.is_empty());
    let _ = verify_consistency((index, &leaf), (size, &root), &path);
    let nothing = |_: Node| None;
    let _ = (inclusion(index, size, nothing), consistency(index, size, nothing));
}
