//! A repository with many commits, made by `git fast-import` in a second or two.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

/// Makes a repository with `commits` commits on `main`, each changing one of a hundred files.
pub(crate) fn make(folder: &Path, commits: u32) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("start git fast-import")?;
    let written = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(stream(commits).as_bytes()),
        None => Ok(()),
    };
    let status = child.wait()?;
    written.context("write the history")?;
    if !status.success() {
        bail!("git fast-import failed: {status}");
    }
    git(folder, &["reset", "--quiet", "--hard"])
}

/// The history in the language of `git fast-import`. Each file grows by a line at a time, so that
/// blame has something to tell.
fn stream(commits: u32) -> String {
    const START: u32 = 1_700_000_000;
    let mut text = String::new();
    for commit in 1..=commits {
        let file = commit % 100;
        let lines: String =
            (0..=commit / 100).map(|line| format!("line {line} of file {file}\n")).collect();
        let message = format!("Change file {file} for the {}th time", commit / 100 + 1);
        let author = commit % 7;
        let _ = write!(
            text,
            "commit refs/heads/main\nmark :{commit}\n\
             committer Author {author} <author{author}@example.org> {} +0000\n\
             data {}\n{message}\n",
            START + commit * 60,
            message.len(),
        );
        if commit > 1 {
            let _ = writeln!(text, "from :{}", commit - 1);
        }
        let _ = write!(text, "M 644 inline notes/{file}.txt\ndata {}\n{lines}\n", lines.len());
    }
    text
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("git").args(arguments).current_dir(folder).status();
    if !status.context("start git")?.success() {
        bail!("git {} failed", arguments.join(" "));
    }
    Ok(())
}
