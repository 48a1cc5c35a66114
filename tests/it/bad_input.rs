//! Files, ids, JSON and data directories that are not right: a typed error each, nothing half
//! done, and the node serves on.

use std::{
    fs::{self, File, Permissions},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::Command,
};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    components,
    support::{Home, guest, leb128, parse, ran, wat},
};

/// Numbers that look random and are the same in every run (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a size")
    }
}

/// Components inside components.
fn nested(depth: usize) -> Vec<u8> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    const COMPONENT: u8 = 4;
    (0..depth).fold(HEADER.to_vec(), |inner, _| {
        let mut outer = HEADER.to_vec();
        outer.push(COMPONENT);
        leb128(&mut outer, inner.len());
        outer.extend(inner);
        outer
    })
}

/// Files that are no components, each with the codes that may be said of it.
fn broken_components() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("empty".to_owned(), Vec::new()),
        ("text".to_owned(), b"#!/bin/sh\necho hello\n".to_vec()),
        ("core-module".to_owned(), parse("(module (func (export \"f\")))")),
        ("old-version".to_owned(), b"\0asm\x0c\0\x01\0".to_vec()),
        ("nested".to_owned(), nested(5_000)),
    ];
    let whole = fs::read(guest("conformance-echo")).expect("a component");
    for cut in [4, 9, 100, whole.len() / 2, whole.len() - 1] {
        files.push((format!("cut-at-{cut}"), whole[..cut].to_vec()));
    }
    let mut numbers = Numbers(0x5eed);
    for round in 0..20 {
        let mut noise = b"\0asm\x0d\0\x01\0".to_vec();
        noise.extend((0..numbers.below(2000)).map(|_| numbers.next().to_le_bytes()[0]));
        files.push((format!("noise-{round}"), noise));
        let mut flipped = whole.clone();
        // Past the header and before the custom sections at the end, which may hold anything.
        let at = 8 + numbers.below(16);
        flipped[at] ^= 1 << numbers.below(8);
        files.push((format!("flipped-{round}-at-{at}"), flipped));
    }
    files
}

#[test]
fn what_is_no_component_is_said_to_be_none() {
    let home = Home::new();
    let node = home.serve();
    for (name, bytes) in broken_components() {
        let file = home.file(&format!("{name}.wasm"), bytes);
        let ran = home.run_json(["plugin", "install", file.to_str().expect("text")]);
        // A flipped bit may leave a component that is right, or imports something else.
        if name.starts_with("flipped") && ran.code == 0 {
            home.run(["plugin", "remove", "conformance-echo"]);
            home.run(["plugin", "remove", &name]);
            continue;
        }
        let known = [Code::InvalidComponent, Code::ComponentTooLarge, Code::UnknownImport];
        let found = ran.code_name();
        assert!(known.iter().any(|code| code.info().name == found), "{name}: {}", ran.stdout);
        assert_eq!(ran.code, Exit::Usage as i32, "{name}");
    }
    assert_eq!(home.json(["plugin", "list"])["plugins"], json!([]));
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn what_is_no_plain_file_of_bearable_size_is_not_read() {
    let home = Home::new();
    let large = home.file("large.wasm", b"\0asm\x0d\0\x01\0");
    let grown = File::options().write(true).open(&large).expect("a file");
    grown.set_len(100 * 1024 * 1024).expect("a large file");
    let pipe = home.work().join("pipe.wasm");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    fs::create_dir(home.work().join("folder.wasm")).expect("a folder");
    let table = [
        ("large.wasm", Code::ComponentTooLarge),
        ("pipe.wasm", Code::UsageError),
        ("folder.wasm", Code::UsageError),
        ("./nothing.wasm", Code::NotFound),
        ("nothing", Code::NotFound),
    ];
    for (file, code) in table {
        let ran = home.run_json(["plugin", "install", file]);
        assert_eq!(ran.code_name(), code.info().name, "{file}");
        ran.expect(i32::from(code.exit() as u8));
    }
}

#[test]
fn ids_are_plain_text_and_what_is_unknown_is_written_down() {
    let home = Home::new();
    home.install(&wat(&home, "good", &components::nothing()), &[]);
    let node = home.serve();
    for id in ["../good.f", "good/f", "gооd.f", "good.f\u{200b}", "good.f ", "", &"x".repeat(5000)]
    {
        let ran = home.run_json(["call", id]);
        assert_eq!(ran.code, Exit::Usage as i32, "{id:?}: {}", ran.stdout);
    }
    for option in
        [["--id", "a b"], ["--id", ""], ["--correlation", "é"], ["--id", &"x".repeat(129)]]
    {
        let ran = home.run_json([&["call", "good.f"], &option[..]].concat());
        assert_eq!(ran.code, Exit::Usage as i32, "{option:?}: {}", ran.stdout);
    }
    for id in ["good.g", "..", "good..f", "git.log", "f"] {
        let ran = home.run_json(["call", id]);
        assert_eq!(ran.code_name(), Code::CapabilityNotFound.info().name, "{id}");
        let call = ran.expect(Exit::NotFound as i32).json();
        let invocation = call["invocation_id"].as_str().expect("an id");
        let events = home.json(["audit", "show", invocation]);
        assert_eq!(events["events"][0]["outcome"], "denied", "{id}");
        assert_eq!(events["events"][0]["capability_id"], id);
    }
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn input_that_is_no_json_object_of_the_right_types_is_refused() {
    let home = Home::new();
    home.install(&wat(&home, "echo", &components::echo()), &[]);
    home.install(&guest("wat-adder"), &[]);
    let node = home.serve();
    let deep = format!("{{\"text\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(9 * 1024 * 1024));
    let texts: Vec<&[u8]> = vec![
        br#"{"text": "a", "text": "b"}"#,
        br#"{"text": 1e400}"#,
        br#"{"text": NaN}"#,
        br#"{"text": "a"} {}"#,
        br#"{"text": "a""#,
        br#"{"text": "\ud800"}"#,
        br#"{"text": 5}"#,
        br#"{"text": null}"#,
        br#"{"text": {"blob": "blake3:00"}}"#,
        br#"{"txet": "a"}"#,
        br"[]",
        br"7",
        b"",
        b"{\"text\": \"\xff\"}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for text in texts {
        let file = home.file("input.json", text);
        let ran = home.run_json(["call", "echo.echo", "--input", &format!("@{}", file.display())]);
        let start = String::from_utf8_lossy(&text[..text.len().min(60)]);
        assert_eq!(ran.code, Exit::Usage as i32, "{start}: {}", ran.stdout);
    }
    for (arguments, code) in [
        (["a=1", "b=4294967296"], Exit::Usage),
        (["a=1", "b=-1"], Exit::Usage),
        (["a=1", "b=1.5"], Exit::Usage),
        (["a=1", "c=1"], Exit::Usage),
        (["a=1", "a=1"], Exit::Usage),
        (["a=4294967295", "b=0"], Exit::Success),
    ] {
        home.run([&["call", "wat-adder.add"], &arguments[..]].concat()).expect(code as i32);
    }
    let same = home.json(["call", "echo.echo", "text=\u{1f642} \"quoted\" \\ \t"]);
    assert_eq!(same["data"], "\u{1f642} \"quoted\" \\ \t");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

/// Says these bytes to the node's socket and gives what it answers.
fn say(home: &Home, bytes: &[u8]) -> Option<Value> {
    let mut socket = UnixStream::connect(home.data().join("admin.sock")).expect("a node");
    socket.write_all(bytes).expect("a node that reads");
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut answer = vec![0; u32::from_le_bytes(length).try_into().expect("a size")];
    socket.read_exact(&mut answer).ok()?;
    serde_json::from_slice(&answer).ok()
}

fn frame(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short text");
    [&length.to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn what_the_socket_does_not_understand_does_not_harm_the_node() {
    let home = Home::new();
    home.install(&wat(&home, "echo", &components::echo()), &[]);
    let node = home.serve();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let call = |input: &str| {
        frame(&format!("{{\"do\":\"call\",\"capability\":\"echo.echo\",\"input\":{input}}}"))
    };
    let understood_not = [
        frame("{}"),
        frame("{\"do\":\"fly\"}"),
        frame("not json"),
        frame(&deep),
        call(&deep),
        call("1e400"),
        frame("{\"do\":\"call\",\"capability\":\"../x\",\"input\":{}}"),
        frame("{\"do\":\"install\",\"source\":{\"from\":\"file\",\"at\":5},\"name\":null}"),
        u32::MAX.to_le_bytes().to_vec(),
    ];
    for bytes in understood_not {
        let answer = say(&home, &bytes).expect("an answer");
        assert_eq!(answer["is"], "error", "{answer}");
    }
    for cut in [&b"\x07"[..], b"\x07\0\0\0", b"\x07\0\0\0{\"a\""] {
        let mut socket = UnixStream::connect(home.data().join("admin.sock")).expect("a node");
        socket.write_all(cut).expect("a node that reads");
    }
    // What is understood and does not fit is denied, and written down.
    for input in ["{\"text\":5}", "{\"txet\":\"a\"}", "[]"] {
        let answer = say(&home, &call(input));
        let refused = answer.as_ref().is_some_and(|answer| {
            answer["is"] == "error" || answer["value"]["outcome"] == "denied"
        });
        assert!(refused, "{input}: {answer:?}");
    }
    home.run(["call", "echo.f"]).expect(0);
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_data_directory_that_others_can_reach_is_refused() {
    let home = Home::new();
    home.run(["plugin", "list"]).expect(0);
    for (path, mode) in [("", 0o755), ("grants", 0o777), ("node.key", 0o644), ("code", 0o750)] {
        let path = home.data().join(path);
        let good = fs::metadata(&path).expect("it is there").permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        let ran = home.run_json(["plugin", "list"]);
        assert_eq!(ran.code_name(), Code::StoreMode.info().name, "{}", path.display());
        ran.expect(Exit::HostFault as i32);
        fs::set_permissions(&path, good).expect("a mode");
        home.run(["plugin", "list"]).expect(0);
    }
    let elsewhere = home.file("plain", "x");
    let ran = home.run_json(["plugin", "list", "--data", elsewhere.to_str().expect("text")]);
    assert_eq!(ran.code, Exit::HostFault as i32, "{}", ran.stdout);
}

#[test]
fn a_data_directory_that_is_in_use_newer_or_damaged_is_left_alone() {
    let home = Home::new();
    home.install(&wat(&home, "good", &components::nothing()), &[]);
    newer(&home);
    let database = home.data().join("meshhost.db");
    let good = fs::read(&database).expect("a file");
    for damaged in [b"no database at all, but long enough to be one".repeat(100), vec![0; 8192]] {
        fs::write(&database, damaged).expect("a file");
        let ran = home.run_json(["call", "good.f"]);
        assert!(ran.code == Exit::HostFault as i32, "{}", ran.stdout);
    }
    fs::write(&database, good).expect("a file");
    let config = home.data().join("meshhost.toml");
    fs::write(&config, "[limits]\nfule = 5\n").expect("a file");
    let ran = home.run_json(["call", "good.f"]);
    assert_eq!(ran.code_name(), Code::ConfigInvalid.info().name);
    assert!(ran.json()["message"].to_string().contains("meshhost.toml:2"), "{}", ran.stdout);
    fs::remove_file(config).expect("a file");
    home.run(["call", "good.f"]).expect(0);
}

/// The same directory with a schema that this version does not know.
fn newer(home: &Home) {
    let database = home.data().join("meshhost.db");
    let change = |statement: &str| {
        let program = format!(
            "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute({statement:?})\nc.commit()"
        );
        let mut python = Command::new("python3");
        python.args(["-c", &program]).arg(&database).status().is_ok_and(|status| status.success())
    };
    let columns = "version, description, success, checksum, execution_time";
    if !change(&format!("INSERT INTO _sqlx_migrations ({columns}) VALUES (9999, 'x', 1, x'00', 0)"))
    {
        println!("skipped: a newer data directory, because python3 with sqlite3 is not there");
        return;
    }
    let ran = home.run_json(["call", "good.f"]);
    assert_eq!(ran.code_name(), Code::StoreNewer.info().name);
    ran.expect(Exit::HostFault as i32);
    assert!(change("DELETE FROM _sqlx_migrations WHERE version = 9999"));
    home.run(["call", "good.f"]).expect(0);
}

#[test]
fn one_node_serves_a_data_directory_and_the_next_one_is_told_which() {
    let home = Home::new();
    let node = home.serve();
    let mut second = home.command(["serve", "--allow-root", "--json"]);
    let second = ran(second.output().expect("it starts"));
    assert_eq!(second.code_name(), Code::StoreLocked.info().name);
    assert!(second.json()["message"].to_string().contains(&node.id().to_string()), "{second:?}");
    second.expect(Exit::Busy as i32);
    node.kill();
    // What a dead node left stands in nobody's way.
    assert!(home.data().join("admin.sock").exists());
    home.run(["plugin", "list"]).expect(0);
    home.serve().stop_well();
}
