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
Each node gives what it recorded of work that this node began there, and hands
on what the nodes recorded that it called for that, as signed bundles that are
checked here. Times are those of each node's own clock.

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
        lines.push(of_node(node));
    }
    let here = list(fleet, "nodes").next().map(|node| field(node, "node")).unwrap_or_default();
    for call in list(fleet, "missing") {
        lines.push(missing(call, &here));
    }
    if fleet.get("cut").and_then(Value::as_bool) == Some(true) {
        lines.push("missing: more calls on other nodes than are named here".to_owned());
    }
    let wrapped = lines.iter().map(|line| format!("{}\n", wrap("", &clean_line(line))));
    format!("\n{}", wrapped.collect::<String>())
}

/// What there is of one node's record, and by which way it came when that was not its own.
fn of_node(node: &Value) -> String {
    let name = field(node, "node");
    let through = |word: &str| match field(node, "through") {
        through if through.is_empty() => String::new(),
        through => format!("{word}{through}"),
    };
    match field(node, "record").as_str() {
        "verified" => {
            let (events, through) = (text_of(node, "events"), through(", handed on by "));
            format!("{name}: {events} events, signed and unchanged{through}")
        }
        "nothing" => format!("{name}: no record of this for {}", who_asked(&through(""))),
        "unreachable" => {
            format!("{name}: not reached{}; what it recorded is not shown", through(" by "))
        }
        "left-out" => format!("{name}: left out{}; it is too long or too far", through(" by ")),
        _ => {
            let problem = field(node, "problem");
            format!("{name}: its record was not taken{}: {problem}", through(" from "))
        }
    }
}

const fn who_asked(through: &str) -> &str {
    if through.is_empty() { "this node" } else { through }
}

/// A call whose events are not shown.
fn missing(call: &Value, here: &str) -> String {
    let by = field(call, "by");
    let receipt = match call.get("receipt").and_then(Value::as_bool) {
        Some(true) if by == here => "its signed receipt is kept here".to_owned(),
        Some(true) => format!("its signed receipt is kept by {by}"),
        _ => "no receipt of it is kept".to_owned(),
    };
    format!(
        "missing: {} on {}, called by {by}, call {}; {receipt}",
        field(call, "capability_id"),
        field(call, "node"),
        field(call, "invocation_id")
    )
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
                { "node": "desk", "record": "verified", "events": 4, "through": "gpubox" },
                { "node": "attic", "record": "unreachable", "events": 0, "through": "desk" },
                { "node": "cellar", "record": "left-out", "events": 0, "through": "desk" },
                { "node": "gpubox", "record": "wrong", "events": 0, "problem": "event 1 is \u{1b}[2J" },
                { "node": "nas", "record": "unreachable", "events": 0 },
            ],
            "events": [],
            "calls": [
                call("laptop", "rag.query", 0, 0, Some(10_000)),
                call("gpubox", "embedding.embed", 1, 5_000, Some(5_000)),
                call("nas", "filesystem.read", 1, 9_999, None),
            ],
            "missing": [
                { "capability_id": "ocr.recognize", "node": "nas", "invocation_id": "i-9",
                  "by": "laptop", "receipt": true },
                { "capability_id": "git.log", "node": "attic", "invocation_id": "i-8",
                  "by": "desk", "receipt": true },
            ],
            "cut": true,
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
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [
            "laptop: 2 events, signed and unchanged",
            "desk: 4 events, signed and unchanged, handed on by gpubox",
            "attic: not reached by desk;",
            "cellar: left out by desk;",
            "nas: not reached;",
            "missing: ocr.recognize on nas, called by laptop, call i-9; its signed receipt is kept here",
            "missing: git.log on attic, called by desk, call i-8; its signed receipt is kept by desk",
            "missing: more calls",
        ] {
            assert!(words.contains(said), "no `{said}` in {text}");
        }
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
