//! `cargo xtask setup`: installs what this machine lacks to build the guests, and says what it did.
//! Run again, it finds everything and does nothing.

use std::process::Command;

use anyhow::bail;

use crate::python::Environment;
use crate::say;
use crate::tools::{self, COMPONENTIZE_PY, WASM_TARGET, WasmCompiler};

/// How Debian gets a compiler for the target, where rustup cannot fetch it.
const DEBIAN: &str = include_str!("setup/debian.sh");

/// Installs what is missing. `yes` answers every question.
pub(crate) fn run(yes: bool) -> anyhow::Result<()> {
    rust_target(yes)?;
    python(yes)?;
    say::line("Everything is there. Next: cargo xtask guests");
    Ok(())
}

fn rust_target(yes: bool) -> anyhow::Result<()> {
    if let Some(compiler) = WasmCompiler::find() {
        say::line(format!("Rust for {WASM_TARGET}: there ({compiler:?})"));
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", WASM_TARGET]);
    let fetched = say::timed(&format!("Rust for {WASM_TARGET}"), || tools::run(&mut rustup));
    if fetched.is_ok() && WasmCompiler::find().is_some() {
        return Ok(());
    }
    say::line(format!("rustup could not fetch {WASM_TARGET}; Debian has a compiler for it."));
    as_root("Rust for the guests, from Debian", DEBIAN, yes)?;
    match WasmCompiler::find() {
        Some(_) => Ok(()),
        None => bail!("no Rust compiler for {WASM_TARGET}: see what apt-get said above"),
    }
}

/// What makes components of Python.
fn python(yes: bool) -> anyhow::Result<()> {
    let environment = Environment {
        folder: "python",
        what: format!("componentize-py {COMPONENTIZE_PY}"),
        packages: vec![format!("componentize-py=={COMPONENTIZE_PY}")],
        version: COMPONENTIZE_PY.to_owned(),
    };
    environment.prepare(yes).map(drop)
}

/// Runs a script that changes the system, after asking; without root it is only shown.
pub(crate) fn as_root(what: &str, script: &str, yes: bool) -> anyhow::Result<()> {
    say::line(format!("{what}: this needs system packages. The script:\n\n{script}"));
    if tools::output("id", &["-u"]).is_none_or(|id| id.trim() != "0") {
        bail!("installing system packages needs root: run the script above, then this again");
    }
    if !yes && !say::ask("Run it?") {
        bail!("not installed: run `cargo xtask setup --yes`, or the script above yourself");
    }
    say::timed(what, || tools::run(Command::new("sh").args(["-euc", script])))
}
