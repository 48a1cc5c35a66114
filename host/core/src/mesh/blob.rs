//! A blob on its way between two nodes, checked group by group: nothing of it is kept or shown to a
//! plugin before it is known to belong to the digest that was asked for.
//!
//! BLAKE3 is a tree. Each group of 256 KiB is a complete subtree with a chaining value, and the
//! chaining values of all groups merge to the digest. So the node that sends gives them first; the one
//! that receives merges them, and from then on can check any group by itself, in any order and after
//! a break. A blob of one group needs no list: its digest is that group's hash.

use blake3::{
    Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

use crate::{code::Code, id::Digest};

/// Bytes of a group; the last one of a blob has fewer. A power of two, so that a group is a subtree.
pub const GROUP_BYTES: usize = 256 * 1024;
/// Most groups of a blob: 16 GiB, the most that a node lets a call write.
pub const GROUPS_MAX: usize = 65_536;

/// What a group is checked with.
pub type ChainingValue = [u8; 32];

/// Why a blob, or a part of one, is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// No blob is that long.
    #[error("a blob that travels has at most {GROUPS_MAX} groups of {GROUP_BYTES} bytes")]
    Length,
    /// The list is not of this blob.
    #[error("the chaining values do not make the digest that was asked for")]
    Values,
    /// There is no such group.
    #[error("the blob has no such group")]
    Index,
    /// The group is not of this blob.
    #[error("the group is not a part of the blob that was asked for")]
    Group,
}

impl BlobError {
    /// The code of this error.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::PeerProtocol
    }
}

/// How many groups a blob of this many bytes has: at least one, which may be empty.
///
/// # Errors
/// [`BlobError::Length`].
pub fn groups(length: u64) -> Result<usize, BlobError> {
    let groups = length.div_ceil(GROUP_BYTES as u64).max(1);
    usize::try_from(groups).ok().filter(|groups| *groups <= GROUPS_MAX).ok_or(BlobError::Length)
}

/// How long a group of a blob of `length` bytes is.
///
/// # Errors
/// [`BlobError::Length`]; [`BlobError::Index`] when it has no such group.
pub fn group_bytes(length: u64, index: usize) -> Result<usize, BlobError> {
    if index >= groups(length)? {
        return Err(BlobError::Index);
    }
    let rest = length.saturating_sub(offset(index));
    Ok(usize::try_from(rest).unwrap_or(usize::MAX).min(GROUP_BYTES))
}

/// Where a group begins, in bytes.
fn offset(index: usize) -> u64 {
    (index as u64).saturating_mul(GROUP_BYTES as u64)
}

/// The chaining value of one group of a blob that has several.
///
/// # Errors
/// [`BlobError::Group`] when it is empty or longer than a group; [`BlobError::Index`] when no blob has
/// a group there.
pub fn chaining_value(index: usize, group: &[u8]) -> Result<ChainingValue, BlobError> {
    if index >= GROUPS_MAX {
        return Err(BlobError::Index);
    }
    // Without these bounds the hasher would panic.
    if group.is_empty() || group.len() > GROUP_BYTES {
        return Err(BlobError::Group);
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset(index));
    Ok(hasher.update(group).finalize_non_root())
}

/// A blob that is being received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    digest: Digest,
    length: u64,
    values: Vec<ChainingValue>,
}

impl Incoming {
    /// The blob `digest`, of which the sender says that it has `length` bytes and these chaining
    /// values.
    ///
    /// The length is only believed: a wrong one shows when the last group does not hold.
    ///
    /// # Errors
    /// [`BlobError::Length`]; [`BlobError::Values`] when they are not as many as there are groups, or
    /// do not merge to the digest.
    pub fn new(digest: Digest, length: u64, values: Vec<ChainingValue>) -> Result<Self, BlobError> {
        let groups = groups(length)?;
        let listed = if groups == 1 { 0 } else { groups };
        let merged = values.len() == listed
            && (groups == 1 || root(&values).is_some_and(|root| root == digest));
        merged.then_some(Self { digest, length, values }).ok_or(BlobError::Values)
    }

    /// Bytes of the whole blob, as the sender says; certain once the last group held.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// How many groups it has.
    #[must_use]
    pub const fn groups(&self) -> usize {
        if self.values.is_empty() { 1 } else { self.values.len() }
    }

    /// Whether `bytes` are the group at `index`.
    ///
    /// # Errors
    /// [`BlobError::Index`] and [`BlobError::Group`].
    pub fn check(&self, index: usize, bytes: &[u8]) -> Result<(), BlobError> {
        if group_bytes(self.length, index)? != bytes.len() {
            return Err(BlobError::Group);
        }
        let holds = if self.values.is_empty() {
            Digest::of(bytes) == self.digest
        } else {
            self.values.get(index) == Some(&chaining_value(index, bytes)?)
        };
        if holds { Ok(()) } else { Err(BlobError::Group) }
    }
}

/// What the chaining values of all groups merge to; `None` for fewer than two. Groups are joined in
/// pairs, and the pairs again; one that is left over goes up as it is.
fn root(values: &[ChainingValue]) -> Option<Digest> {
    let mut level = values.to_vec();
    while level.len() > 2 {
        let merge = |pair: &[ChainingValue]| match pair {
            [left, right] => Some(merge_subtrees_non_root(left, right, Mode::Hash)),
            [left] => Some(*left),
            _ => None,
        };
        level = level.chunks(2).filter_map(merge).collect();
    }
    match level.as_slice() {
        [left, right] => {
            Some(Digest::from_bytes(*merge_subtrees_root(left, right, Mode::Hash).as_bytes()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of which no two groups are the same.
    fn blob(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        Hasher::new().update(b"blob").finalize_xof().fill(&mut bytes);
        bytes
    }

    /// What the sender lists for these bytes.
    fn listed(bytes: &[u8]) -> Vec<ChainingValue> {
        if bytes.len() <= GROUP_BYTES {
            return Vec::new();
        }
        let groups = bytes.chunks(GROUP_BYTES).enumerate();
        groups.map(|(index, group)| chaining_value(index, group).unwrap()).collect()
    }

    fn incoming(bytes: &[u8]) -> Result<Incoming, BlobError> {
        Incoming::new(Digest::of(bytes), bytes.len() as u64, listed(bytes))
    }

    /// All groups of a blob hold, from any one on.
    fn arrives(bytes: &[u8]) {
        let incoming = incoming(bytes).unwrap();
        let groups: Vec<&[u8]> =
            if bytes.is_empty() { vec![&[]] } else { bytes.chunks(GROUP_BYTES).collect() };
        assert_eq!(incoming.groups(), groups.len());
        for (index, group) in groups.iter().enumerate().rev() {
            assert_eq!(group_bytes(incoming.length(), index), Ok(group.len()));
            assert_eq!(incoming.check(index, group), Ok(()), "group {index}");
        }
        assert_eq!(incoming.check(groups.len(), &[]), Err(BlobError::Index));
    }

    #[test]
    fn blobs_of_every_shape_arrive() {
        let group = GROUP_BYTES;
        let around = [group - 1, group, group + 1, 2 * group, 2 * group + 1, 3 * group];
        for length in [0, 1, 1024, 1025].into_iter().chain(around).chain([5 * group + 7, 9 * group])
        {
            arrives(&blob(length));
        }
    }

    #[test]
    fn a_list_of_another_blob_or_length_is_refused() {
        let bytes = blob(3 * GROUP_BYTES + 5);
        let (digest, length, values) = (Digest::of(&bytes), bytes.len() as u64, listed(&bytes));
        let new = |digest, length, values: &[ChainingValue]| {
            Incoming::new(digest, length, values.to_vec()).map(|_| ())
        };
        assert_eq!(new(digest, length, &values), Ok(()));
        assert_eq!(new(Digest::of(b"other"), length, &values), Err(BlobError::Values));
        assert_eq!(new(digest, length, &values[1..]), Err(BlobError::Values));
        assert_eq!(new(digest, length, &[]), Err(BlobError::Values));
        assert_eq!(new(digest, 5, &values), Err(BlobError::Values));
        let mut swapped = values.clone();
        swapped.swap(0, 1);
        assert_eq!(new(digest, length, &swapped), Err(BlobError::Values));
        assert_eq!(new(digest, u64::MAX, &values), Err(BlobError::Length));
        let most = (GROUPS_MAX * GROUP_BYTES) as u64;
        assert_eq!(groups(most), Ok(GROUPS_MAX));
        assert_eq!(groups(most + 1), Err(BlobError::Length));
    }

    #[test]
    fn a_wrong_length_shows_with_the_last_group() {
        let bytes = blob(2 * GROUP_BYTES);
        let claimed = bytes.len() as u64 - 1;
        let incoming = Incoming::new(Digest::of(&bytes), claimed, listed(&bytes)).unwrap();
        assert_eq!(incoming.check(0, &bytes[..GROUP_BYTES]), Ok(()));
        let last = &bytes[GROUP_BYTES..];
        assert_eq!(incoming.check(1, last), Err(BlobError::Group));
        assert_eq!(incoming.check(1, &last[1..]), Err(BlobError::Group));
    }

    /// The two halves of a larger blob also merge to its digest. They are no groups.
    #[test]
    fn subtrees_that_are_no_groups_give_nothing_away() {
        let bytes = blob(4 * GROUP_BYTES);
        let halves = bytes.chunks(2 * GROUP_BYTES).enumerate().map(|(index, half)| {
            let mut hasher = Hasher::new();
            hasher.set_input_offset((index * half.len()) as u64);
            hasher.update(half).finalize_non_root()
        });
        let length = 2 * GROUP_BYTES as u64;
        let incoming = Incoming::new(Digest::of(&bytes), length, halves.collect()).unwrap();
        for (index, group) in bytes.chunks(GROUP_BYTES).take(2).enumerate() {
            assert_eq!(incoming.check(index, group), Err(BlobError::Group));
        }
    }

    #[test]
    fn what_is_no_group_has_no_chaining_value() {
        assert_eq!(chaining_value(0, &[]), Err(BlobError::Group));
        assert_eq!(chaining_value(1, &blob(GROUP_BYTES + 1)), Err(BlobError::Group));
        assert_eq!(chaining_value(GROUPS_MAX, &[1]), Err(BlobError::Index));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_blob_arrives_and_any_changed_byte_is_found(
            length in 1_usize..5 * GROUP_BYTES,
            place in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let mut bytes = blob(length);
            arrives(&bytes);
            let incoming = incoming(&bytes).unwrap();
            let at = place.index(length);
            bytes[at] ^= 1_u8 << bit;
            let index = at / GROUP_BYTES;
            let group = bytes.chunks(GROUP_BYTES).nth(index).unwrap();
            prop_assert_eq!(incoming.check(index, group), Err(BlobError::Group));
        }
    }
}
