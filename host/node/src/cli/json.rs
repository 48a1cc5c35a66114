//! Replies as JSON documents: the fields of the types in [`crate::api`] and a `schema`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::{MeshReply, Reply};

/// The document of a reply. `document` names the schema of [`Reply::Document`], which differs
/// from command to command.
pub(crate) fn of(reply: &Reply, document: &str) -> Value {
    match reply {
        Reply::Done => json!({"schema": "meshhost.done/1"}),
        Reply::Review(review) => object("meshhost.review/1", review),
        Reply::Plugin(plugin) => object("meshhost.plugin/1", plugin),
        Reply::PluginRemoved(removed) => object("meshhost.plugin-removed/1", removed),
        Reply::Plugins(plugins) => json!({"schema": "meshhost.plugins/1", "plugins": plugins}),
        Reply::Capabilities(capabilities) => {
            json!({"schema": "meshhost.capabilities/1", "capabilities": capabilities})
        }
        Reply::Items(items) => json!({"schema": "meshhost.items/1", "items": items}),
        Reply::Call(call) => object("meshhost.call/1", call),
        Reply::Blob { digest, length } => {
            json!({"schema": "meshhost.blob/1", "digest": digest, "length": length})
        }
        Reply::Models(models) => json!({"schema": "meshhost.models/1", "models": models}),
        Reply::Model(model) => object("meshhost.model/1", model),
        Reply::ModelsAdded(models) => {
            json!({"schema": "meshhost.models-added/1", "models": models})
        }
        Reply::ModelsVerified(found) => object("meshhost.model-verification/1", found),
        Reply::ModelsRunning(running) => object("meshhost.models-running/1", running),
        Reply::Runtimes(found) => object("meshhost.runtimes/1", found),
        Reply::RuntimeInstalled(installed) => object("meshhost.runtime-installed/1", installed),
        Reply::Mesh(reply) => mesh(reply),
        Reply::Events(events) => json!({"schema": "meshhost.events/1", "events": events}),
        Reply::Document(value) => object(document, value),
        Reply::Error(refusal) => super::print::refusal_json(refusal),
    }
}

fn mesh(reply: &MeshReply) -> Value {
    match reply {
        MeshReply::Entered(entered) => object("meshhost.mesh-entered/1", entered),
        MeshReply::Left => json!({"schema": "meshhost.mesh-left/1"}),
        MeshReply::Status(status) => object("meshhost.mesh-status/1", status),
        MeshReply::Member(member) => object("meshhost.mesh-member/1", member),
        MeshReply::Pinged(pinged) => object("meshhost.mesh-ping/1", pinged),
        MeshReply::Checked(found) => {
            json!({"schema": "meshhost.mesh-netcheck/1", "addresses": found})
        }
        MeshReply::Ticket(ticket) => object("meshhost.mesh-ticket/1", ticket),
        MeshReply::Tickets(tickets) => {
            json!({"schema": "meshhost.mesh-tickets/1", "tickets": tickets})
        }
        MeshReply::Shares(shares) => json!({"schema": "meshhost.mesh-shares/1", "shares": shares}),
        MeshReply::Done => json!({"schema": "meshhost.done/1"}),
    }
}

/// An object with its schema first; what is no object stands under `value`.
fn object(schema: &str, value: &impl Serialize) -> Value {
    let mut fields = Map::new();
    fields.insert("schema".to_owned(), schema.into());
    match serde_json::to_value(value) {
        Ok(Value::Object(more)) => fields.extend(more),
        Ok(other) => drop(fields.insert("value".to_owned(), other)),
        // Our own reply types have string keys and finite numbers: this does not happen.
        Err(_) => drop(fields.insert("value".to_owned(), Value::Null)),
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use meshhost_core::{code::Code, outcome::OutcomeKind};

    use super::*;
    use crate::cli::fixture;

    #[test]
    fn every_reply_has_a_schema() {
        let replies = [
            (Reply::Done, "meshhost.done/1"),
            (Reply::Review(Box::new(fixture::review())), "meshhost.review/1"),
            (Reply::Plugin(Box::new(fixture::plugin())), "meshhost.plugin/1"),
            (Reply::Plugins(vec![fixture::plugin()]), "meshhost.plugins/1"),
            (Reply::Capabilities(vec![fixture::capability()]), "meshhost.capabilities/1"),
            (
                Reply::Call(Box::new(fixture::call_reply(OutcomeKind::Success, None))),
                "meshhost.call/1",
            ),
            (Reply::Events(Vec::new()), "meshhost.events/1"),
            (Reply::Document(json!({"a": 1})), "meshhost.head/1"),
            (Reply::Document(json!([1])), "meshhost.head/1"),
            (Reply::error(Code::Busy, "x"), "meshhost.error/1"),
        ];
        for (reply, schema) in replies {
            let document = of(&reply, "meshhost.head/1");
            assert_eq!(document["schema"], schema);
        }
        assert_eq!(of(&Reply::Document(json!([1])), "x/1")["value"], json!([1]));
    }
}
