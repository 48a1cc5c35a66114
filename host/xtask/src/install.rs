//! `cargo xtask install`: the optimised binary, with the first-party components inside.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::{guests, say, tools};

/// Builds and copies.
pub(crate) fn run(to: Option<PathBuf>) -> anyhow::Result<()> {
    guests::run_first_party()?;
    say::timed("meshhost, optimised (some minutes the first time)", || {
        tools::run(tools::cargo().current_dir(tools::root()).args([
            "build",
            "--release",
            "--locked",
            "--package",
            "meshhost",
        ]))
    })?;
    let folder = to.map_or_else(cargo_bin, Ok)?;
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let binary = format!("meshhost{}", env::consts::EXE_SUFFIX);
    let target = folder.join(&binary);
    // A running binary cannot be overwritten, but its name can be given to another.
    let staged = folder.join(format!(".{binary}.new"));
    fs::copy(tools::target_folder().join("release").join(&binary), &staged)
        .and_then(|_| fs::rename(&staged, &target))
        .with_context(|| format!("put {}", target.display()))?;
    say::line(format!("Installed: {}", target.display()));
    if !on_path(&folder) {
        say::line(format!("{} is not on your PATH.", folder.display()));
    }
    Ok(())
}

/// Where cargo puts binaries.
fn cargo_bin() -> anyhow::Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    Ok(home.context("no home folder: say where with --to")?.join("bin"))
}

fn on_path(folder: &std::path::Path) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|one| one == folder))
}
