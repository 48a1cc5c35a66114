//! Names through which somebody else executes what is written there: shells at their start, git at
//! a commit, an editor when a folder is opened, the login of another machine. A folder that is
//! granted for writing leaves them out; `fs:rw+exec` includes them. Reading them is reading.

/// The names, as they follow each other anywhere below a granted folder. The last part also
/// covers everything below it. Compared without regard to ASCII case, for file systems that do.
pub(crate) const EXECUTED_BY_OTHERS: &[&str] = &[
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cargo/config",
    ".cargo/config.toml",
    ".config/autostart",
    ".config/environment.d",
    ".config/fish",
    ".config/git",
    ".config/systemd",
    ".devcontainer",
    ".devcontainer.json",
    ".envrc",
    ".git/config",
    ".git/hooks",
    ".git/info/attributes",
    ".git/modules",
    ".gitattributes",
    ".gitconfig",
    ".github/workflows",
    ".gitlab-ci.yml",
    ".gitmodules",
    ".husky",
    ".idea",
    ".kshrc",
    ".local/bin",
    ".local/share/applications",
    ".login",
    ".mise.toml",
    ".npmrc",
    ".pam_environment",
    ".pre-commit-config.yaml",
    ".profile",
    ".ssh/authorized_keys",
    ".ssh/authorized_keys2",
    ".ssh/config",
    ".ssh/environment",
    ".ssh/rc",
    ".tool-versions",
    ".vimrc",
    ".vscode",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".yarnrc",
    ".yarnrc.yml",
    ".zlogin",
    ".zlogout",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    "Library/LaunchAgents",
    "build.rs",
    "justfile",
    "makefile",
    "package.json",
];

/// Whether a path below a granted folder is one of the names or lies below one.
pub(super) fn is_executed_by_others(path: &[String]) -> bool {
    EXECUTED_BY_OTHERS.iter().any(|pattern| {
        let parts: Vec<&str> = pattern.split('/').collect();
        path.windows(parts.len()).any(|window| same(window, &parts))
    })
}

/// Whether a directory that is moved to or from this path would carry such a name with it: the
/// path ends in the first parts of one (`.git`), or is one.
pub(super) fn leads_to_executed(path: &[String]) -> bool {
    is_executed_by_others(path)
        || EXECUTED_BY_OTHERS.iter().any(|pattern| {
            let parts: Vec<&str> = pattern.split('/').collect();
            (1..parts.len()).any(|length| {
                let start = path.len().checked_sub(length);
                let end = start.and_then(|start| path.get(start..));
                end.zip(parts.get(..length)).is_some_and(|(end, parts)| same(end, parts))
            })
        })
}

fn same(path: &[String], parts: &[&str]) -> bool {
    path.len() == parts.len()
        && path.iter().zip(parts).all(|(name, part)| name.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn names_are_found_at_any_depth_and_with_what_lies_below() {
        for text in [".git/hooks", "a/.git/hooks/pre-commit", ".BASHRC", "x/.vscode/tasks.json"] {
            assert!(is_executed_by_others(&path(text)), "{text}");
        }
        for text in [".git", ".git/HEAD", "hooks/pre-commit", "bashrc", "a/.git.d/hooks"] {
            assert!(!is_executed_by_others(&path(text)), "{text}");
        }
    }

    #[test]
    fn a_directory_must_not_be_moved_onto_the_start_of_a_name() {
        for text in [".git", "a/.ssh", ".git/info", ".git/hooks"] {
            assert!(leads_to_executed(&path(text)), "{text}");
        }
        for text in ["a/b", ".git/objects", "git"] {
            assert!(!leads_to_executed(&path(text)), "{text}");
        }
    }
}
