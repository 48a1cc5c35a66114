//! What something is made from, as one digest: files and folders by name and content.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Folders that are made, or that nothing is made from.
const LEFT_OUT: [&str; 3] = ["target", "tests", "__pycache__"];

/// Adds a file, or a folder with all its files in the order of their names. It counts under `name`,
/// wherever it is.
pub(crate) fn add(hasher: &mut blake3::Hasher, path: &Path, name: &str) -> anyhow::Result<()> {
    if path.is_dir() {
        let entries = path.read_dir().with_context(|| format!("read {}", path.display()))?;
        let mut entries = entries
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("read {}", path.display()))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let below = entry.file_name().to_string_lossy().into_owned();
            if !LEFT_OUT.contains(&below.as_str()) {
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
