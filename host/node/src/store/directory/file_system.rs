//! Which file systems are not local: there, locks may be advisory between machines only in name,
//! and SQLite's shared memory does not work.

use std::path::Path;

use crate::store::error::StoreError;

/// The kind of network or user-space file system that `path` lies on; `None` for a local one.
#[cfg(target_os = "linux")]
pub(super) fn network_kind(path: &Path) -> Result<Option<&'static str>, StoreError> {
    let facts = rustix::fs::statfs(path)
        .map_err(|error| StoreError::io("look at the file system")(error.into()))?;
    // The field's width and sign differ between architectures; the magic numbers are 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a magic number is its low 32 bits"
    )]
    let magic = facts.f_type as u32;
    Ok(kind_of(magic))
}

/// As above, where the system says itself whether a file system is local.
#[cfg(target_os = "macos")]
pub(super) fn network_kind(path: &Path) -> Result<Option<&'static str>, StoreError> {
    /// `MNT_LOCAL` in `sys/mount.h`.
    const LOCAL: u32 = 0x1000;
    let facts = rustix::fs::statfs(path)
        .map_err(|error| StoreError::io("look at the file system")(error.into()))?;
    Ok((facts.f_flags & LOCAL == 0).then_some("a network file system"))
}

/// The numbers are those of `linux/magic.h` and of the file systems' own sources.
#[cfg(target_os = "linux")]
const fn kind_of(magic: u32) -> Option<&'static str> {
    match magic {
        0x0000_6969 => Some("NFS"),
        0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x6573_5546 => Some("a FUSE file system"),
        0x0102_1997 => Some("9P"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0000_564c => Some("NCP"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636f => Some("OCFS2"),
        0x4750_4653 => Some("GPFS"),
        0x786f_4256 => Some("a shared folder of VirtualBox"),
        _ => None,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_and_local_ones_pass() {
        for magic in [0x6969, 0xff53_4d42, 0x6573_5546, 0x0102_1997] {
            assert!(kind_of(magic).is_some(), "{magic:#x}");
        }
        for (name, magic) in [
            ("ext4", 0xef53),
            ("tmpfs", 0x0102_1994),
            ("btrfs", 0x9123_683e),
            ("xfs", 0x5846_5342),
            ("overlay", 0x794c_7630),
        ] {
            assert_eq!(kind_of(magic), None, "{name}");
        }
    }

    #[test]
    fn the_file_system_of_the_test_folder_is_local() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_kind(folder.path()).unwrap(), None);
    }
}
