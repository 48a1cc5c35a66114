//! Why a call ended as it did, in words made from its events and the table of codes.

use meshhost_core::code::Code;
use serde_json::{Value, json};

use super::code_of;

/// Explains the events of one call, in order.
pub(super) fn explain(events: &[Value]) -> Value {
    let member = |event: &Value, name: &str| event.get(name).cloned().unwrap_or_default();
    let last = events.iter().rfind(|event| event.get("outcome").is_some_and(Value::is_string));
    let end = last.or_else(|| events.last()).cloned().unwrap_or_default();
    let mut sentences: Vec<String> = events.iter().filter_map(step).collect();
    if last.is_none() {
        sentences.push("It has not ended.".to_owned());
    }
    let code = code_of(&end).and_then(Code::find);
    if let Some(info) = code {
        sentences.push(format!("{} ({}): {}", info.name, info.number, info.explanation));
    }
    sentences.extend(denied(&end));
    json!({
        "invocation_id": member(&end, "invocation_id"),
        "capability_id": member(&end, "capability_id"),
        "outcome": member(&end, "outcome"),
        "code": code_of(&end),
        "explanation": sentences,
    })
}

/// What one event says.
fn step(event: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = text(event.get("timestamp")?);
    let title =
        code_of(event).and_then(Code::find).map_or("no reason is recorded", |info| info.title);
    let subject =
        || text(event.get("subject").and_then(|subject| subject.get("id")).unwrap_or(&Value::Null));
    Some(match event.get("event_type")?.as_str()? {
        "execution_started" => {
            let provider = event.get("payload").and_then(|payload| payload.get("provider"));
            let plugin = provider.and_then(|provider| provider.get("plugin"));
            let plugin = plugin.and_then(Value::as_str).unwrap_or("the plugin");
            format!("At {at}, {} called; all gates agreed and {plugin} started.", subject())
        }
        "execution_completed" => format!("At {at}, the plugin answered."),
        "execution_failed" => format!("At {at}, it failed: {title}."),
        "execution_indeterminate" => format!("At {at}, its end became unknown: {title}."),
        "execution_denied" => format!("At {at}, the call of {} was denied: {title}.", subject()),
        "execution_skipped" => format!("At {at}, nothing ran: {title}."),
        "budget_exceeded" => format!("At {at}, the budget was found to be spent."),
        "approval_requested" => format!("At {at}, an approval was asked for."),
        "safety_action_blocked" => format!("At {at}, the safety gate refused."),
        _ => return None,
    })
}

/// What the plugin tried during the call and was not granted.
fn denied(end: &Value) -> Vec<String> {
    let entries = end.get("payload").and_then(|payload| payload.get("denied"));
    let entries = entries.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sentence = |entry: &Value| {
        let function = entry.get("function")?.as_str()?;
        Some(match entry.get("permission").and_then(Value::as_str) {
            Some(kind) => format!("During the call {function} was denied; it needs {kind}."),
            None => format!("During the call {function} was denied."),
        })
    };
    entries.iter().filter_map(sentence).collect()
}
