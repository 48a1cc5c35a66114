//! What a plugin has stored on this node: key-values and documents to search in. It stays when the
//! plugin is removed, so that an install of the same name finds it again, unless the operator says
//! that it goes.

use std::sync::Arc;

use meshhost_core::{evidence::fact::Facts, id::PluginName, outcome::Refusal};

use crate::{index::Index, store::key_values::KeyValues};

/// What plugins have stored.
#[derive(Debug)]
pub struct PluginData {
    /// Their key-values.
    pub key_values: KeyValues,
    /// Their documents.
    pub index: Arc<Index>,
}

/// How much one plugin has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// As its quota counts them.
    pub(super) key_value_bytes: u64,
    /// Of its files.
    pub(super) index_bytes: u64,
}

impl Stored {
    pub(super) const fn is_nothing(self) -> bool {
        self.key_value_bytes == 0 && self.index_bytes == 0
    }

    /// What the record says of it.
    pub(super) fn facts(self, plugin: &PluginName) -> Facts {
        Facts::new()
            .text("plugin", plugin.to_string())
            .count("key_value_bytes", self.key_value_bytes)
            .count("index_bytes", self.index_bytes)
    }
}

impl PluginData {
    pub(super) async fn stored(&self, plugin: &PluginName) -> Result<Stored, Refusal> {
        let used = self.key_values.used(plugin).await.map_err(|error| error.refusal())?;
        let index_bytes = self.index.stored_bytes(plugin).map_err(|error| error.refusal())?;
        Ok(Stored { key_value_bytes: used, index_bytes })
    }

    pub(super) async fn remove(&self, plugin: &PluginName) -> Result<(), Refusal> {
        self.key_values.remove_all(plugin).await.map_err(|error| error.refusal())?;
        self.index.remove_all(plugin).await
    }
}
