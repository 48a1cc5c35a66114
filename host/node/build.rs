//! Puts the first-party components into the binary: a table of those that `cargo xtask guests` has
//! built into `MESHHOST_GUESTS_DIR` (set by `.cargo/config.toml`). Without any the table is empty,
//! and the node builds and works all the same.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=MESHHOST_GUESTS_DIR");
    let mut table = String::from("&[\n");
    if let Some(folder) = env::var_os("MESHHOST_GUESTS_DIR").map(PathBuf::from) {
        // Cargo watches the folder for what is still missing, and cannot watch one that is not there.
        fs::create_dir_all(&folder)?;
        for name in first_party()? {
            let wasm = folder.join(format!("{name}.wasm"));
            if wasm.exists() {
                println!("cargo::rerun-if-changed={}", wasm.display());
                let wasm = fs::canonicalize(wasm)?;
                let _ = writeln!(table, "    ({name:?}, include_bytes!({wasm:?})),");
            } else {
                println!("cargo::rerun-if-changed={}", folder.display());
            }
        }
    }
    table.push_str("]\n");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("builtin.rs"), table)
}

/// Names of the plugins of this repository, sorted.
fn first_party() -> io::Result<Vec<String>> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    println!("cargo::rerun-if-changed=build.rs");
    let mut names = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let path = entry?.path();
        if path.join("plugin.toml").exists() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
