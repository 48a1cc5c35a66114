//! What a guest may not write without the right to let others execute it, and the ways around that.

use super::*;

#[tokio::test]
async fn names_through_which_others_execute_need_their_own_grant() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    std::fs::create_dir_all(files.host(".git/hooks")).unwrap();
    std::fs::write(files.host(".git/config"), "old").unwrap();
    symlink(".git", files.host("innocent")).unwrap();
    for path in
        [".git/hooks/pre-commit", ".git/config", "innocent/config", ".bashrc", ".GIT/config"]
    {
        assert!(files.write(path).await.is_err(), "{path}");
    }
    assert_eq!(files.rename(".git", "moved").await, Err(ErrorCode::NotPermitted));
    std::fs::create_dir_all(files.host("trap/hooks")).unwrap();
    assert_eq!(files.rename("trap", "inner/.git").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.rename("file", ".envrc").await, Err(ErrorCode::NotPermitted));
    // A file or link of that name makes another folder the repository.
    std::fs::write(files.host("trap/.git"), "gitdir: x").unwrap();
    for name in ["inner/.git", "trap/.git"] {
        assert_eq!(files.write(name).await, Err(ErrorCode::NotPermitted), "{name}");
    }
    assert_eq!(files.rename("file", "inner/.git").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.link("file", "inner/.git").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.symlink("../trap", "inner/.git").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.link(".git/config", "harmless").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.read(".git/config").await.unwrap(), "old");
    assert_eq!(files.permissions(), ["fs:rw+exec=/data"]);
    let mut files = Fixture::new(FolderMode::RwExec).await;
    std::fs::create_dir_all(files.host(".git/hooks")).unwrap();
    files.write(".git/hooks/pre-commit").await.unwrap();
}

#[tokio::test]
async fn no_link_comes_into_a_repository_and_nothing_that_may_become_one() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    std::fs::create_dir_all(files.host(".git/logs")).unwrap();
    std::fs::create_dir(files.host("bare.git")).unwrap();
    symlink(".git", files.host("innocent")).unwrap();
    files.symlink("../.git/config", "inner/HEAD").await.unwrap();
    for (target, path) in [
        ("../config", ".git/logs/HEAD"),
        ("config", ".git/COMMIT_EDITMSG"),
        ("config", "innocent/FETCH_HEAD"),
        ("config", "bare.git/FETCH_HEAD"),
    ] {
        assert_eq!(files.symlink(target, path).await, Err(ErrorCode::NotPermitted), "{path}");
    }
    for (old, new) in [
        ("inner/HEAD", ".git/logs/HEAD"),
        ("inner", ".git/logs/refs"),
        ("file", ".git/COMMIT_EDITMSG"),
    ] {
        assert_eq!(files.rename(old, new).await, Err(ErrorCode::NotPermitted), "{old}");
        assert!(files.host(old).symlink_metadata().is_ok(), "{old}");
    }
    assert_eq!(files.link("file", ".git/COMMIT_EDITMSG").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.permissions(), ["fs:rw+exec=/data"]);
    files.write(".git/HEAD.lock").await.unwrap();
    files.rename(".git/HEAD.lock", ".git/HEAD").await.unwrap();
    files.rename(".git/HEAD", "inner/HEAD").await.unwrap();
    let mut files = Fixture::new(FolderMode::RwExec).await;
    std::fs::create_dir_all(files.host(".git/logs")).unwrap();
    files.symlink("../config", ".git/logs/HEAD").await.unwrap();
}
