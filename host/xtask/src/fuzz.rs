//! `cargo xtask fuzz`: one target of `tests/fuzz` with libFuzzer, through cargo-fuzz.

use std::{fs, path::PathBuf};

use anyhow::{Context, bail};

use crate::{say, tools};

/// The version of cargo-fuzz that is installed where none is there.
const CARGO_FUZZ: &str = "0.13.2";
/// Seconds after which one input counts as a hang.
const TIMEOUT_S: u32 = 10;
/// Mebibytes of memory that a fuzzing process may take.
const MEMORY_MIB: u32 = 2_048;

/// What this way of fuzzing does not see.
const LACKS: &str = "\
Without a sanitizer, since those take a nightly compiler: a memory error shows only when it
crashes. Panics, failed assertions, overflows, hangs and memory above the bound are found.";

/// Fuzzes one target, or lists them all.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> anyhow::Result<()> {
    let names = names()?;
    let Some(target) = target else {
        say::line("Targets:");
        names.iter().for_each(|name| say::line(format!("  {name}")));
        return Ok(());
    };
    if !names.iter().any(|name| name == target) {
        bail!("there is no target {target}; there are: {}", names.join(", "));
    }
    let program = cargo_fuzz()?;
    say::line(LACKS);
    let folder = folder();
    let corpus = folder.join("corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
    let mut command = std::process::Command::new(program);
    command.current_dir(tools::root()).args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]);
    command
        .arg(&folder)
        .arg(target)
        .arg(corpus)
        .arg(tools::root().join("tests/fuzz/seeds").join(target));
    command.args(["--", &format!("-max_total_time={seconds}")]);
    command.args([&format!("-timeout={TIMEOUT_S}"), &format!("-rss_limit_mb={MEMORY_MIB}")]);
    command.arg("-print_final_stats=1");
    tools::run(&mut command)
}

fn folder() -> PathBuf {
    tools::root().join("tests/fuzz/libfuzzer")
}

/// The targets, by the names of their files.
fn names() -> anyhow::Result<Vec<String>> {
    let files = fs::read_dir(folder().join("fuzz_targets")).context("look for the targets")?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// The program, installed into the target folder where the machine has none.
fn cargo_fuzz() -> anyhow::Result<PathBuf> {
    if tools::output("cargo-fuzz", &["fuzz", "--version"]).is_some() {
        return Ok("cargo-fuzz".into());
    }
    let root = tools::tools_folder().join("cargo-fuzz");
    let program = root.join("bin/cargo-fuzz");
    if !program.exists() {
        say::timed(&format!("cargo-fuzz {CARGO_FUZZ}"), || {
            let mut install = tools::cargo();
            install.args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ, "--root"]);
            tools::run(install.arg(&root))
        })?;
    }
    Ok(program)
}
