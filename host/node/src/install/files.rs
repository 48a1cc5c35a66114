//! Files of plugins: written to a temporary name, synced, renamed in. A crash leaves the old file
//! or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use meshhost_core::{grant::GrantFile, outcome::Refusal};

use super::candidate::Candidate;
use crate::{blocking, store::error::StoreError};

/// Writes a component's bytes under its digest.
pub(super) async fn write_component(folder: &Path, candidate: &Candidate) -> Result<(), Refusal> {
    let name = format!("{}.wasm", candidate.inspection.digest.to_hex());
    let (folder, bytes) = (folder.to_owned(), candidate.bytes.clone());
    blocking::run(move || write(&folder, &name, &bytes)).await?
}

/// Writes a plugin's grants.
pub(super) fn write_grants(folder: &Path, grants: &GrantFile) -> Result<(), Refusal> {
    write(folder, &format!("{}.toml", grants.plugin), grants.to_toml().as_bytes())
}

/// Removes a plugin's grants; absent is as good as removed.
pub(super) fn remove_grants(folder: &Path, plugin: &str) -> Result<(), Refusal> {
    match fs::remove_file(folder.join(format!("{plugin}.toml"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove the grants of a plugin")(error).refusal())
        }
        _ => Ok(()),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let temporary = folder.join(format!(".{name}.new"));
    let written = try_write(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, folder.join(name))?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|error| {
        // A part of a file would only take the space that is missing.
        let _ = fs::remove_file(&temporary);
        StoreError::io("write the files of a plugin")(error).refusal()
    })
}

fn try_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
