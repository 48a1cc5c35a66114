//! What is fuzzed inside the store, because nothing outside can reach it: a plain function of any
//! bytes, as in `tests/fuzz`. Built for tests and by `cargo xtask fuzz`, never else.

#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use meshhost_core::config::Durability;

use super::rows::Rows;
use crate::store::{
    error::StoreError,
    journal::{Frames, Journal, Span},
};

/// The sequences that a frame is written with here.
const SPAN: Span = Span { first: 1, last: 2 };

/// The bytes as a segment of the journal that a node finds when it starts, as the payload of a
/// frame, and as a change of the segment that holds it.
pub fn journal(bytes: &[u8]) {
    segment(bytes);
    payload(bytes);
    let genuine = written(&[(SPAN, bytes.to_vec())]);
    assert_eq!(frames(&genuine).ok(), Some(vec![(SPAN, bytes.to_vec())]));
    let Some((place, with)) = bytes.split_first_chunk::<2>() else { return };
    let place = usize::from(u16::from_le_bytes(*place)) % genuine.len();
    let mut changed = genuine.clone();
    for (old, new) in changed.iter_mut().skip(place).zip(with) {
        *old = *new;
    }
    let cut = genuine.get(..place).unwrap_or_default();
    for other in [changed.as_slice(), cut] {
        let read = frames(other).unwrap_or_default();
        assert!(read.is_empty() || other == genuine, "{place}: {read:?}");
    }
}

/// What is read of a segment is what it begins with.
fn segment(bytes: &[u8]) {
    let Ok(read) = frames(bytes) else { return };
    assert!(read.is_empty() || bytes.starts_with(&written(&read)), "{read:?}");
}

/// What is taken for the rows of a group is written as it was understood.
fn payload(bytes: &[u8]) {
    let Ok(rows) = Rows::decode(bytes) else { return };
    let encode = |rows: &Rows| rows.encode(Vec::new()).unwrap();
    let text = encode(&rows);
    assert_eq!(encode(&Rows::decode(&text).unwrap()), text, "{rows:?}");
    let _ = (rows.span(), rows.bytes());
}

/// The frames of a journal of this one segment.
fn frames(segment: &[u8]) -> Result<Vec<(Span, Vec<u8>)>, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(only_segment(folder.path(), 1), segment).unwrap();
    let mut frames = Frames::of(folder.path())?;
    std::iter::from_fn(|| frames.next().transpose()).collect()
}

/// The segment that holds these frames.
fn written(frames: &[(Span, Vec<u8>)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), Durability::Process).unwrap();
    for (span, payload) in frames {
        journal.append(*span, payload).unwrap();
    }
    let first = frames.first().map_or(1, |(span, _)| span.first);
    fs::read(only_segment(folder.path(), first)).unwrap_or_default()
}

fn only_segment(folder: &Path, first: u64) -> std::path::PathBuf {
    folder.join(format!("{first:020}"))
}
