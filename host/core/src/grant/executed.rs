//! The names through which others execute: files that a shell, an editor, a build tool, git or
//! the desktop reads and obeys. `fs:rw` leaves them out; only `fs:rw+exec` includes them.
//!
//! The list is about names, so it cannot be complete: any file may be read by some program, and
//! git takes a folder of any name for a bare repository when it looks like one. It holds what
//! runs without being asked for, or by an everyday command in the same folder.

use std::iter::Peekable;

/// Patterns of path components; everything below a match belongs to it. `*.x` stands for one
/// component that ends so. They match anywhere in a path.
const EXECUTED: &[&[&str]] = &[
    // git: hooks, and configuration that names programs (also of bare repositories).
    &[".git", "hooks"],
    &[".git", "config"],
    &[".git", "config.worktree"],
    &[".git", "commondir"],
    &[".git", "info", "attributes"],
    &[".git", "modules"],
    &[".git", "worktrees"],
    // The list of an unfinished rebase holds commands.
    &[".git", "rebase-merge"],
    &["*.git", "hooks"],
    &["*.git", "config"],
    &[".gitconfig"],
    &[".gitmodules"],
    &[".config", "git"],
    &[".hgrc"],
    &[".hg", "hgrc"],
    &[".husky"],
    &[".githooks"],
    &[".pre-commit-config.yaml"],
    &["lefthook.yml"],
    // Shells.
    &[".profile"],
    &[".login"],
    &[".logout"],
    &[".bashrc"],
    &[".bash_profile"],
    &[".bash_login"],
    &[".bash_logout"],
    &[".bash_aliases"],
    &[".zshrc"],
    &[".zshenv"],
    &[".zprofile"],
    &[".zlogin"],
    &[".zlogout"],
    &[".cshrc"],
    &[".tcshrc"],
    &[".kshrc"],
    &[".mkshrc"],
    &[".inputrc"],
    &[".config", "fish"],
    &[".config", "nushell"],
    &[".config", "environment.d"],
    &[".pam_environment"],
    &[".xprofile"],
    &[".xinitrc"],
    &[".xsession"],
    &[".xsessionrc"],
    &[".envrc"],
    &[".direnvrc"],
    &[".config", "direnv"],
    &[".mise.toml"],
    &[".tool-versions"],
    // Keys and remote logins.
    &[".ssh"],
    &["authorized_keys"],
    &["authorized_keys2"],
    &[".rhosts"],
    &[".gnupg"],
    // Started with the machine or the session.
    &[".config", "autostart"],
    &[".config", "systemd"],
    &[".local", "share", "systemd"],
    &[".local", "share", "applications"],
    &[".local", "share", "dbus-1"],
    &["Library", "LaunchAgents"],
    &["Library", "LaunchDaemons"],
    &[".crontab"],
    &["cron.d"],
    &["crontabs"],
    &[".config", "plasma-workspace"],
    &[".config", "hypr"],
    &[".config", "i3"],
    &[".config", "sway"],
    &["*.desktop"],
    // Programs found by name.
    &[".local", "bin"],
    &[".cargo", "bin"],
    &["node_modules", ".bin"],
    // Editors.
    &[".vscode"],
    &[".idea"],
    &[".zed"],
    &[".fleet"],
    &[".cursor"],
    &[".devcontainer"],
    &["devcontainer.json"],
    &["*.code-workspace"],
    &[".vim"],
    &[".vimrc"],
    &[".exrc"],
    &[".nvimrc"],
    &[".nvim.lua"],
    &[".lvimrc"],
    &[".gvimrc"],
    &[".config", "nvim"],
    &[".emacs"],
    &[".emacs.d"],
    &[".config", "emacs"],
    &[".dir-locals.el"],
    &[".dir-locals-2.el"],
    &[".nanorc"],
    &[".sublime-project"],
    // Debuggers and terminals.
    &[".gdbinit"],
    &[".lldbinit"],
    &[".tmux.conf"],
    &[".config", "tmux"],
    &[".screenrc"],
    // Packages and builds.
    &["package.json"],
    &[".npmrc"],
    &[".yarnrc"],
    &[".yarnrc.yml"],
    &[".pnpmfile.cjs"],
    &["bunfig.toml"],
    &["setup.py"],
    &["pyproject.toml"],
    &["conftest.py"],
    &["sitecustomize.py"],
    &["usercustomize.py"],
    &["site-packages", "*.pth"],
    &["tox.ini"],
    &["noxfile.py"],
    &["build.rs"],
    &[".cargo", "config"],
    &[".cargo", "config.toml"],
    &["rust-toolchain"],
    &["rust-toolchain.toml"],
    &["Makefile"],
    &["GNUmakefile"],
    &["CMakeLists.txt"],
    &["justfile"],
    &["Rakefile"],
    &["Gemfile"],
    &["composer.json"],
    &["build.gradle"],
    &["build.gradle.kts"],
    &["gradlew"],
    &["mvnw"],
    &[".mvn"],
    &["gulpfile.js"],
    &["Gruntfile.js"],
    &["Vagrantfile"],
    &["Dockerfile"],
    &["docker-compose.yml"],
    &["compose.yaml"],
    &[".github", "workflows"],
    &[".github", "actions"],
    &[".gitlab-ci.yml"],
    &["Jenkinsfile"],
    // Agents that obey files in a folder.
    &[".mcp.json"],
    &[".claude"],
];

/// Whether this path is one through which others execute, or lies below one. Give the components
/// of the whole path, those of the granted folder itself first: a grant may begin inside `.git`.
/// The path must be the real one, after symbolic links are resolved.
///
/// Names are compared as the most forgiving file systems do: without case, without characters
/// that HFS+ ignores, without final dots and spaces.
#[must_use]
pub fn executes_for_others<'path>(components: impl Iterator<Item = &'path str> + Clone) -> bool {
    any_match(components, starts_with)
}

/// Whether something of this name may bring such a path along at once: `.git` that is moved or
/// linked here may hold `hooks`, and a new file `.git` names another folder as the repository. To
/// be asked, besides [`executes_for_others`], for every new file and for the target of every
/// rename and link. Making an empty folder is harmless.
#[must_use]
pub fn may_hold_executed<'path>(components: impl Iterator<Item = &'path str> + Clone) -> bool {
    any_match(components, ends_inside)
}

/// Tries every pattern at every position of the path.
fn any_match<'path, Path: Iterator<Item = &'path str> + Clone>(
    mut components: Path,
    matches: impl Fn(&[&str], Peekable<Path>) -> bool,
) -> bool {
    loop {
        let here = components.clone().peekable();
        if EXECUTED.iter().any(|pattern| matches(pattern, here.clone())) {
            return true;
        }
        if components.next().is_none() {
            return false;
        }
    }
}

fn starts_with<'path>(pattern: &[&str], mut path: impl Iterator<Item = &'path str>) -> bool {
    pattern.iter().all(|part| path.next().is_some_and(|name| same_name(part, name)))
}

/// Whether the path is over before the pattern is.
fn ends_inside<'path>(
    pattern: &[&str],
    mut path: Peekable<impl Iterator<Item = &'path str>>,
) -> bool {
    let mut parts = pattern.iter();
    while let Some(name) = path.next() {
        if !parts.next().is_some_and(|part| same_name(part, name)) {
            return false;
        }
        if path.peek().is_none() {
            return parts.next().is_some();
        }
    }
    false
}

/// Whether a name is this part of a pattern, compared as the most forgiving file systems do.
pub(super) fn same_name(part: &str, name: &str) -> bool {
    let Some(ending) = part.strip_prefix('*') else { return folded(part).eq(folded(name)) };
    let skipped = folded(name).count().checked_sub(folded(ending).count());
    skipped.is_some_and(|skipped| folded(name).skip(skipped).eq(folded(ending)))
}

/// The characters of a name as the most forgiving file systems compare them.
fn folded(name: &str) -> impl Iterator<Item = char> {
    let trimmed = name.trim_end_matches(['.', ' ']);
    let kept = trimmed.chars().filter(|character| !is_ignored(*character));
    kept.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Characters that HFS+ leaves out when it compares names.
const fn is_ignored(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
