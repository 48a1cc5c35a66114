//! The git plugin through the real binary, beside the `git` program: the repositories are those
//! that the plugin's own tests use natively.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    git_repositories::{NAMES, Repo, git_command},
    support::{Home, guest, repository},
};

/// The plugin with a granted repository.
struct Granted {
    home: Home,
    path: String,
}

impl Granted {
    fn new(folder: &Path) -> Self {
        let home = Home::new();
        let folder = folder.canonicalize().expect("a folder");
        home.install(&guest("git"), &["--grant", &format!("fs:ro={}", folder.display())]);
        Self { home, path: format!("path={}", folder.display()) }
    }

    /// What a function of the plugin answers for the repository.
    #[track_caller]
    fn data(&self, words: &[&str]) -> Value {
        let function = format!("git.{}", words[0]);
        let words = [&["call", &function, &self.path], &words[1..]].concat();
        self.home.json(words)["data"].clone()
    }

    /// The lines of `git status`, sorted, as [`Repo::porcelain`] gives them.
    fn porcelain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in list(&self.data(&["status"])["entries"]) {
            let (staged, unstaged) = (letter(&entry["staged"]), letter(&entry["unstaged"]));
            let path = text(&entry["path"]);
            let old = entry["old_path"].as_str().map(|old| format!("\0{old}")).unwrap_or_default();
            if unstaged == "?" {
                lines.push(format!("?? {path}"));
            }
            // git has two lines for a file that left the index and is still there.
            if unstaged != "?" || staged != " " {
                let unstaged = if unstaged == "?" { " " } else { unstaged };
                lines.push(format!("{staged}{unstaged} {path}{old}"));
            }
        }
        lines.sort();
        lines
    }

    fn log(&self, revision: &str) -> Vec<String> {
        let log = self.data(&["log", &format!("revision={revision}"), "limit=500"]);
        let line = |commit: &Value| {
            let parents: Vec<&str> = list(&commit["parents"]).iter().map(text).collect();
            let (id, summary) = (text(&commit["id"]), text(&commit["summary"]));
            format!("{id} {} {summary}", parents.join(" "))
        };
        list(&log["commits"]).iter().map(line).collect()
    }

    /// For each line of a file the commit that brought it.
    fn blame(&self, file: &str) -> Vec<String> {
        let blamed = self.data(&["blame", &format!("file={file}")]);
        let lines = |part: &Value| {
            let count = part["lines"].as_u64().expect("a number");
            let commit = text(&part["commit"]).to_owned();
            (0..count).map(move |_| commit.clone())
        };
        list(&blamed).iter().flat_map(lines).collect()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A kind of change as `git status` writes it.
fn letter(kind: &Value) -> &'static str {
    match kind.as_str() {
        None => " ",
        Some("added") => "A",
        Some("modified") => "M",
        Some("deleted") => "D",
        Some("renamed") => "R",
        Some("type-changed") => "T",
        Some("untracked") => "?",
        Some(other) => panic!("{other} has no letter"),
    }
}

fn lines(output: &str) -> Vec<String> {
    output.lines().map(str::to_owned).collect()
}

/// The words of each line of `git blame --porcelain` that begins with a commit.
fn blamed(output: &str) -> Vec<String> {
    let commit = |line: &str| {
        let id = line.split(' ').next().unwrap_or_default();
        (id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    };
    output.lines().filter_map(commit).collect()
}

#[test]
fn status_agrees_with_the_git_program() {
    let repo = Repo::messy();
    // Something new inside the submodule that is checked out makes it differ.
    fs::write(repo.path().join("sub/new.txt"), "new").expect("a file");
    let granted = Granted::new(repo.path());
    let node = granted.home.serve();
    let found = granted.porcelain();
    assert_eq!(found, repo.porcelain());
    for kind in ["MM", "A ", "D ", "R ", " D", " M", " T", "??"] {
        assert!(found.iter().any(|line| line.starts_with(kind)), "{kind} is not in {found:?}");
    }
    assert!(!found.iter().any(|line| line.contains("ignored.txt")), "{found:?}");
    let short = granted.data(&["status", "limit=2"]);
    assert_eq!((list(&short["entries"]).len(), &short["truncated"]), (2, &json!(true)));
    assert_eq!(short["branch"], "main");
    node.stop_well();
}

#[test]
fn a_merge_that_does_not_go_through_is_in_conflict() {
    let repo = Repo::conflicted();
    let granted = Granted::new(repo.path());
    let state = granted.data(&["status"]);
    assert_eq!(list(&state["entries"]).len(), 1, "{state}");
    assert_eq!(state["entries"][0]["unstaged"], "conflicted");
    assert_eq!(repo.porcelain(), ["UU f"]);
}

#[test]
fn history_and_references_agree_with_the_git_program() {
    let repo = Repo::rich();
    let granted = Granted::new(repo.path());
    let node = granted.home.serve();
    for revision in ["HEAD", "side", "v1.0", "side..main", "HEAD~2"] {
        let output = repo.git(&["log", "--format=%H %P %s", revision]);
        assert_eq!(granted.log(revision), lines(&output), "{revision}");
    }
    assert!(repo.commits().len() > granted.log("side").len());
    for file in ["moved away.txt", "src/renamed.rs", "ünïcode/日本", "new\nline"] {
        let output = repo.git(&["blame", "--porcelain", "--", file]);
        assert_eq!(granted.blame(file), blamed(&output), "{file:?}");
    }
    let patch = ["--no-color", "--no-ext-diff", "--full-index", "--find-renames", "--patch"];
    for (old, new) in [("v1.0", "HEAD"), ("HEAD~2", "HEAD~1"), ("side", "main")] {
        let found = granted.data(&["diff", &format!("old={old}"), &format!("new={new}")]);
        let output = repo.git(&[&["diff"], &patch[..], &[old, new]].concat());
        assert_eq!(text(&found["patch"]["value"]), output, "{old} {new}");
    }
    let refs = granted.data(&["refs"]);
    let line = |one: &Value| {
        let target = one["target"].as_str().unwrap_or_default();
        format!("{} {} {target}", text(&one["name"]), text(&one["id"]))
    };
    let format = "--format=%(refname) %(objectname) %(symref)";
    let shown: Vec<String> = list(&refs).iter().map(line).collect();
    assert_eq!(shown, lines(&repo.git(&["for-each-ref", format])));
    let branches = granted.data(&["branches"]);
    let line = |one: &Value| {
        let mark = if one["current"] == true { "*" } else { " " };
        format!("{mark}{} {}", text(&one["name"]), text(&one["id"]))
    };
    let shown: Vec<String> = list(&branches).iter().map(line).collect();
    let format = "--format=%(HEAD)%(refname:short) %(objectname)";
    assert_eq!(shown, lines(&repo.git(&["for-each-ref", format, "refs/heads/"])));
    let tags = granted.data(&["tags"]);
    assert_eq!((&tags[0]["name"], &tags[1]["name"]), (&json!("light"), &json!("v1.0")));
    assert_eq!(text(&tags[1]["annotation"]["message"]), "An annotated tag\n\nwith a body\n");
    granted.home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn unusual_names_and_submodules_come_through() {
    let repo = Repo::rich();
    let granted = Granted::new(repo.path());
    let node = granted.home.serve();
    let tree = granted.data(&["tree", "revision=v1.0", "recursive=true"]);
    let shown: Vec<&str> = list(&tree["entries"]).iter().map(|one| text(&one["path"])).collect();
    let names = repo.git(&["ls-tree", "-r", "-z", "--name-only", "v1.0"]);
    assert_eq!(shown, names.split('\0').filter(|name| !name.is_empty()).collect::<Vec<_>>());
    for name in NAMES {
        assert!(shown.contains(&name), "{name:?}");
        let file = granted.data(&["file", &format!("file={name}"), "revision=v1.0"]);
        assert_eq!(file["content"], json!({"tag": "text", "value": "unusual\n"}), "{name:?}");
    }
    let entries = granted.data(&["tree"]);
    let sub = list(&entries["entries"]).iter().find(|one| one["path"] == "sub");
    assert_eq!(sub.expect("an entry")["kind"], "submodule");
    // A submodule is a repository of its own, whose data lies in that of the outer one.
    let inner = Granted { path: format!("{}/sub", granted.path), home: granted.home };
    let log = inner.data(&["log"]);
    assert_eq!(log["commits"][0]["summary"], "Inside");
    node.stop_well();
}

#[test]
fn this_repository_agrees_with_the_git_program() {
    let own = repository();
    let output = |words: &[&str]| {
        let output = git_command(&own).args(["-c", "safe.directory=*"]).args(words).output();
        String::from_utf8(output.expect("the git program").stdout).expect("text")
    };
    if !own.join(".git").is_dir() || output(&["rev-list", "--count", "HEAD"]).trim() == "1" {
        println!("skipped: this repository, because its history is not in its own folder");
        return;
    }
    let granted = Granted::new(&own);
    let node = granted.home.serve();
    let log = output(&["log", "-500", "--format=%H %P %s", "HEAD"]);
    assert_eq!(granted.log("HEAD"), lines(&log));
    let blame = output(&["blame", "--porcelain", "HEAD", "--", "Cargo.toml"]);
    assert_eq!(granted.blame("Cargo.toml"), blamed(&blame));
    node.stop_well();
}

#[test]
fn without_a_grant_the_way_to_grant_it_is_named() {
    let repo = Repo::empty();
    repo.write("f", "x\n");
    repo.commit("only");
    let Granted { home, path } = Granted::new(repo.path());
    home.run(["plugin", "revoke", "git", "--all"]).expect(0);
    let denied = home.run_json(["call", "git.log", &path]);
    let command = denied.json()["denied"][0]["command"].as_str().unwrap_or_default().to_owned();
    assert!(command.starts_with("meshhost plugin grant git fs:ro="), "{}", denied.stdout);
    home.shell(&command).expect(0);
    home.run(["call", "git.log", &path]).expect(0);
    home.run(["audit", "verify"]).expect(0);
}
