//! `status` and `commit`.

use std::fs;

use meshhost_git::Plugin;
use meshhost_git::repository::{ChangeKind, CommitInfo, Error, Guest};

use crate::support::Repo;

fn letter(kind: Option<ChangeKind>) -> char {
    match kind {
        None => ' ',
        Some(ChangeKind::Added) => 'A',
        Some(ChangeKind::Modified) => 'M',
        Some(ChangeKind::Deleted) => 'D',
        Some(ChangeKind::Renamed) => 'R',
        Some(ChangeKind::TypeChanged) => 'T',
        Some(ChangeKind::Untracked) => '?',
        Some(ChangeKind::Conflicted) => 'U',
    }
}

fn by_plugin(repo: &Repo) -> Vec<String> {
    let state = Plugin::status(repo.arg(), None).unwrap();
    let mut lines = Vec::new();
    for entry in state.entries {
        let (x, y) = (letter(entry.staged), letter(entry.unstaged));
        let old = entry.old_path.map(|old| format!("\0{old}")).unwrap_or_default();
        if y == '?' {
            lines.push(format!("?? {}", entry.path));
        }
        // git has two lines for a file that left the index and is still there.
        if y != '?' || x != ' ' {
            lines.push(format!("{x}{} {}{old}", if y == '?' { ' ' } else { y }, entry.path));
        }
    }
    lines.sort();
    lines
}

#[test]
fn status_agrees() {
    let clean = Repo::rich();
    assert_eq!(by_plugin(&clean), clean.porcelain());
    assert!(by_plugin(&clean).is_empty());
    let repo = Repo::messy();
    assert_eq!(by_plugin(&repo), repo.porcelain());
    let state = Plugin::status(repo.arg(), Some(2)).unwrap();
    assert_eq!((state.entries.len(), state.truncated), (2, true));
    assert_eq!(state.branch.as_deref(), Some("main"));
    assert_eq!(state.head.unwrap(), repo.git(&["rev-parse", "HEAD"]).trim());
}

#[test]
fn status_shows_conflicts() {
    let state = Plugin::status(Repo::conflicted().arg(), None).unwrap();
    assert_eq!(state.entries.len(), 1);
    assert_eq!(state.entries[0].unstaged, Some(ChangeKind::Conflicted));
}

fn commit(repo: &Repo, branch: &str, files: &[&str]) -> Result<CommitInfo, Error> {
    let files = files.iter().map(|file| (*file).to_owned()).collect();
    Plugin::commit(repo.arg(), branch.into(), "A message\n\nand body\n".into(), files, None, None)
}

#[test]
fn commit_on_the_branch_that_is_checked_out() {
    let repo = Repo::rich();
    repo.git(&["checkout", "--quiet", "-b", "work"]);
    repo.write("side.txt", "mine\n");
    repo.write("new/deep.txt", "new\n");
    repo.write("not committed", "x\n");
    fs::remove_file(repo.path().join("bin")).unwrap();
    std::os::unix::fs::symlink("side.txt", repo.path().join("new/link")).unwrap();
    let head = repo.git(&["rev-parse", "HEAD"]);
    let files = ["side.txt", "new/deep.txt", "new/link", "bin", "run.sh"];
    let info = commit(&repo, "work", &files).unwrap();
    assert_eq!(info.id, repo.git(&["rev-parse", "work"]).trim());
    assert_eq!(info.parents, [head.trim()]);
    assert_eq!((info.author.name.as_str(), info.summary.as_str()), ("Ada Lovelace", "A message"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "?? \"not committed\"\n");
    let names = repo.git(&["show", "--format=", "--name-status", "HEAD"]);
    assert_eq!(names, "D\tbin\nA\tnew/deep.txt\nA\tnew/link\nM\tside.txt\n");
    assert!(repo.git(&["fsck", "--strict"]).is_empty());
    for log in ["HEAD", "work"] {
        let noted = repo.git(&["reflog", "show", "-1", "--format=%H %gs %gn", log]);
        assert_eq!(noted, format!("{} commit: A message Ada Lovelace\n", info.id));
    }
    assert!(matches!(commit(&repo, "work", &["side.txt"]), Err(Error::NothingToCommit)));
}

#[test]
fn commit_on_another_branch_leaves_the_working_folder_alone() {
    let repo = Repo::rich();
    repo.write("side.txt", "mine\n");
    let status = repo.porcelain();
    let info = commit(&repo, "topic/new", &["side.txt"]).unwrap();
    assert_eq!(info.parents, [repo.git(&["rev-parse", "main"]).trim()]);
    assert_eq!(repo.git(&["show", "topic/new:side.txt"]), "mine\n");
    assert_eq!(repo.porcelain(), status);
    let info = commit(&repo, "side", &["side.txt"]).unwrap();
    assert_eq!(info.parents, [repo.git(&["rev-parse", "side~1"]).trim()]);
}

#[test]
fn commit_moves_nothing_when_the_index_cannot_follow() {
    let repo = Repo::rich();
    repo.git(&["checkout", "--quiet", "-b", "work"]);
    repo.write("side.txt", "mine\n");
    let before = (repo.git(&["for-each-ref"]), repo.porcelain());
    fs::write(repo.path().join(".git/index.lock"), "").unwrap();
    let refused = commit(&repo, "work", &["side.txt"]);
    assert!(matches!(refused, Err(Error::NotPermitted(_))), "{refused:?}");
    fs::remove_file(repo.path().join(".git/index.lock")).unwrap();
    assert_eq!((repo.git(&["for-each-ref"]), repo.porcelain()), before);
    commit(&repo, "work", &["side.txt"]).unwrap();
}

#[test]
fn commit_refuses_protected_branches_wrong_names_and_wrong_files() {
    let repo = Repo::rich();
    repo.write("side.txt", "mine\n");
    repo.git(&["remote", "add", "origin", "file:///nowhere"]);
    repo.git(&["update-ref", "refs/remotes/origin/staging", "HEAD"]);
    repo.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/staging"]);
    repo.git(&["branch", "elsewhere"]);
    let other = tempfile::tempdir().unwrap();
    let folder = other.path().join("tree");
    repo.git(&["worktree", "add", "--quiet", folder.to_str().unwrap(), "elsewhere"]);
    let before = repo.git(&["for-each-ref"]);
    for branch in ["main", "Master", "release/1.0", "staging", "elsewhere"] {
        let refused = commit(&repo, branch, &["side.txt"]);
        assert!(matches!(refused, Err(Error::ProtectedBranch(_))), "{branch}: {refused:?}");
    }
    for branch in ["side/deeper", "", "-x", "HEAD", "a..b", "../../HEAD", "x.lock", "a b"] {
        let refused = commit(&repo, branch, &["side.txt"]);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{branch}: {refused:?}");
    }
    std::os::unix::fs::symlink("src", repo.path().join("through")).unwrap();
    for file in
        ["../x", "/etc/passwd", ".git/config", "src/.GIT/x", "through/renamed.rs", "a/./b", ""]
    {
        let refused = commit(&repo, "work", &[file]);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{file}: {refused:?}");
    }
    repo.write(".gitattributes", "*.big filter=lfs\n");
    repo.write("x.big", "pointer\n");
    let refused = commit(&repo, "work", &["x.big"]);
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
    assert_eq!(repo.git(&["for-each-ref"]), before);
}

#[test]
fn commit_runs_no_hook_and_no_filter() {
    let repo = Repo::rich();
    let trap = repo.path().join("ran");
    let script = format!("#!/bin/sh\ntouch '{}'\ncat\n", trap.display());
    for hook in
        ["pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"]
    {
        let place = repo.path().join(".git/hooks").join(hook);
        fs::write(&place, &script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&place, mode).unwrap();
    }
    let evil = repo.path().join("evil.sh");
    fs::write(&evil, &script).unwrap();
    fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let evil = evil.to_str().unwrap();
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.command",
        "diff.evil.textconv",
        "diff.external",
        "core.fsmonitor",
        "core.sshCommand",
        "gpg.program",
        "core.editor",
        "core.pager",
        "credential.helper",
    ] {
        repo.git(&["config", key, evil]);
    }
    let _ = fs::remove_file(&trap);
    repo.write(".gitattributes", "*.txt diff=evil\nside.txt filter=evil\n");
    repo.write("side.txt", "changed\n");
    repo.write("plain", "x\n");
    Plugin::status(repo.arg(), None).unwrap();
    Plugin::diff(repo.arg(), None, None, None, None, None).unwrap();
    Plugin::diff(repo.arg(), Some("v1.0".into()), Some("HEAD".into()), None, None, None).unwrap();
    Plugin::blame(repo.arg(), "side.txt".into(), None, None, None).unwrap();
    assert!(commit(&repo, "work", &["side.txt"]).is_err());
    commit(&repo, "work", &["plain"]).unwrap();
    assert!(!trap.exists(), "something of the repository's configuration ran");
}
