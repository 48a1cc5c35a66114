//! Kinds of repositories: empty, detached, bare, shallow, linked, damaged, foreign.

use std::fs;

use meshhost_git::Plugin;
use meshhost_git::repository::{Error, Guest};

use crate::support::{NAMES, Repo, git_command};

#[test]
fn an_empty_repository_says_so() {
    let repo = Repo::empty();
    assert!(matches!(Plugin::log(repo.arg(), None, None, None, None), Err(Error::EmptyRepository)));
    assert!(Plugin::branches(repo.arg(), None, None).unwrap().is_empty());
    repo.write("f", "x\n");
    let state = Plugin::status(repo.arg(), None).unwrap();
    assert_eq!((state.head, state.branch.as_deref(), state.entries.len()), (None, Some("main"), 1));
    repo.git(&["add", "f"]);
    assert!(
        Plugin::diff(repo.arg(), None, None, Some(true), None, None).unwrap().changes.len() == 1
    );
    let info = Plugin::commit(repo.arg(), "first".into(), "m".into(), vec!["f".into()], None, None);
    assert!(info.unwrap().parents.is_empty());
}

#[test]
fn a_detached_head_has_no_branch() {
    let repo = Repo::rich();
    repo.git(&["checkout", "--quiet", "--detach", "side"]);
    let state = Plugin::status(repo.arg(), None).unwrap();
    assert_eq!(state.branch, None);
    assert!(Plugin::branches(repo.arg(), None, None).unwrap().iter().all(|one| !one.current));
    assert_eq!(Plugin::log(repo.arg(), None, None, None, None).unwrap().commits.len(), 3);
}

#[test]
fn bare_and_shallow_clones_answer_as_git_does() {
    let repo = Repo::rich();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repo.path().display());
    for (name, option) in [("bare", "--bare"), ("shallow", "--depth=2"), ("mirror", "--mirror")] {
        let place = folder.path().join(name);
        repo.git(&["clone", "--quiet", option, &url, place.to_str().unwrap()]);
        let path = Some(place.to_str().unwrap().to_owned());
        let log = Plugin::log(path.clone(), None, Some(1_000), None, None).unwrap();
        let output = git_command(&place).args(["log", "--format=%H %P"]).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        let shown: String = log
            .commits
            .iter()
            .map(|one| format!("{} {}\n", one.id, one.parents.join(" ")))
            .collect();
        assert_eq!(shown, expected, "{name}");
        let last = log.commits.last().unwrap().id.clone();
        let shown = Plugin::show(path, Some(last), None).unwrap();
        assert!(shown.commit.parents.is_empty() && !shown.difference.changes.is_empty());
    }
    let bare = Some(folder.path().join("bare").to_str().unwrap().to_owned());
    assert!(matches!(Plugin::status(bare.clone(), None), Err(Error::Invalid(_))));
    assert!(matches!(Plugin::diff(bare, None, None, None, None, None), Err(Error::Invalid(_))));
}

#[test]
fn a_folder_inside_a_linked_worktree_and_a_submodule_are_repositories() {
    let repo = Repo::rich();
    let inner = repo.path().join("src").to_str().unwrap().to_owned();
    let log = Plugin::log(Some(inner), None, None, None, None).unwrap();
    assert_eq!(log.commits[0].id, repo.git(&["rev-parse", "HEAD"]).trim());

    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    repo.git(&["worktree", "add", "--quiet", tree.to_str().unwrap(), "side"]);
    let state = Plugin::status(Some(tree.to_str().unwrap().to_owned()), None).unwrap();
    assert_eq!((state.branch.as_deref(), state.entries.len()), (Some("side"), 0));

    let sub = repo.path().join("sub").to_str().unwrap().to_owned();
    assert_eq!(
        Plugin::log(Some(sub), None, None, None, None).unwrap().commits[0].summary,
        "Inside"
    );
}

#[test]
fn names_come_back_as_they_are() {
    let repo = Repo::rich();
    let listing = Plugin::tree(repo.arg(), Some("v1.0".into()), None, Some(true), None).unwrap();
    for name in NAMES {
        assert!(listing.entries.iter().any(|entry| entry.path == name), "{name:?}");
    }
}

#[test]
fn what_is_no_repository_or_damaged_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let log = |path: &std::path::Path| {
        Plugin::log(Some(path.to_str().unwrap().to_owned()), None, None, None, None).unwrap_err()
    };
    assert!(matches!(log(folder.path()), Error::NotARepository(_)));
    assert!(matches!(log(&folder.path().join("none")), Error::NotARepository(_)));

    let repo = Repo::rich();
    for entry in fs::read_dir(repo.path().join(".git/objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            fs::remove_file(&path).unwrap();
            fs::write(&path, b"PACK, but not really").unwrap();
        }
    }
    let error = log(repo.path());
    assert!(matches!(error, Error::Fault(_) | Error::UnknownRevision(_)), "{error:?}");

    let sha256 = tempfile::tempdir().unwrap();
    let init =
        git_command(sha256.path()).args(["init", "--quiet", "--object-format=sha256"]).status();
    if init.unwrap().success() {
        assert!(matches!(log(sha256.path()), Error::Unsupported(_)), "{:?}", log(sha256.path()));
    }
}
