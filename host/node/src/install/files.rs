//! Files of plugins: written to a temporary name, synced, renamed in. A crash leaves the old file
//! or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use meshhost_core::{code::Code, grant::GrantFile, outcome::Refusal};

use super::candidate::Candidate;

/// Writes a component's bytes under its digest.
pub(super) fn write_component(folder: &Path, candidate: &Candidate) -> Result<(), Refusal> {
    let name = format!("{}.wasm", candidate.inspection.digest.to_hex());
    write(folder, &name, &candidate.bytes)
}

/// Writes a plugin's grants.
pub(super) fn write_grants(folder: &Path, grants: &GrantFile) -> Result<(), Refusal> {
    write(folder, &format!("{}.toml", grants.plugin), grants.to_toml().as_bytes())
}

/// Removes a plugin's grants; absent is as good as removed.
pub(super) fn remove_grants(folder: &Path, plugin: &str) -> Result<(), Refusal> {
    match fs::remove_file(folder.join(format!("{plugin}.toml"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault()),
        _ => Ok(()),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
    try_write(folder, name, bytes).map_err(|_| fault())
}

fn try_write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn fault() -> Refusal {
    let message = "the data directory could not be written; is the disk full or read-only?";
    Refusal::new(Code::StoreFault, message)
}
