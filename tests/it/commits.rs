//! The right to commit, `fs:git`: what the git plugin does with it alone, and what a component that
//! is hostile cannot do with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use meshhost_core::code::Exit;
use serde_json::{Value, json};

use crate::{
    plugins::{generated, git},
    support::{Home, Ran, guest},
};

/// Commits `two.txt`, changed in the working folder.
fn commit(home: &Home, folder: &Path, branch: &str) -> Ran {
    let (path, branch) = (format!("path={}", folder.display()), format!("branch={branch}"));
    let words = ["call", "git.commit", &path, &branch, "message=from a plugin"];
    let rest = ["files=two.txt", "author_name=P", "author_email=p@example.org"];
    home.run_json([&words[..], &rest].concat())
}

fn install_git(home: &Home, grant: &str) {
    home.install(&guest("git"), &["--grant", grant]);
}

fn head_of(folder: &Path, branch: &str) -> String {
    git(folder, &["rev-parse", branch]).trim().to_owned()
}

#[test]
fn git_commits_with_the_right_to_commit_alone() {
    let home = Home::new();
    let made = generated(&home);
    install_git(&home, &format!("fs:git={}", made.display()));
    let shown = home.json(["plugin", "permissions", "git"]);
    assert_eq!(shown["effective"], json!([format!("fs:git={}", made.display())]), "{shown}");
    let asks = shown["asks"].as_array().expect("asks");
    assert!(asks.iter().all(|ask| ask["granted"] == true), "it covers reading too: {shown}");
    fs::write(made.join("two.txt"), "changed\n").expect("a file");
    // On another branch, and on the one that is checked out, whose index follows.
    let done = commit(&home, &made, "plugin-work").expect(0).json();
    assert_eq!(git(&made, &["show", "plugin-work:two.txt"]), "changed\n");
    assert!(done["data"].to_string().contains(&head_of(&made, "plugin-work")), "{done}");
    git(&made, &["checkout", "-q", "-b", "work"]);
    commit(&home, &made, "work").expect(0);
    assert_eq!(git(&made, &["status", "--porcelain"]), "");
    for branch in ["plugin-work", "work"] {
        let log = git(&made, &["log", "-1", "--format=%s by %an", branch]);
        assert_eq!(log.trim(), "from a plugin by P");
    }
    let protected = commit(&home, &made, "main").json();
    assert_eq!(protected["error"]["details"]["tag"], "protected-branch", "{protected}");
    git(&made, &["fsck", "--strict"]);
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn who_may_only_read_is_told_the_right_to_commit() {
    let home = Home::new();
    let made = generated(&home);
    install_git(&home, &format!("fs:ro={}", made.display()));
    fs::write(made.join("two.txt"), "changed\n").expect("a file");
    let denied = commit(&home, &made, "plugin-work");
    let listed = denied.json()["denied"].clone();
    let folders = listed.as_array().into_iter().flatten();
    let mut commands = folders.filter_map(|access| access["command"].as_str());
    let command = commands.find(|command| command.contains(" fs:")).unwrap_or_default().to_owned();
    assert_eq!(command, format!("meshhost plugin grant git fs:git={}", made.display()));
    denied.expect(Exit::PluginFailure as i32);
    home.shell(&command).expect(0);
    commit(&home, &made, "plugin-work").expect(0);
    // More than the plugin asks for is not granted to it.
    let more = home.run(["plugin", "grant", "git", &format!("fs:rw={}", made.display())]);
    more.expect(Exit::Denied as i32);
    git(&made, &["fsck", "--strict"]);
}

#[test]
fn what_belongs_to_a_linked_folder_or_submodule_stays_as_it_is() {
    let home = Home::new();
    let made = generated(&home);
    let (linked, module) = (home.work().join("linked"), made.join("module"));
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    git(&made, &["worktree", "add", "-q", "-b", "linked", &path(&linked)]);
    git(
        &made,
        &[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            &path(&made),
            "module",
        ],
    );
    git(&module, &["checkout", "-q", "-b", "inside"]);
    install_git(&home, &format!("fs:git={}", made.display()));
    home.run(["plugin", "grant", "git", &format!("fs:git={}", linked.display())]).expect(0);
    for (folder, branch) in [(&linked, "linked"), (&module, "inside")] {
        fs::write(folder.join("two.txt"), "changed\n").expect("a file");
        let before = (head_of(folder, branch), git(folder, &["status", "--porcelain"]));
        let refused = commit(&home, folder, branch).json();
        assert_eq!(refused["error"]["details"]["tag"], "not-permitted", "{refused}");
        let after = (head_of(folder, branch), git(folder, &["status", "--porcelain"]));
        assert_eq!(after, before, "{branch}");
    }
    // A branch that is not checked out there belongs to the main folder.
    commit(&home, &linked, "from-linked").expect(0);
    assert_eq!(git(&made, &["show", "from-linked:two.txt"]), "changed\n");
    git(&made, &["fsck", "--strict"]);
}

/// Every file below a folder with its content, links as what they say.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            found.push((path, target.into_os_string().into_encoded_bytes()));
        } else if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).expect("a file");
            found.push((path, content));
        }
    }
    found.sort();
    found
}

#[test]
fn a_hostile_component_reaches_nothing_else_with_the_right_to_commit() {
    let home = Home::new();
    let made = generated(&home);
    let grant = format!("fs:git={}", made.display());
    home.install(&guest("command"), &["--grant", &grant, "--grant", "stdout=1KiB"]);
    let run = |words: &[&str]| {
        let words = words.iter().map(|word| {
            let is_path = word.starts_with(".git") || *word == "two.txt";
            if is_path { json!(made.join(word)) } else { json!(word) }
        });
        let arguments = Value::Array(words.collect());
        home.run_json(["call", "command.run", &format!("arguments:={arguments}")])
    };
    // What commits write it may write: the tree that it would like to have elsewhere.
    run(&["folder", ".git/objects/tree"]).expect(0);
    run(&["folder", ".git/objects/tree/hooks"]).expect(0);
    run(&["write", ".git/objects/tree/hooks/pre-commit", "evil"]).expect(0);
    run(&["write", ".git/objects/loose", "evil"]).expect(0);
    let before = files(&made);
    let attempts: [&[&str]; 22] = [
        &["write", "two.txt", "evil"],
        &["write", ".git/hooks/pre-commit", "evil"],
        &["write", ".git/config", "evil"],
        &["write", ".git/config.worktree", "evil"],
        &["write", ".git/HEAD", "evil"],
        &["write", ".git/info/attributes", "evil"],
        &["write", ".git/objects/info/alternates", "evil"],
        &["write", ".git/objects/../hooks/x", "evil"],
        &["folder", ".git/objects/.git"],
        &["rename", ".git/objects/tree/hooks", ".git/hooks"],
        &["rename", ".git/objects/tree/hooks/pre-commit", ".git/hooks/pre-commit"],
        &["rename", ".git/objects/tree", ".git/objects/.git"],
        &["rename", ".git/objects/loose", ".git/config"],
        &["rename", ".git/objects/loose", ".git/refs/heads/HEAD"],
        &["rename", ".git/hooks", ".git/objects/hooks"],
        &["rename", ".git", ".gitmoved"],
        &["rename", "two.txt", ".git/objects/two"],
        &["link", ".git/objects/loose", ".git/hooks/post-commit"],
        &["link", "two.txt", ".git/objects/two"],
        &["symlink", "../config", ".git/logs/config"],
        &["symlink", "../../two.txt", ".git/objects/two"],
        &["remove", ".git/config"],
    ];
    for attempt in attempts {
        let ran = run(attempt);
        assert_eq!(ran.code, Exit::PluginFailure as i32, "{attempt:?}: {}", ran.stdout);
        let denied = ran.json()["denied"].to_string();
        assert!(denied.contains("fs:rw"), "{attempt:?}: {denied}");
    }
    assert_eq!(files(&made), before);
    git(&made, &["status"]);
}
