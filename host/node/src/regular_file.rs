//! Reads files that a person named or wrote, bounded: only regular files are opened, so that none
//! can block or never end.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

/// A file, whole.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when it is no regular file, [`ErrorKind::FileTooLarge`] when it has
/// more than `bytes_max` bytes, else the I/O error.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    read_from(open(path, Links::Follow)?, bytes_max)
}

fn read_from(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        return Ok(bytes);
    }
    let message = format!("it is larger than {bytes_max} bytes");
    Err(io::Error::new(ErrorKind::FileTooLarge, message))
}

/// A file, whole, that is text.
///
/// # Errors
/// As [`read`], and [`ErrorKind::InvalidData`] when it is not UTF-8.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> io::Result<String> {
    read_text_by(path, Links::Follow, bytes_max)
}

/// As [`read_text`], with or without following a link.
///
/// # Errors
/// As [`read_text`] and [`open`].
pub(crate) fn read_text_by(path: &Path, links: Links, bytes_max: usize) -> io::Result<String> {
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let bytes = read_from(open(path, links)?, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// What a link at the end of a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// The file that it leads to: a person named this very path.
    Follow,
    /// Nothing: whoever made the folder could make it lead anywhere.
    Refuse,
}

/// Opens a regular file for reading.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when it is no regular file, or a link where those are refused; else
/// the I/O error.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    // Opening a pipe would wait for whoever writes to it.
    let mut flags = OFlags::NONBLOCK;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = flags.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return io::Error::new(ErrorKind::InvalidInput, "it is a link");
        }
        error
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bounded_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let kind = |bytes_max| read_text(&path, bytes_max).map_err(|error| error.kind());
        assert_eq!(kind(4), Err(ErrorKind::NotFound));
        std::fs::write(&path, "four").unwrap();
        assert_eq!(kind(4).as_deref(), Ok("four"));
        assert_eq!(kind(3), Err(ErrorKind::FileTooLarge));
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(kind(4), Err(ErrorKind::InvalidData));
        std::fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        assert_eq!(kind(4), Err(ErrorKind::InvalidInput));
        assert_eq!(read_text(folder.path(), 4).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_link_is_followed_only_where_a_person_named_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "four").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_text(&link, 4).unwrap(), "four");
        assert_eq!(read_text_by(&file, Links::Refuse, 4).unwrap(), "four");
        let error = read_text_by(&link, Links::Refuse, 4).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidInput, "it is a link")
        );
    }
}
