//! The result of a call for a person: output, error, what was denied, log lines.

use std::io::IsTerminal as _;

use meshhost_core::{
    code::{Code, Exit},
    id::PluginName,
    outcome::{OutcomeKind, Refusal},
};
use serde_json::Value;

use super::{
    exit, json as documents,
    print::{Output, pretty, refusal_text},
    text::{BOLD, DIM, YELLOW, clean, clean_line, styled, wrap},
};
use crate::api::{CallReply, DeniedView, Reply};

/// What `call` and `run` answer. `told` when the denials were already shown.
pub(crate) fn output(call: &CallReply, told: bool) -> Output {
    let text = call.data.as_ref().map(data_text).unwrap_or_default();
    let mut notes = log(call);
    if let Some(error) = error(call) {
        notes.push_str(&refusal_text(&error));
    }
    if !told {
        notes.push_str(&denials(call));
    }
    if call.outcome != OutcomeKind::Success {
        let line = format!("  record: meshhost audit why {}", call.invocation_id);
        notes.push_str(&format!("{}\n", styled(DIM, &line)));
    }
    let reply = Reply::Call(Box::new(call.clone()));
    let exit: Exit = exit::of(&reply, false);
    Output { text, raw: true, notes, json: documents::of(&reply, ""), exit }
}

/// What `run` answers for a command: its standard output as it is. Output that is no text stays
/// JSON.
pub(crate) fn command_output(call: &CallReply) -> Output {
    let mut output = output(call, false);
    let data = call.data.as_ref();
    if let Some(stdout) = data.and_then(|data| data.get("stdout")).filter(|it| it.is_string()) {
        output.text = data_text(stdout);
    }
    output.exit = exit::of_command(call);
    if let Some(code) = data.and_then(|data| data.get("exit_code")).filter(|code| **code != 0) {
        output.notes.push_str(&format!("the command ended with its own code {code}\n"));
    }
    output
}

/// The output: a text as it is, everything else as JSON. On a terminal a plugin's text is made
/// harmless first; a file or program gets every byte.
fn data_text(data: &Value) -> String {
    data_text_for(data, std::io::stdout().is_terminal())
}

fn data_text_for(data: &Value, terminal: bool) -> String {
    match (data, terminal) {
        (Value::Null, _) => String::new(),
        (Value::String(text), false) => text.clone(),
        (Value::String(text), true) => end_line(clean(text).into_owned()),
        (other, true) => end_line(clean(&pretty(other)).into_owned()),
        (other, false) => end_line(other.to_string()),
    }
}

fn end_line(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The error of a call that did not succeed, also when the node gave none.
fn error(call: &CallReply) -> Option<Refusal> {
    let missing = || Refusal::new(Code::HostFault, "the node did not say why the call failed");
    let failed = call.outcome != OutcomeKind::Success;
    call.error.clone().or_else(|| failed.then(missing))
}

fn log(call: &CallReply) -> String {
    let name = call.plugin.as_deref().map(clean_line).unwrap_or_default();
    call.log
        .iter()
        .map(|line| format!("{}\n", styled(DIM, &format!("[{name}] {}", clean_line(line)))))
        .collect()
}

/// What was denied during the call, each with the command that would grant it. A call that worked
/// did without it: `--json` has the list, a person is not troubled.
pub(crate) fn denials(call: &CallReply) -> String {
    if call.success || call.denied.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", styled(YELLOW, "denied during this call:"));
    for denied in &call.denied {
        text.push_str(&denial(denied));
    }
    text
}

fn denial(denied: &DeniedView) -> String {
    let what = denied.access.permission.as_deref().unwrap_or("no permission allows this");
    let mut line = clean_line(what).into_owned();
    if !denied.access.target.is_empty() {
        line.push_str(&format!(" ({})", clean_line(&denied.access.target)));
    }
    let mut text = format!("{}\n", wrap("  ", &line));
    if let Some(command) = &denied.command {
        text.push_str(&format!("      {}\n", styled(BOLD, &clean_line(command))));
    }
    text
}

/// The grant that may be offered for a call that failed: plugin and permission.
pub(crate) fn offer(call: &CallReply) -> Option<(PluginName, String)> {
    // An effect may have happened already: repeating is then for the caller to decide.
    if !matches!(call.outcome, OutcomeKind::Failure | OutcomeKind::Denied) {
        return None;
    }
    let plugin = call.plugin.as_deref()?.parse().ok()?;
    let denied = call.denied.iter().find(|denied| denied.command.is_some())?;
    Some((plugin, denied.access.permission.clone()?))
}

#[cfg(test)]
mod tests {
    use meshhost_core::outcome::DeniedAccess;
    use serde_json::json;

    use super::*;
    use crate::cli::fixture;

    fn denied_call(outcome: OutcomeKind) -> CallReply {
        let mut call = fixture::call_reply(outcome, Some(Code::PermissionDenied));
        call.denied.push(DeniedView {
            access: DeniedAccess {
                permission: Some("fs:ro=/home/me/src".to_owned()),
                function: "wasi:filesystem/types#open-at".to_owned(),
                target: "/home/me/src\x1b[2J".to_owned(),
            },
            command: Some("meshhost plugin grant git fs:ro=/home/me/src".to_owned()),
        });
        call
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn text_is_raw_for_programs_and_harmless_on_a_terminal() {
        let text = json!("a\x1b[2J");
        assert_eq!(data_text_for(&text, false), "a\x1b[2J");
        assert_eq!(data_text_for(&text, true), "a\\u{1b}[2J\n");
        assert_eq!(data_text_for(&json!({"a": [1]}), false), "{\"a\":[1]}\n");
        assert_eq!(data_text_for(&json!({"a": 1}), true), "{\n  \"a\": 1\n}\n");
        assert_eq!(data_text_for(&json!("\u{9b}"), true), "\\u{9b}\n");
        assert_eq!(data_text_for(&Value::Null, true), "");
    }

    #[test]
    fn a_command_shows_what_it_printed_and_how_it_ended() {
        let mut call = fixture::call_reply(OutcomeKind::Success, None);
        call.data = Some(json!({"exit_code": 3, "stdout": "hello\n"}));
        let output = command_output(&call);
        assert_eq!((output.text.as_str(), output.exit), ("hello\n", Exit::PluginFailure));
        assert!(output.notes.contains("code 3"), "{}", output.notes);
        call.data = Some(json!({"exit_code": 0, "stdout": {"base64": "/w=="}}));
        assert!(command_output(&call).text.contains("base64"));
    }

    #[test]
    fn denials_are_listed_with_their_command() {
        let notes = plain(&output(&denied_call(OutcomeKind::Failure), false).notes);
        assert!(notes.contains("error MH0412: what happened"), "{notes}");
        assert!(notes.contains("fs:ro=/home/me/src (/home/me/src\\u{1b}[2J)"), "{notes}");
        assert!(notes.contains("      meshhost plugin grant git fs:ro=/home/me/src\n"), "{notes}");
        assert!(notes.contains("meshhost audit why i-1"), "{notes}");
        let mut clock = denied_call(OutcomeKind::Failure);
        clock.denied[0].access.permission = Some("clock".to_owned());
        clock.denied[0].access.target.clear();
        assert!(plain(&output(&clock, false).notes).contains("  clock\n"));
    }

    #[test]
    fn a_call_that_worked_troubles_nobody_with_what_it_did_without() {
        let notes = plain(&output(&denied_call(OutcomeKind::Success), false).notes);
        assert!(!notes.contains("denied during this call"), "{notes}");
    }

    #[test]
    fn a_grant_is_offered_only_for_a_call_that_may_be_repeated() {
        let offered = offer(&denied_call(OutcomeKind::Failure)).unwrap();
        assert_eq!((offered.0.as_str(), offered.1.as_str()), ("git", "fs:ro=/home/me/src"));
        assert!(offer(&denied_call(OutcomeKind::Indeterminate)).is_none());
        assert!(offer(&denied_call(OutcomeKind::Success)).is_none());
        let mut call = denied_call(OutcomeKind::Failure);
        call.denied[0].command = None;
        assert!(offer(&call).is_none());
    }
}
