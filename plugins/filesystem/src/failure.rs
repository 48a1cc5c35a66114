//! What the system answers, as an error of the contract.

use std::io;

use crate::files::Error;

/// The error for `path`, named as the caller wrote it.
pub(crate) fn failure(path: &str, error: &io::Error) -> Error {
    let path = path.to_owned();
    match kind(error) {
        io::ErrorKind::NotFound => Error::NotFound(path),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::NotPermitted(path)
        }
        io::ErrorKind::AlreadyExists => Error::AlreadyExists(path),
        io::ErrorKind::NotADirectory => Error::NotAFolder(path),
        io::ErrorKind::IsADirectory => Error::IsAFolder(path),
        io::ErrorKind::DirectoryNotEmpty => Error::NotEmpty(path),
        io::ErrorKind::CrossesDevices => {
            Error::Invalid(format!("{path}: moving from one granted folder to another is a copy"))
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
            Error::Invalid(format!("{path}: not a valid path"))
        }
        _ => Error::Fault(format!("{path}: {error}")),
    }
}

/// What kind of error it is. The standard library names only some kinds under WASI; the others
/// are told by their numbers (`errno.h` of wasi-libc).
pub(crate) fn kind(error: &io::Error) -> io::ErrorKind {
    let number = error.raw_os_error().filter(|_| cfg!(target_os = "wasi"));
    match number {
        Some(31) => io::ErrorKind::IsADirectory,
        Some(37) => io::ErrorKind::InvalidFilename,
        Some(54) => io::ErrorKind::NotADirectory,
        Some(55) => io::ErrorKind::DirectoryNotEmpty,
        Some(69) => io::ErrorKind::ReadOnlyFilesystem,
        Some(75) => io::ErrorKind::CrossesDevices,
        _ => error.kind(),
    }
}
