//! `cargo xtask bench`: builds what is measured, optimised, and prints the figures. The figures
//! themselves are in `tests/bench/`.

mod inference;

use std::process::Command;

use crate::{guests, tools};

/// What is measured, and how.
#[derive(Debug)]
pub(crate) struct Options {
    /// The figures: all but those of inference where there are none.
    pub(crate) names: Vec<String>,
    /// One line of JSON for each figure.
    pub(crate) json: bool,
    /// cargo's profile, where it is not the optimised one.
    pub(crate) profile: Option<String>,
    /// Do not ask before installing system packages.
    pub(crate) yes: bool,
}

/// Measures all figures, or those named.
pub(crate) fn run(mut options: Options) -> anyhow::Result<()> {
    let named = options.names.len();
    options.names.retain(|name| name != inference::NAME);
    if named == 0 || !options.names.is_empty() {
        figures(&options)?;
    }
    if options.names.len() < named {
        inference::run(&options)?;
    }
    Ok(())
}

fn figures(options: &Options) -> anyhow::Result<()> {
    guests::run(&[])?;
    let mut command = cargo_bench(options, "meshhost", "figures");
    command.args(["--features", "bench", "--"]).args(&options.names);
    if options.json {
        command.arg("--json");
    }
    tools::run(&mut command)
}

/// `cargo bench` of one benchmark of a package.
fn cargo_bench(options: &Options, package: &str, bench: &str) -> Command {
    let mut command = tools::cargo();
    command.current_dir(tools::root());
    command.args(["bench", "--locked", "--package", package, "--bench", bench]);
    if let Some(profile) = &options.profile {
        command.args(["--profile", profile]);
    }
    command
}
