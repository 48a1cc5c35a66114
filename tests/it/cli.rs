//! The command line as a program sees it: exit codes, JSON documents, help.

use std::{collections::BTreeSet, process::Stdio};

use meshhost_core::code::{ALL, Exit};
use serde_json::Value;

use crate::{
    components,
    support::{Home, guest, ran, wat},
};

/// Every command, as the help of the program names it.
fn commands(home: &Home) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let help = home.run(command.iter().map(String::as_str).chain(["--help"])).expect(0);
        let listed = help.stdout.split("Commands:\n").nth(1).unwrap_or_default();
        for line in listed.lines().take_while(|line| !line.trim().is_empty()) {
            // Further lines of a description are indented more.
            let name = line.strip_prefix("  ").filter(|name| !name.starts_with(' '));
            let name = name.and_then(|name| name.split(' ').next()).filter(|name| *name != "help");
            if let Some(name) = name {
                open.push(command.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
        found.push(command);
    }
    found
}

#[test]
fn every_command_explains_itself_without_a_node() {
    let home = Home::new();
    let commands = commands(&home);
    assert!(commands.len() > 25, "{commands:?}");
    for command in &commands {
        let words = || command.iter().map(String::as_str);
        let help = home.run(words().chain(["--help"])).expect(0);
        assert!(help.stdout.contains("Usage:"), "{command:?}");
        assert!(help.stdout.contains("Example"), "{command:?} shows no example");
        let wide = help.stdout.lines().filter(|line| line.chars().count() > 80).count();
        assert_eq!(wide, 0, "{command:?}: {}", help.stdout);
        assert!(help.stderr.is_empty(), "{command:?}: {}", help.stderr);
    }
    assert!(!home.data().exists(), "help touches nothing");
}

#[test]
fn every_code_can_be_explained() {
    let home = Home::new();
    for info in ALL {
        let by_number = home.run(["explain", info.number]).expect(0).stdout;
        assert!(by_number.contains(info.name), "{by_number}");
        let by_name = home.json(["explain", info.name]);
        assert_eq!(by_name["schema"].as_str().map(|it| it.starts_with("meshhost.")), Some(true));
        assert!(by_name.to_string().contains(info.number), "{by_name}");
    }
    home.run(["explain", "MH9999"]).expect(Exit::NotFound as i32);
    let all = home.run(["explain"]).expect(0).stdout;
    assert!(ALL.iter().all(|info| all.contains(info.number)), "{all}");
}

#[test]
fn the_table_of_exit_codes_is_printed_and_frozen() {
    let home = Home::new();
    let help = home.run(["--help"]).expect(0).stdout;
    let table = help.split("Exit codes:\n").nth(1).unwrap_or_default();
    let numbers: Vec<i32> =
        table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(numbers, (0..=14).collect::<Vec<_>>(), "{table}");
}

/// Commands on a node with one plugin, each with the schema of its document.
const DOCUMENTS: &[(&[&str], &str, i32)] = &[
    (&["plugin", "inspect", "echo.wasm"], "meshhost.review/1", 0),
    (&["plugin", "install", "echo.wasm"], "meshhost.plugin/1", 0),
    (&["plugin", "install", "echo.wasm"], "meshhost.error/1", 2),
    (&["plugin", "list"], "meshhost.plugins/1", 0),
    (&["plugin", "permissions", "echo"], "meshhost.plugin/1", 0),
    (&["plugin", "grant", "echo", "clock"], "meshhost.plugin/1", 0),
    (&["plugin", "revoke", "echo", "clock"], "meshhost.plugin/1", 0),
    (&["plugin", "update", "echo", "echo2.wasm"], "meshhost.plugin/1", 0),
    (&["plugin", "rollback", "echo"], "meshhost.plugin/1", 0),
    (&["plugin", "disable", "echo"], "meshhost.plugin/1", 0),
    (&["call", "echo.f"], "meshhost.call/1", 9),
    (&["plugin", "enable", "echo"], "meshhost.plugin/1", 0),
    (&["plugin", "prefer", "echo.f", "echo"], "meshhost.done/1", 0),
    (&["capabilities"], "meshhost.capabilities/1", 0),
    (&["call", "--help"], "meshhost.help/1", 0),
    (&["call", "echo.echo", "--help"], "meshhost.capabilities/1", 0),
    (
        &["call", "echo.echo", "text=a", "--id", "one", "--correlation", "work"],
        "meshhost.call/1",
        0,
    ),
    (&["call", "echo.echo"], "meshhost.error/1", 2),
    (&["run", "echo.wasm", "--function", "f"], "meshhost.call/1", 0),
    (&["blob", "put", "echo.wasm"], "meshhost.blob/1", 0),
    (&["model", "list"], "meshhost.models/1", 0),
    (&["model", "add", "any", "--from", "echo.wasm"], "meshhost.error/1", 2),
    (&["model", "inspect", "none"], "meshhost.error/1", 11),
    (&["model", "ps"], "meshhost.models-running/1", 0),
    (&["model", "verify"], "meshhost.model-verification/1", 0),
    (&["runtime", "list"], "meshhost.runtimes/1", 0),
    (&["runtime", "use", "any"], "meshhost.done/1", 0),
    (&["runtime", "install", "echo.wasm"], "meshhost.error/1", 2),
    (&["audit", "list"], "meshhost.events/1", 0),
    (&["audit", "show", "one"], "meshhost.events/1", 0),
    (&["audit", "replay", "work"], "meshhost.events/1", 0),
    (&["audit", "why", "one"], "meshhost.why/1", 0),
    (&["audit", "why", "none"], "meshhost.error/1", 11),
    (&["audit", "verify"], "meshhost.verification/1", 0),
    (&["audit", "head"], "meshhost.head/1", 0),
    (&["doctor"], "meshhost.doctor/1", 0),
    (&["explain"], "meshhost.codes/1", 0),
    (&["explain", "MH0412"], "meshhost.explain/1", 0),
    (&["completions", "bash"], "meshhost.completions/1", 0),
    (&["plugin", "remove", "echo"], "meshhost.plugin-removed/1", 0),
    (&["plugin", "remove", "echo", "--with-data"], "meshhost.error/1", 11),
    (&["fly"], "meshhost.error/1", 2),
];

#[test]
fn with_json_every_command_prints_one_document_with_its_schema() {
    for serving in [false, true] {
        let home = Home::new();
        wat(&home, "echo", &components::echo());
        wat(&home, "echo2", &components::number(1));
        let node = serving.then(|| home.serve());
        let mut seen = BTreeSet::new();
        for (words, schema, exit) in DOCUMENTS {
            let ran = home.run_json(*words).expect(*exit);
            let document = ran.json();
            assert_eq!(document["schema"], *schema, "{words:?}: {}", ran.stdout);
            assert!(!ran.stderr.contains("error"), "{words:?}: {}", ran.stderr);
            if *schema == "meshhost.error/1" {
                for field in ["code", "name", "message", "retryable", "exit", "explain"] {
                    assert!(!document[field].is_null(), "{words:?} has no {field}");
                }
                assert_eq!(document["exit"], *exit, "{words:?}");
            }
            seen.insert(*schema);
        }
        assert!(seen.len() > 15);
        // The bundle is the protocol's own, without a schema of ours.
        let bundle = home.json(["audit", "export", "work"]);
        assert_eq!(bundle["protocol_version"], "0.2");
        if let Some(node) = node {
            node.stop_well();
        }
    }
}

#[test]
fn a_command_is_run_with_words_and_standard_input_and_without_grants() {
    let home = Home::new();
    let file = guest("command");
    let command = file.to_str().expect("text");
    home.file("input.txt", "shout\n");
    // What is run by hand may print.
    let words = ["run", command, "--stdin", "input.txt", "--", "echo", "one", "--two"];
    assert_eq!(home.run(words).expect(0).stdout, "one\n--two\nSHOUT\n");
    // Installed it needs a grant for it: without one the text is dropped.
    home.install(&file, &[]);
    let silent = home.json(["call", "command.run", r#"arguments:=["echo", "a"]"#]);
    assert_eq!(silent["data"]["stdout"], "");
    assert_eq!(silent["denied"][0]["command"], "meshhost plugin grant command stdout=64KiB");
    home.run(["plugin", "grant", "command", "stdout=64KiB"]).expect(0);
    let words = r#"arguments:=["echo", "one", "--two", "a=b"]"#;
    let call = home.json(["call", "command.run", words, r#"stdin:="shout\n""#]);
    assert_eq!(call["data"]["stdout"], "one\n--two\na=b\nSHOUT\n");
    assert_eq!(call["data"]["exit_code"], 0);
    let failed = home.run_json(["call", "command.run", r#"arguments:=["read", "/etc/passwd"]"#]);
    assert_eq!(failed.json()["error"]["details"]["exit_code"], 1);
    failed.expect(Exit::PluginFailure as i32);
    home.run(["run", command, "read", "/etc/passwd"]).expect(Exit::PluginFailure as i32);
    home.run(["run", "./missing.wasm"]).expect(Exit::NotFound as i32);
    let adder = guest("wat-adder");
    let adder = adder.to_str().expect("text");
    let sum = home.run(["run", adder, "--function", "add", "a=2", "b=3"]).expect(0);
    assert_eq!(sum.stdout.trim(), "5");
    home.run(["run", adder, "a=2", "b=3"]).expect(Exit::Usage as i32).says("--function");
}

#[test]
fn completions_and_doctor_work_on_a_bare_machine() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(["completions", shell]).expect(0).stdout;
        assert!(script.contains("meshhost") && script.contains("permissions"), "{shell}");
    }
    let doctor = home.json(["doctor"]);
    let checks = doctor["checks"].as_array().expect("checks");
    let bad: Vec<&Value> = checks.iter().filter(|check| check["state"] == "bad").collect();
    assert!(checks.len() >= 6 && bad.is_empty(), "{doctor}");
    assert_eq!(home.json(["plugin", "list"])["plugins"], serde_json::json!([]));
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal_and_a_closed_pipe_is_no_error() {
    let home = Home::new();
    home.install(&wat(&home, "echo", &components::echo()), &[]);
    let mut help = home.command(["explain"]);
    let mut child = help.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = ran(child.wait_with_output().expect("it ends"));
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let text = home.run(["call", "echo.echo", "text=\u{1b}[2Jplain"]).expect(0);
    assert_eq!(text.stdout.trim_end(), "\u{1b}[2Jplain", "a program gets every byte");
}

#[test]
fn the_node_refuses_root_unless_told_and_other_users_always() {
    let home = Home::new();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: refusing root, because this is not root");
        return;
    }
    let refused = home.run_json(["serve"]);
    assert_eq!(refused.code_name(), "root-refused");
    refused.expect(Exit::Usage as i32);
}
