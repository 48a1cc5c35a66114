//! `meshhost audit …`: reads and checks the record of what was done.

pub(super) mod fleet;

use clap::Subcommand;
use meshhost_core::{
    id::{CorrelationId, InvocationId},
    outcome::Refusal,
};
use serde_json::Value;

use super::{
    json as documents,
    print::{Output, indented, pretty},
    session::{Session, unexpected},
    table::table,
    text::{BOLD, GREEN, clean, clean_line, count, styled, wrap},
};
use crate::api::{Reply, Request};

/// What no check on this machine can show; printed wherever the record is praised.
const WITNESS: &str = "This shows that the record fits itself and its signed head. Whoever has \
    this machine and its key could have written another record: only a head that somebody else \
    keeps can show that. `meshhost audit head` prints one for safe keeping; `meshhost audit \
    verify --head HEAD` compares.";

/// What of a purged correlation no check can show; printed where there is one.
const PURGED: &str = "That they are gone is checked. Who opened a correlation, and how many calls it \
    had, went with its events: the owner that is stored beside it is not compared, and the number of \
    calls only with what there can have been.";

/// Read and check the record of every call.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  meshhost audit list
  meshhost audit why 0198c0de-…
  meshhost audit verify
")]
pub(crate) enum AuditCommand {
    /// List calls, newest first.
    #[command(after_help = "Example:\n  meshhost audit list --capability git --limit 5")]
    List {
        /// At most this many.
        #[arg(long, default_value_t = 20, value_name = "NUMBER")]
        limit: u32,
        /// Only this capability, or all below this name: git.log, git.
        #[arg(long, value_name = "NAME")]
        capability: Option<String>,
    },
    /// Show all events of one call.
    #[command(after_help = "Example:\n  meshhost audit show 0198c0de-…")]
    Show {
        /// The call.
        invocation: InvocationId,
    },
    /// Show all events of a piece of work, in order.
    #[command(after_help = "\
With --fleet the other nodes give what they recorded of work that this node
began there, and hand on what the nodes recorded that they called for it, as
signed bundles that are checked here.

Examples:
  meshhost audit replay 0198c0de-…
  meshhost audit replay 0198c0de-… --fleet
")]
    Replay {
        /// The correlation id, as `call --json` prints it.
        correlation: CorrelationId,
        /// As all nodes of the mesh recorded it that can be asked, in causal order.
        #[arg(long)]
        fleet: bool,
    },
    /// Say in words why a call ended as it did.
    #[command(after_help = "Example:\n  meshhost audit why 0198c0de-…")]
    Why {
        /// The call.
        invocation: InvocationId,
    },
    /// Check the whole record against itself and its signed head.
    #[command(after_help = "\
Ends with exit code 14 when something is wrong.

Examples:
  meshhost audit verify
  meshhost audit verify --head \"$(cat head-of-monday)\"
")]
    Verify {
        /// A head that was kept elsewhere, as `audit head` printed it.
        #[arg(long)]
        head: Option<String>,
    },
    /// Print a signed bundle that others can check without this node.
    #[command(after_help = "Example:\n  meshhost audit export 0198c0de-… > bundle.json")]
    Export {
        /// The correlation id.
        correlation: CorrelationId,
    },
    /// Print the signed head of the record, to keep elsewhere.
    #[command(after_help = "Example:\n  meshhost audit head > head-of-monday")]
    Head,
}

pub(crate) async fn run(command: AuditCommand, session: &mut Session) -> Result<Output, Refusal> {
    match command {
        AuditCommand::List { limit, capability } => {
            let reply = session.ask(Request::AuditList { limit, capability }).await?;
            events(&reply, list)
        }
        AuditCommand::Show { invocation } => {
            let reply = session.ask(Request::AuditShow { invocation }).await?;
            events(&reply, show)
        }
        AuditCommand::Replay { correlation, fleet: true } => {
            let reply = session.ask(Request::AuditFleet { correlation }).await?;
            document(&reply, fleet::SCHEMA, fleet::replay)
        }
        AuditCommand::Replay { correlation, fleet: false } => {
            let reply = session.ask(Request::AuditReplay { correlation }).await?;
            events(&reply, replay)
        }
        AuditCommand::Why { invocation } => {
            let reply = session.ask(Request::AuditWhy { invocation }).await?;
            document(&reply, "meshhost.why/1", why)
        }
        AuditCommand::Verify { head } => {
            let reply = session.ask(Request::AuditVerify { head }).await?;
            document(&reply, "meshhost.verification/1", verified)
        }
        AuditCommand::Export { correlation } => {
            // The bundle is CHP's: its bytes are the same with and without --json.
            let reply = session.ask(Request::AuditExport { correlation }).await?;
            let Reply::Document(bundle) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(format!("{bundle}\n"), bundle.clone()))
        }
        AuditCommand::Head => {
            let reply = session.ask(Request::AuditHead).await?;
            document(&reply, "meshhost.head/1", head)
        }
    }
}

fn events(reply: &Reply, show: fn(&[Value]) -> String) -> Result<Output, Refusal> {
    let Reply::Events(events) = reply else { return Err(unexpected(reply)) };
    Ok(Output::success(show(events), documents::of(reply, "")))
}

fn document(reply: &Reply, schema: &str, show: fn(&Value) -> String) -> Result<Output, Refusal> {
    let Reply::Document(value) = reply else { return Err(unexpected(reply)) };
    Ok(Output::success(show(value), documents::of(reply, schema)))
}

fn list(calls: &[Value]) -> String {
    if calls.is_empty() {
        return "nothing is recorded yet\n".to_owned();
    }
    let rows = calls.iter().map(|call| {
        // The id is what people copy into the next command: below the name it has room.
        let what = format!("{}\n{}", field(call, "capability_id"), field(call, "invocation_id"));
        [when(call), what, ended(call)]
    });
    table(["WHEN", "CAPABILITY AND CALL", "ENDED"], rows)
}

/// Each event on its own, whole.
fn show(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| {
            let head = format!("{} {}", text_of(event, "sequence"), field(event, "event_type"));
            format!("{}\n{}", styled(BOLD, &head), indented("  ", &clean(&pretty(event))))
        })
        .collect()
}

fn replay(events: &[Value]) -> String {
    if events.is_empty() {
        return "nothing is recorded under this id\n".to_owned();
    }
    let rows = events.iter().map(|event| {
        [
            text_of(event, "sequence"),
            when(event),
            field(event, "event_type"),
            field(event, "capability_id"),
            ended(event),
        ]
    });
    table(["NO", "WHEN", "EVENT", "CAPABILITY", "ENDED"], rows)
}

/// The outcome, and the code of a denial.
fn ended(event: &Value) -> String {
    let outcome = field(event, "outcome");
    let denial = event.get("denial").map(|denial| field(denial, "code")).unwrap_or_default();
    let code = if denial.is_empty() { field(event, "code") } else { denial };
    format!("{outcome} {code}").trim().to_owned()
}

/// Month, day and time to the second, as people read them.
fn when(event: &Value) -> String {
    let timestamp = field(event, "timestamp");
    let seconds = timestamp.split('.').next().unwrap_or_default().replace('T', " ");
    seconds.chars().skip("2026-".len()).collect()
}

/// The sentences, one below the other.
fn why(answer: &Value) -> String {
    let head = format!("{} {}", field(answer, "capability_id"), ended(answer));
    let sentences = answer.get("explanation").and_then(Value::as_array);
    let sentences = sentences.into_iter().flatten().filter_map(Value::as_str);
    let lines = sentences.map(|sentence| format!("{}\n", wrap("  ", &clean_line(sentence))));
    format!("{}\n{}", styled(BOLD, &head), lines.collect::<String>())
}

/// The head on one line, as `audit verify --head` takes it.
fn head(head: &Value) -> String {
    head.as_str().map_or_else(|| format!("{head}\n"), |line| format!("{}\n", line.trim_end()))
}

fn verified(report: &Value) -> String {
    let number = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
    let whole = usize::try_from(number("events")).unwrap_or(usize::MAX);
    let mut text = format!("{} {} checked\n", styled(GREEN, "ok"), count(whole, "event"));
    let facts = report.as_object().into_iter().flatten().filter(|(name, _)| *name != "events");
    for (name, value) in facts {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let label = format!("  {:<20} ", name.replace('_', " "));
        text.push_str(&format!("{}\n", wrap(&label, &clean_line(&value))));
    }
    let purged = number("purged_correlations");
    if purged > 0 {
        let purged = count(usize::try_from(purged).unwrap_or(usize::MAX), "correlation");
        let gone = format!("Of {purged} events were purged. {PURGED}");
        text.push_str(&format!("\n{}\n", wrap("", &gone)));
    }
    format!("{text}\n{}\n", wrap("", WITNESS))
}

/// A text field made harmless; empty when it is absent.
fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(clean_line).unwrap_or_default().into_owned()
}

/// A field as text, also when it is a number.
fn text_of(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clean_line(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use meshhost_core::code::{Code, Exit};
    use serde_json::json;

    use super::*;
    use crate::cli::session::scripted;

    #[derive(Debug, clap::Parser)]
    struct Words {
        #[command(subcommand)]
        command: AuditCommand,
    }

    async fn say(words: &[&str], reply: Reply) -> Result<Output, Refusal> {
        let command = Words::try_parse_from([&["audit"], words].concat()).unwrap().command;
        let (mut session, _) = scripted::session(vec![reply]);
        run(command, &mut session).await
    }

    fn plain(output: &Output) -> String {
        anstream::adapter::strip_str(&output.text).to_string()
    }

    fn event() -> Value {
        json!({
            "sequence": 7,
            "event_type": "execution_denied",
            "timestamp": "2026-01-02T03:04:05.000006Z",
            "invocation_id": "0198c0de-0000-7000-8000-000000000000",
            "capability_id": "git.log",
            "outcome": "denied",
            "denial": {"code": "policy_blocked"},
        })
    }

    #[tokio::test]
    async fn events_are_printed_as_tables_that_fit() {
        for words in [vec!["list"], vec!["replay", "c-1"]] {
            let output = say(&words, Reply::Events(vec![event()])).await.unwrap();
            let text = plain(&output);
            assert!(text.contains("01-02") && text.contains("03:04:05"), "{text}");
            assert!(text.contains("denied") && text.contains("git.log"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert_eq!(output.json["schema"], "meshhost.events/1");
        }
        let listed = plain(&say(&["list"], Reply::Events(vec![event()])).await.unwrap());
        assert!(listed.contains("0198c0de-0000-7000-8000-000000000000"), "{listed}");
        let shown = plain(&say(&["show", "i-1"], Reply::Events(vec![event()])).await.unwrap());
        assert!(shown.starts_with("7 execution_denied\n"), "{shown}");
    }

    #[tokio::test]
    async fn verify_says_what_it_cannot_show() {
        let report = json!({"events": 12, "head": "checked"});
        let text = plain(&say(&["verify"], Reply::Document(report)).await.unwrap());
        assert!(text.starts_with("ok 12 events checked"), "{text}");
        assert!(text.contains("`meshhost audit head` prints one"), "{text}");
        assert!(!text.contains("purged"), "{text}");
        let report = json!({"events": 12, "purged": 3, "purged_correlations": 2});
        let text = plain(&say(&["verify"], Reply::Document(report)).await.unwrap());
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("Of 2 correlations events were purged."), "{text}");
        assert!(words.contains("the owner that is stored beside it is not compared"), "{text}");
    }

    #[tokio::test]
    async fn a_broken_record_has_its_own_exit() {
        let broken = Reply::error(Code::EvidenceBroken, "event 7 does not fit its hash");
        let refusal = say(&["verify"], broken).await.unwrap_err();
        assert_eq!(refusal.code.exit(), Exit::EvidenceBroken);
    }

    #[tokio::test]
    async fn a_bundle_is_printed_as_it_is() {
        let bundle = json!({"protocol_version": "0.2", "events": []});
        let output = say(&["export", "c-1"], Reply::Document(bundle.clone())).await.unwrap();
        assert_eq!(output.text, format!("{bundle}\n"));
        assert_eq!(output.json, bundle, "a schema field would break its signature");
    }

    #[tokio::test]
    async fn why_is_text() {
        let answer = json!({
            "capability_id": "git.log",
            "outcome": "denied",
            "code": "policy-blocked",
            "explanation": ["The call was denied.", "word ".repeat(40)],
        });
        let output = say(&["why", "i-1"], Reply::Document(answer)).await.unwrap();
        let text = plain(&output);
        assert!(
            text.starts_with("git.log denied policy-blocked\n  The call was denied.\n"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[tokio::test]
    async fn a_head_is_one_line_that_verify_takes_again() {
        for reply in [json!("head-line\n"), json!({"sequence": 7})] {
            let output = say(&["head"], Reply::Document(reply.clone())).await.unwrap();
            assert_eq!(output.text.lines().count(), 1, "{}", output.text);
            assert_eq!(output.json["schema"], "meshhost.head/1");
        }
    }
}
