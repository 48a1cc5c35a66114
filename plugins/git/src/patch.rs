//! Differences as text, in git's unified format with full object ids.

mod lines;
mod quote;
mod similarity;

use gix::objs::Kind;
use gix::{ObjectId, Repository};

use crate::difference::{Pair, Side};
use crate::failure::fault;
use crate::repository::Error;

/// Bytes of one patch; what comes after is left out, whole files at a time.
const PATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a file that is compared; a larger one is shown as binary.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes at the beginning of a file where a zero byte means that it is not text: git's number.
const SNIFF_BYTES: usize = 8_000;
/// The type bits of a submodule's mode.
const SUBMODULE: u32 = 0o160_000;

/// The patch, and whether it is all of it.
pub(crate) fn patch(
    repo: &Repository,
    pairs: &[Pair],
    context: u32,
) -> Result<(Vec<u8>, bool), Error> {
    let mut out = Vec::new();
    for pair in pairs {
        let begin = out.len();
        if pair.is_type_change() {
            // git shows one thing going and another coming.
            file(repo, &mut out, pair.old.as_ref(), None, context)?;
            file(repo, &mut out, None, pair.new.as_ref(), context)?;
        } else {
            file(repo, &mut out, pair.old.as_ref(), pair.new.as_ref(), context)?;
        }
        if out.len() > PATCH_BYTES_MAX {
            out.truncate(begin);
            return Ok((out, false));
        }
    }
    Ok((out, true))
}

fn file(
    repo: &Repository,
    out: &mut Vec<u8>,
    old: Option<&Side>,
    new: Option<&Side>,
    context: u32,
) -> Result<(), Error> {
    let Some(first) = old.or(new) else { return Ok(()) };
    let last = new.unwrap_or(first);
    let names = (quote::quoted(b"a/", &first.path), quote::quoted(b"b/", &last.path));
    line(out, &[b"diff --git ", &names.0, b" ", &names.1]);
    let contents = (bytes(repo, old)?, bytes(repo, new)?);
    modes(out, old, new);
    if first.path != last.path {
        let alike = match &contents {
            (Some(old), Some(new)) => similarity::percent(old, new),
            _ => 0,
        };
        let alike = if first.id == last.id { 100 } else { alike };
        line(out, &[format!("similarity index {alike}%").as_bytes()]);
        line(out, &[b"rename from ", &quote::quoted(b"", &first.path)]);
        line(out, &[b"rename to ", &quote::quoted(b"", &last.path)]);
    }
    let none = ObjectId::null(repo.object_hash());
    let ids = (old.map_or(none, |side| side.id), new.map_or(none, |side| side.id));
    if ids.0 == ids.1 {
        return Ok(());
    }
    let same_mode = old.zip(new).filter(|(old, new)| old.mode == new.mode);
    let mode = same_mode.map_or(String::new(), |(old, _)| format!(" {:06o}", old.mode));
    line(out, &[format!("index {}..{}{mode}", ids.0, ids.1).as_bytes()]);
    body(out, (old, new), &contents, context);
    Ok(())
}

/// The lines about modes.
fn modes(out: &mut Vec<u8>, old: Option<&Side>, new: Option<&Side>) {
    match (old, new) {
        (None, Some(new)) => line(out, &[format!("new file mode {:06o}", new.mode).as_bytes()]),
        (Some(old), None) => line(out, &[format!("deleted file mode {:06o}", old.mode).as_bytes()]),
        (Some(old), Some(new)) if old.mode != new.mode => {
            line(out, &[format!("old mode {:06o}", old.mode).as_bytes()]);
            line(out, &[format!("new mode {:06o}", new.mode).as_bytes()]);
        }
        _ => {}
    }
}

/// What follows the headers: hunks, or that the file is binary.
fn body(
    out: &mut Vec<u8>,
    (old, new): (Option<&Side>, Option<&Side>),
    contents: &(Option<Vec<u8>>, Option<Vec<u8>>),
    context: u32,
) {
    let name = |prefix: &[u8], side: Option<&Side>| match side {
        Some(side) => quote::quoted(prefix, &side.path),
        None => b"/dev/null".to_vec(),
    };
    let names = (name(b"a/", old), name(b"b/", new));
    let (Some(before), Some(after)) = contents else {
        return line(out, &[b"Binary files ", &names.0, b" and ", &names.1, b" differ"]);
    };
    if is_binary(before) || is_binary(after) {
        return line(out, &[b"Binary files ", &names.0, b" and ", &names.1, b" differ"]);
    }
    let mut hunks = Vec::new();
    lines::hunks(&mut hunks, before, after, context);
    if !hunks.is_empty() {
        // A name with a space ends with a tab, so that other programs see where it ends.
        let end = |name: &[u8]| {
            if name.contains(&b' ') && !name.starts_with(b"\"") { b"\t".as_slice() } else { b"" }
        };
        line(out, &[b"--- ", &names.0, end(&names.0)]);
        line(out, &[b"+++ ", &names.1, end(&names.1)]);
        out.append(&mut hunks);
    }
}

/// The bytes of a side; nothing when they are too many.
fn bytes(repo: &Repository, side: Option<&Side>) -> Result<Option<Vec<u8>>, Error> {
    let Some(side) = side else { return Ok(Some(Vec::new())) };
    if side.mode == SUBMODULE {
        return Ok(Some(format!("Subproject commit {}\n", side.id).into_bytes()));
    }
    let header = repo.find_header(side.id).map_err(fault)?;
    if header.kind() != Kind::Blob || header.size() > FILE_BYTES_MAX {
        return Ok(None);
    }
    repo.find_blob(side.id).map(|mut blob| Some(blob.take_data())).map_err(fault)
}

fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(SNIFF_BYTES).any(|byte| *byte == 0)
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
}
