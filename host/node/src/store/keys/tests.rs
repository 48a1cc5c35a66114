use std::{
    os::unix::fs::{PermissionsExt, symlink},
    sync::atomic::{AtomicBool, Ordering},
};

use meshhost_core::code::Code;

use super::*;
use crate::{
    store::directory::Access,
    sys::{SystemClock, SystemEntropy},
};

async fn directory(home: &Path) -> DataDirectory {
    DataDirectory::open(&home.join("data"), Access::Command).await.unwrap()
}

fn open(directory: &DataDirectory) -> Result<Keys, StoreError> {
    Keys::open(directory, &SystemClock, &SystemEntropy)
}

#[tokio::test]
async fn keys_are_made_once_and_differ() {
    let home = tempfile::tempdir().unwrap();
    let directory = directory(home.path()).await;
    let first = open(&directory).unwrap();
    let second = open(&directory).unwrap();
    assert_eq!(first.node().public_key(), second.node().public_key());
    assert_eq!(first.evidence().public_key(), second.evidence().public_key());
    assert_eq!(first.host_id(), second.host_id());
    assert_ne!(first.node().public_key(), first.evidence().public_key());
    assert_ne!(first.derived(Purpose::CodeCache), first.derived(Purpose::Store));
    assert_eq!(first.derived(Purpose::Store), second.derived(Purpose::Store));
    let mode = fs::metadata(directory.node_key()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = format!("{first:?}");
    assert_eq!(text, format!("Keys {{ host_id: {:?}, .. }}", first.host_id().as_str()));
}

#[tokio::test]
async fn key_files_that_others_could_have_touched_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let directory = directory(home.path()).await;
    open(&directory).unwrap();
    let path = directory.node_key();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(open(&directory).unwrap_err().code(), Code::StoreMode, "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let second_name = home.path().join("second");
    fs::hard_link(&path, &second_name).unwrap();
    assert_eq!(open(&directory).unwrap_err().code(), Code::StoreMode);
    fs::remove_file(&path).unwrap();
    symlink(&second_name, &path).unwrap();
    assert!(open(&directory).is_err());
}

#[tokio::test]
async fn files_that_are_not_keys_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let directory = directory(home.path()).await;
    open(&directory).unwrap();
    for wrong in [&[][..], &[1; 31], &[1; 33], &[1; 100_000]] {
        fs::write(directory.evidence_key(), wrong).unwrap();
        assert!(matches!(open(&directory).unwrap_err(), StoreError::Damaged { .. }));
    }
    fs::write(directory.evidence_key(), [1; 32]).unwrap();
    for wrong in ["", "two words", "line\n"] {
        fs::write(directory.host_id(), wrong).unwrap();
        assert!(matches!(open(&directory).unwrap_err(), StoreError::Damaged { .. }), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_lost_key_is_not_replaced_beside_a_store() {
    let home = tempfile::tempdir().unwrap();
    let directory = directory(home.path()).await;
    open(&directory).unwrap();
    fs::write(directory.database(), "").unwrap();
    fs::remove_file(directory.evidence_key()).unwrap();
    assert!(matches!(open(&directory).unwrap_err(), StoreError::Damaged { what: "evidence.key" }));
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_read_whole() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let replace = || {
        let new = path.with_extension("new");
        fs::write(&new, [1; 32]).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    replace();
    let over = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                replace();
            }
        });
        let read: Result<Vec<_>, _> = (0..5_000).map(|_| read_private(&path, "file", 32)).collect();
        over.store(true, Ordering::SeqCst);
        read
    });
    assert!(read.unwrap().iter().all(|bytes| bytes.as_deref() == Some(&[1; 32][..])));
}
