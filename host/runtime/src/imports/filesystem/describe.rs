//! What a guest sees of a file, and times on their way to the system.

use rustix::fs::{FileType, Stat, Timespec, Timestamps};

use super::bindings::wasi::filesystem::types::{
    DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp,
};
use crate::live::number;

/// The wall clock's record, as the bindings name it.
type Datetime = wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

/// The kind of a file, as the interface names it.
pub(super) fn kind_of(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

/// What the guest sees of a file: no owner, no device, no inode.
pub(super) fn describe(stat: &Stat) -> DescriptorStat {
    let time = |seconds: i64, nanoseconds: u64| {
        let nanoseconds = u32::try_from(nanoseconds).ok()?;
        u64::try_from(seconds).ok().map(|seconds| Datetime { seconds, nanoseconds })
    };
    DescriptorStat {
        type_: kind_of(FileType::from_raw_mode(stat.st_mode)),
        link_count: number(stat.st_nlink),
        size: number(stat.st_size),
        data_access_timestamp: time(stat.st_atime, number(stat.st_atime_nsec)),
        data_modification_timestamp: time(stat.st_mtime, number(stat.st_mtime_nsec)),
        status_change_timestamp: time(stat.st_ctime, number(stat.st_ctime_nsec)),
    }
}

/// A value that is equal for equal files and says nothing else of them.
pub(super) fn metadata_hash(stat: &Stat) -> MetadataHashValue {
    let mut hasher = blake3::Hasher::new_derive_key("meshhost 2026 file identity");
    hasher.update(&number(stat.st_dev).to_le_bytes());
    hasher.update(&number(stat.st_ino).to_le_bytes());
    let mut reader = hasher.finalize_xof();
    let (mut lower, mut upper) = ([0; 8], [0; 8]);
    reader.fill(&mut lower);
    reader.fill(&mut upper);
    MetadataHashValue { lower: u64::from_le_bytes(lower), upper: u64::from_le_bytes(upper) }
}

/// Times as the system takes them; what cannot be one is an error, never a panic.
pub(super) fn timestamps(
    accessed: NewTimestamp,
    modified: NewTimestamp,
) -> Result<Timestamps, ErrorCode> {
    Ok(Timestamps { last_access: timespec(accessed)?, last_modification: timespec(modified)? })
}

fn timespec(time: NewTimestamp) -> Result<Timespec, ErrorCode> {
    match time {
        NewTimestamp::NoChange => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }),
        NewTimestamp::Now => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW }),
        NewTimestamp::Timestamp(Datetime { seconds, nanoseconds }) => {
            if nanoseconds >= 1_000_000_000 {
                return Err(ErrorCode::Invalid);
            }
            let tv_sec = i64::try_from(seconds).map_err(|_| ErrorCode::Overflow)?;
            Ok(Timespec { tv_sec, tv_nsec: nanoseconds.into() })
        }
    }
}
