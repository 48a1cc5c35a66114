#![expect(clippy::cast_possible_truncation, reason = "test sizes are small")]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// RFC 6962, 2.1, word for word.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [leaf] => *leaf,
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            parent(&naive(&leaves[..split]), &naive(&leaves[split..]))
        }
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| Hash::of(&number.to_be_bytes())).collect()
}

fn grown(count: u64) -> (Tree, HashMap<Node, Hash>) {
    let (mut tree, mut nodes) = (Tree::new(), HashMap::new());
    for leaf in leaves(count) {
        tree.append(leaf, |node, hash| assert_eq!(nodes.insert(node, hash), None));
    }
    (tree, nodes)
}

#[test]
fn the_tree_grows_as_the_recursion_says() {
    let mut tree = Tree::new();
    assert_eq!(tree.root(), empty_root());
    for (index, leaf) in leaves(300).into_iter().enumerate() {
        tree.append(leaf, |_, _| {});
        assert_eq!(tree.root(), naive(&leaves(index as u64 + 1)));
    }
}

#[test]
fn any_past_root_comes_from_stored_subtrees_and_the_tree_resumes() {
    let (tree, nodes) = grown(300);
    for size in 0..=300 {
        assert_eq!(root_at(size, |node| nodes.get(&node).copied()), Some(naive(&leaves(size))));
    }
    assert_eq!(Tree::resume(300, |node| nodes.get(&node).copied()), Some(tree));
    assert_eq!(Tree::resume(0, |_| None), Some(Tree::new()));
    assert_eq!(root_at(5, |_| None), None);
}

#[test]
fn every_leaf_of_small_trees_has_a_proof_and_no_other_place() {
    let (_, nodes) = grown(40);
    for size in 1..=40 {
        let root = naive(&leaves(size));
        for index in 0..size {
            let needed = inclusion_nodes(index, size);
            let path = inclusion(index, size, |node| {
                assert!(needed.contains(&node));
                nodes.get(&node).copied()
            });
            let path = path.unwrap();
            let leaf = leaves(size)[index as usize];
            for claimed in 0..=size {
                let holds = verify_inclusion(&leaf, claimed, size, &path, &root);
                assert_eq!(holds, claimed == index, "{index} as {claimed} of {size}");
            }
        }
        assert_eq!(inclusion(size, size, |_| None), None);
    }
}

#[test]
fn every_two_small_trees_have_a_consistency_proof() {
    let (_, nodes) = grown(40);
    for second in 0..=40 {
        for first in 0..=second {
            let needed = consistency_nodes(first, second);
            let path = consistency(first, second, |node| {
                assert!(needed.contains(&node));
                nodes.get(&node).copied()
            });
            let path = path.unwrap();
            let (old, new) = (naive(&leaves(first)), naive(&leaves(second)));
            assert!(verify_consistency((first, &old), (second, &new), &path));
            let mut changed = leaves(second);
            if first > 0 {
                changed[first as usize - 1] = Hash::of(b"changed");
                let forged = naive(&changed);
                assert!(!verify_consistency((first, &old), (second, &forged), &path));
                assert!(!verify_consistency(
                    (first, &naive(&changed[..first as usize])),
                    (second, &new),
                    &path
                ));
            }
            for at in 0..path.len() {
                let mut bad = path.clone();
                bad[at] = Hash::of(b"bad");
                assert!(!verify_consistency((first, &old), (second, &new), &bad));
            }
        }
        assert_eq!(consistency(second + 1, second, |_| None), None);
    }
}

#[test]
fn the_head_of_version_one_is_the_hash_of_sorted_lines() {
    let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
    let text = format!("x\0{a}\ny\0{b}\n");
    assert_eq!(head_v1([("y", b), ("x", a)]), Hash::of(text.as_bytes()));
    assert_eq!(head_v1([]), Hash::of(b""));
}

proptest! {
    #[test]
    fn proofs_hold_in_larger_trees_and_break_when_touched(
        size in 1..2_000_u64, index: prop::sample::Index, first: prop::sample::Index,
        at: prop::sample::Index, bit in 0..8_u32,
    ) {
        let (tree, nodes) = grown(size);
        let lookup = |node: Node| nodes.get(&node).copied();
        let index = index.index(size as usize) as u64;
        let leaf = leaves(size)[index as usize];
        let mut path = inclusion(index, size, lookup).unwrap();
        prop_assert!(verify_inclusion(&leaf, index, size, &path, &tree.root()));
        let first = first.index(size as usize) as u64 + 1;
        let old = root_at(first, lookup).unwrap();
        let between = consistency(first, size, lookup).unwrap();
        prop_assert!(verify_consistency((first, &old), (size, &tree.root()), &between));
        if !path.is_empty() {
            let at = at.index(path.len());
            let mut bytes = *path[at].as_bytes();
            bytes[at % 32] ^= 1 << bit;
            path[at] = Hash::from_bytes(bytes);
            prop_assert!(!verify_inclusion(&leaf, index, size, &path, &tree.root()));
            path.pop();
            prop_assert!(!verify_inclusion(&leaf, index, size, &path, &tree.root()));
        }
    }

    #[test]
    fn foreign_proofs_never_panic(
        index: u64, size: u64, count in 0..70_usize,
    ) {
        let path = vec![Hash::of(b"x"); count];
        let hash = Hash::of(b"y");
        let _ = verify_inclusion(&hash, index, size, &path, &hash);
        let _ = verify_consistency((index, &hash), (size, &hash), &path);
        let _ = (inclusion_nodes(index, size), consistency_nodes(index, size), root_nodes(size));
    }
}
