//! What the system answers, as an error of the contract.

use std::io;

use crate::files::Error;

/// The error for `path`, named as the caller wrote it.
pub(crate) fn failure(path: &str, error: &io::Error) -> Error {
    let path = path.to_owned();
    match error.kind() {
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
