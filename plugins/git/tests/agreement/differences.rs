//! `show` and `diff`: the text of patches, byte for byte, and the lists of files.

use meshhost_git::Plugin;
use meshhost_git::repository::{Change, ChangeKind, Difference, Guest};

use crate::{
    content::text,
    support::{NAMES, Repo},
};

/// git's patch, with full ids and nothing of the user's taste.
const PATCH: [&str; 5] =
    ["--no-color", "--no-ext-diff", "--full-index", "--find-renames", "--patch"];

fn diff(
    repo: &Repo,
    old: Option<&str>,
    new: Option<&str>,
    staged: bool,
    file: Option<&str>,
) -> Difference {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Plugin::diff(repo.arg(), owned(old), owned(new), Some(staged), owned(file), None).unwrap()
}

fn by_git(repo: &Repo, arguments: &[&str]) -> String {
    repo.git(&[&["diff"], &PATCH[..], arguments].concat())
}

fn shown(change: &Change) -> String {
    let letter = match change.kind {
        ChangeKind::Added => "A",
        ChangeKind::Deleted => "D",
        ChangeKind::Renamed => "R",
        ChangeKind::TypeChanged => "T",
        _ => "M",
    };
    match &change.old_path {
        Some(old) => format!("{letter}\0{old}\0{}", change.path),
        None => format!("{letter}\0{}", change.path),
    }
}

#[test]
fn show_agrees_for_every_commit() {
    let repo = Repo::rich();
    for commit in repo.commits() {
        let shown_commit = Plugin::show(repo.arg(), Some(commit.clone()), None).unwrap();
        let expected = if shown_commit.commit.parents.len() > 1 {
            String::new()
        } else {
            repo.git(&[&["show", "--format="], &PATCH[..], &[&commit]].concat())
        };
        assert_eq!(text(&shown_commit.difference.patch), expected, "{commit}");
        if shown_commit.commit.parents.len() == 1 {
            let names = repo.git(&[
                "diff-tree",
                "-r",
                "-M",
                "--name-status",
                "-z",
                "--no-commit-id",
                &commit,
            ]);
            let mut words = names.split('\0').filter(|word| !word.is_empty());
            let mut expected = Vec::new();
            while let Some(letter) = words.next() {
                let first = words.next().unwrap();
                expected.push(match &letter[..1] {
                    "R" => format!("R\0{first}\0{}", words.next().unwrap()),
                    letter => format!("{letter}\0{first}"),
                });
            }
            let found: Vec<_> = shown_commit.difference.changes.iter().map(shown).collect();
            assert_eq!(found, expected, "{commit}");
        }
    }
}

#[test]
fn diff_of_revisions_agrees() {
    let repo = Repo::rich();
    let commits = repo.commits();
    for old in &commits {
        for new in &commits {
            let found = diff(&repo, Some(old), Some(new), false, None);
            assert_eq!(text(&found.patch), by_git(&repo, &[old, new]), "{old} {new}");
        }
    }
    for file in ["moved away.txt", "src", "a.txt", NAMES[1], "none"] {
        let found = diff(&repo, Some("v1.0"), Some("HEAD"), false, Some(file));
        assert_eq!(text(&found.patch), by_git(&repo, &["v1.0", "HEAD", "--", file]), "{file:?}");
    }
}

#[test]
fn diff_of_the_working_folder_agrees() {
    let repo = Repo::rich();
    repo.write("side.txt", "side\nstaged\n");
    repo.write("brand new", "new\n");
    repo.git(&["add", "side.txt", "brand new"]);
    repo.git(&["mv", "src/renamed.rs", "src/again.rs"]);
    repo.write("side.txt", "side\nstaged\nand not\n");
    repo.write(NAMES[3], "changed\n");
    repo.write("untracked", "nobody knows\n");
    std::fs::remove_file(repo.path().join("bin")).unwrap();
    for (old, staged, arguments) in [
        (None, false, vec![]),
        (None, true, vec!["--cached"]),
        (Some("HEAD"), false, vec!["HEAD"]),
        (Some("v1.0"), true, vec!["--cached", "v1.0"]),
        (Some("side"), false, vec!["side"]),
    ] {
        let found = diff(&repo, old, None, staged, None);
        assert_eq!(text(&found.patch), by_git(&repo, &arguments), "{arguments:?}");
    }
    let before = repo.git(&["count-objects"]);
    diff(&repo, None, None, false, None);
    assert_eq!(repo.git(&["count-objects"]), before, "nothing is written");
}

#[test]
fn hunks_agree_for_many_shapes_of_change() {
    let repo = Repo::empty();
    // A small linear generator: the same shapes in every run.
    let mut state = 12_345_u64;
    let mut next = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut lines: Vec<String> = (0..80).map(|n| shape(n, next(7))).collect();
    for round in 0..40 {
        for _ in 0..=next(6) {
            let at = usize::try_from(next(lines.len() as u64 - 1)).unwrap();
            match next(4) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, shape(1_000 + round, next(7))),
                2 => lines.insert(at, lines[at].clone()),
                _ => lines[at] = shape(2_000 + round, next(7)),
            }
        }
        repo.write("f", &lines.concat());
        repo.commit("round");
    }
    let commits = repo.commits();
    for pair in commits.windows(2) {
        let found = diff(&repo, Some(&pair[1]), Some(&pair[0]), false, None);
        assert_eq!(text(&found.patch), by_git(&repo, &[&pair[1], &pair[0]]));
    }
    for context in [0, 1, 10] {
        let (old, new) = (&commits[39], &commits[30]);
        let found = Plugin::diff(
            repo.arg(),
            Some(old.clone()),
            Some(new.clone()),
            None,
            None,
            Some(context),
        )
        .unwrap();
        let expected = by_git(&repo, &[&format!("-U{context}"), old, new]);
        assert_eq!(text(&found.patch), expected, "{context}");
    }
}

/// A line as programs have them: repeated braces and blanks are what makes differences ambiguous.
fn shape(number: u64, kind: u64) -> String {
    match kind {
        0 => "\n".to_owned(),
        1 => "}\n".to_owned(),
        2 => format!("fn f{number}() {{\n"),
        3 => "    return;\n".to_owned(),
        _ => format!("    call({number});\n"),
    }
}
