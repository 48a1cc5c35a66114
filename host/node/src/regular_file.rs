//! Reads files that a person named or wrote, bounded: only regular files are opened, so that none
//! can block or never end.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// A file, whole.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when it is no regular file, [`ErrorKind::FileTooLarge`] when it has
/// more than `bytes_max` bytes, else the I/O error.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
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
    let bytes = read(path, u64::try_from(bytes_max).unwrap_or(u64::MAX))?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for whoever writes to it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
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
}
