//! Calls of stateful plugins. The plugin's actor runs them; a task of the node's own waits for the
//! true end of each, so that the place stays taken, a trap is counted and lost state is recorded
//! also when the caller has stopped waiting.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    code::Code,
    evidence::{event::EventType, fact::Facts, lifecycle},
    outcome::{Outcome, Refusal},
    permit::Permit,
};
use meshhost_runtime::{actor::ActorCall, execute::Executed};
use tokio::sync::oneshot;

use super::{Door, Given, Opened, places::Place};
use crate::registry::{Plugin, Served};

impl Door {
    /// Gives a call to the plugin's actor and waits for its end, at most as long as the caller
    /// does. Dropping the future ends the waiting as well.
    pub(super) async fn execute_stateful(
        &self,
        opened: &Opened,
        permit: &Permit,
        served: &Served,
        mut given: Given,
        place: Place,
    ) -> Executed {
        let plugin = &served.plugin;
        let (Some(runtime), Ok(loaded), Some(door)) =
            (self.runtime.get(), plugin.ready().await, self.this.upgrade())
        else {
            return Executed::host_fault("the component could not be made ready");
        };
        let Some(actor) = plugin.actor(runtime, loaded) else {
            return Executed::host_fault("the plugin has no actor");
        };
        let (own, blobs) = given.blobs(&self.blobs, permit.limits().blob_bytes);
        let Given { command, items, .. } = given;
        let deadline_ms = served.provider.limits.deadline_ms;
        let running = match actor.begin(permit, ActorCall { blobs, command, items, deadline_ms }) {
            Ok(running) => running,
            Err(refusal) => return Executed::of(Outcome::Denied(refusal)),
        };
        let (tell, told) = oneshot::channel();
        let (plugin, opened) = (Arc::clone(plugin), opened.clone());
        self.unfinished.spawn(async move {
            let executed = running.ended().await;
            door.ended(&opened, &plugin, &executed).await;
            drop((own, place));
            // A caller that is gone has been told that the end is unknown.
            let _gone = tell.send(executed);
        });
        let patience_ms = permit.limits().deadline_ms;
        if patience_ms >= deadline_ms {
            // The guest's own deadline comes first and says more.
            return told.await.unwrap_or_else(|_| unknown("the node is closing"));
        }
        let told = tokio::time::timeout(Duration::from_millis(patience_ms), told).await;
        let Ok(Ok(executed)) = told else {
            return unknown("the caller's time is over and the plugin works on");
        };
        executed
    }

    /// What follows from the true end of a call, whether or not somebody waited for it.
    async fn ended(&self, opened: &Opened, plugin: &Plugin, executed: &Executed) {
        self.keep_blobs(&executed.outcome).await;
        self.judge(opened, plugin, executed).await;
        if executed.state_lost
            && let Err(refusal) = self.record_loss(opened, plugin, executed).await
        {
            tracing::error!(plugin = %plugin.record.name, "lost state is not recorded: {refusal}");
        }
    }

    /// Writes that a call cost the plugin its state, among the events of the node: the state
    /// belonged to no single call.
    async fn record_loss(
        &self,
        opened: &Opened,
        plugin: &Plugin,
        executed: &Executed,
    ) -> Result<(), Refusal> {
        let code = executed.outcome.refusal().map(|refusal| refusal.code.number());
        let facts = Facts::new()
            .optional_text("code", code)
            .digest("component", &plugin.record.current.component)
            .text("plugin", plugin.record.name.to_string());
        let draft = lifecycle::event(
            &self.host_id,
            opened.invocation.invocation_id.clone(),
            opened.invocation.subject.clone(),
            self.stamp(),
            EventType::PluginStateLost,
            facts,
        )
        .map_err(|error| Refusal::new(Code::HostFault, error.to_string()))?;
        self.evidence.append(vec![draft]).await.map_err(|error| error.refusal())?;
        Ok(())
    }
}

fn unknown(why: &str) -> Executed {
    let message = format!("nobody knows yet how the call ends: {why}; look before you repeat it");
    Executed::of(Outcome::Indeterminate(Refusal::new(Code::Indeterminate, message)))
}
