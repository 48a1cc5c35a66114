//! `tree` and `file`.

use meshhost_git::Plugin;
use meshhost_git::repository::{Content, EntryKind, Error, Guest, TreeListing};

use crate::support::{NAMES, Repo};

/// Content as text.
pub(crate) fn text(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Content::Blob(_) => panic!("no blobs in tests"),
    }
}

fn shown(listing: &TreeListing) -> Vec<String> {
    let entry = |one: &meshhost_git::repository::TreeEntry| {
        let (mode, kind) = match one.kind {
            EntryKind::File => ("100644", "blob"),
            EntryKind::Executable => ("100755", "blob"),
            EntryKind::Link => ("120000", "blob"),
            EntryKind::Folder => ("040000", "tree"),
            EntryKind::Submodule => ("160000", "commit"),
        };
        let size = one.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        format!("{mode} {kind} {} {size:>7}\t{}", one.id, one.path)
    };
    listing.entries.iter().map(entry).collect()
}

fn by_git(repo: &Repo, arguments: &[&str]) -> Vec<String> {
    let output = repo.git(&[&["ls-tree", "-l", "-z"], arguments].concat());
    output.split('\0').filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn trees_agree() {
    let repo = Repo::rich();
    for revision in ["HEAD", "v1.0", "side"] {
        for recursive in [false, true] {
            let listing =
                Plugin::tree(repo.arg(), Some(revision.into()), None, Some(recursive), None)
                    .unwrap();
            let arguments = if recursive { vec!["-r", revision] } else { vec![revision] };
            assert_eq!(shown(&listing), by_git(&repo, &arguments), "{revision}");
        }
    }
    let listing = Plugin::tree(repo.arg(), None, Some("src".into()), None, None).unwrap();
    assert_eq!(shown(&listing), by_git(&repo, &["HEAD", "src/"]));
    let short = Plugin::tree(repo.arg(), None, None, Some(true), Some(2)).unwrap();
    assert_eq!((short.entries.len(), short.truncated), (2, true));
}

#[test]
fn files_agree() {
    let repo = Repo::rich();
    for (revision, file) in [
        ("HEAD", "no-newline"),
        ("v1.0", "a.txt"),
        ("v1.0", NAMES[3]),
        ("side", NAMES[5]),
        ("HEAD", "bin"),
    ] {
        let found = Plugin::file(repo.arg(), file.into(), Some(revision.into())).unwrap();
        let expected = repo.git(&["cat-file", "blob", &format!("{revision}:{file}")]);
        assert_eq!(text(&found.content), expected, "{file:?}");
        assert_eq!(found.size, expected.len() as u64);
    }
    let refused = |file: &str| Plugin::file(repo.arg(), file.into(), None).unwrap_err();
    assert!(matches!(refused("none"), Error::UnknownFile(_)));
    assert!(matches!(refused("src"), Error::Invalid(_)));
    assert!(matches!(refused("sub"), Error::Invalid(_)));
    for wrong in ["../x", "/etc/passwd", "a//b", ""] {
        assert!(matches!(refused(wrong), Error::Invalid(_)), "{wrong}");
    }
}
