//! What this node says of its models: which are loaded, and how busy what runs them is.

use std::sync::Arc;

use meshhost_core::{config::InferenceProvider, id::ModelName, mesh::record::MODELS_MAX};
use meshhost_inference::Serving;

use crate::models::Catalogue;

/// The models of this node, as others are told of them.
#[derive(Debug, Clone)]
pub struct WarmModels {
    /// Their names.
    pub catalogue: Arc<Catalogue>,
    /// What runs them.
    pub serving: Arc<Serving>,
}

impl WarmModels {
    /// The models that are loaded, at most as many as a record names.
    pub(super) fn names(&self) -> Vec<ModelName> {
        let loaded = self.serving.loaded();
        let known = loaded.iter().filter_map(|model| self.catalogue.find(&model.digest));
        known.map(|model| model.name.clone()).take(MODELS_MAX).collect()
    }

    /// The share of the loaded models' sessions that run now, in thousandths; `None` when they run on
    /// the processor, whose load says more.
    pub(super) fn gpu(&self) -> Option<u32> {
        if self.serving.provider() == InferenceProvider::Cpu {
            return None;
        }
        let loaded = self.serving.loaded();
        let sessions: usize = loaded.iter().map(|model| model.sessions).sum();
        let running: usize = loaded.iter().map(|model| model.running).sum();
        let share = running.saturating_mul(1_000).checked_div(sessions).unwrap_or(0);
        u32::try_from(share).ok()
    }
}
