//! How a command ends: one function from a reply to an exit code, and the table for people.

use std::fmt::Write as _;

use meshhost_core::{code::Exit, outcome::OutcomeKind};

use crate::api::{CallReply, Reply};

/// Every exit code with its meaning, as `--help` and `explain` print it.
pub(crate) const TABLE: [(Exit, &str); 15] = [
    (Exit::Success, "it worked"),
    (Exit::PluginFailure, "the plugin answered with its own error"),
    (Exit::Usage, "the command line, a file or an input is not right"),
    (Exit::ConsentNeeded, "consent is needed and nobody could be asked"),
    (Exit::Denied, "policy, a permission or a gate refused"),
    (Exit::Limit, "a limit other than time ended it"),
    (Exit::Timeout, "the deadline passed"),
    (Exit::Busy, "no place was free; trying again may work"),
    (Exit::Trap, "the plugin trapped"),
    (Exit::Skipped, "the plugin is disabled or in quarantine"),
    (Exit::Indeterminate, "an effect may have happened; its end is unknown"),
    (Exit::NotFound, "no such plugin, capability, version or record"),
    (Exit::Unreachable, "the node could not be reached"),
    (Exit::HostFault, "the host itself failed"),
    (Exit::EvidenceBroken, "the evidence does not verify"),
];

/// The exit code of a reply. A review is an answer to `plugin inspect`, and missing consent to
/// everything else.
pub(crate) fn of(reply: &Reply, review_wanted: bool) -> Exit {
    match reply {
        Reply::Error(refusal) => refusal.code.exit(),
        Reply::Review(_) if !review_wanted => Exit::ConsentNeeded,
        Reply::Call(call) => of_call(call),
        _ => Exit::Success,
    }
}

fn of_call(call: &CallReply) -> Exit {
    let code = call.error.as_ref().map(|error| error.code.exit());
    match call.outcome {
        OutcomeKind::Success => Exit::Success,
        // Whatever interrupted it: the caller must look before repeating the call.
        OutcomeKind::Indeterminate => Exit::Indeterminate,
        OutcomeKind::Failure => code.unwrap_or(Exit::PluginFailure),
        OutcomeKind::Denied => code.unwrap_or(Exit::Denied),
        OutcomeKind::Skipped => code.unwrap_or(Exit::Skipped),
    }
}

/// The exit code of a command component: one that ended with another code than 0 answered with
/// its own error.
pub(crate) fn of_command(call: &CallReply) -> Exit {
    let own = call.data.as_ref().and_then(|data| data.get("exit_code"));
    match of_call(call) {
        Exit::Success if own.is_some_and(|code| *code != 0) => Exit::PluginFailure,
        exit => exit,
    }
}

/// The table as text, two columns.
pub(crate) fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in TABLE {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:>2}  {meaning}", exit as u8);
    }
    text
}

#[cfg(test)]
mod tests {
    use meshhost_core::code::{ALL, Code};

    use super::*;
    use crate::cli::fixture;

    #[test]
    fn the_table_lists_every_exit_once_in_order() {
        let numbers: Vec<u8> = TABLE.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(numbers, (0..=14).collect::<Vec<u8>>());
        for info in ALL {
            assert!(TABLE.iter().any(|(exit, _)| *exit == info.exit), "{}", info.number);
        }
        assert!(table().lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn every_reply_has_its_exit() {
        use OutcomeKind::{Denied, Failure, Indeterminate, Skipped, Success};
        let call = |outcome, code| Reply::Call(Box::new(fixture::call_reply(outcome, code)));
        let review = || Reply::Review(Box::new(fixture::review()));
        let table = [
            (Reply::Done, Exit::Success),
            (Reply::Plugins(Vec::new()), Exit::Success),
            (Reply::error(Code::NotFound, "x"), Exit::NotFound),
            (Reply::error(Code::EvidenceBroken, "x"), Exit::EvidenceBroken),
            (Reply::error(Code::StoreLocked, "x"), Exit::Busy),
            (review(), Exit::ConsentNeeded),
            (call(Success, None), Exit::Success),
            (call(Failure, None), Exit::PluginFailure),
            (call(Failure, Some(Code::PluginFailure)), Exit::PluginFailure),
            (call(Failure, Some(Code::Trap)), Exit::Trap),
            (call(Failure, Some(Code::LimitFuel)), Exit::Limit),
            (call(Failure, Some(Code::LimitDeadline)), Exit::Timeout),
            (call(Failure, Some(Code::HostFault)), Exit::HostFault),
            (call(Failure, Some(Code::PermissionDenied)), Exit::Denied),
            (call(Denied, Some(Code::Busy)), Exit::Busy),
            (call(Denied, Some(Code::PolicyBlocked)), Exit::Denied),
            (call(Denied, None), Exit::Denied),
            (call(Skipped, Some(Code::Quarantined)), Exit::Skipped),
            (call(Skipped, None), Exit::Skipped),
            (call(Indeterminate, Some(Code::LimitDeadline)), Exit::Indeterminate),
        ];
        for (reply, exit) in table {
            assert_eq!(of(&reply, false), exit, "{reply:?}");
        }
        assert_eq!(of(&review(), true), Exit::Success);
    }

    #[test]
    fn a_commands_own_code_is_a_plugin_failure() {
        let mut call = fixture::call_reply(OutcomeKind::Success, None);
        for (code, exit) in [(0, Exit::Success), (3, Exit::PluginFailure)] {
            call.data = Some(serde_json::json!({"exit_code": code, "stdout": ""}));
            assert_eq!(of_command(&call), exit);
        }
        let trap = fixture::call_reply(OutcomeKind::Failure, Some(Code::Trap));
        assert_eq!(of_command(&trap), Exit::Trap);
    }
}
