//! A piece of work as all nodes recorded it: `audit replay --fleet` and `trace`.

use clap::Args;
use meshhost_core::{id::CorrelationId, outcome::Refusal};
use serde_json::Value;

use super::{document, ended, field, text_of, when};
use crate::{
    api::Request,
    cli::{
        mesh::milliseconds,
        print::Output,
        session::Session,
        table::table,
        text::{clean_line, wrap},
    },
};

/// The schema of both.
pub(super) const SCHEMA: &str = "meshhost.fleet/1";
/// Columns of a bar.
const BAR: u64 = 20;

/// Show the calls of a piece of work on all nodes as one waterfall.
#[derive(Debug, Args)]
#[command(after_help = "\
Each node gives what it recorded of work that this node began there, as a
signed bundle that is checked here. Times are those of each node's own clock.

Example:
  meshhost trace 0198c0de-…
")]
pub(crate) struct TraceCommand {
    /// The correlation id, as `call --json` prints it.
    correlation: CorrelationId,
}

pub(crate) async fn run(command: TraceCommand, session: &mut Session) -> Result<Output, Refusal> {
    let reply = session.ask(Request::AuditFleet { correlation: command.correlation }).await?;
    document(&reply, SCHEMA, trace)
}

/// The events of all nodes in one order.
pub(super) fn replay(fleet: &Value) -> String {
    let rows = list(fleet, "events").map(|event| {
        [
            field(event, "node"),
            text_of(event, "sequence"),
            when(event),
            field(event, "event_type"),
            field(event, "capability_id"),
            ended(event),
        ]
    });
    let head = ["NODE", "NO", "WHEN", "EVENT", "CAPABILITY", "ENDED"];
    table(head, rows) + &beside(fleet)
}

/// The calls, each below the one that caused it, with a bar for its time.
fn trace(fleet: &Value) -> String {
    let micros = |call: &Value, key: &str| call.get(key).and_then(Value::as_u64);
    let end = |call: &Value| {
        micros(call, "offset_us").map(|it| it.saturating_add(micros(call, "took_us").unwrap_or(0)))
    };
    let whole = list(fleet, "calls").filter_map(end).max().unwrap_or(0).max(1);
    let rows = list(fleet, "calls").map(|call| {
        let depth = micros(call, "depth").and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
        let offset = micros(call, "offset_us");
        let took = micros(call, "took_us");
        [
            format!("{}{}", "› ".repeat(depth.min(8)), field(call, "capability_id")),
            field(call, "node"),
            offset.map(milliseconds).unwrap_or_default(),
            took.map(milliseconds).unwrap_or_default(),
            offset.map(|offset| bar(offset, took.unwrap_or(0), whole)).unwrap_or_default(),
            field(call, "outcome"),
        ]
    });
    table(["CALL", "NODE", "AT", "TOOK", "", "ENDED"], rows) + &beside(fleet)
}

/// Where in the whole a call was, in columns; at least one.
fn bar(offset: u64, took: u64, whole: u64) -> String {
    let column = |at: u64| at.saturating_mul(BAR) / whole;
    let from = column(offset).min(BAR - 1);
    let to = column(offset.saturating_add(took)).clamp(from + 1, BAR);
    let cells = (0..BAR).map(|cell| if (from..to).contains(&cell) { '█' } else { '·' });
    cells.collect()
}

/// What every node said, and what is missing.
fn beside(fleet: &Value) -> String {
    let mut lines = Vec::new();
    for node in list(fleet, "nodes") {
        let name = field(node, "node");
        lines.push(match field(node, "record").as_str() {
            "verified" => {
                format!("{name}: {} events, signed and unchanged", text_of(node, "events"))
            }
            "nothing" => format!("{name}: no record of this for this node"),
            "unreachable" => format!("{name}: not reached; what it recorded is not shown"),
            _ => format!("{name}: its record was not taken: {}", field(node, "problem")),
        });
    }
    for call in list(fleet, "missing") {
        let receipt = if call.get("receipt").and_then(Value::as_bool) == Some(true) {
            "its signed receipt is kept here"
        } else {
            "no receipt of it is kept"
        };
        lines.push(format!(
            "missing: {} on {}, call {}; {receipt}",
            field(call, "capability_id"),
            field(call, "node"),
            field(call, "invocation_id")
        ));
    }
    let wrapped = lines.iter().map(|line| format!("{}\n", wrap("", &clean_line(line))));
    format!("\n{}", wrapped.collect::<String>())
}

fn list<'a>(fleet: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    fleet.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fleet() -> Value {
        let call = |node: &str, id: &str, depth: u64, at: u64, took: Option<u64>| {
            json!({
                "node": node, "capability_id": id, "depth": depth, "offset_us": at,
                "took_us": took, "outcome": took.map(|_| "success"), "invocation_id": id,
            })
        };
        json!({
            "nodes": [
                { "node": "laptop", "record": "verified", "events": 2 },
                { "node": "gpubox", "record": "wrong", "events": 0, "problem": "event 1 is \u{1b}[2J" },
                { "node": "nas", "record": "unreachable", "events": 0 },
            ],
            "events": [],
            "calls": [
                call("laptop", "rag.query", 0, 0, Some(10_000)),
                call("gpubox", "embedding.embed", 1, 5_000, Some(5_000)),
                call("nas", "filesystem.read", 1, 9_999, None),
            ],
            "missing": [{ "capability_id": "ocr.recognize", "node": "nas", "invocation_id": "i-9",
                          "receipt": true }],
        })
    }

    #[test]
    fn a_waterfall_shows_depth_time_and_what_is_missing_within_80_columns() {
        let text = trace(&fleet());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let embed = text.lines().find(|line| line.contains("embedding.embed")).unwrap();
        assert!(embed.starts_with("› embedding.embed"), "{text}");
        assert!(embed.contains("··········██████████"), "{embed}");
        assert!(text.contains("nas: not reached"), "{text}");
        assert!(text.contains("missing: ocr.recognize on nas"), "{text}");
        assert!(
            !text.contains("\u{1b}[2J"),
            "nothing of a peer reaches the terminal raw: {text:?}"
        );
    }

    #[test]
    fn a_bar_is_never_empty_and_never_too_long() {
        for (offset, took) in [(0, 0), (0, 9), (9, 0), (9, 90), (u64::MAX, u64::MAX)] {
            let bar = bar(offset, took, 9);
            assert_eq!(bar.chars().count(), 20);
            assert!(bar.contains('█'), "{offset} {took}");
        }
    }
}
