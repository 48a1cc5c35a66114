use std::os::unix::fs::{PermissionsExt, symlink};

use meshhost_core::code::Code;

use super::*;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn open(path: &Path) -> Result<DataDirectory, StoreError> {
    DataDirectory::open_within(path, Access::Command, Duration::ZERO).await
}

#[tokio::test]
async fn a_new_directory_is_private_and_complete() {
    let home = tempfile::tempdir().unwrap();
    let directory = open(&home.path().join("a/b")).await.unwrap();
    assert_eq!(fs::metadata(directory.path()).unwrap().mode() & 0o777, 0o700);
    for folder in FOLDERS {
        let mode = fs::metadata(directory.path().join(folder)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    let lock = fs::read_to_string(directory.path().join("node.lock")).unwrap();
    assert_eq!(lock, format!("process {} (command)\n", process::id()));
}

#[tokio::test]
async fn a_directory_that_others_can_reach_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for mode in [0o750, 0o705, 0o770, 0o777, 0o711] {
        set_mode(home.path(), mode);
        let error = open(home.path()).await.unwrap_err();
        assert_eq!(error.code(), Code::StoreMode, "{mode:o}");
    }
    set_mode(home.path(), 0o700);
    open(home.path()).await.unwrap();
    set_mode(&home.path().join("blobs"), 0o755);
    let error = open(home.path()).await.unwrap_err();
    assert_eq!(error.to_string(), "blobs can be read or written by others; run `chmod 700` on it");
}

#[tokio::test]
async fn the_second_opener_is_told_who_holds_it_and_comes_in_after() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    let first = DataDirectory::open(&path, Access::Node).await.unwrap();
    let error = open(&path).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreLocked);
    let text = error.to_string();
    assert!(text.contains(&format!("process {} (node)", process::id())), "{text}");
    let waiting = tokio::spawn(async move { DataDirectory::open(&path, Access::Command).await });
    drop(first);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lock_file_that_is_a_link_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    drop(open(&path).await.unwrap());
    fs::remove_file(path.join("node.lock")).unwrap();
    let victim = home.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, path.join("node.lock")).unwrap();
    assert!(open(&path).await.is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test]
async fn a_stale_socket_is_removed_and_everything_here_is_excluded() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    let directory = open(&path).await.unwrap();
    fs::write(directory.socket(), "").unwrap();
    drop(directory);
    let directory = open(&path).await.unwrap();
    assert!(!directory.socket().exists());
    fs::write(directory.node_key(), "").unwrap();
    fs::write(directory.heads(), "").unwrap();
    let excluded = directory.excluded().unwrap();
    for inside in [directory.path().to_owned(), directory.blobs(), directory.node_key()] {
        let metadata = fs::metadata(inside).unwrap();
        assert!(excluded.contains(&identity(&metadata)));
    }
    // It is replaced all the time, so what had its inode may be anybody's.
    assert!(!excluded.contains(&identity(&fs::metadata(directory.heads()).unwrap())));
}

#[tokio::test]
async fn what_a_killed_process_was_writing_is_removed_by_who_comes_next_and_by_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    let first = open(&path).await.unwrap();
    let left = ["code/ab-12.code.7-0.new", "components/.ab.wasm.new"].map(|file| path.join(file));
    let kept = ["code/ab-12.code", "components/ab.wasm"].map(|file| path.join(file));
    for file in left.iter().chain(&kept) {
        fs::write(file, "code").unwrap();
    }
    open(&path).await.unwrap_err();
    assert!(left.iter().all(|file| file.exists()), "the first process may be writing them");
    drop(first);
    let _next = open(&path).await.unwrap();
    assert!(!left.iter().any(|file| file.exists()));
    assert!(kept.iter().all(|file| file.exists()));
}
