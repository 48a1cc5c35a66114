//! Removes a plugin, and what it has stored when that is wanted.

use std::sync::Arc;

use meshhost_core::{
    code::Code, evidence::event::EventType, grant::EffectiveGrants, id::PluginName,
    outcome::Refusal,
};

use super::{Installer, files, lifecycle};
use crate::{
    api::{DataChange, RemovedPlugin, Reply},
    entrance::Entrance,
    registry::Plugin,
};

impl Installer {
    /// Removes a plugin with its grants. Evidence and compiled code stay. What it has stored stays
    /// as well, unless `data` says that it goes, which also works when the plugin is gone already.
    ///
    /// # Errors
    /// [`Code::NotFound`] when it is not installed and there is nothing else to do.
    pub async fn remove(
        &self,
        entrance: &Entrance,
        name: &PluginName,
        data: bool,
    ) -> Result<Reply, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.registry.snapshot().plugin(name).cloned();
        if let Some(before) = &before {
            self.withdraw(entrance, before).await?;
        }
        let stored = self.data.stored(name).await?;
        if before.is_none() && (stored.is_nothing() || !data) {
            return Err(not_installed(name, stored.is_nothing()));
        }
        let change = match (stored.is_nothing(), data) {
            (true, _) => DataChange::None,
            (false, false) => DataChange::Kept,
            (false, true) => DataChange::Deleted,
        };
        if change == DataChange::Deleted {
            self.record(entrance, EventType::PluginDataRemoved, stored.facts(name)).await?;
            self.data.remove(name).await?;
        }
        Ok(Reply::PluginRemoved(RemovedPlugin {
            name: name.clone(),
            installed: before.is_some(),
            data: change,
            key_value_bytes: stored.key_value_bytes,
            index_bytes: stored.index_bytes,
        }))
    }

    async fn withdraw(&self, entrance: &Entrance, before: &Arc<Plugin>) -> Result<(), Refusal> {
        let name = &before.record.name;
        self.record(entrance, EventType::PluginRemoved, lifecycle::of_plugin(before)).await?;
        self.plugins.remove(name).await.map_err(|error| error.refusal())?;
        files::remove_grants(&self.folders.grants, name.as_str())?;
        // Running calls lose what they were granted at their next host call.
        before.live.replace(before.live.open_next(&EffectiveGrants::default()).0);
        self.registry.replace(self.registry.snapshot().without(name));
        Ok(())
    }
}

fn not_installed(name: &PluginName, stored_nothing: bool) -> Refusal {
    let next = if stored_nothing {
        "`meshhost plugin list` shows all".to_owned()
    } else {
        format!("`meshhost plugin remove {name} --with-data` deletes what it had stored")
    };
    Refusal::new(Code::NotFound, format!("no plugin {name} is installed; {next}"))
}
