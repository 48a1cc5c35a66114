//! `cargo xtask guests`: builds every component to `target/guests/NAME.wasm`, with its manifest
//! and its documentation inside. What has not changed is not built again.

mod build;
mod inputs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::{embed, say, tools};

/// The world that a component with WIT of its own implements.
const WORLD: &str = "provider";
/// The contracts that other contracts use.
const USED: [&str; 5] = ["blob", "inference", "mesh", "embedding", "index"];

/// One component to build.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Its name: the folder's.
    name: String,
    /// Its source.
    folder: PathBuf,
    /// What it is written in.
    language: Language,
    /// Shipped inside the binary, and not only a fixture of the tests.
    first_party: bool,
}

/// What a component is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    /// A package of the Cargo workspace in the folder above.
    Rust,
    /// `app.py`, with its world in `wit/`.
    Python,
    /// `component.wat`, text of a whole component.
    Text,
}

/// Builds all of them, or those named.
pub(crate) fn run(only: &[String]) -> anyhow::Result<()> {
    let mut guests = find()?;
    let known: BTreeSet<_> = guests.iter().map(|guest| guest.name.clone()).collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(*name)) {
        let known: Vec<_> = known.into_iter().collect();
        bail!("no component {unknown:?}; there are {}", known.join(", "));
    }
    guests.retain(|guest| only.is_empty() || only.contains(&guest.name));
    build_all(&guests)
}

/// Builds what the binary carries.
pub(crate) fn run_first_party() -> anyhow::Result<()> {
    let mut guests = find()?;
    guests.retain(|guest| guest.first_party);
    build_all(&guests)
}

fn build_all(guests: &[Guest]) -> anyhow::Result<()> {
    let folder = tools::guests_folder();
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let shared = inputs::shared()?;
    let mut changed = Vec::new();
    for guest in guests {
        let made = Made::of(guest, &folder, &shared)?;
        if made.is_current() {
            say::line(format!("{}: unchanged", guest.name));
        } else {
            changed.push((guest, made));
        }
    }
    let wanted: Vec<_> = changed.iter().map(|(guest, _)| *guest).collect();
    build::rust(&wanted, &find()?)?;
    for (number, (guest, made)) in changed.iter().enumerate() {
        let step =
            format!("[{}/{}] {} ({:?})", number + 1, changed.len(), guest.name, guest.language);
        let bytes = finished(guest).with_context(|| format!("build {}", guest.name))?;
        made.write(&bytes)?;
        say::line(format!("{step}: {} KiB", bytes.len() / 1024));
    }
    say::line(format!("Components: {}", folder.display()));
    Ok(())
}

/// A finished component, and what it was made of.
struct Made {
    wasm: PathBuf,
    stamp: PathBuf,
    inputs: String,
}

impl Made {
    fn of(guest: &Guest, folder: &Path, shared: &str) -> anyhow::Result<Self> {
        Ok(Self {
            wasm: folder.join(format!("{}.wasm", guest.name)),
            stamp: folder.join(format!(".{}.inputs", guest.name)),
            inputs: inputs::of(guest, shared)?,
        })
    }

    fn is_current(&self) -> bool {
        self.wasm.exists() && fs::read_to_string(&self.stamp).is_ok_and(|old| old == self.inputs)
    }

    fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let put = |path: &Path, bytes: &[u8]| {
            fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
        };
        put(&self.wasm, bytes)?;
        put(&self.stamp, self.inputs.as_bytes())
    }
}

/// The component with manifest and documentation inside.
fn finished(guest: &Guest) -> anyhow::Result<Vec<u8>> {
    let component = build::component(guest)?;
    let manifest = guest.folder.join("plugin.toml");
    let manifest = manifest.exists().then(|| fs::read_to_string(&manifest)).transpose()?;
    let docs = documentation(guest)?;
    Ok(embed::embed(&component, manifest.as_deref(), docs.as_deref()))
}

/// The doc comments of the contract with the component's name, or of its own WIT; nothing when it
/// has neither.
fn documentation(guest: &Guest) -> anyhow::Result<Option<String>> {
    let wit = tools::root().join("wit");
    let own = guest.folder.join("wit");
    let contract = tools::subfolders(&wit.join(&guest.name))?;
    if contract.is_empty() && !own.exists() {
        return Ok(None);
    }
    let world = own.exists().then_some(WORLD);
    // First what the others use, each after what it uses itself.
    let mut folders = Vec::new();
    for used in USED.iter().filter(|used| **used != guest.name) {
        folders.extend(tools::subfolders(&wit.join(used))?);
    }
    let folders = folders.into_iter().chain(contract);
    let folders: Vec<_> = folders.chain(world.map(|_| own)).collect();
    let folders: Vec<_> = folders.iter().map(PathBuf::as_path).collect();
    embed::docs_of_wit(&folders, world).map(Some)
}

/// Every component of the repository, shipped ones first, by name.
fn find() -> anyhow::Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for (place, first_party) in [("plugins", true), ("tests/guests", false)] {
        for folder in tools::subfolders(&tools::root().join(place))? {
            let Some(language) = language(&folder, first_party) else { continue };
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
            guests.push(Guest { name: name.to_owned(), language, first_party, folder });
        }
    }
    Ok(guests)
}

fn language(folder: &Path, first_party: bool) -> Option<Language> {
    let has = |name: &str| folder.join(name).exists();
    if first_party && !has("plugin.toml") {
        None
    } else if has("Cargo.toml") {
        Some(Language::Rust)
    } else if has("app.py") {
        Some(Language::Python)
    } else if has("component.wat") {
        Some(Language::Text)
    } else {
        None
    }
}
