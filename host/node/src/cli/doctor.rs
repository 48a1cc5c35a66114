//! `meshhost doctor`: is everything in place? Each line says ok, warn or fail, and what to do.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use clap::Args;
use meshhost_core::{code::Exit, outcome::Refusal, ports::Clock as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    print::Output,
    text::{GREEN, RED, YELLOW, bytes, clean_line, styled, wrap},
};
use crate::{
    api::{Reply, Request},
    client::Connection,
    node::Options,
    sys,
};

/// Free space below which the record may soon not be written any more.
const FREE_BYTES_LOW: u64 = 1024 * 1024 * 1024;
/// 2026-01-01T00:00:00Z in microseconds: no clock may be before this program was written.
const CLOCK_US_MIN: i64 = 1_767_225_600_000_000;
/// 2100-01-01T00:00:00Z in microseconds.
const CLOCK_US_MAX: i64 = 4_102_444_800_000_000;

/// Check that everything is in place.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line says ok, warn or fail, and what to do. Ends with exit code 13 when
something fails, and with 14 when the record does not verify.

Example:
  meshhost doctor
")]
pub(crate) struct DoctorCommand {}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Check {
    name: String,
    state: State,
    says: String,
    /// What to do about it.
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

impl Check {
    fn ok(name: &str, says: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Ok, says: says.into(), fix: None }
    }

    fn warn(name: &str, says: impl Into<String>, fix: &str) -> Self {
        let fix = Some(fix.to_owned());
        Self { name: name.to_owned(), state: State::Warn, says: says.into(), fix }
    }

    fn fail(name: &str, says: impl Into<String>, fix: &str) -> Self {
        Self { state: State::Fail, ..Self::warn(name, says, fix) }
    }
}

pub(crate) async fn run(_: &DoctorCommand, options: Options) -> Result<Output, Refusal> {
    let data = &options.data;
    let mut checks = vec![data_folder(data), free_space(data), clock(sys::SystemClock.now_us())];
    let record = node(options, &mut checks).await;
    checks.extend(toolchains());
    Ok(output(&checks, record))
}

fn output(checks: &[Check], record: Exit) -> Output {
    let worst = checks.iter().map(|check| check.state).max().unwrap_or(State::Ok);
    let exit = match (record, worst) {
        (Exit::EvidenceBroken, _) => Exit::EvidenceBroken,
        (_, State::Fail) => Exit::HostFault,
        _ => Exit::Success,
    };
    Output {
        raw: false,
        text: checks.iter().map(line).collect(),
        notes: String::new(),
        json: json!({"schema": "meshhost.doctor/1", "checks": checks}),
        exit,
    }
}

fn line(check: &Check) -> String {
    let (style, word) = match check.state {
        State::Ok => (GREEN, "ok  "),
        State::Warn => (YELLOW, "warn"),
        State::Fail => (RED, "fail"),
    };
    let label = format!("{word}  {:<16} ", check.name);
    let body = wrap(&label, &clean_line(&check.says)).replacen(word, &styled(style, word), 1);
    let fix = check
        .fix
        .as_deref()
        .map(|fix| format!("{}\n", wrap(&format!("{:<22} → ", ""), &clean_line(fix))));
    format!("{body}\n{}", fix.unwrap_or_default())
}

/// The data directory is ours and nobody else's.
fn data_folder(data: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = data.display();
    let Ok(metadata) = std::fs::symlink_metadata(data) else {
        return Check::ok(NAME, format!("{shown} was not there; it is made now"));
    };
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_dir() {
        Check::fail(NAME, format!("{shown} is not a folder"), "choose another with --data FOLDER")
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Check::fail(NAME, format!("{shown} belongs to another user"), "choose your own with --data")
    } else if mode & 0o077 != 0 {
        let says = format!("{shown} has mode {mode:o}: others can look inside");
        Check::fail(NAME, says, "run `chmod 700` on it")
    } else {
        Check::ok(NAME, format!("{shown} is yours alone"))
    }
}

/// There is room for the record: what cannot be written down is not run.
fn free_space(data: &Path) -> Check {
    const NAME: &str = "free disk";
    let there = data.ancestors().find(|folder| folder.exists()).unwrap_or(data);
    let Ok(disk) = rustix::fs::statvfs(there) else {
        return Check::warn(NAME, "could not be measured", "look with `df`");
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < FREE_BYTES_LOW {
        let fix = "free some space: a call that cannot be written down is refused";
        Check::warn(NAME, format!("only {} left", bytes(free)), fix)
    } else {
        Check::ok(NAME, format!("{} left", bytes(free)))
    }
}

/// The clock is not obviously wrong.
fn clock(now_us: i64) -> Check {
    if (CLOCK_US_MIN..CLOCK_US_MAX).contains(&now_us) {
        Check::ok("clock", "the date is plausible")
    } else {
        let fix = "set the clock, or switch on time synchronisation";
        Check::fail("clock", "the date is before 2026 or after 2100", fix)
    }
}

/// The node opens or answers, its engine runs, and its record verifies.
async fn node(options: Options, checks: &mut Vec<Check>) -> Exit {
    let user = sys::user_name(rustix::process::geteuid().as_raw());
    let mut connection = match Connection::open(options, &user).await {
        Ok(connection) => connection,
        Err(refusal) => {
            checks.push(refused("node", &refusal));
            return refusal.code.exit();
        }
    };
    let how = if connection.is_socket() {
        "`meshhost serve` answers"
    } else {
        "none serves; commands open the data directory themselves"
    };
    checks.push(Check::ok("node", how));
    match connection.ask(Request::Status).await {
        Reply::Document(status) => checks.extend(status_checks(&status)),
        Reply::Error(refusal) => checks.push(refused("engine", &refusal)),
        _ => checks.push(Check::fail("engine", "the node gives no status", "update meshhost")),
    }
    let verified = connection.ask(Request::AuditVerify { head: None }).await;
    let exit = match &verified {
        Reply::Error(refusal) => {
            checks.push(refused("record", refusal));
            refusal.code.exit()
        }
        _ => {
            checks.push(Check::ok("record", "fits itself and its signed head"));
            Exit::Success
        }
    };
    connection.close().await;
    exit
}

fn refused(name: &str, refusal: &Refusal) -> Check {
    Check::fail(name, refusal.message.clone(), refusal.code.info().explanation)
}

/// The node's own facts: an object is a check with `ok`, `says` and `fix`; everything else is a
/// fact that is shown.
fn status_checks(status: &Value) -> Vec<Check> {
    let facts = status.as_object().into_iter().flatten();
    facts.map(|(name, value)| status_check(&name.replace('_', " "), value)).collect()
}

fn status_check(name: &str, value: &Value) -> Check {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    match value.get("ok").and_then(Value::as_bool) {
        Some(true) => Check::ok(name, text("says")),
        Some(false) => Check::fail(name, text("says"), text("fix")),
        None => Check::ok(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    }
}

/// What an author of plugins needs. Nothing of it is needed to run them.
fn toolchains() -> Vec<Check> {
    let path = sys::environment("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let tools = [
        ("cargo", "Rust plugins", "install Rust, then `rustup target add wasm32-wasip2`"),
        ("componentize-py", "Python plugins", "install componentize-py"),
        ("jco", "JavaScript plugins", "install @bytecodealliance/jco"),
    ];
    let check = |(tool, what, fix): (&str, &str, &str)| {
        let found = folders.iter().map(|folder| folder.join(tool)).find(|file| file.is_file());
        let missing = || Check::warn(tool, format!("is not there; needed to build {what}"), fix);
        found.map_or_else(missing, |file| {
            Check::ok(tool, format!("{} builds {what}", file.display()))
        })
    };
    tools.into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_can_read_fails() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), mode(0o755)).unwrap();
        assert_eq!(data_folder(folder.path()).state, State::Fail);
        std::fs::set_permissions(folder.path(), mode(0o700)).unwrap();
        assert_eq!(data_folder(folder.path()).state, State::Ok);
        assert_eq!(data_folder(&folder.path().join("absent")).state, State::Ok);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(data_folder(&file).state, State::Fail);
    }

    #[test]
    fn a_clock_in_the_wrong_century_fails() {
        for (now, state) in
            [(0, State::Fail), (CLOCK_US_MIN, State::Ok), (CLOCK_US_MAX, State::Fail)]
        {
            assert_eq!(clock(now).state, state);
        }
    }

    #[test]
    fn the_worst_line_decides_and_a_broken_record_wins() {
        let ok = Check::ok("a", "fine");
        let warn = Check::warn("b", "soon full", "free some space");
        let fail = Check::fail("c", "word ".repeat(40), &"word ".repeat(40));
        let exit = |checks: &[Check], record| output(checks, record).exit;
        assert_eq!(exit(&[ok.clone(), warn.clone()], Exit::Success), Exit::Success);
        assert_eq!(exit(&[ok.clone(), fail.clone()], Exit::Success), Exit::HostFault);
        assert_eq!(exit(&[ok.clone(), fail.clone()], Exit::EvidenceBroken), Exit::EvidenceBroken);
        let text = output(&[ok, warn, fail], Exit::Success).text;
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.starts_with("ok    a                fine\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn the_nodes_status_becomes_lines() {
        let status = json!({
            "version": "0.1.0",
            "plugins": 3,
            "engine": {"ok": false, "says": "a tiny component trapped", "fix": "tell us"},
        });
        let checks = status_checks(&status);
        assert_eq!(checks.len(), 3);
        assert!(checks.iter().any(|check| check.state == State::Fail && check.name == "engine"));
    }
}
