//! Environments of Python below `target/tools`, with exactly the packages that we name.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{say, setup, tools};

/// The oldest Python that the packages take.
const OLDEST: &str = "3.11";

/// What an environment holds.
pub(crate) struct Environment {
    /// Its folder below `target/tools`.
    pub(crate) folder: &'static str,
    /// What it is for, in words.
    pub(crate) what: String,
    /// What pip is told to install.
    pub(crate) packages: Vec<String>,
    /// Changes whenever the packages do.
    pub(crate) version: String,
}

impl Environment {
    /// One with the packages of a file that pins each by its digest.
    pub(crate) fn pinned(
        folder: &'static str,
        what: &str,
        requirements: &Path,
    ) -> anyhow::Result<Self> {
        let pinned = std::fs::read(requirements)
            .with_context(|| format!("read {}", requirements.display()))?;
        let arguments = ["--require-hashes", "--only-binary=:all:", "--requirement"];
        let mut packages: Vec<_> = arguments.map(str::to_owned).into();
        packages.push(requirements.display().to_string());
        let version = blake3::hash(&pinned).to_hex().to_string();
        Ok(Self { folder, what: what.to_owned(), packages, version })
    }

    /// Makes it unless it is there. Returns its Python.
    pub(crate) fn prepare(&self, yes: bool) -> anyhow::Result<PathBuf> {
        let folder = tools::tools_folder().join(self.folder);
        let python = folder.join("bin/python");
        let stamp = folder.join("installed");
        if std::fs::read_to_string(&stamp).is_ok_and(|version| version == self.version) {
            say::line(format!("{}: there", self.what));
            return Ok(python);
        }
        python3(&self.what, yes)?;
        say::timed(&self.what, || {
            tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            tools::run(pip.args(&self.packages))?;
            std::fs::write(&stamp, &self.version).context("note what was installed")
        })?;
        Ok(python)
    }
}

/// Sees to it that the system's Python can make environments.
fn python3(what: &str, yes: bool) -> anyhow::Result<()> {
    if tools::output("python3", &["-c", "import venv, ensurepip"]).is_none() {
        let script = "apt-get update\napt-get install -y --no-install-recommends python3-venv\n";
        setup::as_root(&format!("Python, for {what}"), script, yes)?;
    }
    let version = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = tools::output("python3", &["-c", version]).context("python3 does not run")?;
    if semver(&version) < semver(OLDEST) {
        bail!("{what} needs Python {OLDEST}, and python3 is {}", version.trim());
    }
    Ok(())
}

fn semver(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
