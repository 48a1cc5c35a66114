//! The value that proves one decided call. Executing a component takes one, and only the gates
//! can make one, so a call that was not decided cannot be written down in Rust.

use std::sync::Arc;

use crate::{
    capability::Capability,
    id::{Digest, PluginName},
    invocation::Invocation,
    limits::Limits,
};

/// Proof that the gates let one call through.
#[derive(Debug)]
pub struct Permit {
    pub(crate) invocation: Arc<Invocation>,
    pub(crate) plugin: PluginName,
    pub(crate) component: Digest,
    pub(crate) capability: Arc<Capability>,
    pub(crate) limits: Limits,
}

impl Permit {
    /// The decided call.
    #[must_use]
    pub const fn invocation(&self) -> &Arc<Invocation> {
        &self.invocation
    }

    /// The plugin that will run.
    #[must_use]
    pub const fn plugin(&self) -> &PluginName {
        &self.plugin
    }

    /// The component that will run.
    #[must_use]
    pub const fn component(&self) -> &Digest {
        &self.component
    }

    /// The capability that will run.
    #[must_use]
    pub const fn capability(&self) -> &Arc<Capability> {
        &self.capability
    }

    /// The limits of this call; the deadline is already the smaller of caller and plugin.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
