//! Questions to the record.

use meshhost_core::{code::Code, outcome::Refusal};
use serde_json::{Value, json};

use super::{Node, misrouted};
use crate::{
    api::{Reply, Request},
    store::error::StoreError,
};

impl Node {
    /// Answers a question to the record.
    pub(super) async fn audit(&self, request: Request) -> Result<Reply, Refusal> {
        let audit = &self.store.audit;
        let refused = |error: StoreError| error.refusal();
        match request {
            Request::AuditList { limit, capability } => {
                let listed = audit.list(limit, capability.as_deref()).await.map_err(refused)?;
                Ok(Reply::Events(listed))
            }
            Request::AuditShow { invocation } => {
                Ok(Reply::Events(audit.show(&invocation).await.map_err(refused)?))
            }
            Request::AuditReplay { correlation } => {
                Ok(Reply::Events(audit.replay(&correlation, 0).await.map_err(refused)?))
            }
            Request::AuditFleet { correlation } => {
                Ok(Reply::Document(self.mesh.fleet(&correlation).await?))
            }
            Request::AuditWhy { invocation } => {
                match (audit.why(&invocation).await, self.mesh.why(&invocation).await?) {
                    (Ok(why), None) => Ok(Reply::Document(why)),
                    // Written down here, after other nodes had been asked.
                    (Ok(mut why), Some(route)) => {
                        append(&mut why, &route);
                        Ok(Reply::Document(why))
                    }
                    // It ran elsewhere: what is known here is where, and why there.
                    (Err(_), Some(why)) => Ok(Reply::Document(why)),
                    (Err(error), None) => Err(refused(error)),
                }
            }
            Request::AuditExport { correlation } => {
                let bundle = audit.export(&correlation).await.map_err(refused)?;
                let bundle = serde_json::from_str(&bundle)
                    .map_err(|_| Refusal::new(Code::HostFault, "the bundle is not JSON"))?;
                Ok(Reply::Document(bundle))
            }
            Request::AuditHead => {
                let head = audit.head().await.map_err(refused)?;
                Ok(Reply::Document(Value::String(head.to_line())))
            }
            Request::AuditVerify { head } => self.verify(head).await,
            _ => Err(misrouted()),
        }
    }

    async fn verify(&self, head: Option<String>) -> Result<Reply, Refusal> {
        let kept: Vec<String> = head.into_iter().collect();
        let report = self
            .store
            .audit
            .verify(&kept)
            .await
            .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
        Ok(Reply::Document(json!({
            "events": report.events,
            "purged": report.purged,
            "correlations": report.correlations,
            "purged_correlations": report.purged_correlations,
            "last_sequence": report.sequence,
            "signed_through": report.signed_through,
            "root": report.root.to_string(),
            "head_v1": report.head_v1.to_string(),
        })))
    }
}

/// Puts where a call was taken to below why it ended so.
fn append(why: &mut Value, route: &Value) {
    let sentences = route.get("explanation").and_then(Value::as_array).cloned();
    if let Some(Value::Array(all)) = why.get_mut("explanation") {
        all.extend(sentences.unwrap_or_default());
    }
}
