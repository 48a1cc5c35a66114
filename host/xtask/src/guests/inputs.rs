//! What a component is built from, as one digest: its own folder and what all of them share.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::Guest;
use crate::tools;

/// What every component depends on: the contracts, the SDK, the versions of its workspace, and how
/// we build.
const SHARED: [&str; 9] = [
    "wit",
    "sdk/rust",
    "plugins/Cargo.toml",
    "plugins/Cargo.lock",
    "tests/guests/Cargo.toml",
    "tests/guests/Cargo.lock",
    "host/xtask/src/embed.rs",
    "host/xtask/src/guests.rs",
    "host/xtask/src/guests",
];

/// The digest of what every component depends on.
pub(super) fn shared() -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for place in SHARED {
        let path = tools::root().join(place);
        if path.exists() {
            add(&mut hasher, &path, place)?;
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The digest of everything that `guest` is built from.
pub(super) fn of(guest: &Guest, shared: &str) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(shared.as_bytes());
    add(&mut hasher, &guest.folder, &guest.name)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Adds a file, or a folder with all its files in the order of their names.
fn add(hasher: &mut blake3::Hasher, path: &Path, name: &str) -> anyhow::Result<()> {
    if path.is_dir() {
        let entries = path.read_dir().with_context(|| format!("read {}", path.display()))?;
        let mut entries = entries
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("read {}", path.display()))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let below = entry.file_name().to_string_lossy().into_owned();
            if below != "target" && below != "tests" && below != "__pycache__" {
                add(hasher, &entry.path(), &format!("{name}/{below}"))?;
            }
        }
        return Ok(());
    }
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    Ok(())
}
