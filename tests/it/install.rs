//! From a file to a plugin that serves, and what may change it: consent, names, versions, grants.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    components::{self, manifest},
    support::{Home, Ran, guest, parse, ran, until, wat, with_manifest},
};

/// A component that answers with `value`, with a manifest inside that asks for these permissions.
fn asking(home: &Home, file: &str, value: u32, version: &str, asks: &[&str]) -> PathBuf {
    let manifest = manifest("asking", version, asks);
    let component = with_manifest(parse(&components::number(value)), &manifest);
    home.file(&format!("{file}.wasm"), component)
}

#[track_caller]
fn refused(ran: &Ran, code: Code) {
    assert_eq!(ran.code_name(), code.info().name, "{}", ran.stdout);
    assert_eq!(ran.code, i32::from(code.exit() as u8), "{}", ran.stdout);
}

fn install_json(home: &Home, file: &Path, options: &[&str]) -> Ran {
    let file = file.to_str().expect("text");
    home.run_json([&["plugin", "install", file], options].concat())
}

fn answer(home: &Home, id: &str) -> Value {
    home.json(["call", id])["data"].clone()
}

#[test]
fn without_a_terminal_the_printed_command_consents() {
    let home = Home::new();
    let file = asking(&home, "asking", 1, "1.0.0", &["clock", "env=LANG"]);
    let review = install_json(&home, &file, &[]);
    let json = review.json();
    review.expect(Exit::ConsentNeeded as i32);
    assert_eq!(json["schema"], "meshhost.review/1");
    assert_eq!(json["asks"][0]["permission"], "clock");
    assert_eq!(json["asks"][0]["granted"], false);
    assert_eq!(home.json(["plugin", "list"])["plugins"], json!([]), "nothing was installed");
    let command = json["consent_command"].as_str().expect("a command");
    home.shell(command).expect(0);
    let plugin = home.json(["plugin", "permissions", "asking"]);
    assert_eq!(plugin["grants"], json!(["clock", "env=LANG"]));
    assert_eq!(answer(&home, "asking.f"), 1);
    // For people it stands in the text as well.
    let text = home.run(["plugin", "install", file.to_str().expect("text"), "--name", "other"]);
    text.expect(Exit::ConsentNeeded as i32).says("this command consents");
}

#[test]
fn consent_is_given_by_word_by_name_or_by_profile() {
    let cases: [(&[&str], Option<&[&str]>); 6] = [
        (&["--yes"], Some(&["clock", "random"])),
        (&["--grant", "clock", "--grant", "random"], Some(&["clock", "random"])),
        (&["--profile", "reader"], Some(&["clock", "random"])),
        (&["--grant", "clock", "--partial"], Some(&["clock"])),
        // Less than what it needs, without --partial.
        (&["--grant", "clock"], None),
        (&["--limit", "fuel=1000000"], None),
    ];
    for (options, granted) in cases {
        let home = Home::new();
        let file = asking(&home, "asking", 1, "1.0.0", &["clock", "random"]);
        let ran = install_json(&home, &file, options);
        match granted {
            Some(granted) => {
                let grants = ran.expect(0).json()["grants"].clone();
                assert_eq!(grants, json!(granted), "{options:?}");
            }
            None => drop(ran.expect(Exit::ConsentNeeded as i32)),
        }
    }
}

#[test]
fn what_may_not_be_granted_is_refused_and_nothing_is_installed() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    let file = asking(&home, "asking", 1, "1.0.0", &["clock", "fs:rw", "env=API_TOKEN"]);
    let data = format!("fs:ro={}", home.data().display());
    let inside = format!("fs:rw={}/grants", home.data().display());
    let missing = format!("fs:ro={}/missing", home.work().display());
    let plain = format!("fs:ro={}", file.display());
    let table = [
        ("random", Code::GrantRefused),
        ("fs:rw+exec=.", Code::GrantRefused),
        ("env=API_TOKEN", Code::GrantRefused),
        (data.as_str(), Code::GrantRefused),
        (inside.as_str(), Code::GrantRefused),
        (missing.as_str(), Code::GrantRefused),
        (plain.as_str(), Code::GrantRefused),
        ("fs:ro=", Code::GrantInvalid),
        ("fly", Code::GrantInvalid),
        ("kv=0", Code::GrantInvalid),
    ];
    for (grant, code) in table {
        let ran = install_json(&home, &file, &["--grant", grant]);
        refused(&ran, code);
    }
    refused(&install_json(&home, &file, &["--profile", "nobody"]), Code::GrantInvalid);
    refused(&install_json(&home, &file, &["--limit", "speed=5"]), Code::UsageError);
    assert_eq!(home.json(["plugin", "list"])["plugins"], json!([]));
    // What --yes does not grant: a folder to choose, a secret.
    let review = install_json(&home, &file, &["--yes"]);
    review.expect(Exit::ConsentNeeded as i32);
}

#[test]
fn a_component_without_a_manifest_gets_nothing_and_can_be_granted_by_hand() {
    let home = Home::new();
    let clock = components::with_clock("(if (i64.eqz (call $now)) (then unreachable))");
    let plugin = home.install(&wat(&home, "Wall_Clock", &clock), &["--yes"]);
    plugin.expect(0);
    let shown = home.json(["plugin", "permissions", "wall-clock"]);
    assert_eq!((&shown["grants"], &shown["version"]), (&json!([]), &json!("0.0.0")));
    let call = home.run_json(["call", "wall_clock.f"]);
    refused(&call, Code::Trap);
    let command = call.json()["denied"][0]["command"].as_str().expect("a command").to_owned();
    home.shell(&command).expect(0);
    home.run(["call", "wall-clock.f"]).expect(0);
}

#[test]
fn manifests_that_are_not_right_show_the_line() {
    let home = Home::new();
    let good = manifest("asking", "1.0.0", &["clock"]);
    let ask = "[[asks]]\nreason = \"x\"\npermission = ";
    let table = [
        (format!("{good}speed = 5\n"), "speed"),
        (good.replace("version = \"1.0.0\"", "version = \"one\""), "version"),
        (good.replace("name = \"asking\"", "name = \"../asking\""), "name"),
        (good.replace("[plugin]", "[plugin"), "plugin.toml:1"),
        (format!("{good}{ask}\"fs:ro=*\"\n{ask}\"clock\"\n"), "plugin.toml"),
        (format!("{good}{ask}\"fly\"\n"), "not a permission"),
        (format!("{good}[limits]\nspeed = 1\n"), "speed"),
        (format!("{good}[capabilities.\"asking.g\"]\nread_only = true\n"), "asking.g"),
        (format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000)), "plugin.toml"),
    ];
    for (number, (text, says)) in table.into_iter().enumerate() {
        let component = with_manifest(parse(&components::number(1)), &text);
        let file = home.file(&format!("bad{number}.wasm"), component);
        let ran = install_json(&home, &file, &["--yes"]);
        refused(&ran, Code::ManifestInvalid);
        let message = ran.json()["message"].to_string();
        assert!(message.contains(says), "{message}");
    }
    let long = format!("{good}{}", "# long\n".repeat(100_000));
    let component = with_manifest(parse(&components::number(1)), &long);
    refused(&install_json(&home, &home.file("long.wasm", component), &[]), Code::ComponentTooLarge);
    // The same beside the component, and both at once.
    let bare = home.file("bare.wasm", parse(&components::number(1)));
    home.file("bare.plugin.toml", good.replace("asking", "bare"));
    let ran = install_json(&home, &bare, &["--yes"]).expect(0);
    assert_eq!(ran.json()["grants"], json!(["clock"]));
    let both = asking(&home, "both", 1, "1.0.0", &[]);
    home.file("both.plugin.toml", &good);
    refused(&install_json(&home, &both, &["--yes"]), Code::ManifestTwice);
}

#[test]
fn names_are_plain_and_nobody_takes_over_anothers() {
    let home = Home::new();
    let file = home.file("tool.wasm", parse(&components::number(1)));
    for name in ["../tool", "Tool", "tоol", "tool\u{200b}", "", "1tool", "-tool", &"x".repeat(65)]
    {
        let ran = install_json(&home, &file, &[&format!("--name={name}")]);
        assert_eq!(ran.code, Exit::Usage as i32, "{name:?}: {}", ran.stdout);
    }
    for name in ["é.wasm", "..wasm", "a b.wasm"] {
        let file = home.file(name, parse(&components::number(1)));
        assert_eq!(install_json(&home, &file, &[]).code, Exit::Usage as i32, "{name}");
    }
    home.install(&file, &[]);
    let again = install_json(&home, &file, &[]);
    refused(&again, Code::PluginExists);
    assert!(again.json()["message"].to_string().contains("these very bytes"));
    let other = home.file("other.wasm", parse(&components::number(2)));
    let ran = install_json(&home, &other, &["--name", "tool"]);
    refused(&ran, Code::PluginExists);
    assert!(ran.json()["message"].to_string().contains("plugin update"));
    assert_eq!(answer(&home, "tool.f"), 1, "the first one serves on");
    // A plugin by another name keeps its package's name.
    let grant = format!("fs:ro={}", home.work().display());
    home.install(&guest("filesystem"), &["--name", "files", "--grant", &grant]);
    refused(&install_json(&home, &other, &["--name", "filesystem"]), Code::ReservedName);
    // Packages that are ours alone.
    let own = components::provider(1).replace("acme:tools/math", "meshhost:secret/math");
    refused(&install_json(&home, &wat(&home, "own", &own), &[]), Code::ReservedName);
    let unknown = "(component (import \"acme:no/such@1.0.0\" (instance (export \"f\" (func)))))";
    refused(&install_json(&home, &wat(&home, "unknown", unknown), &[]), Code::UnknownImport);
}

#[test]
fn an_update_that_asks_for_more_waits_while_the_old_version_serves() {
    let home = Home::new();
    home.install(&asking(&home, "one", 1, "1.0.0", &["clock"]), &["--yes"]);
    let node = home.serve();
    // The same asks: it serves at once.
    let same = asking(&home, "same", 2, "1.0.1", &["clock"]);
    home.run(["plugin", "update", "asking", same.to_str().expect("text")]).expect(0);
    assert_eq!(answer(&home, "asking.f"), 2);
    // More asks: it waits.
    let more = asking(&home, "more", 3, "2.0.0", &["clock", "random"]);
    let update = home.run_json(["plugin", "update", "asking", more.to_str().expect("text")]);
    let review = update.json();
    update.expect(Exit::ConsentNeeded as i32);
    let changes = review["changes"].as_array().expect("changes");
    assert!(changes.contains(&json!("+ asks for random")), "{changes:?}");
    assert_eq!(answer(&home, "asking.f"), 2);
    let shown = home.json(["plugin", "permissions", "asking"]);
    assert_eq!((&shown["staged"], &shown["version"]), (&review["component"], &json!("1.0.1")));
    assert_eq!(shown["grants"], json!(["clock"]), "nothing is granted by waiting");
    // --yes alone does not approve; another digest does not either.
    let blind = ["plugin", "update", "asking", "--approve", "--digest"];
    let wrong = format!("blake3:{}", "0".repeat(64));
    let ran = home.run_json([&blind[..], &[&wrong]].concat());
    refused(&ran, Code::NotFound);
    // The printed command approves what was shown.
    home.shell(review["consent_command"].as_str().expect("a command")).expect(0);
    assert_eq!(answer(&home, "asking.f"), 3);
    let shown = home.json(["plugin", "permissions", "asking"]);
    assert_eq!(shown["grants"], json!(["clock", "random"]));
    // Back: the version and the grants that it had.
    home.run(["plugin", "rollback", "asking"]).expect(0);
    assert_eq!(answer(&home, "asking.f"), 2);
    assert_eq!(home.json(["plugin", "permissions", "asking"])["grants"], json!(["clock"]));
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_plugin_can_be_disabled_enabled_removed_and_outlives_restarts() {
    let home = Home::new();
    let file = asking(&home, "one", 1, "1.0.0", &["clock"]);
    home.install(&file, &["--yes", "--limit", "fuel=1000000"]);
    refused(&home.run_json(["plugin", "rollback", "asking"]), Code::NoRollback);
    home.run(["plugin", "disable", "asking"]).expect(0);
    let skipped = home.run_json(["call", "asking.f"]);
    refused(&skipped, Code::CapabilityDisabled);
    assert_eq!(skipped.json()["outcome"], "skipped");
    home.serve().kill();
    refused(&home.run_json(["call", "asking.f"]), Code::CapabilityDisabled);
    home.run(["plugin", "enable", "asking"]).expect(0);
    let node = home.serve();
    let shown = home.json(["plugin", "permissions", "asking"]);
    assert_eq!(
        (&shown["grants"], &shown["limits"]["fuel"]),
        (&json!(["clock"]), &json!(1_000_000))
    );
    assert_eq!(answer(&home, "asking.f"), 1);
    home.run(["plugin", "remove", "asking"]).expect(0);
    refused(&home.run_json(["call", "asking.f"]), Code::CapabilityNotFound);
    refused(&home.run_json(["plugin", "remove", "asking"]), Code::NotFound);
    node.stop_well();
    assert!(fs::read_dir(home.data().join("grants")).expect("a folder").next().is_none());
    // Installed again it begins with nothing.
    install_json(&home, &file, &[]).expect(Exit::ConsentNeeded as i32);
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn of_two_providers_the_first_is_called_until_another_is_preferred() {
    let home = Home::new();
    let id = "acme.tools.math.f";
    home.install(&wat(&home, "first", &components::provider(1)), &[]);
    let second = wat(&home, "second", &components::provider(2));
    let installed = install_json(&home, &second, &[]).expect(0);
    assert!(installed.json()["notes"].to_string().contains("first"), "{}", installed.stdout);
    assert_eq!(answer(&home, id), 1);
    assert_eq!(home.json(["call", id, "--plugin", "second"])["data"], 2);
    home.run(["plugin", "prefer", id, "second"]).expect(0);
    assert_eq!(answer(&home, id), 2);
    refused(
        &home.run_json(["plugin", "prefer", "acme.tools.math.g", "second"]),
        Code::CapabilityNotFound,
    );
    home.run(["plugin", "remove", "second"]).expect(0);
    assert_eq!(answer(&home, id), 1);
    refused(&home.run_json(["call", "acme.tools.math.f@^2"]), Code::CapabilityVersion);
    assert_eq!(answer(&home, "acme.tools.math.f@^1"), 1);
}

#[test]
fn another_folder_in_the_place_of_a_granted_one_suspends() {
    let home = Home::new();
    home.file("notes/a.txt", "granted");
    let notes = home.work().join("notes");
    let grant = format!("fs:ro={}", notes.display());
    home.install(&guest("filesystem"), &["--grant", &grant]);
    home.run(["call", "filesystem.read", "path=notes/a.txt"]).expect(0);
    fs::rename(&notes, home.work().join("old")).expect("a move");
    home.file("notes/a.txt", "another");
    let read = home.run_json(["call", "filesystem.read", "path=notes/a.txt"]);
    refused(&read, Code::GrantSuspended);
    assert_eq!(home.json(["plugin", "permissions", "filesystem"])["state"], "suspended");
    home.run(["plugin", "grant", "filesystem", &grant]).expect(0);
    let read = home.json(["call", "filesystem.read", "path=notes/a.txt"]);
    assert_eq!(read["data"]["content"]["value"], "another");
}

#[test]
fn nobody_reads_the_nodes_own_data_through_a_folder_above_it() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    let above = home.data().parent().expect("a folder").canonicalize().expect("a folder");
    // Another way in: a second name for the same file, and a link to the folder.
    fs::hard_link(home.data().join("meshhost.db"), above.join("database")).expect("a link");
    std::os::unix::fs::symlink(home.data(), above.join("link")).expect("a link");
    let plugin = guest("filesystem");
    let writing = format!("--grant=fs:rw={}", above.display());
    refused(&install_json(&home, &plugin, &[&writing]), Code::GrantRefused);
    home.install(&plugin, &["--grant", &format!("fs:ro={}", above.display())]);
    let inside = ["data/node.key", "data/grants/filesystem.toml", "database", "link/node.key"];
    for path in inside.map(|path| above.join(path)) {
        let path = format!("path={}", path.display());
        let read = home.run_json(["call", "filesystem.read", &path]);
        assert_eq!(read.code, Exit::PluginFailure as i32, "{path}: {}", read.stdout);
        let write = home.run_json(["call", "filesystem.write", &path, "text=mine"]);
        assert_eq!(write.code, Exit::PluginFailure as i32, "{path}: {}", write.stdout);
    }
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn revoking_reaches_a_call_that_is_running() {
    let home = Home::new();
    let watched = home.file("shared/watched", "x");
    let started = home.work().join("shared/started");
    let grant = format!("fs:rw={}", home.work().join("shared").display());
    home.install(
        &guest("command"),
        &[
            "--grant",
            &grant,
            "--limit",
            "host_calls=10000000",
            "--limit",
            "fuel=1000000000000",
            "--limit",
            "deadline_ms=120000",
        ],
    );
    let node = home.serve();
    let words = json!(["watch", watched, started]);
    let mut call = home.command(["call", "command.run", &format!("arguments:={words}"), "--json"]);
    let call = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a call");
    until("the first read", || started.exists().then_some(()));
    home.run(["plugin", "revoke", "command", &grant]).expect(0);
    let ended = ran(call.wait_with_output().expect("it ends"));
    refused(&ended, Code::PluginFailure);
    assert_eq!(ended.json()["error"]["details"]["exit_code"], 1, "{}", ended.stdout);
    node.stop_well();
}

#[test]
fn installs_at_the_same_time_do_not_harm_each_other() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    let files = [1, 2, 3].map(|value| wat(&home, &format!("p{value}"), &components::number(value)));
    let start = |file: &PathBuf, name: &str| {
        let words = ["plugin", "install", file.to_str().expect("text"), "--name", name];
        let mut install = home.command(words);
        install.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("an install")
    };
    let all = [(0, "a"), (1, "b"), (2, "c"), (0, "same"), (1, "same")];
    for serving in [false, true] {
        let node = serving.then(|| home.serve());
        let running: Vec<_> = all.iter().map(|(file, name)| start(&files[*file], name)).collect();
        let ended: Vec<i32> = running
            .into_iter()
            .map(|install| ran(install.wait_with_output().expect("it ends")).code)
            .collect();
        assert_eq!(ended[..3], [0, 0, 0], "{ended:?}");
        let mut same = ended[3..].to_vec();
        same.sort_unstable();
        assert_eq!(same, [0, Exit::Usage as i32], "one of two with the same name");
        assert_eq!(answer(&home, "c.f"), 3);
        for name in ["a", "b", "c", "same"] {
            home.run(["plugin", "remove", name]).expect(0);
        }
        if let Some(node) = node {
            node.stop_well();
        }
    }
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn compiling_keeps_to_its_limits() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    std::fs::write(home.data().join("meshhost.toml"), "[compile]\ncode_bytes = 1_048_576\n")
        .expect("a file");
    let git = guest("git");
    let grant = format!("fs:ro={}", home.work().display());
    refused(&install_json(&home, &git, &["--grant", &grant]), Code::CompileLimit);
    let compile = |memory_bytes: &str| {
        let component = std::fs::File::open(&git).expect("a component");
        let mut child = home.command(["compile-child", memory_bytes, "60000"]);
        let (name, value) = meshhost::allocator::CHILD_ENVIRONMENT;
        child.env(name, value);
        ran(child.stdin(component).stdout(Stdio::null()).output().expect("it ends")).code
    };
    assert_eq!(compile("1073741824"), 0);
    assert_ne!(compile("16777216"), 0, "16 MiB are not enough");
}
