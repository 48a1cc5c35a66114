//! A component that calls another capability comes to the same door, on behalf of its own
//! caller: rights only narrow, depth only grows, time only shrinks.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use meshhost_core::{
    code::Code,
    id::PluginName,
    invocation::{EntranceKind, Invocation, Mode, Subject},
    link::Callee,
    outcome::{CallResult, Refusal},
    ports::{Invoker, Remaining},
};
use serde_json::Value;

use super::{Door, Incoming, Placement, result::Answer};
use crate::{store::writer::NewIds, sys};

/// The door, as components reach it. It holds no door alive.
#[derive(Debug, Clone, Default)]
pub struct ChildEntrance(Weak<Door>);

impl ChildEntrance {
    /// Leads to `door`.
    #[must_use]
    pub const fn new(door: Weak<Door>) -> Self {
        Self(door)
    }
}

#[async_trait]
impl Invoker for ChildEntrance {
    async fn invoke(
        &self,
        parent: Arc<Invocation>,
        plugin: PluginName,
        callee: Callee,
        input: Value,
        remaining: Remaining,
    ) -> CallResult {
        let Some(door) = self.0.upgrade() else {
            let refusal = Refusal::new(Code::Busy, "the node is closing");
            return Answer::unwritten(&parent, refusal, 0);
        };
        door.call_child(&parent, plugin, callee, input, remaining).await
    }
}

impl Door {
    /// A call from inside `plugin`, which runs `parent`.
    async fn call_child(
        &self,
        parent: &Arc<Invocation>,
        plugin: PluginName,
        callee: Callee,
        input: Value,
        remaining: Remaining,
    ) -> CallResult {
        let rules = self.registry.snapshot().call_rules(&plugin);
        let mut scope = parent.scope.clone();
        scope.through.push(rules);
        scope.risk_ceiling = scope.risk_ceiling.min(self.risk.plugin);
        let mut chain = parent.chain.clone();
        chain.push(plugin.clone());
        let invocation = Invocation {
            invocation_id: sys::new_invocation_id(self.clock.as_ref(), self.entropy.as_ref()),
            correlation_id: parent.correlation_id.clone(),
            causation_id: Some(parent.invocation_id.clone()),
            version: callee.versions(),
            type_hash: callee.type_hash,
            capability: callee.capability,
            plugin: None,
            subject: on_behalf(&plugin, &parent.subject),
            asserted_caller: None,
            entrance: EntranceKind::Component,
            scope,
            mode: Mode::Sync,
            input,
            timeout_ms: Some(remaining.ms),
            fuel: remaining.fuel,
            output_bytes: parent.output_bytes,
            depth: parent.depth.saturating_add(1),
            chain,
            hops: parent.hops.clone(),
            working_folder: None,
        };
        let call = Incoming {
            invocation,
            new: NewIds { invocation: true, correlation: false },
            command: None,
            lender: None,
            placement: Placement::Anywhere,
            started: None,
            // What a component calls is collected for it.
            items: None,
        };
        // The future of a call holds the future of the call inside it: boxed, or it had no size.
        Box::pin(self.call(call)).await
    }
}

/// The plugin, with its own caller: both stand in evidence.
fn on_behalf(plugin: &PluginName, caller: &Subject) -> Subject {
    let outermost = caller.id.rsplit_once(" for ").map_or(caller.id.as_str(), |(_, caller)| caller);
    Subject {
        id: format!("plugin:{plugin} for {outermost}"),
        kind: "plugin".to_owned(),
        verified: true,
    }
}
