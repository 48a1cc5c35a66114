//! What files are called in the index.
//!
//! A document there is its file's path. A file of many passages is several documents, its *parts*: the
//! first has the path, the others the path, a line break and their number, so that parts follow each
//! other in the order of keys. What the plugin notes for itself begins with no `/`.

use meshhost_sdk::path::absolute;

use crate::retrieval::Error;

/// Bytes of a path; the index takes keys of 1,024.
pub(crate) const PATH_BYTES_MAX: usize = 1_000;
/// What parts the number of a part from the path.
const PART: char = '\n';

/// A path as it is kept: absolute, without `.`, `..` and double slashes.
pub(crate) fn normal(path: &str) -> Result<String, Error> {
    let place = absolute(path);
    let Some(written) = place.to_str() else {
        return Err(Error::Invalid(format!("{path:?} is not Unicode")));
    };
    let mut names: Vec<&str> = Vec::new();
    for name in written.split('/') {
        match name {
            "" | "." => {}
            ".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    let normal = format!("/{}", names.join("/"));
    if normal.len() > PATH_BYTES_MAX || normal.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "a path has at most {PATH_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(normal)
}

/// The key of a part of a file.
pub(crate) fn part(path: &str, number: usize) -> String {
    if number == 0 { path.to_owned() } else { format!("{path}{PART}{number:04}") }
}

/// The path of a key, and the number of the part; nothing for what the plugin notes for itself.
pub(crate) fn path_of(key: &str) -> Option<(&str, usize)> {
    if !key.starts_with('/') {
        return None;
    }
    match key.split_once(PART) {
        None => Some((key, 0)),
        Some((path, number)) => Some((path, number.parse().ok()?)),
    }
}

/// What the keys of all files below a folder begin with.
pub(crate) fn below(folder: &str) -> String {
    if folder.ends_with('/') { folder.to_owned() } else { format!("{folder}/") }
}

/// Whether a path is this one or lies below it.
pub(crate) fn is_within(path: &str, root: &str) -> bool {
    path == root || path.starts_with(&below(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for (written, kept) in
            [("/a/b", "/a/b"), ("/a//b/./c/..", "/a/b"), ("/", "/"), ("/../a/", "/a")]
        {
            assert_eq!(normal(written).unwrap(), kept);
        }
        assert!(matches!(normal("/a\nb"), Err(Error::Invalid(_))));
        assert!(matches!(normal(&"/a".repeat(501)), Err(Error::Invalid(_))));
    }

    #[test]
    fn parts_follow_their_file_and_nothing_stands_between() {
        let keys = [part("/a", 0), part("/a", 1), part("/a", 10), part("/a ", 0), part("/a/b", 0)];
        assert!(keys.is_sorted());
        assert_eq!(path_of(&part("/a", 0)), Some(("/a", 0)));
        assert_eq!(path_of(&part("/a", 31)), Some(("/a", 31)));
        assert_eq!(path_of("note"), None);
    }

    #[test]
    fn below_a_folder_is_not_beside_it() {
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a"));
    }
}
