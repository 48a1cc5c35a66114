//! The contract `meshhost:filesystem/files@0.1.0`, over real folders of this machine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside of them")]

use std::fs;
use std::path::Path;

use meshhost_filesystem::Plugin;
use meshhost_filesystem::files::{Content, Error, Existing, Form, Guest, Kind};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn text(content: &Content) -> &str {
    match content {
        Content::Text(text) => text,
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn read_gives_ranges() {
    let folder = folder(&[("a.txt", "0123456789")]);
    let cases = [
        (None, None, "0123456789", 0),
        (Some(3), None, "3456789", 3),
        (Some(3), Some(2), "34", 3),
        (Some(8), Some(99), "89", 8),
        (Some(10), None, "", 10),
    ];
    for (offset, length, expected, begins) in cases {
        let read = Plugin::read(path(&folder, "a.txt"), offset, length, None).unwrap();
        assert_eq!(text(&read.content), expected);
        assert_eq!((read.offset, read.length, read.size), (begins, expected.len() as u64, 10));
    }
    let beyond = Plugin::read(path(&folder, "a.txt"), Some(11), None, None);
    assert!(matches!(beyond, Err(Error::Invalid(_))), "{beyond:?}");
}

#[test]
fn read_says_what_is_not_text() {
    let folder = folder(&[]);
    fs::write(folder.path().join("b"), [0xff, 0, 1]).unwrap();
    let read = Plugin::read(path(&folder, "b"), None, None, None).unwrap();
    assert!(matches!(&read.content, Content::Bytes(bytes) if bytes == &[0xff, 0, 1]));
    let read = Plugin::read(path(&folder, "b"), None, None, Some(Form::Text)).unwrap();
    assert_eq!(text(&read.content), "\u{fffd}\0\u{1}");
}

#[test]
fn read_refuses_what_is_no_file() {
    let folder = folder(&[("d/f", "")]);
    let read = |name: &str| Plugin::read(path(&folder, name), None, None, None).unwrap_err();
    assert!(matches!(read("none"), Error::NotFound(_)));
    assert!(matches!(read("d"), Error::IsAFolder(_)));
    assert!(matches!(read("d/f/g"), Error::NotAFolder(_)));
}

#[test]
fn write_replaces_or_keeps_and_append_adds() {
    let folder = folder(&[]);
    let write = |text: &str, existing| {
        Plugin::write(path(&folder, "n"), Some(text.to_owned()), None, existing)
    };
    assert_eq!(write("one", None).unwrap().size, 3);
    assert_eq!(write("tw", None).unwrap().size, 2);
    assert!(matches!(write("x", Some(Existing::Keep)), Err(Error::AlreadyExists(_))));
    let added = Plugin::append(path(&folder, "n"), Some("o".to_owned()), None).unwrap();
    assert_eq!((added.size, added.kind), (3, Kind::File));
    assert_eq!(fs::read_to_string(folder.path().join("n")).unwrap(), "two");
    assert!(matches!(Plugin::append(path(&folder, "n"), None, None), Err(Error::Invalid(_))));
}

#[test]
fn list_is_sorted_bounded_and_pages() {
    let folder = folder(&[("c", ""), ("a", "xy"), ("b/inner", "")]);
    let all = Plugin::list(path(&folder, ""), None, None).unwrap();
    let names: Vec<_> = all.entries.iter().map(|e| e.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((all.entries[0].size, all.entries[1].kind), (2, Kind::Folder));
    assert!(!all.truncated && all.entries[0].modified.as_ref().unwrap().ends_with('Z'));
    let page = Plugin::list(path(&folder, ""), Some(1), Some("a".to_owned())).unwrap();
    assert_eq!((page.entries.len(), page.truncated), (1, true));
    assert!(page.entries[0].path.ends_with("/b"));
}

#[test]
fn stat_follows_links_only_when_asked() {
    let folder = folder(&[("a", "xyz")]);
    std::os::unix::fs::symlink("a", folder.path().join("l")).unwrap();
    assert_eq!(Plugin::stat(path(&folder, "l"), None).unwrap().kind, Kind::File);
    assert_eq!(Plugin::stat(path(&folder, "l"), Some(false)).unwrap().kind, Kind::Link);
}

#[test]
fn glob_matches_names() {
    let folder = folder(&[
        ("a.rs", ""),
        ("src/b.rs", ""),
        ("src/deep/c.rs", ""),
        ("src/deep.txt", ""),
        (".hidden/d.rs", ""),
        ("other/e.rs", ""),
    ]);
    let cases: [(&str, &[&str]); 8] = [
        ("*.rs", &["a.rs"]),
        ("**/*.rs", &["a.rs", "other/e.rs", "src/b.rs", "src/deep/c.rs"]),
        ("src/**/*.rs", &["src/b.rs", "src/deep/c.rs"]),
        ("src/deep*", &["src/deep.txt", "src/deep"]),
        ("{src,other}/*.rs", &["other/e.rs", "src/b.rs"]),
        (".hidden/*.rs", &[".hidden/d.rs"]),
        ("[ab].rs", &["a.rs"]),
        ("none/*", &[]),
    ];
    for (pattern, expected) in cases {
        let found = Plugin::glob(pattern.to_owned(), Some(path(&folder, "")), None).unwrap();
        let expected: Vec<_> = expected.iter().map(|name| path(&folder, name)).collect();
        assert_eq!(found.paths, expected, "{pattern}");
        assert!(!found.truncated);
    }
    let one = Plugin::glob("**".to_owned(), Some(path(&folder, "")), Some(1)).unwrap();
    assert_eq!((one.paths.len(), one.truncated), (1, true));
    for wrong in ["", "[", &"x".repeat(2_000)] {
        let refused = Plugin::glob(wrong.to_owned(), Some(path(&folder, "")), None);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{wrong}");
    }
}

#[test]
fn glob_does_not_follow_links() {
    let folder = folder(&[("d/f", "")]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("d/loop")).unwrap();
    let found = Plugin::glob("**".to_owned(), Some(path(&folder, "")), None).unwrap();
    assert_eq!(found.paths.len(), 3);
}

fn grep(
    folder: &TempDir,
    pattern: &str,
    glob: Option<&str>,
    limits: (u32, u64),
) -> (Vec<String>, bool) {
    let found = Plugin::grep(
        pattern.to_owned(),
        Some(path(folder, "")),
        glob.map(str::to_owned),
        Some(false),
        Some(limits.0),
        Some(limits.1),
    )
    .unwrap();
    let root = folder.path();
    let lines = found.matches.iter().map(|m| {
        let name = Path::new(&m.path).strip_prefix(root).unwrap().display();
        format!("{name}:{}:{}:{}", m.line, m.column, m.text)
    });
    (lines.collect(), found.truncated)
}

#[test]
fn grep_finds_lines_within_limits() {
    let folder = folder(&[
        ("a.txt", "one\ntwo\r\nthree two"),
        ("b.md", "two\n"),
        ("bin", "two\0"),
        (".hidden", "two"),
    ]);
    let all = (100, 1 << 20);
    let expected = ["a.txt:2:1:two", "a.txt:3:7:two", "b.md:1:1:two"];
    let (lines, truncated) = grep(&folder, "two", None, all);
    assert_eq!(lines, ["a.txt:2:1:two", "a.txt:3:7:three two", "b.md:1:1:two"]);
    assert!(!truncated);
    assert_eq!(grep(&folder, "^two$", None, all).0, [expected[0], expected[2]]);
    assert_eq!(grep(&folder, "two", Some("*.md"), all).0, [expected[2]]);
    assert_eq!(grep(&folder, "two", None, (1, 1 << 20)), (vec![expected[0].to_owned()], true));
    assert_eq!(grep(&folder, "two", None, (100, 5)), (vec![], true));
    let nested = "(".repeat(100) + &")".repeat(100);
    for wrong in ["(", &"a".repeat(2_000), &nested, "(a{1000}){1000}"] {
        let refused = Plugin::grep(wrong.to_owned(), None, None, None, None, None);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{wrong}");
    }
}

#[test]
fn grep_shows_long_lines_around_the_match_and_survives_lines_without_end() {
    let long = format!("{}needle{}", "x".repeat(10_000), "y".repeat(3 << 20));
    let folder = folder(&[("a", &format!("{long}\nneedle\n"))]);
    let (lines, _) = grep(&folder, "needle", None, (10, 1 << 30));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("a:1:10001:x") && lines[0].len() < 600);
    assert_eq!(lines[1], "a:2:1:needle");
}

#[test]
fn folders_are_made_moved_and_removed() {
    let folder = folder(&[("f", "1"), ("g", "2"), ("tree/a/b/c", ""), ("tree/d", "")]);
    let at = |name: &str| path(&folder, name);
    assert!(matches!(Plugin::make_folder(at("x/y"), None), Err(Error::NotFound(_))));
    assert_eq!(Plugin::make_folder(at("x/y"), Some(true)).unwrap().kind, Kind::Folder);
    assert!(Plugin::make_folder(at("x/y"), Some(true)).is_ok());
    assert!(matches!(Plugin::make_folder(at("x/y"), None), Err(Error::AlreadyExists(_))));

    assert!(matches!(Plugin::move_(at("f"), at("g"), None), Err(Error::AlreadyExists(_))));
    assert!(Plugin::move_(at("f"), at("g"), Some(Existing::Replace)).is_ok());
    assert_eq!(fs::read_to_string(at("g")).unwrap(), "1");

    std::os::unix::fs::symlink(folder.path().join("x"), folder.path().join("tree/l")).unwrap();
    assert!(matches!(Plugin::remove(at("tree"), None), Err(Error::NotEmpty(_))));
    Plugin::remove(at("tree"), Some(true)).unwrap();
    assert!(!folder.path().join("tree").exists() && folder.path().join("x/y").exists());
    assert!(matches!(Plugin::remove(at("tree"), None), Err(Error::NotFound(_))));
}
