//! Which files an operator means: a library alone, or a folder with one library, its parts and its
//! terms of use.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use meshhost_core::{code::Code, outcome::Refusal};
use meshhost_inference::library;

use crate::regular_file::Links;

/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 1_024;
/// Files of one version.
const FILES_MAX: usize = 16;
/// What the names of the parts begin with, which the library loads for devices.
const PART: &str = "libonnxruntime_providers_";
/// The terms of use, as ONNX Runtime is published with them.
const TERMS: [&str; 2] = ["LICENSE", "ThirdPartyNotices.txt"];

/// What is to be installed.
#[derive(Debug)]
pub(super) struct Source {
    /// The library's version, which is the name of its folder.
    pub(super) version: String,
    /// The library's own name.
    pub(super) library: String,
    /// Name and path of every file, the library among them.
    pub(super) files: Vec<(String, PathBuf)>,
    /// What a link among them means.
    pub(super) links: Links,
}

/// Finds what is meant by a path: nothing of it is opened but the folder.
///
/// # Errors
/// [`Code::NotFound`] when there is nothing; [`Code::RuntimeInvalid`] when it is no library, several
/// of them, or one whose version no name says.
pub(super) fn find(from: &Path) -> Result<Source, Refusal> {
    // A person named this very path: where it leads is what is meant.
    let path = from.canonicalize().map_err(|error| unreadable(from, &error))?;
    if path.is_dir() {
        return in_folder(&path);
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    if !library::is_library(&name) {
        return Err(invalid(format!(
            "{} is not called like a library of ONNX Runtime: libonnxruntime.so.1.31.1, for example. \
             Of a Python wheel, which is a zip file, unpack it and name the folder onnxruntime/capi \
             in it",
            from.display()
        )));
    }
    let version = version(&path)?;
    Ok(Source { version, library: name.clone(), files: vec![(name, path)], links: Links::Follow })
}

fn in_folder(folder: &Path) -> Result<Source, Refusal> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for (count, entry) in entries.enumerate() {
        if count >= ENTRIES_MAX {
            let folder = folder.display();
            return Err(invalid(format!("{folder} has more than {ENTRIES_MAX} entries")));
        }
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_wanted =
            library::is_library(&name) || name.starts_with(PART) || TERMS.contains(&&*name);
        // A link leads to a file that stands here as well, or to what nobody named.
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_wanted && !is_link {
            files.push((name, entry.path()));
        }
    }
    files.sort();
    if files.len() > FILES_MAX {
        return Err(invalid(format!("{} holds more than {FILES_MAX} files", folder.display())));
    }
    let mut libraries = files.iter().filter(|(name, _)| library::is_library(name));
    let (first, second) = (libraries.next().cloned(), libraries.next());
    match (first, second) {
        (Some((library, path)), None) => {
            Ok(Source { version: version(&path)?, library, files, links: Links::Refuse })
        }
        (None, _) => {
            let folder = folder.display();
            Err(invalid(format!("{folder} holds no library of ONNX Runtime, libonnxruntime.so.*")))
        }
        (Some((one, _)), Some((other, _))) => {
            let folder = folder.display();
            Err(invalid(format!("{folder} holds {one} and {other}: name the file that is meant")))
        }
    }
}

fn version(library: &Path) -> Result<String, Refusal> {
    library::named_version(library).ok_or_else(|| {
        invalid(format!(
            "neither the name of {} nor that of its folder says a version: call it \
             libonnxruntime.so.1.31.1, for example",
            library.display()
        ))
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::NotFound => {
            Refusal::new(Code::NotFound, format!("there is no {}", path.display()))
        }
        _ => invalid(format!("{} cannot be read: {error}", path.display())),
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::RuntimeInvalid, message)
}
