//! `cargo xtask test`: what continuous integration runs. Every step sets up what it needs, so that
//! it passes on a fresh clone and a fresh machine.

use std::path::PathBuf;

use crate::{guests, say, setup, tools};

/// Workspaces besides the main one: they are built for another target.
const GUEST_WORKSPACES: [&str; 2] = ["plugins", "tests/guests"];

/// Runs all steps and stops at the first that fails.
pub(crate) fn run(yes: bool) -> anyhow::Result<()> {
    setup::run(yes)?;
    guests::run(&[])?;
    say::timed("Formatting", formatting)?;
    say::timed("Lints", lints)?;
    say::timed("Tests of the plugins, against the git program too", plugins)?;
    say::timed("Tests of the host", host)
}

fn formatting() -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--check"], ".")?;
    let folders = GUEST_WORKSPACES.iter().chain(["tests/fuzz/libfuzzer"].iter());
    folders.copied().try_for_each(|folder| cargo(&["fmt", "--all", "--check"], folder))
}

/// With all features: the benchmarks are held to the lints too. The tests are built without them,
/// as the binary is.
fn lints() -> anyhow::Result<()> {
    let targets = ["--workspace", "--all-targets", "--all-features"];
    cargo(&[&["clippy", "--locked"], &targets[..], &["--", "--deny", "warnings"]].concat(), ".")
}

/// The plugins' own tests run natively: the same code, with the machine's files.
fn plugins() -> anyhow::Result<()> {
    tests("plugins")
}

fn host() -> anyhow::Result<()> {
    tests(".")
}

fn tests(workspace: &str) -> anyhow::Result<()> {
    if tools::output("cargo", &["nextest", "--version"]).is_some() {
        return cargo(&["nextest", "run", "--locked", "--workspace"], workspace);
    }
    say::line("cargo-nextest is not installed: the tests run with cargo's own runner, slower");
    cargo(&["test", "--locked", "--workspace"], workspace)
}

/// Kills of a node in one soak.
const KILLS: &str = "1000";
/// Seeds of the simulated mesh in one soak.
const SEEDS: &str = "100000";

/// The tests that take long.
pub(crate) fn soak() -> anyhow::Result<()> {
    setup::run(false)?;
    guests::run(&[])?;
    let mut command = tools::cargo();
    command.current_dir(tools::root()).env("MESHHOST_KILLS", KILLS);
    command.args(["test", "--locked", "--package", "meshhost", "--test", "it", "kill"]);
    say::timed("A thousand kills", || tools::run(&mut command))?;
    let mut command = tools::cargo();
    command.current_dir(tools::root()).env("MESHHOST_SEEDS", SEEDS);
    command.args(["test", "--locked", "--package", "meshhost-core", "--test", "mesh_simulation"]);
    say::timed("The mesh, simulated with a hundred thousand seeds", || tools::run(&mut command))
}

fn cargo(arguments: &[&str], folder: &str) -> anyhow::Result<()> {
    let folder: PathBuf = tools::root().join(folder);
    tools::run(tools::cargo().current_dir(folder).args(arguments))
}
