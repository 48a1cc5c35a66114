//! From source to a bare component, by language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::{Guest, Language};
use crate::tools::{self, WASM_TARGET, WasmCompiler};

/// Compiles the Rust guests of every workspace of which one is wanted. All of a workspace at once: most
/// of the time goes into optimising each whole component, which takes one core; and what they share
/// has the same features whoever is wanted, so that the bytes are the same too.
pub(super) fn rust(wanted: &[&Guest], all: &[Guest]) -> anyhow::Result<()> {
    for first_party in [true, false] {
        let of_workspace =
            |guest: &Guest| guest.language == Language::Rust && guest.first_party == first_party;
        if !wanted.iter().any(|guest| of_workspace(guest)) {
            continue;
        }
        let guests: Vec<_> = all.iter().filter(|guest| of_workspace(guest)).collect();
        let Some(first) = guests.first() else { continue };
        let Some(compiler) = WasmCompiler::find() else {
            bail!("this machine has no Rust for {WASM_TARGET}: run `cargo xtask setup`");
        };
        let mut cargo = compiler.cargo_build();
        cargo.current_dir(&first.folder).env("CARGO_TARGET_DIR", rust_target());
        cargo.args(guests.iter().flat_map(|guest| ["--package".to_owned(), package(guest)]));
        tools::run(&mut cargo)?;
    }
    Ok(())
}

/// All Rust guests share one target folder, so that what they have in common is built once.
fn rust_target() -> PathBuf {
    tools::target_folder().join("guests-build")
}

fn package(guest: &Guest) -> String {
    if guest.first_party { format!("meshhost-{}", guest.name) } else { guest.name.clone() }
}

/// One component; one of Rust was compiled before ([`rust`]).
pub(super) fn component(guest: &Guest) -> anyhow::Result<Vec<u8>> {
    match guest.language {
        Language::Rust => {
            let file = format!("{}.wasm", package(guest).replace('-', "_"));
            read(&rust_target().join(WASM_TARGET).join("release").join(file))
        }
        Language::Python => python(guest),
        Language::Text => {
            let text = guest.folder.join("component.wat");
            wat::parse_file(&text).with_context(|| format!("translate {}", text.display()))
        }
    }
}

fn python(guest: &Guest) -> anyhow::Result<Vec<u8>> {
    let program = tools::componentize_py();
    if !program.exists() {
        bail!("this machine has no componentize-py: run `cargo xtask setup`");
    }
    let work = tempfile::tempdir().context("make a temporary folder")?;
    let wasm = work.path().join("component.wasm");
    let mut componentize = Command::new(program);
    componentize.current_dir(&guest.folder).args(["--quiet", "--wit-path", "wit"]);
    componentize.args(["--world", super::WORLD, "componentize", "app", "--output"]).arg(&wasm);
    tools::run(&mut componentize)?;
    read(&wasm)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
