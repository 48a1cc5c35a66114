//! Facts for `meshhost doctor`: each is a check that was really made.

use meshhost_core::outcome::Refusal;
use serde_json::{Value, json};

use super::Node;
use crate::{api::Reply, builtin};

impl Node {
    /// What the node can say of itself.
    pub(super) async fn status(&self) -> Result<Reply, Refusal> {
        let end = self.store.evidence.end().await.map_err(|error| error.refusal())?;
        let snapshot = self.registry.snapshot();
        let plugins = snapshot.plugins().count();
        let disabled = snapshot.plugins().filter(|plugin| !plugin.record.enabled).count();
        let first_party: Vec<&str> = builtin::names().collect();
        Ok(Reply::Document(json!({
            "engine": self.engine_check().await,
            "host_id": self.store.keys.host_id().to_string(),
            "plugins": plugins,
            "plugins_disabled": disabled,
            "first_party": first_party.join(", "),
            "events": end.sequence,
            "durability": format!("{:?}", self.config.durability).to_lowercase(),
        })))
    }

    /// Compiles a component of a few bytes in the child process, as an install would.
    async fn engine_check(&self) -> Value {
        match self.installer.readiness.probe().await {
            Ok(()) => json!({ "ok": true, "says": "compiles in its child process" }),
            Err(refusal) => json!({
                "ok": false,
                "says": refusal.message,
                "fix": refusal.code.info().explanation,
            }),
        }
    }
}
