//! What the node keeps of installed plugins: one document each, which of several providers is
//! preferred, and how often each trapped.

use meshhost_core::{
    capability::Capability,
    id::{CapabilityId, Digest, PluginName},
    link::Link,
    quarantine::Quarantine,
};
use serde::{Deserialize, Serialize};

use super::{database::Database, error::StoreError};

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Its name.
    pub name: PluginName,
    /// The version that serves.
    pub current: PluginVersion,
    /// An update that waits for consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<PluginVersion>,
    /// The version before, for a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PluginVersion>,
    /// Whether the operator lets it serve.
    pub enabled: bool,
    /// Place in the order of installs: of two providers, the earlier one is the default.
    pub installed: u64,
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// From the manifest, else 0.0.0.
    pub version: semver::Version,
    /// BLAKE3 of the component.
    pub component: Digest,
    /// BLAKE3 of the manifest's text, when there is one.
    pub manifest_digest: Option<Digest>,
    /// The manifest's text, as consent was given for it.
    pub manifest: Option<String>,
    /// What consent binds: component and manifest.
    pub consent: Digest,
    /// The grants that it had, as the grant file was written (TOML).
    pub grants: String,
    /// Length of the component in bytes.
    pub size_bytes: u64,
    /// What it exports, so that nothing is read anew when the node starts.
    pub capabilities: Vec<Capability>,
    /// Permissions that its imports could use.
    pub can_reach: Vec<String>,
    /// The functions that it imports from other plugins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// Everything that is kept of plugins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadedPlugins {
    /// In the order of installs.
    pub plugins: Vec<PluginRecord>,
    /// Which plugin provides a capability that several have.
    pub preferences: Vec<(CapabilityId, PluginName)>,
    /// How often each trapped, where it did.
    pub quarantines: Vec<(PluginName, Quarantine)>,
}

/// The plugins in the store. Each change is one transaction.
#[derive(Debug, Clone)]
pub struct Plugins {
    database: Database,
}

const READ: &str = "read the installed plugins";
const WRITE: &str = "write the installed plugins";
const DAMAGED: StoreError = StoreError::Damaged { what: "the list of installed plugins" };

impl Plugins {
    /// The plugins in `database`.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a row does not read as what was written; else the fault.
    pub async fn load_all(&self) -> Result<LoadedPlugins, StoreError> {
        let readers = self.database.readers();
        let fault = || StoreError::database(READ);
        let records: Vec<String> = sqlx::query_scalar("SELECT record FROM plugins")
            .fetch_all(readers)
            .await
            .map_err(fault())?;
        let preferences: Vec<(String, String)> =
            sqlx::query_as("SELECT capability_id, plugin FROM preferences ORDER BY capability_id")
                .fetch_all(readers)
                .await
                .map_err(fault())?;
        let quarantines: Vec<(String, String)> =
            sqlx::query_as("SELECT plugin, traps FROM quarantine")
                .fetch_all(readers)
                .await
                .map_err(fault())?;
        let mut loaded = LoadedPlugins::default();
        for record in records {
            loaded.plugins.push(serde_json::from_str(&record).map_err(|_| DAMAGED)?);
        }
        loaded.plugins.sort_by_key(|record: &PluginRecord| record.installed);
        for (capability, plugin) in preferences {
            let capability = capability.parse().map_err(|_| DAMAGED)?;
            loaded.preferences.push((capability, plugin.parse().map_err(|_| DAMAGED)?));
        }
        for (plugin, traps) in quarantines {
            let traps = serde_json::from_str(&traps).map_err(|_| DAMAGED)?;
            loaded.quarantines.push((plugin.parse().map_err(|_| DAMAGED)?, traps));
        }
        Ok(loaded)
    }

    /// Adds a plugin or replaces what is kept of it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn save_plugin(&self, record: &PluginRecord) -> Result<(), StoreError> {
        let text = serde_json::to_string(record)
            .map_err(|source| StoreError::Fault { operation: WRITE, source: Box::new(source) })?;
        // Not `INSERT OR REPLACE`: that would remove the row first, and with it what refers to it.
        let save = "INSERT INTO plugins VALUES (?1, ?2) \
                    ON CONFLICT DO UPDATE SET record = excluded.record";
        sqlx::query(save)
            .bind(record.name.as_str().to_owned())
            .bind(text)
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }

    /// Removes a plugin with its preferences and failures.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not installed; else the fault.
    pub async fn remove(&self, name: &PluginName) -> Result<(), StoreError> {
        let done = sqlx::query("DELETE FROM plugins WHERE name = ?1")
            .bind(name.as_str().to_owned())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        if done.rows_affected() == 0 { Err(StoreError::NotFound("plugin")) } else { Ok(()) }
    }

    /// Makes a plugin the provider of a capability that several have.
    ///
    /// # Errors
    /// When the plugin is not installed or the database refuses.
    pub async fn prefer(
        &self,
        capability: &CapabilityId,
        plugin: &PluginName,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO preferences VALUES (?1, ?2)")
            .bind(capability.as_str().to_owned())
            .bind(plugin.as_str().to_owned())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }

    /// Keeps how often a plugin trapped; nothing is kept when that is clear.
    ///
    /// # Errors
    /// When the plugin is not installed or the database refuses.
    pub async fn save_quarantine(
        &self,
        plugin: &PluginName,
        quarantine: &Quarantine,
    ) -> Result<(), StoreError> {
        let traps = serde_json::to_string(quarantine)
            .map_err(|source| StoreError::Fault { operation: WRITE, source: Box::new(source) })?;
        let statement = if quarantine.is_clear() {
            "DELETE FROM quarantine WHERE plugin = ?1"
        } else {
            "INSERT OR REPLACE INTO quarantine VALUES (?1, ?2)"
        };
        let mut query = sqlx::query(statement).bind(plugin.as_str().to_owned());
        if !quarantine.is_clear() {
            query = query.bind(traps);
        }
        query
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database(WRITE))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
