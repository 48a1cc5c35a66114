//! Where a command is given: the working folder and the home folder. Paths become absolute
//! here, before they travel to a node with another working folder.

use std::path::{Component, Path, PathBuf};

use meshhost_core::{code::Code, outcome::Refusal};

use crate::sys;

/// Folders that relative paths start from.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The working folder, absolute.
    pub(crate) folder: PathBuf,
    /// The home folder: what `~` means.
    pub(crate) home: Option<PathBuf>,
}

impl Place {
    /// The place of this process.
    pub(crate) fn here() -> Result<Self, Refusal> {
        let folder = std::env::current_dir().map_err(|error| {
            Refusal::new(Code::UsageError, format!("the working folder is not there: {error}"))
        })?;
        Ok(Self { folder, home: sys::home_folder() })
    }

    /// `path` made absolute: `~` and `~/…` from the home folder, the rest from the working
    /// folder, without `.` and `..`.
    pub(crate) fn absolute(&self, path: &str) -> Result<PathBuf, Refusal> {
        let expanded = match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let home = self.home.as_ref().ok_or_else(|| {
                    Refusal::new(Code::UsageError, "`~` means nothing here: HOME is not set")
                })?;
                home.join(rest.trim_start_matches('/'))
            }
            _ => self.folder.join(path),
        };
        Ok(normal(&expanded))
    }

    /// [`Place::absolute`] as text, for JSON.
    pub(crate) fn absolute_text(&self, path: &str) -> Result<String, Refusal> {
        let absolute = self.absolute(path)?;
        absolute.into_os_string().into_string().map_err(|_| {
            Refusal::new(Code::UsageError, "the working folder's name is not valid UTF-8")
        })
    }
}

/// Without `.` and `..`, by the words of the path alone.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

/// The data directory when neither `--data` nor `MESHHOST_DATA` names one.
pub(crate) fn default_data() -> Result<PathBuf, Refusal> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let platform = if cfg!(target_os = "macos") {
        sys::home_folder().map(|home| home.join("Library/Application Support"))
    } else {
        sys::environment("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(absolute)
            .or_else(|| sys::home_folder().map(|home| home.join(".local/share")))
    };
    platform.map(|folder| folder.join("meshhost")).ok_or_else(|| {
        Refusal::new(Code::UsageError, "HOME is not set; say --data FOLDER or set MESHHOST_DATA")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        let place = Place { folder: "/work/src".into(), home: Some("/home/me".into()) };
        for (written, absolute) in [
            (".", "/work/src"),
            ("", "/work/src"),
            ("a/./b", "/work/src/a/b"),
            ("../x", "/work/x"),
            ("../../../x", "/x"),
            ("/etc/../tmp", "/tmp"),
            ("~", "/home/me"),
            ("~/notes", "/home/me/notes"),
            ("~//notes", "/home/me/notes"),
            ("~other", "/work/src/~other"),
            ("a~", "/work/src/a~"),
        ] {
            assert_eq!(place.absolute_text(written).unwrap(), absolute, "{written}");
        }
    }

    #[test]
    fn without_a_home_only_the_tilde_fails() {
        let place = Place { folder: "/work".into(), home: None };
        assert_eq!(place.absolute("~").unwrap_err().code, Code::UsageError);
        assert!(place.absolute("x").is_ok());
    }
}
