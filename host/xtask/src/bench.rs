//! `cargo xtask bench`: builds what is measured, optimised, and prints the figures. The figures
//! themselves are in `tests/bench/`.

use crate::{guests, tools};

/// Measures all figures, or those named.
pub(crate) fn run(names: &[String], json: bool) -> anyhow::Result<()> {
    guests::run(&[])?;
    let mut command = tools::cargo();
    command.args(["bench", "--package", "meshhost", "--features", "bench"]);
    command.args(["--bench", "figures", "--"]).args(names);
    if json {
        command.arg("--json");
    }
    tools::run(&mut command)
}
