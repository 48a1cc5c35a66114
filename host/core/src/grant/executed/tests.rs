use proptest::prelude::*;

use super::*;

fn executes(path: &str) -> bool {
    executes_for_others(path.split('/').filter(|part| !part.is_empty()))
}

fn may_hold(path: &str) -> bool {
    may_hold_executed(path.split('/').filter(|part| !part.is_empty()))
}

#[test]
fn names_through_which_others_execute_are_known_anywhere_in_a_path() {
    for path in [
        ".git/hooks",
        ".git/hooks/pre-commit",
        "a/b/.git/hooks/x",
        ".git/config",
        ".GIT/Config",
        ".git./config",
        ".g\u{200c}it/config",
        ".git/modules/x/hooks/y",
        "bare.git/hooks/update",
        "/home/me/.bashrc",
        ".BASHRC",
        ".zshenv",
        "x/.envrc",
        ".vscode/tasks.json",
        ".idea/x",
        ".ssh/authorized_keys",
        ".ssh/config",
        "authorized_keys",
        ".config/autostart/a.desktop",
        "a.desktop",
        ".config/systemd/user/x.service",
        "package.json",
        "a/Package.JSON",
        "build.rs",
        "Makefile",
        "makefile",
        "node_modules/.bin/tsc",
        ".local/bin/ls",
        ".github/workflows/ci.yml",
        "lib/site-packages/x.pth",
        ".emac\u{17f}",
        "Library/LaunchAgents/x.plist",
    ] {
        assert!(executes(path), "{path} must be left out");
    }
}

#[test]
fn ordinary_names_stay_in() {
    for path in [
        "",
        "notes.md",
        ".git",
        ".git/objects/ab/cd",
        ".git/HEAD",
        "git/hooks/x",
        "hooks/pre-commit",
        "config",
        "a.bashrc",
        "bashrc",
        ".bashrc2",
        "src/main.rs",
        "my.package.json",
        "model.pth",
        ".config/app/settings",
        ".gitignore",
        "desktop",
        "config/autostart",
    ] {
        assert!(!executes(path), "{path} must stay in");
    }
}

#[test]
fn a_granted_folder_inside_git_is_seen_by_its_whole_path() {
    assert!(executes("/srv/repo/.git/hooks/post-update"));
    assert!(!executes("hooks/post-update"), "which is why the whole path is to be given");
}

#[test]
fn a_folder_that_brings_such_names_along_is_known() {
    for path in [".git", "a/.git", ".GIT", "x.git", ".config", ".local", ".local/share", "Library"]
    {
        assert!(may_hold(path), "{path}");
    }
    for path in ["", "git", "src", ".git/objects", "a/.gitx"] {
        assert!(!may_hold(path), "{path}");
    }
}

proptest! {
    #[test]
    fn no_path_panics(path in any::<String>()) {
        let _ = (executes(&path), may_hold(&path));
    }

    #[test]
    fn what_lies_below_is_left_out_too(before in "[a-z]{0,3}", after in "[a-z]{1,5}") {
        let path = format!("{before}/.git/hooks/{after}");
        prop_assert!(executes(&path));
    }
}
