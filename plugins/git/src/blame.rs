//! `blame`: which commit brought each line.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use gix::ObjectId;
use gix::Repository;
use gix::bstr::{BStr, ByteSlice};
use gix::diff::blob::Algorithm;
use gix::repository::blame_file::Options;

use crate::describe;
use crate::difference::rewrites;
use crate::failure::{fault, shortened};
use crate::repository::{BlameLines, CommitInfo, Error};
use crate::{open, tree};

/// Lines next to each other that one commit brought, in the order of the file.
pub(crate) fn blame(
    repo: &Repository,
    file: &str,
    revision: &str,
    lines: (Option<u32>, Option<u32>),
) -> Result<Vec<BlameLines>, Error> {
    let commit = open::commit(repo, revision)?;
    let path = tree::components(file)?;
    let tree = commit.tree_id().map_err(fault)?.detach();
    if tree::entry_id(repo, tree, &path)?.is_none() {
        return Err(Error::UnknownFile(file.to_owned()));
    }
    let options = Options {
        diff_algorithm: Some(Algorithm::Myers),
        ranges: ranges(lines)?,
        since: None,
        rewrites: Some(rewrites()),
    };
    let file: &BStr = file.as_bytes().as_bstr();
    let outcome = repo.blame_file(file, commit.id, options).map_err(fault)?;
    let mut known = HashMap::new();
    outcome
        .entries
        .into_iter()
        .map(|entry| {
            let info = info(repo, entry.commit_id, &mut known)?;
            Ok(BlameLines {
                commit: info.id.clone(),
                author: info.author.clone(),
                summary: info.summary.clone(),
                line: entry.start_in_blamed_file + 1,
                original_line: entry.start_in_source_file + 1,
                lines: entry.len.get(),
                original_path: entry.source_file_name.map(|name| name.to_str_lossy().into_owned()),
            })
        })
        .collect()
}

fn info<'a>(
    repo: &Repository,
    id: ObjectId,
    known: &'a mut HashMap<ObjectId, CommitInfo>,
) -> Result<&'a CommitInfo, Error> {
    match known.entry(id) {
        Entry::Occupied(found) => Ok(found.into_mut()),
        Entry::Vacant(place) => {
            let commit = repo.find_commit(id).map_err(fault)?;
            Ok(place.insert(describe::commit(id, &commit.decode().map_err(fault)?)))
        }
    }
}

fn ranges(lines: (Option<u32>, Option<u32>)) -> Result<gix::blame::BlameRanges, Error> {
    use gix::blame::BlameRanges;
    if lines == (None, None) {
        return Ok(BlameRanges::WholeFile);
    }
    let (first, last) = (lines.0.unwrap_or(1), lines.1.unwrap_or(u32::MAX));
    if first > last {
        return Err(Error::Invalid(format!("no lines from {first} to {last}")));
    }
    BlameRanges::from_one_based_inclusive_range(first..=last)
        .map_err(|error| Error::Invalid(shortened(error)))
}
