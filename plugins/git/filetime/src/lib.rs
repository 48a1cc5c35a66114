//! Stand-in for the crate `filetime`, which panics under WASI: times of files as std tells them.
//! It has exactly what gix calls.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

/// A time of a file: seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime {
    seconds: i64,
    nanoseconds: u32,
}

impl FileTime {
    /// When the content last changed; 1970 when nobody knows.
    #[must_use]
    pub fn from_last_modification_time(metadata: &Metadata) -> Self {
        metadata.modified().unwrap_or(UNIX_EPOCH).into()
    }

    /// The time that it is.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// A time.
    #[must_use]
    pub fn from_unix_time(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds }
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after that second.
    #[must_use]
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> Self {
        // Before 1970 nothing is told apart: git did not exist.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Self { seconds, nanoseconds: since.subsec_nanos() }
    }
}
