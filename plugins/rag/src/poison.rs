//! Files that end the whole call.
//!
//! Reading a PDF runs somebody else's program in a library; when that panics, or needs more than the
//! plugin may have, the call is over and can report nothing. So the plugin notes beforehand in the
//! index what it is going to read, and forgets it afterwards. A note that is still there says that
//! reading these bytes ended a call. It may have been innocent (a deadline), so they are read once
//! more; after that they are left out until they change.

use crate::index;
use crate::ports::Index;
use crate::retrieval::Error;

/// What the keys of notes begin with; a path begins otherwise.
const NOTE: &str = "reading:";
/// Calls that one state of a file may end.
const ENDINGS_MAX: u32 = 2;

/// The key of a file's note.
pub(crate) fn key(path: &str) -> String {
    format!("{NOTE}{path}")
}

/// The file that a note is about, if that is what a key is.
pub(crate) fn path_of(key: &str) -> Option<&str> {
    key.strip_prefix(NOTE)
}

/// Notes that a file is going to be read.
///
/// # Errors
/// When the index fails. Within, nothing when this state of it has ended too many calls already.
pub(crate) fn begin(
    index: &dyn Index,
    corpus: &str,
    path: &str,
    digest: &str,
) -> Result<Option<Note>, Error> {
    let key = key(path);
    let noted = index.get(corpus, std::slice::from_ref(&key))?.into_iter().next().flatten();
    let endings = noted.and_then(|entry| endings(&entry.version, digest)).unwrap_or(0);
    if endings >= ENDINGS_MAX {
        return Ok(None);
    }
    let version = format!("{} {digest}", endings + 1);
    let note = index::Document { key: key.clone(), version, attributes: vec![], passages: vec![] };
    index.upsert(corpus, &note)?;
    Ok(Some(Note { key }))
}

/// A file is being read.
#[derive(Debug)]
pub(crate) struct Note {
    key: String,
}

impl Note {
    /// It was.
    pub(crate) fn end(self, index: &dyn Index, corpus: &str) -> Result<(), Error> {
        index.delete(corpus, &[self.key])?;
        Ok(())
    }
}

/// How many calls this state of a file has ended.
fn endings(version: &str, digest: &str) -> Option<u32> {
    let (endings, noted) = version.split_once(' ')?;
    if noted == digest { endings.parse().ok() } else { None }
}
