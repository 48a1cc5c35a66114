//! Facts for `meshhost doctor`: each is a check that was really made.

use meshhost_core::outcome::Refusal;
use serde_json::{Value, json};

use super::Node;
use crate::{
    api::{Reply, RuntimeView},
    builtin,
};

/// Models that are named.
const NAMES_MAX: usize = 16;

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
            "inference": self.inference_check().await?,
            "models": self.model_names(),
            "events": end.sequence,
            "durability": format!("{:?}", self.config.durability).to_lowercase(),
        })))
    }

    /// Which engine would run models here.
    async fn inference_check(&self) -> Result<Value, Refusal> {
        let found = self.engines().await?;
        let device = &found.provider;
        Ok(match found.runtimes.iter().find(|runtime| runtime.used) {
            Some(RuntimeView { version: Some(version), .. }) => {
                json!({ "ok": true, "says": format!("ONNX Runtime {version} runs models on {device}") })
            }
            Some(_) => json!({
                "ok": true,
                "says": format!("the embedded engine runs models on {device}"),
            }),
            None => json!({
                "ok": false,
                "says": format!("no engine that is allowed can run models on {device}"),
                "fix": "look at `meshhost runtime list`, and at [inference] in meshhost.toml",
            }),
        })
    }

    fn model_names(&self) -> String {
        let models = self.models.catalogue().snapshot();
        let names: Vec<&str> = models.keys().map(|name| name.as_str()).take(NAMES_MAX).collect();
        match models.len() - names.len() {
            _ if names.is_empty() => "none; `meshhost model add` adds them".to_owned(),
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
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
