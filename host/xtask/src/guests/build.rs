//! From source to a bare component, by language.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::{Guest, Language};
use crate::tools::{self, WASM_TARGET, WasmCompiler};

/// Builds one component.
pub(super) fn component(guest: &Guest) -> anyhow::Result<Vec<u8>> {
    match guest.language {
        Language::Rust => rust(guest),
        Language::Python => python(guest),
        Language::Text => {
            let text = guest.folder.join("component.wat");
            wat::parse_file(&text).with_context(|| format!("translate {}", text.display()))
        }
    }
}

/// All Rust guests share one target folder, so that what they have in common is built once.
fn rust(guest: &Guest) -> anyhow::Result<Vec<u8>> {
    let Some(compiler) = WasmCompiler::find() else {
        bail!("this machine has no Rust for {WASM_TARGET}: run `cargo xtask setup`");
    };
    let package =
        if guest.first_party { format!("meshhost-{}", guest.name) } else { guest.name.clone() };
    let target = tools::target_folder().join("guests-build");
    let mut cargo = compiler.cargo_build();
    cargo.current_dir(&guest.folder).env("CARGO_TARGET_DIR", &target).args(["--package", &package]);
    tools::run(&mut cargo)?;
    let file = format!("{}.wasm", package.replace('-', "_"));
    read(&target.join(WASM_TARGET).join("release").join(file))
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
