//! `cargo xtask bench inference`: what running models costs, beside the usual ways to do the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use super::{Options, cargo_bench};
use crate::python::Environment;
use crate::{guests, say, tools};

/// What these figures are called.
pub(super) const NAME: &str = "inference";
/// Where the programs in Python are, below the root.
const FOLDER: &str = "tests/bench";

/// Measures, one after the other. What cannot be measured does not keep the others from it.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let requirements = tools::root().join(FOLDER).join("requirements.txt");
    let what = "Python with ONNX Runtime, tokenizers and RapidOCR";
    let python = Environment::pinned("bench", what, &requirements)?.prepare(options.yes)?;
    let binary = binary(options)?;
    let mut failed = 0;
    for mut command in commands(options, &python, &binary) {
        if options.json {
            command.arg("--json");
        }
        if let Err(error) = tools::run(&mut command) {
            say::error(&error);
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of the figures of inference could not be measured");
    }
    Ok(())
}

/// The program whose node is measured, with the plugins inside.
fn binary(options: &Options) -> anyhow::Result<PathBuf> {
    guests::run_first_party()?;
    let profile = options.profile.as_deref().unwrap_or("release");
    let mut command = tools::cargo();
    command.current_dir(tools::root());
    command.args(["build", "--locked", "--package", "meshhost", "--profile", profile]);
    tools::run(&mut command)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(tools::target_folder().join(folder).join("meshhost"))
}

/// What measures, in the order in which it does.
fn commands(options: &Options, python: &Path, binary: &Path) -> Vec<Command> {
    let script = |name: &str| {
        let mut command = Command::new(python);
        // Nothing compiled is left beside the sources.
        command.arg("-B").arg(tools::root().join(FOLDER).join(name));
        command
    };
    let mut worker = cargo_bench(options, "meshhost-inference", "worker");
    worker.arg("--");
    let [mut ocr, mut embedding, mut index] = ["ocr.py", "embedding.py", "index.py"].map(script);
    ocr.arg("--binary").arg(binary);
    embedding.arg("--binary").arg(binary);
    index.args(["--profile", options.profile.as_deref().unwrap_or("release")]);
    vec![worker, ocr, embedding, index]
}
