//! A folder that is granted for commits alone, and what a guest may try there.

use super::*;

/// A repository as far as files go, in a folder granted for commits.
async fn repository() -> Fixture {
    let files = Fixture::new(FolderMode::Git).await;
    for folder in ["objects/ab", "objects/pack", "refs/heads", "refs/tags", "logs", "hooks", "info"]
    {
        std::fs::create_dir_all(files.host(".git").join(folder)).unwrap();
    }
    for name in ["HEAD", "config", "index", "logs/HEAD", "objects/ab/one", "objects/pack/p.pack"] {
        std::fs::write(files.host(".git").join(name), "old").unwrap();
    }
    files
}

async fn make_folder(files: &mut Fixture, path: &str) -> Result<(), ErrorCode> {
    let root = files.root();
    code(files.view().create_directory_at(root, path.to_owned()).await)
}

#[tokio::test]
async fn what_a_commit_writes_is_written() {
    let mut files = repository().await;
    assert_eq!(files.read("file").await.unwrap(), "content");
    assert_eq!(files.read(".git/config").await.unwrap(), "old");
    make_folder(&mut files, ".git/objects/cd").await.unwrap();
    make_folder(&mut files, ".git/logs/refs").await.unwrap();
    make_folder(&mut files, ".git/logs/refs/heads").await.unwrap();
    files.write(".git/objects/.tmp1").await.unwrap();
    files.rename(".git/objects/.tmp1", ".git/objects/cd/ef").await.unwrap();
    files.write(".git/refs/heads/work.lock").await.unwrap();
    files.rename(".git/refs/heads/work.lock", ".git/refs/heads/work").await.unwrap();
    files.write(".git/logs/HEAD").await.unwrap();
    files.write(".git/logs/refs/heads/work").await.unwrap();
    files.write(".git/index.lock").await.unwrap();
    files.rename(".git/index.lock", ".git/index").await.unwrap();
    files.write(".git/refs/heads/other.lock").await.unwrap();
    files.unlink(".git/refs/heads/other.lock").await.unwrap();
    assert_eq!(files.read(".git/index").await.unwrap(), "new");
    assert!(files.permissions().is_empty());
}

#[tokio::test]
async fn nothing_else_is_written() {
    let mut files = repository().await;
    symlink(".git", files.host("innocent")).unwrap();
    for (path, permission) in [
        ("file", "fs:rw=/data"),
        ("inner/new", "fs:rw=/data"),
        ("inner/.git", "fs:rw=/data"),
        (".git/HEAD", "fs:rw=/data"),
        (".git/packed-refs", "fs:rw=/data"),
        (".git/refs/tags/v1", "fs:rw=/data"),
        (".git/objects/info/alternates", "fs:rw=/data"),
        (".git/objects/pack/p.pack", "fs:rw=/data"),
        (".git/rebase-merge/git-rebase-todo", "fs:rw+exec=/data"),
        (".git/objects/../HEAD", "fs:rw=/data"),
        (".git/config", "fs:rw+exec=/data"),
        (".git/config.worktree", "fs:rw+exec=/data"),
        (".git/hooks/pre-commit", "fs:rw+exec=/data"),
        (".git/objects/../hooks/x", "fs:rw+exec=/data"),
        ("innocent/hooks/x", "fs:rw+exec=/data"),
        (".git/info/attributes", "fs:rw+exec=/data"),
        ("Makefile", "fs:rw+exec=/data"),
    ] {
        if let Some((folder, _)) = path.rsplit_once('/') {
            std::fs::create_dir_all(files.host(folder)).unwrap();
        }
        let before = std::fs::read(files.host(path)).ok();
        assert_eq!(files.write(path).await, Err(ErrorCode::NotPermitted), "{path}");
        assert!(files.permissions().contains(&permission.to_owned()), "{path}");
        assert!(files.unlink(path).await.is_err(), "{path}");
        assert_eq!(std::fs::read(files.host(path)).ok(), before, "{path}");
    }
    for folder in [".git/hooks", "inner/.git", ".git/objects/.git", "made"] {
        assert!(make_folder(&mut files, folder).await.is_err(), "{folder}");
    }
    assert_eq!(
        files.open(".git/config", OpenFlags::TRUNCATE, DescriptorFlags::READ).await.err(),
        Some(ErrorCode::NotPermitted)
    );
}

#[tokio::test]
async fn no_rename_brings_anything_elsewhere() {
    let mut files = repository().await;
    std::fs::create_dir_all(files.host(".git/objects/tree/hooks")).unwrap();
    std::fs::write(files.host(".git/objects/tree/hooks/pre-commit"), "evil").unwrap();
    symlink("../config", files.host(".git/objects/link")).unwrap();
    for (old, new) in [
        (".git/objects/tree", ".git/hooks"),
        (".git/objects/tree/hooks", ".git/hooks"),
        (".git/objects/tree/hooks/pre-commit", ".git/hooks/pre-commit"),
        (".git/objects/tree", ".git/objects/.git"),
        (".git/objects/tree", ".git/objects/moved"),
        (".git/objects/tree", ".git/refs/heads/tree"),
        (".git/objects/ab/one", ".git/config"),
        (".git/objects/ab/one", ".git/HEAD"),
        (".git/objects/ab/one", ".git/refs/heads/HEAD"),
        (".git/objects/ab/one", "file"),
        (".git/objects/link", ".git/logs/HEAD"),
        ("file", ".git/objects/ab/file"),
        (".git/hooks", ".git/objects/hooks"),
        (".git/config", ".git/objects/config"),
        (".git/objects", "objects"),
        (".git/logs", ".git/objects/repository"),
        (".git", "moved"),
        ("inner", ".git/objects/inner"),
        ("inner", ".git"),
    ] {
        assert_eq!(files.rename(old, new).await, Err(ErrorCode::NotPermitted), "{old} {new}");
        assert!(files.host(old).symlink_metadata().is_ok(), "{old}");
    }
    assert_eq!(std::fs::read_dir(files.host(".git/hooks")).unwrap().count(), 0);
    assert_eq!(files.read(".git/config").await.unwrap(), "old");
}

#[tokio::test]
async fn no_link_is_made_and_none_is_written_through() {
    let mut files = repository().await;
    for (target, path) in [
        ("../config", ".git/logs/refs"),
        ("../../hooks", ".git/objects/out"),
        ("../../../file", ".git/refs/heads/out"),
        ("one", ".git/objects/ab/two"),
    ] {
        assert_eq!(files.symlink(target, path).await, Err(ErrorCode::NotPermitted), "{path}");
    }
    for (old, new) in [
        (".git/objects/ab/one", ".git/hooks/x"),
        (".git/config", ".git/objects/config"),
        ("file", ".git/objects/file"),
        (".git/objects/ab/one", ".git/objects/ab/two"),
    ] {
        assert_eq!(files.link(old, new).await, Err(ErrorCode::NotPermitted), "{old} {new}");
    }
    // Links that others made.
    symlink("../config", files.host(".git/logs/out")).unwrap();
    symlink("../hooks", files.host(".git/objects/hooks")).unwrap();
    std::fs::hard_link(files.host("file"), files.host(".git/objects/shared")).unwrap();
    for path in [".git/logs/out", ".git/objects/hooks/x", ".git/objects/shared"] {
        assert_eq!(files.write(path).await, Err(ErrorCode::NotPermitted), "{path}");
    }
    let cut = files.open(".git/objects/shared", OpenFlags::TRUNCATE, DescriptorFlags::READ).await;
    assert_eq!(cut, Err(ErrorCode::NotPermitted));
    assert_eq!(files.read("file").await.unwrap(), "content");
    assert_eq!(files.read(".git/config").await.unwrap(), "old");
}

#[tokio::test]
async fn a_git_folder_that_is_a_link_or_a_file_leads_to_nothing() {
    let mut files = Fixture::new(FolderMode::Git).await;
    std::fs::create_dir_all(files.host("elsewhere/objects")).unwrap();
    symlink("elsewhere", files.host(".git")).unwrap();
    assert_eq!(files.write(".git/objects/x").await, Err(ErrorCode::NotPermitted));
    std::fs::write(files.host("inner/.git"), "gitdir: ../elsewhere").unwrap();
    assert_eq!(files.write("inner/.git/objects/x").await, Err(ErrorCode::NotDirectory));
    assert_eq!(files.write("inner/.git").await, Err(ErrorCode::NotPermitted));
    assert_eq!(std::fs::read_dir(files.host("elsewhere/objects")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_open_folder_leads_nowhere_else() {
    let mut files = repository().await;
    for (folder, path) in
        [(".git", "hooks/x"), (".git/objects", "../hooks/x"), (".git/refs", "../config")]
    {
        let opened = files.open(folder, OpenFlags::DIRECTORY, DescriptorFlags::READ).await.unwrap();
        let opened = Resource::new_borrow(opened);
        let (follow, flags) = (PathFlags::SYMLINK_FOLLOW, DescriptorFlags::WRITE);
        let create = OpenFlags::CREATE;
        let made = files.view().open_at(opened, follow, path.to_owned(), create, flags).await;
        assert_eq!(code(made).err(), Some(ErrorCode::NotPermitted), "{folder} {path}");
    }
}

#[tokio::test]
async fn reading_alone_says_which_permission_commits_need() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    std::fs::create_dir_all(files.host(".git/objects")).unwrap();
    assert_eq!(files.write(".git/objects/x").await, Err(ErrorCode::NotPermitted));
    let nothing = Resource::new_borrow(files.nothing);
    let path = "srv/project/.git/index.lock".to_owned();
    let (none, create, write) = (PathFlags::empty(), OpenFlags::CREATE, DescriptorFlags::WRITE);
    assert!(code(files.view().open_at(nothing, none, path, create, write).await).is_err());
    assert_eq!(files.permissions(), ["fs:git=/data", "fs:git=/srv/project"]);
}

#[tokio::test]
async fn nothing_moves_in_from_another_folder() {
    let above = tempfile::tempdir().unwrap();
    let mut grants = EffectiveGrants::default();
    for (name, mode) in [("work", FolderMode::Rw), ("repository", FolderMode::Git)] {
        let path = above.path().join(name);
        std::fs::create_dir_all(path.join(".git/objects")).unwrap();
        std::fs::write(path.join("file"), "content").unwrap();
        let mut folder = folder_grant(&path, mode).folders.remove(0);
        folder.guest = format!("/{name}");
        grants.folders.push(folder);
    }
    let mut state = Setting::granted(grants).state();
    let mut view = View::of(&mut state);
    let folders = view.get_directories().await.unwrap();
    let folder = |place: usize| Resource::new_borrow(folders[place].0.rep());
    let (old, new) = ("file".to_owned(), ".git/objects/x".to_owned());
    let moved = view.rename_at(folder(0), old.clone(), folder(1), new.clone()).await;
    assert_eq!(code(moved), Err(ErrorCode::NotPermitted));
    let linked = view.link_at(folder(0), PathFlags::empty(), old.clone(), folder(1), new.clone());
    assert_eq!(code(linked.await), Err(ErrorCode::NotPermitted));
    let out = view.rename_at(folder(1), old, folder(0), new).await;
    assert_eq!(code(out), Err(ErrorCode::NotPermitted));
}
