//! Repositories to compare on, made with the `git` program. The tests of the real binary
//! (`tests/it/git.rs`) use this file as well, so it knows nothing of the plugin.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

/// A repository in a temporary folder.
pub(crate) struct Repo {
    folder: TempDir,
    clock: AtomicU64,
}

impl Repo {
    /// An empty one, on branch `main`.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Self { folder, clock: AtomicU64::new(1_700_000_000) };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo.git(&["config", "user.name", "Ada Lovelace"]);
        repo.git(&["config", "user.email", "ada@example.org"]);
        repo
    }

    /// One with everything: merges, renames, unusual names, links, packed references, a submodule.
    pub(crate) fn rich() -> Self {
        let repo = Self::empty();
        let lines: String = (1..=60).map(|n| format!("line {n}\n")).collect();
        repo.write("a.txt", &lines);
        repo.write("src/main.rs", "fn main() {\n    one();\n}\n\nfn one() {\n    two();\n}\n");
        for name in NAMES {
            repo.write(name, "unusual\n");
        }
        repo.write("bin", "a\0b");
        repo.write("no-newline", "one\ntwo");
        repo.write("run.sh", "#!/bin/sh\n");
        repo.git(&["add", "--all"]);
        repo.git(&["update-index", "--chmod=+x", "run.sh"]);
        std::os::unix::fs::symlink("a.txt", repo.path().join("link")).unwrap();
        repo.commit("First commit\non two lines\n\nWith a body.\n\n  indented\n");
        repo.git(&["checkout", "--quiet", "--", "run.sh"]);
        repo.git(&["tag", "light"]);
        repo.git(&["tag", "--annotate", "--message", "An annotated tag\n\nwith a body", "v1.0"]);

        repo.git(&["checkout", "--quiet", "-b", "side"]);
        repo.write("a.txt", &lines.replace("line 7\n", "line seven\nand more\n"));
        repo.write("side.txt", "side\n");
        repo.commit("On the side");
        repo.write("side.txt", "side\nside again\n");
        repo.commit("On the side, again");
        repo.git(&["checkout", "--quiet", "main"]);
        repo.write("a.txt", &lines.replace("line 50\n", "").replace("line 20\n", "line 20!\n"));
        repo.commit("On main");
        repo.git(&["merge", "--quiet", "--no-ff", "--message", "Merge side", "side"]);

        repo.git(&["mv", "src/main.rs", "src/renamed.rs"]);
        repo.write(
            "src/renamed.rs",
            "fn main() {\n    one();\n    three();\n}\n\nfn one() {\n    two();\n}\n",
        );
        repo.commit("Rename with a change");
        repo.git(&["mv", "a.txt", "moved away.txt"]);
        repo.commit("Rename without a change");
        repo.write("no-newline", "one\ntwo\nthree");
        repo.write("bin", "a\0c");
        fs::remove_file(repo.path().join("link")).unwrap();
        repo.write("link", "now a file\n");
        repo.git(&["rm", "--quiet", "--", NAMES[0]]);
        repo.git(&["update-index", "--chmod=+x", "no-newline"]);
        repo.commit("Many kinds of change");
        repo.git(&["checkout", "--quiet", "--", "no-newline"]);
        repo.submodule();
        repo.git(&["pack-refs", "--all"]);
        repo.git(&["gc", "--quiet"]);
        repo.git(&["branch", "after-packing"]);
        repo.git(&["symbolic-ref", "refs/heads/symbolic", "refs/heads/side"]);
        repo
    }

    /// [`Repo::rich`] with every kind of change in its working folder.
    pub(crate) fn messy() -> Self {
        let repo = Self::rich();
        repo.write("side.txt", "side\nstaged\n");
        repo.write("brand new", "new\n");
        repo.git(&["add", "side.txt", "brand new"]);
        repo.git(&["mv", "src/renamed.rs", "src/again.rs"]);
        repo.git(&["rm", "--quiet", "--cached", "run.sh"]);
        repo.write("side.txt", "side\nstaged\nand not\n");
        repo.write(NAMES[3], "changed\n");
        repo.write("folder/untracked", "");
        repo.write("folder/deeper/untracked", "");
        repo.write(".gitignore", "ignored*\n");
        repo.write("ignored.txt", "");
        fs::remove_file(repo.path().join("bin")).unwrap();
        fs::remove_file(repo.path().join("no-newline")).unwrap();
        std::os::unix::fs::symlink("x", repo.path().join("no-newline")).unwrap();
        repo
    }

    /// One in the middle of a merge that does not go through.
    pub(crate) fn conflicted() -> Self {
        let repo = Self::empty();
        repo.write("f", "base\n");
        repo.commit("base");
        repo.git(&["checkout", "--quiet", "-b", "other"]);
        repo.write("f", "theirs\n");
        repo.commit("theirs");
        repo.git(&["checkout", "--quiet", "main"]);
        repo.write("f", "ours\n");
        repo.commit("ours");
        let merged = git_command(repo.path()).args(["merge", "other"]).output().unwrap();
        assert!(!merged.status.success());
        repo
    }

    /// The lines of `git status`, sorted; the name before follows a renamed one after a zero byte.
    pub(crate) fn porcelain(&self) -> Vec<String> {
        let output = self.git(&["status", "--porcelain=v1", "-z", "--untracked-files=normal"]);
        let mut words = output.split('\0').filter(|word| !word.is_empty());
        let mut lines = Vec::new();
        while let Some(line) = words.next() {
            let renamed = line.starts_with('R');
            let old = if renamed { format!("\0{}", words.next().unwrap()) } else { String::new() };
            lines.push(format!("{line}{old}"));
        }
        lines.sort();
        lines
    }

    fn submodule(&self) {
        let other = Self::empty();
        other.write("inside", "x\n");
        other.commit("Inside");
        let url = other.path().to_str().unwrap();
        self.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
        self.commit("Add a submodule");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The repository as the plugin takes it.
    pub(crate) fn arg(&self) -> Option<String> {
        Some(self.path().to_str().unwrap().to_owned())
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let place = self.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    /// Commits everything, a minute after the commit before.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// What git prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.git_bytes(arguments)).into_owned()
    }

    pub(crate) fn git_bytes(&self, arguments: &[&str]) -> Vec<u8> {
        let time = self.clock.fetch_add(60, Ordering::Relaxed);
        let output = git_command(self.path())
            .args(arguments)
            .env("GIT_AUTHOR_DATE", format!("{time} +0530"))
            .env("GIT_COMMITTER_DATE", format!("{} -0800", time + 30))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
        output.stdout
    }

    /// All commits that any branch reaches.
    pub(crate) fn commits(&self) -> Vec<String> {
        self.git(&["rev-list", "--all"]).lines().map(str::to_owned).collect()
    }
}

/// The program, without the configuration of who runs the tests.
pub(crate) fn git_command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env("HOME", "/nonexistent").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command
}

/// Names that need care.
pub(crate) const NAMES: [&str; 7] =
    ["with space", "quo\"te", "back\\slash", "new\nline", "tab\there", "ünïcode/日本", "-dash"];
