//! Why an operation on files was refused: the interface's own code, and, where it was a matter of
//! permission, which one would have allowed it.

use meshhost_core::permission::FolderMode;
use rustix::io::Errno;

use super::bindings::wasi::filesystem::types::ErrorCode;

/// What was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// The folder is not granted (any more).
    Read,
    /// The change needs the folder to be granted for at least this.
    Change(FolderMode),
    /// The path, or a link in it, leads out of what is granted.
    Outside,
    /// It is the node's own data, which no permission reaches.
    OutOfReach,
}

/// A refused operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the guest is told.
    pub(super) code: ErrorCode,
    /// What is recorded, when a permission was missing.
    pub(super) denied: Option<Denied>,
}

impl Failure {
    /// A refusal for want of a permission.
    pub(super) const fn denied(denied: Denied) -> Self {
        let code = match denied {
            Denied::Read | Denied::OutOfReach => ErrorCode::Access,
            Denied::Change(_) | Denied::Outside => ErrorCode::NotPermitted,
        };
        Self { code, denied: Some(denied) }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self { code, denied: None }
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        code_of(errno).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Errno::from_io_error(&error).map_or(ErrorCode::Io, code_of).into()
    }
}

/// The interface's code for an error of the system's; what has none is `io`.
const CODES: &[(Errno, ErrorCode)] = &[
    (Errno::ACCESS, ErrorCode::Access),
    (Errno::AGAIN, ErrorCode::WouldBlock),
    (Errno::ALREADY, ErrorCode::Already),
    (Errno::BADF, ErrorCode::BadDescriptor),
    (Errno::BUSY, ErrorCode::Busy),
    (Errno::DEADLK, ErrorCode::Deadlock),
    (Errno::DQUOT, ErrorCode::Quota),
    (Errno::EXIST, ErrorCode::Exist),
    (Errno::FBIG, ErrorCode::FileTooLarge),
    (Errno::ILSEQ, ErrorCode::IllegalByteSequence),
    (Errno::INTR, ErrorCode::Interrupted),
    (Errno::INVAL, ErrorCode::Invalid),
    (Errno::ISDIR, ErrorCode::IsDirectory),
    (Errno::LOOP, ErrorCode::Loop),
    (Errno::MLINK, ErrorCode::TooManyLinks),
    (Errno::NAMETOOLONG, ErrorCode::NameTooLong),
    (Errno::NODEV, ErrorCode::NoDevice),
    (Errno::NOENT, ErrorCode::NoEntry),
    (Errno::NOMEM, ErrorCode::InsufficientMemory),
    (Errno::NOSPC, ErrorCode::InsufficientSpace),
    (Errno::NOTDIR, ErrorCode::NotDirectory),
    (Errno::NOTEMPTY, ErrorCode::NotEmpty),
    (Errno::NOTSUP, ErrorCode::Unsupported),
    (Errno::NXIO, ErrorCode::NoSuchDevice),
    (Errno::OVERFLOW, ErrorCode::Overflow),
    (Errno::PERM, ErrorCode::NotPermitted),
    (Errno::ROFS, ErrorCode::ReadOnly),
    (Errno::SPIPE, ErrorCode::InvalidSeek),
    (Errno::TXTBSY, ErrorCode::TextFileBusy),
    (Errno::XDEV, ErrorCode::CrossDevice),
];

fn code_of(errno: Errno) -> ErrorCode {
    CODES.iter().find(|(known, _)| *known == errno).map_or(ErrorCode::Io, |(_, code)| *code)
}
