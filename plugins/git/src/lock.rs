//! Replacing a file of the repository as git does: its `.lock` beside it is made first, by one
//! writer alone, and renamed over it in the end.
//!
//! gix has this too, but asks for the id of the process, and a component has none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that nobody else replaces meanwhile. Dropped before [`finish`](Lock::finish), it leaves
/// everything as it was.
#[derive(Debug)]
pub(crate) struct Lock {
    target: PathBuf,
    lock: PathBuf,
    file: Option<File>,
}

impl Lock {
    /// Locks `target`; its folders are made when they are not there.
    ///
    /// # Errors
    /// When somebody has it locked (`AlreadyExists`), or nothing may be written there.
    pub(crate) fn take(target: &Path) -> io::Result<Self> {
        if let Some(folder) = target.parent().filter(|folder| !folder.is_dir()) {
            fs::create_dir_all(folder)?;
        }
        let mut lock = target.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let file = OpenOptions::new().write(true).create_new(true).open(&lock)?;
        Ok(Self { target: target.to_path_buf(), lock, file: Some(file) })
    }

    /// Puts the bytes in place.
    ///
    /// # Errors
    /// When they cannot be written; the file is then as it was.
    pub(crate) fn finish(mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        drop(file);
        let done = written.and_then(|()| fs::rename(&self.lock, &self.target));
        if done.is_err() {
            let _ = fs::remove_file(&self.lock);
        }
        done
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_replaces_and_a_dropped_lock_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a/b");
        let lock = Lock::take(&target).unwrap();
        assert_eq!(Lock::take(&target).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        lock.finish(b"new").unwrap();
        drop(Lock::take(&target).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }
}
