//! Kills of `git.commit`: the repository is whole, and its branch is the old or the new one.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Known, text};
use crate::{
    git_repositories::Repo,
    support::{Home, guest},
};

/// The repository that is committed to.
pub(super) struct Committed {
    repo: Repo,
    path: String,
    /// The commit at the tip of the branch.
    tip: String,
}

impl Committed {
    /// A repository on a branch that may be committed to, and the plugin that may.
    pub(super) fn new(home: &Home) -> Self {
        let repo = Repo::rich();
        repo.git(&["checkout", "--quiet", "-b", "work"]);
        let folder = repo.arg().expect("a path that is text");
        home.install(&guest("git"), &["--grant", &format!("fs:git={folder}")]);
        repo.write("side.txt", "changed at first\n");
        let tip = tip(&repo);
        Self { path: format!("path={folder}"), repo, tip }
    }

    /// The command that commits one file; `message` is that parameter.
    pub(super) fn words<'a>(&'a self, message: &'a str) -> [&'a str; 7] {
        ["call", "git.commit", &self.path, "branch=work", message, "files=side.txt", "--json"]
    }

    /// Takes the branch as it is for the state before the next commit.
    pub(super) fn acknowledge(&mut self) {
        self.tip = tip(&self.repo);
    }

    /// Removes the locks that a killed commit left behind, of the branch and the index alone: whoever
    /// commits next is told of them, as with git, and removes them. Unfinished objects stay, as with
    /// git; they must not be in the way.
    fn tidy(&self, kill: u64) {
        let folder = self.repo.path().join(".git");
        for name in locks(&folder, &folder) {
            let known = ["index.lock", "HEAD.lock", "refs/heads/work.lock"];
            assert!(known.contains(&name.as_str()), "kill {kill}: {name}");
            fs::remove_file(folder.join(name)).expect("a lock");
        }
    }
}

fn tip(repo: &Repo) -> String {
    repo.git(&["rev-parse", "refs/heads/work"]).trim().to_owned()
}

/// Names of all `.lock` files below a folder.
fn locks(root: &Path, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(locks(root, &path));
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let name = path.strip_prefix(root).expect("it lies below");
            found.push(text(name).to_owned());
        }
    }
    found
}

impl Known {
    /// Kills a commit of one file and looks at what is left. Gives the id of the call when it was
    /// answered.
    pub(super) fn kill_a_commit(&mut self, kill: u64) -> Vec<String> {
        let (message, content) = (format!("message=commit {kill}"), format!("content {kill}\n"));
        self.committed.repo.write("side.txt", &content);
        let commit = self.start(&self.committed.words(&message));
        let ended = self.kill(commit, self.commit_us * 5 / 4);
        self.committed.tidy(kill);
        let repo = &self.committed.repo;
        let problems = repo.git(&["fsck", "--strict", "--no-dangling"]);
        assert!(problems.is_empty(), "kill {kill}: {problems}");
        let (before, now) = (self.committed.tip.clone(), tip(repo));
        if now == before {
            assert!(ended.is_none(), "kill {kill}: an acknowledged commit is lost: {ended:?}");
            self.count.commit_old += 1;
        } else {
            let shown = repo.git(&["log", "-1", "--format=%P %s", "work"]);
            assert_eq!(shown.trim(), format!("{before} commit {kill}"));
            assert_eq!(repo.git(&["show", "work:side.txt"]), content, "kill {kill}");
            self.count.commit_new += 1;
        }
        // The index is whole, whether it followed the branch or not.
        repo.git(&["status", "--porcelain"]);
        repo.git(&["reset", "--quiet"]);
        self.committed.acknowledge();
        let Some(ended) = ended else { return Vec::new() };
        let answer: Value = ended.expect(0).json();
        assert_eq!(answer["data"]["id"], now, "kill {kill}");
        answer["invocation_id"].as_str().map(str::to_owned).into_iter().collect()
    }
}
