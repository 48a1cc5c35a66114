use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// One line of a table in `policies/cases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    change: String,
    needs: FolderMode,
}

fn components(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|name| !name.is_empty())
}

#[test]
fn changes_need_what_their_table_says() {
    let text = include_str!("../../../../../policies/cases/changes.toml");
    for case in toml::from_str::<Cases>(text).unwrap().cases {
        assert_eq!(needed_to_change(components(&case.change)), case.needs, "{}", case.change);
    }
}

#[test]
fn a_granted_folder_inside_git_is_seen_by_its_whole_path() {
    assert!(commit_writes(components("/srv/repo/.git/objects/ab/cd")));
    assert!(!commit_writes(components("/srv/repo/.git/modules/sub/objects/ab/cd")));
    assert!(!commit_writes(components("objects/ab/cd")), "the whole path is to be given");
}

#[test]
fn links_and_whole_folders_come_into_no_repository_without_the_right_to_execute() {
    for (path, needed) in [
        ("link", FolderMode::Rw),
        ("src/link", FolderMode::Rw),
        (".gitignored", FolderMode::Rw),
        (".bashrc", FolderMode::RwExec),
        (".git/logs/HEAD", FolderMode::RwExec),
        (".git/COMMIT_EDITMSG", FolderMode::RwExec),
        (".GIT./objects/ab", FolderMode::RwExec),
        ("a/bare.git/FETCH_HEAD", FolderMode::RwExec),
    ] {
        assert_eq!(needed_to_bring(components(path)), needed, "{path}");
    }
}

/// Paths around `.git`, made of the names that matter.
fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just(".git"),
        Just(".GIT"),
        Just("objects"),
        Just("refs"),
        Just("heads"),
        Just("logs"),
        Just("HEAD"),
        Just("Head"),
        Just("index"),
        Just("index.lock"),
        Just("info"),
        Just("pack"),
        Just("hooks"),
        Just("config"),
        Just("modules"),
        Just("ab"),
    ];
    proptest::collection::vec(name, 0..7).prop_map(|names| names.join("/"))
}

proptest! {
    #[test]
    fn no_path_panics(path in any::<String>()) {
        let _ = needed_to_change(components(&path));
    }

    /// `fs:rw` includes `fs:git`, and nothing outside of the first `.git` is in.
    #[test]
    fn commits_write_below_git_and_nothing_that_executes(path in path()) {
        if commit_writes(components(&path)) {
            prop_assert!(!executes_for_others(components(&path)));
            let below = components(&path).skip_while(|name| *name != ".git").skip(1);
            let first = below.clone().next();
            prop_assert!(matches!(first, Some("objects" | "refs" | "logs" | "index" | "index.lock")));
            let heads = below.clone().filter(|name| name.eq_ignore_ascii_case("head")).count();
            prop_assert!(heads == 0 || below.eq(["logs", "HEAD"]));
        }
    }

    /// A name that is left out leads to nothing that is in, but for `.git` itself.
    #[test]
    fn what_is_left_out_stays_out(path in path(), inside in "[a-z]{1,4}") {
        if commit_writes(components(&format!("{path}/{inside}"))) {
            prop_assert!(path.ends_with(".git") || commit_writes(components(&path)));
        }
    }
}
