//! What lies below a path, in the order of paths, within bounds. Links are not followed.

use std::path::PathBuf;

use crate::failure::reason;
use crate::keys::PATH_BYTES_MAX;
use crate::ports::{Files, Node};
use crate::retrieval::Problem;
use crate::selection::Selection;

/// Files that are taken in at once.
pub(crate) const FILES_MAX: usize = 20_000;
/// Entries of folders that are looked at.
const VISITS_MAX: usize = 200_000;
/// Folders within folders.
const DEPTH_MAX: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files that are chosen, by path, in order.
    pub(crate) files: Vec<String>,
    /// Folders that could not be read, and names that cannot be kept.
    pub(crate) problems: Vec<Problem>,
    /// Folders that could not be read: what the corpus has of them stays.
    pub(crate) unread: Vec<String>,
    /// A bound was reached: there may be more.
    pub(crate) truncated: bool,
}

/// Looks through a folder.
pub(crate) fn walk(files: &dyn Files, root: &str, selection: &Selection) -> Found {
    let mut walk =
        Walk { files, selection, found: Found::default(), visits: 0, pending: Vec::new() };
    walk.pending.push(Folder { path: root.to_owned(), relative: String::new(), depth: 0 });
    while let Some(folder) = walk.pending.pop() {
        if walk.found.truncated {
            break;
        }
        walk.enter(&folder);
    }
    walk.found.files.sort_unstable();
    walk.found
}

struct Walk<'a> {
    files: &'a dyn Files,
    selection: &'a Selection,
    found: Found,
    visits: usize,
    pending: Vec<Folder>,
}

struct Folder {
    path: String,
    relative: String,
    depth: usize,
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Folder) {
        if folder.depth > DEPTH_MAX {
            self.found.truncated = true;
            return;
        }
        let rest = VISITS_MAX - self.visits;
        let names = match self.files.names(&PathBuf::from(&folder.path), rest + 1) {
            Ok(names) => names,
            Err(error) => {
                self.found.unread.push(folder.path.clone());
                return self.problem(folder.path.clone(), reason(&error));
            }
        };
        if names.len() > rest {
            self.found.truncated = true;
            return;
        }
        self.visits += names.len();
        for (name, node) in names {
            let Some(name) = name else {
                self.problem(folder.path.clone(), "it holds a name that is not Unicode".to_owned());
                continue;
            };
            if !name.starts_with('.') {
                self.meet(folder, &name, node);
            }
        }
    }

    fn meet(&mut self, folder: &Folder, name: &str, node: Node) {
        let path = join(&folder.path, name);
        let relative = join(&folder.relative, name);
        let wanted = match node {
            Node::Folder => self.selection.enters(&relative),
            Node::File => self.selection.takes(&relative),
            Node::Other => false,
        };
        if !wanted {
            return;
        }
        if path.len() > PATH_BYTES_MAX || name.contains(char::is_control) {
            let shown = path.replace(char::is_control, "?");
            self.problem(shown, "its path is too long or has control characters".to_owned());
        } else if node == Node::Folder {
            self.pending.push(Folder { path, relative, depth: folder.depth + 1 });
        } else if self.found.files.len() < FILES_MAX {
            self.found.files.push(path);
        } else {
            self.found.truncated = true;
        }
    }

    fn problem(&mut self, path: String, reason: String) {
        self.found.problems.push(Problem { path, reason });
    }
}

fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        _ => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::node::System;

    fn walked(root: &std::path::Path, include: Option<&[String]>) -> (Vec<String>, Found) {
        let root = root.to_str().unwrap();
        let found = walk(&System, root, &Selection::new(include, None).unwrap());
        let relative = |path: &String| path[root.len() + 1..].to_owned();
        (found.files.iter().map(relative).collect(), found)
    }

    #[test]
    fn hidden_names_links_and_unchosen_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b/c", "a", ".git", "target"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["b/c/1.md", "a/2.md", "3.txt", ".4.md", ".git/5.md", "target/6.md"] {
            fs::write(root.join(name), "x").unwrap();
        }
        symlink(root.join("a"), root.join("link")).unwrap();
        symlink(root.join("a/2.md"), root.join("link.md")).unwrap();
        symlink("/", root.join("b/out")).unwrap();
        assert_eq!(walked(root, None).0, ["3.txt", "a/2.md", "b/c/1.md"]);
        let chosen = ["*.md".to_owned()];
        let (files, found) = walked(root, Some(&chosen));
        assert_eq!(files, ["a/2.md", "b/c/1.md"]);
        assert!(!found.truncated && found.problems.is_empty());
    }

    #[test]
    fn deep_folders_end_the_walk_and_strange_names_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("a\nb"), "x").unwrap();
        let (_, found) = walked(root, None);
        assert_eq!(found.problems.len(), 1);
        fs::create_dir_all(root.join("d/".repeat(DEPTH_MAX + 1))).unwrap();
        assert!(walked(root, None).1.truncated);
    }
}
