//! The log of a node in the background: a file in the data directory that its standard error goes to.
//! Once it has [`BYTES_MAX`] it becomes the older one and a new one begins, so that there are two at most.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::stdio::dup2_stderr;

/// What the node says while it serves in the background.
pub(super) const LOG: &str = "serve.log";
/// What it said before.
const OLDER: &str = "serve.log.1";
/// Bytes of a log from which on another one begins.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How often one looks how long it is.
const LOOK: Duration = Duration::from_secs(1);

/// An empty log in this data directory.
///
/// # Errors
/// The I/O error.
pub(super) fn begin(data: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(data.join(LOG))
}

/// Keeps the log from growing without end, as long as this process writes it. Standard error that goes
/// elsewhere is whoever's it is, and left alone.
pub(super) async fn keep_bounded(data: PathBuf) {
    loop {
        match is_written_here(&data) {
            Ok(Some(bytes)) if bytes >= BYTES_MAX => {
                if let Err(error) = renew(&data) {
                    tracing::warn!(%error, "{LOG} is full and cannot be begun anew");
                    return;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The bytes of the log, when it is what standard error goes to.
fn is_written_here(data: &Path) -> io::Result<Option<u64>> {
    let written = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    let log = fs::symlink_metadata(data.join(LOG))?;
    let same = (written.dev(), written.ino()) == (log.dev(), log.ino());
    Ok(same.then_some(log.len()))
}

/// The log becomes the older one, and what is said next goes into a new one.
fn renew(data: &Path) -> io::Result<()> {
    fs::rename(data.join(LOG), data.join(OLDER))?;
    dup2_stderr(begin(data)?)?;
    Ok(())
}
