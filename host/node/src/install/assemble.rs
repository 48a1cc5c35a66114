//! Makes the plugin that calls see from what is kept of it: manifest with the operator's overlay,
//! effective grants, opened folders, limits.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex},
};

use meshhost_core::{
    code::Code,
    grant::{GRANT_FILE_BYTES_MAX, GrantFile, effective},
    id::PluginName,
    manifest::{MANIFEST_BYTES_MAX, Manifest},
    outcome::Refusal,
    quarantine::Quarantine,
};
use meshhost_runtime::live::{LiveGrants, NextGrants};

use super::Installer;
use crate::{
    registry::{Parts, Plugin, Snapshot},
    regular_file,
    store::plugins::{PluginRecord, PluginVersion},
    sys,
};

/// A plugin that calls do not see yet.
#[derive(Debug)]
pub(super) struct Assembled {
    /// It.
    pub(super) plugin: Arc<Plugin>,
    /// Its grants, when it replaces another version: they do not hold before it is recorded.
    pub(super) next: Option<NextGrants>,
}

impl Installer {
    /// Reads everything that is installed and lets calls see it. A plugin that cannot be made
    /// ready is left out, and the reason is logged: the others serve.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn restore(&self) -> Result<(), Refusal> {
        let loaded = self.plugins.load_all().await.map_err(|error| error.refusal())?;
        let mut plugins = Vec::new();
        let mut traps: BTreeMap<PluginName, Quarantine> = loaded.quarantines.into_iter().collect();
        for record in loaded.plugins {
            let name = record.name.clone();
            let grants = self.kept_grants(&record);
            match grants.and_then(|grants| self.assemble(record, grants, None)) {
                Ok(Assembled { plugin, .. }) => {
                    if let Some(traps) = traps.remove(&name) {
                        *plugin.quarantine() = traps;
                    }
                    plugins.push(plugin);
                }
                Err(refusal) => tracing::error!(plugin = %name, "not serving: {refusal}"),
            }
        }
        let preferences: BTreeMap<_, _> = loaded.preferences.into_iter().collect();
        self.registry.replace(Snapshot::new(plugins, preferences));
        Ok(())
    }

    /// The grant file, as the operator may have changed it by hand; the kept text where the file
    /// is missing or belongs to another version (a crash between two steps of an update).
    fn kept_grants(&self, record: &PluginRecord) -> Result<GrantFile, Refusal> {
        let file = format!("{}.toml", record.name);
        let path = self.folders.grants.join(&file);
        if let Some(text) = text_of(&path, GRANT_FILE_BYTES_MAX, Code::GrantInvalid, "grant file")?
        {
            let grants = GrantFile::parse(&file, &text)?;
            if grants.consent == record.current.consent && grants.plugin == record.name {
                return Ok(grants);
            }
        }
        version_grants(&record.name, &record.current)
    }

    /// The plugin that calls will see. `before` is the one that it replaces: running calls keep its
    /// live grants, and its count of traps goes on.
    pub(super) fn assemble(
        &self,
        record: PluginRecord,
        grants: GrantFile,
        before: Option<&Plugin>,
    ) -> Result<Assembled, Refusal> {
        let manifest = self.manifest(&record.name, &record.current)?;
        let rules = match &manifest {
            Some(manifest) => manifest
                .bind(&record.current.capabilities)
                .map_err(|error| Refusal::new(Code::ManifestInvalid, error.to_string()))?,
            None => Vec::new(),
        };
        let effective = effective(manifest.as_ref(), &grants, &self.ceiling, &sys::environment);
        let excluded = Arc::clone(&self.excluded);
        let (live, next, suspended) = match before {
            Some(before) => {
                let (next, suspended) = before.live.open_next(&effective.grants);
                (Arc::clone(&before.live), Some(next), suspended)
            }
            None => {
                let (live, suspended) = LiveGrants::open(&effective.grants, excluded);
                (live, None, suspended)
            }
        };
        let quarantine = before
            .map_or_else(|| Arc::new(Mutex::new(Quarantine::default())), Plugin::shared_quarantine);
        let state = before.and_then(|before| before.state_for(&record, &effective.limits));
        let plugin = Plugin::new(Parts {
            record,
            manifest,
            rules,
            grants,
            effective,
            live,
            suspended,
            quarantine,
            places: before.map(|before| Arc::clone(&before.places)),
            state,
            readiness: Arc::clone(&self.readiness),
        });
        Ok(Assembled { plugin, next })
    }

    /// A version's manifest with the operator's overlay, where there is one.
    pub(super) fn manifest(
        &self,
        name: &PluginName,
        version: &PluginVersion,
    ) -> Result<Option<Manifest>, Refusal> {
        let Some(text) = &version.manifest else { return Ok(None) };
        let manifest = Manifest::parse("plugin.toml", text)?;
        let file = format!("{name}.toml");
        let path = self.folders.overlays.join(&file);
        match text_of(&path, MANIFEST_BYTES_MAX, Code::ConfigInvalid, "overlay")? {
            Some(overlay) => Ok(Some(manifest.tightened(&file, &overlay)?)),
            None => Ok(Some(manifest)),
        }
    }
}

/// The grants that were kept with a version.
pub(super) fn version_grants(
    name: &PluginName,
    version: &PluginVersion,
) -> Result<GrantFile, Refusal> {
    let file = format!("{name}.toml");
    Ok(GrantFile::parse(&file, &version.grants)?)
}

/// A file that the operator may have written by hand; `None` when there is none. One that cannot
/// be read may forbid something, so it is an error.
fn text_of(
    path: &Path,
    bytes_max: usize,
    code: Code,
    what: &str,
) -> Result<Option<String>, Refusal> {
    match regular_file::read_text(path, bytes_max) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Err(Refusal::new(code, format!("the {what} {name} cannot be read: {error}")))
        }
    }
}
