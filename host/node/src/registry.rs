//! The plugins of this node: a snapshot that calls read without waiting, replaced whole when the
//! operator changes something.

mod plugin;
mod served;
mod state;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use meshhost_core::{
    gates::{self, Wanted},
    id::{CapabilityId, PluginName},
    invocation::Invocation,
    outcome::Refusal,
    permission::CallRule,
};

use tokio::sync::watch;

pub use plugin::{Parts, Plugin};
pub use served::Served;
pub use state::State;

/// The current snapshot.
#[derive(Debug, Default)]
pub struct Registry {
    current: RwLock<Arc<Snapshot>>,
    changes: watch::Sender<u64>,
}

/// All plugins at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    plugins: BTreeMap<PluginName, Arc<Plugin>>,
    /// Short and long ids, folded, to the providers: the preferred one first, then by age.
    by_capability: HashMap<String, Vec<Arc<Served>>>,
    preferences: BTreeMap<CapabilityId, PluginName>,
}

impl Registry {
    /// The plugins as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the snapshot. Calls in progress keep the one that they began with.
    pub fn replace(&self, snapshot: Snapshot) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Counts snapshots, to wait for the next.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Snapshot {
    /// A snapshot of these plugins, in the order of their installation.
    #[must_use]
    pub fn new(
        plugins: impl IntoIterator<Item = Arc<Plugin>>,
        preferences: BTreeMap<CapabilityId, PluginName>,
    ) -> Self {
        let mut snapshot = Self { preferences, ..Self::default() };
        let mut by_age: Vec<_> = plugins.into_iter().collect();
        by_age.sort_by_key(|plugin| plugin.record.installed);
        for plugin in by_age {
            for served in plugin.serve() {
                snapshot.add(&served);
            }
            snapshot.plugins.insert(plugin.record.name.clone(), plugin);
        }
        snapshot
    }

    fn add(&mut self, served: &Arc<Served>) {
        let capability = &served.provider.capability;
        let preferred = self.preferences.get(&capability.id) == Some(&served.provider.plugin);
        let mut ids = vec![capability.id.folded(), capability.long_id.folded()];
        ids.dedup();
        for id in ids {
            let providers = self.by_capability.entry(id).or_default();
            let place = if preferred { 0 } else { providers.len() };
            providers.insert(place, Arc::clone(served));
        }
    }

    /// The same plugins with one more, or one replaced.
    #[must_use]
    pub fn with(&self, plugin: Arc<Plugin>) -> Self {
        let mut plugins = self.plugins.clone();
        plugins.insert(plugin.record.name.clone(), plugin);
        Self::new(plugins.into_values(), self.preferences.clone())
    }

    /// The same plugins without one.
    #[must_use]
    pub fn without(&self, name: &PluginName) -> Self {
        let plugins = self.plugins.values().filter(|plugin| plugin.record.name != *name).cloned();
        let mut preferences = self.preferences.clone();
        preferences.retain(|_, preferred| preferred != name);
        Self::new(plugins.collect::<Vec<_>>(), preferences)
    }

    /// The same plugins with another preference.
    #[must_use]
    pub fn preferring(&self, capability: CapabilityId, name: PluginName) -> Self {
        let mut preferences = self.preferences.clone();
        preferences.insert(capability, name);
        Self::new(self.plugins.values().cloned().collect::<Vec<_>>(), preferences)
    }

    /// All plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }

    /// One plugin.
    #[must_use]
    pub fn plugin(&self, name: &PluginName) -> Option<&Arc<Plugin>> {
        self.plugins.get(name)
    }

    /// Who provides a capability, the one that is called first.
    #[must_use]
    pub fn providers(&self, capability: &CapabilityId) -> &[Arc<Served>] {
        self.by_capability.get(&capability.folded()).map_or(&[], Vec::as_slice)
    }

    /// The provider that a call means.
    ///
    /// # Errors
    /// When there is none, or none in that version, of that type or from that plugin.
    pub fn resolve(&self, invocation: &Invocation) -> Result<Arc<Served>, Refusal> {
        self.find(invocation.into())
    }

    /// The provider that is wanted.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn find(&self, wanted: Wanted<'_>) -> Result<Arc<Served>, Refusal> {
        let served = self.providers(wanted.capability);
        let index = gates::resolve(wanted, served.iter().map(|served| &served.provider))?;
        served.get(index).cloned().ok_or_else(|| gates::not_found(wanted.capability))
    }

    /// The capabilities that a plugin may call.
    #[must_use]
    pub fn call_rules(&self, name: &PluginName) -> Vec<CallRule> {
        self.plugins
            .get(name)
            .map(|plugin| plugin.effective.grants.calls.clone())
            .unwrap_or_default()
    }
}
