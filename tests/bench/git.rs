//! `git.log` of 10,000 commits through the whole door, beside the `git` program on the same
//! repository.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::{
    door::executor,
    engine,
    home::{self, Home},
    report::{Row, Times, ratio},
};

const COMMITS: usize = 10_000;
const ROUNDS: usize = 9;

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let repository = repository()?;
    let executor = executor()?;
    let (ours, theirs) = executor.block_on(async {
        let home = Home::open().await?;
        let grant = format!("fs:ro={}", repository.display());
        home.install(engine::guest_path("git"), "git", vec![grant]).await?;
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        for round in 0..=ROUNDS {
            let input = json!({ "path": repository, "limit": COMMITS });
            let begun = Instant::now();
            let reply = home.call(home::request("git.log", input)?).await?;
            let own = begun.elapsed();
            let begun = Instant::now();
            program(&repository)?;
            let other = begun.elapsed();
            // The first round warms both.
            if round > 0 {
                ours.push(own);
                theirs.push(other);
            } else {
                let commits = reply.data.as_ref().and_then(|data| data.get("commits"));
                let found = commits.and_then(|commits| commits.as_array()).map_or(0, Vec::len);
                ensure!(found == COMMITS, "git.log gave {found} commits");
            }
        }
        anyhow::Ok((ours, theirs))
    })?;
    let times = ratio(ours.median(), theirs.median());
    Ok(vec![
        Row::shown("git.log of 10,000 commits", ours.text()),
        Row::shown("the git program, as a process", theirs.text()),
        Row::must("beside the git program", format!("{times:.1}×"), "≤ 10×", times <= 10.0)
            .by("9 rounds in turns, both warm, all fields of each commit printed, one packed repository"),
    ])
}

/// The log with every field that the plugin gives.
fn program(repository: &Path) -> anyhow::Result<()> {
    let format = "--format=%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00";
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(["log", format, "-n", "10000"]);
    let output = git.stdin(Stdio::null()).output().context("run git")?;
    ensure!(output.status.success(), "git log failed");
    Ok(())
}

/// A repository with [`COMMITS`] commits, made once.
fn repository() -> anyhow::Result<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    std::fs::create_dir_all(&place)?;
    let folder = place.canonicalize()?.join(format!("repository-{COMMITS}"));
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&folder).args(arguments);
        command
    };
    std::fs::create_dir_all(&folder)?;
    ensure!(git(&["init", "--quiet", "--initial-branch=main"]).status()?.success(), "git init");
    let mut import = git(&["fast-import", "--quiet", "--force"]).stdin(Stdio::piped()).spawn()?;
    let mut input = import.stdin.take().context("a pipe to git")?;
    input.write_all(stream().as_bytes())?;
    drop(input);
    ensure!(import.wait()?.success(), "git fast-import");
    ensure!(git(&["reset", "--quiet", "--hard", "main"]).status()?.success(), "git reset");
    ensure!(git(&["repack", "-a", "-d", "--quiet"]).status()?.success(), "git repack");
    std::fs::write(folder.join("complete"), "")?;
    Ok(folder)
}

/// The history as fast-import reads it: one changed file a commit, messages of two paragraphs.
fn stream() -> String {
    let mut text = String::new();
    for number in 1..=COMMITS {
        let message =
            format!("Change number {number}\n\nBecause the one before it was not enough.\n");
        let content = format!("line {number}\n");
        let at = 1_600_000_000 + number * 60;
        let _ = write!(
            text,
            "commit refs/heads/main\nmark :{number}\n\
             author A U Thor <author@example.com> {at} +0100\n\
             committer C O Mitter <committer@example.com> {at} +0100\n\
             data {}\n{message}",
            message.len()
        );
        if number > 1 {
            let _ = writeln!(text, "from :{}", number - 1);
        }
        let file = number % 50;
        let _ = write!(
            text,
            "M 100644 inline folder-{}/file-{file}.txt\ndata {}\n{content}",
            file % 7,
            content.len()
        );
    }
    text
}
