//! Nodes that join, share and call each other: real processes, real QUIC on loopback.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use meshhost_core::code::Exit;
use serde_json::Value;

use crate::{
    linked,
    support::{Home, Ran, Serving, guest, ran, until, wat, with_manifest},
};

const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// A node that serves.
pub(crate) struct Node {
    pub(crate) home: Home,
    serving: Option<Serving>,
}

impl Node {
    fn new() -> Self {
        Self::with_environment(&[])
    }

    /// A node that runs with more in its environment.
    pub(crate) fn with_environment(environment: &[(&str, &str)]) -> Self {
        let home = Home::new();
        let serving = Some(home.serve_with(environment));
        Self { home, serving }
    }

    /// A node that begins a community, and its first ticket.
    pub(crate) fn founder(name: &str) -> (Self, String) {
        let node = Self::new();
        let begun =
            node.home.run([&["mesh", "init", "home", "--name", name], &LISTEN[..]].concat());
        let ticket = begun.expect(0).stdout;
        assert!(ticket.starts_with("meshhost-ticket-1:"), "{ticket}");
        (node, ticket)
    }

    /// A node that joins with a ticket, and shares this with every member.
    pub(crate) fn joined(name: &str, ticket: &str, shares: &[&str]) -> Self {
        let node = Self::new();
        join(&node.home, name, ticket, shares).expect(0);
        node
    }

    /// As [`Self::with_echo`], where a call that runs twice does no more than one that runs once.
    pub(crate) fn with_repeatable_echo(self) -> Self {
        let manifest = "[plugin]\nname = \"conformance-echo\"\nversion = \"0.1.0\"\n\
                        description = \"Gives back what it is given.\"\n\n\
                        [capabilities.\"conformance_echo.echo\"]\nidempotent = true\n";
        let component = std::fs::read(guest("conformance-echo")).expect("a component");
        let file = self.home.file("echo.wasm", with_manifest(component, manifest));
        self.home.install(&file, &[]);
        self
    }

    pub(crate) fn ticket(&self) -> String {
        self.home.run(["mesh", "ticket"]).expect(0).stdout
    }

    pub(crate) fn with_echo(self) -> Self {
        self.home.install(&guest("conformance-echo"), &[]);
        self
    }

    /// Waits until this node is connected with as many others.
    pub(crate) fn sees(&self, others: usize) {
        until("the nodes are connected", || {
            let status = self.home.json(["mesh", "status"]);
            let members = status["members"].as_array().expect("members");
            let connected = members.iter().filter(|member| member["connected"] == true).count();
            (connected == others).then_some(())
        });
    }

    pub(crate) fn kill(&mut self) {
        self.serving.take().expect("it serves").kill();
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.serving = Some(self.home.serve());
    }

    /// Ends it, and gives what it logged.
    pub(crate) fn stop(&mut self) -> String {
        self.serving.take().expect("it serves").stop().1
    }

    /// Its process.
    pub(crate) fn process(&self) -> rustix::process::Pid {
        let id = self.serving.as_ref().expect("it serves").id();
        rustix::process::Pid::from_raw(id.cast_signed()).expect("a process")
    }

    pub(crate) fn stop_well(mut self) {
        self.serving.take().expect("it serves").stop_well();
    }
}

pub(crate) fn join(home: &Home, name: &str, ticket: &str, shares: &[&str]) -> Ran {
    join_at(home, name, ticket, shares, LISTEN[1])
}

/// Joins with a ticket, and listens there.
pub(crate) fn join_at(home: &Home, name: &str, ticket: &str, shares: &[&str], at: &str) -> Ran {
    let mut arguments = vec!["mesh", "join", "--name", name, LISTEN[0], at];
    for share in shares {
        arguments.extend(["--share", share]);
    }
    let mut command = home.command(arguments);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(ticket.as_bytes()).expect("it reads");
    drop(stdin);
    let output: Output = child.wait_with_output().expect("it ends");
    ran(output)
}

pub(crate) fn echo(home: &Home, more: &[&str]) -> Ran {
    let call = ["call", "conformance_echo.echo", "message=hello"];
    home.run_json([&call[..], more].concat())
}

/// Calls what another node has, as soon as it is known here: word of what is installed goes round after the install.
pub(crate) fn offered(home: &Home, arguments: &[&str]) -> Ran {
    until("it is offered", || {
        let ran = home.run_json([&["call"], arguments].concat());
        (ran.code != Exit::NotFound as i32).then_some(ran)
    })
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[test]
fn a_member_calls_what_another_shares_and_both_have_the_evidence_that_is_theirs() {
    let (laptop, ticket) = Node::founder("laptop");
    let gpubox = Node::joined("gpubox", &ticket, &["conformance_echo.*"]).with_echo();
    laptop.sees(1);
    let answer = until("the capability is callable", || {
        let ran = echo(&laptop.home, &[]);
        (ran.code == 0).then(|| ran.json())
    });
    assert_eq!(answer["data"], "hello");
    assert_eq!(answer["node"], "gpubox");
    assert_eq!(answer["plugin"], "conformance-echo");
    let pinned = echo(&laptop.home, &["--node", "gpubox"]).expect(0).json();
    assert_eq!(pinned["node"], "gpubox");
    let there = gpubox.home.json(["audit", "list"]);
    let key = laptop.home.json(["mesh", "status"])["key"].clone();
    assert!(there.to_string().contains(&format!("peer:{}", text(&key))), "{there}");
    let shown = gpubox.home.json(["audit", "show", text(&answer["invocation_id"])]);
    assert!(shown.to_string().contains("\"entrance\":\"peer\""), "{shown}");
    for node in [laptop, gpubox] {
        node.home.run(["audit", "verify"]).expect(0);
        node.stop_well();
    }
}

#[test]
fn what_is_not_shared_is_unknown_and_so_is_what_does_not_exist() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &[]).with_echo();
    laptop.sees(1);
    let unshared = echo(&laptop.home, &["--node", "nas"]).expect(Exit::NotFound as i32);
    let absent = laptop.home.run_json(["call", "acme.nothing.at_all", "a=1", "--node", "nas"]);
    assert_eq!(unshared.code_name(), "capability-not-found");
    assert_eq!(absent.expect(Exit::NotFound as i32).code_name(), "capability-not-found");
    nas.home.run(["mesh", "share", "conformance_echo.echo", "--with", "laptop"]).expect(0);
    until("the share counts", || (echo(&laptop.home, &["--node", "nas"]).code == 0).then_some(()));
    let fails = ["call", "conformance_echo.fail", "message=x", "--node", "nas"];
    laptop.home.run(fails).expect(Exit::NotFound as i32);
    nas.home.run(["mesh", "unshare", "conformance_echo.echo", "--with", "laptop"]).expect(0);
    let again = echo(&laptop.home, &["--node", "nas"]).expect(Exit::NotFound as i32);
    assert_eq!(again.code_name(), "capability-not-found", "the next call meets it");
}

#[test]
fn a_ticket_lets_in_one_node_and_a_cancelled_one_nobody() {
    let (laptop, ticket) = Node::founder("laptop");
    let _one = Node::joined("one", &ticket, &[]);
    let two = Node::new();
    let refused = join(&two.home, "two", &ticket, &[]).expect(Exit::Denied as i32);
    refused.says("MH1005");
    let second = laptop.ticket();
    let tickets = laptop.home.json(["mesh", "tickets"]);
    let name =
        tickets["tickets"].as_array().expect("tickets").iter().find(|it| it["usable"] == true);
    let name = text(&name.expect("a usable ticket")["name"]).to_owned();
    laptop.home.run(["mesh", "cancel", &name]).expect(0);
    join(&two.home, "two", &second, &[]).expect(Exit::Denied as i32);
    join(&two.home, "two", "no ticket", &[]).expect(Exit::Usage as i32);
    two.home.run(["mesh", "status"]).expect(Exit::NotFound as i32);
}

#[test]
fn a_revoked_member_is_cut_off_at_once_and_stays_out() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["*"]).with_echo();
    let third = Node::joined("third", &laptop.ticket(), &[]);
    third.sees(2);
    until("the call works", || (echo(&third.home, &[]).code == 0).then_some(()));
    laptop.home.run(["mesh", "revoke", "third"]).expect(0);
    until("the others are gone for it", || {
        let status = third.home.json(["mesh", "status"]);
        let members = status["members"].as_array().expect("members");
        members.iter().all(|member| member["connected"] == false).then_some(())
    });
    let refused = echo(&third.home, &["--node", "nas"]);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    let status = nas.home.json(["mesh", "status"]);
    assert_eq!(
        status["members"].as_array().map(Vec::len),
        Some(2),
        "the word went round: {status}"
    );
}

#[test]
fn nodes_find_each_other_through_one_that_knows_both_and_again_after_a_restart() {
    let (laptop, ticket) = Node::founder("laptop");
    let mut nas = Node::joined("nas", &ticket, &[]);
    let third = Node::joined("third", &laptop.ticket(), &[]);
    for node in [&laptop, &nas, &third] {
        node.sees(2);
    }
    nas.kill();
    nas.serving = Some(nas.home.serve());
    until("it is found again", || {
        let found = [&laptop, &third].map(|node| node.home.run(["mesh", "ping", "nas"]).code);
        (found == [0, 0]).then_some(())
    });
    third.home.run(["mesh", "leave"]).expect(0);
    laptop.sees(1);
    let status = laptop.home.json(["mesh", "status"]);
    assert_eq!(status["members"].as_array().map(Vec::len), Some(2), "it left: {status}");
}

#[test]
fn a_call_moves_to_another_node_when_the_first_is_gone() {
    let (laptop, ticket) = Node::founder("laptop");
    let mut one = Node::joined("one", &ticket, &["*"]).with_repeatable_echo();
    let other = Node::joined("other", &laptop.ticket(), &["*"]).with_repeatable_echo();
    laptop.sees(2);
    until("both have it", || {
        let both = ["one", "other"].map(|node| echo(&laptop.home, &["--node", node]).code);
        (both == [0, 0]).then_some(())
    });
    one.kill();
    let answer = echo(&laptop.home, &[]).expect(0).json();
    assert_eq!(answer["node"], "other");
    // What is sent before the node is missed may have run there, for all that the caller knows.
    let gone = until("it is missed", || {
        let ran = echo(&laptop.home, &["--node", "one", "--timeout", "2s"]);
        (ran.code == Exit::Unreachable as i32).then_some(ran)
    });
    assert_eq!(gone.code_name(), "peer-unreachable");
    drop(other);
}

#[test]
fn a_call_that_may_have_run_and_must_not_run_twice_stays_where_it_was() {
    let (laptop, ticket) = Node::founder("laptop");
    // It has it as well, and so sends the call at once, without asking how it is made.
    let laptop = laptop.with_echo();
    let mut one = Node::joined("one", &ticket, &["*"]).with_echo();
    let other = Node::joined("other", &laptop.ticket(), &["*"]).with_echo();
    laptop.sees(2);
    until("both have it", || {
        let both = ["one", "other"].map(|node| echo(&laptop.home, &["--node", node]).code);
        (both == [0, 0]).then_some(())
    });
    // Killed and not yet missed: what is sent to it may have run. A slow machine may miss it first.
    let mut tries = 0;
    let id = until("it is sent before the node is missed", || {
        tries += 1;
        let id = format!("once-{tries}");
        one.kill();
        let lost = echo(&laptop.home, &["--prefer", "one", "--id", &id, "--timeout", "2s"]);
        one.restart();
        until("it is back", || (laptop.home.run(["mesh", "ping", "one"]).code == 0).then_some(()));
        if lost.code == 0 {
            return None;
        }
        let lost = lost.expect(Exit::Indeterminate as i32).json();
        assert_eq!(lost["outcome"], "indeterminate");
        Some(id)
    });
    let again = echo(&laptop.home, &["--node", "one", "--id", &id]).expect(0).json();
    assert_eq!(again["node"], "one", "the same id gets its one result");
    let elsewhere = other.home.json(["audit", "list"]).to_string();
    assert!(!elsewhere.contains(&id), "nobody else was asked: {elsewhere}");
}

#[test]
fn an_imported_interface_may_be_another_nodes() {
    let (laptop, ticket) = Node::founder("laptop");
    let file = laptop.home.file("caller.wasm", linked::caller("1.0.0"));
    let install = ["plugin", "install", file.to_str().expect("a name"), "--grant", linked::GRANT];
    laptop.home.run(install).expect(Exit::Usage as i32).says("which no plugin here provides");
    let gpubox = Node::joined("gpubox", &ticket, &["acme.tools.*"]);
    gpubox.home.install(&gpubox.home.file("divider.wasm", linked::divider("1.0.0")), &[]);
    until("it is offered", || (laptop.home.run(install).code == 0).then_some(()));
    let f = ["call", "caller.f", "a=42", "b=6"];
    let answer = laptop.home.json(f);
    assert_eq!(answer["data"], 7, "{answer}");
    assert_eq!(answer["node"], Value::Null, "the one that imports ran here");
    let there = gpubox.home.json(["audit", "replay", text(&answer["correlation_id"])]);
    assert!(there.to_string().contains("acme.tools.divide.divide"), "{there}");
    gpubox.home.run(["mesh", "unshare", "acme.tools.*"]).expect(0);
    let answer = laptop.home.json(f);
    assert_eq!(answer["data"], 2000, "the component is told: {answer}");
}

/// Bytes of which no two groups are the same.
fn large() -> Vec<u8> {
    (0_u32..900_000).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn a_blob_of_the_caller_is_read_where_the_call_runs_and_one_of_the_answer_comes_back() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["filesystem.*"]);
    let folder = nas.home.work().join("shelf");
    std::fs::create_dir(&folder).expect("a folder");
    let grant = format!("fs:rw={}", folder.display());
    nas.home.run(["plugin", "install", "filesystem", "--grant", &grant]).expect(0);
    laptop.sees(1);
    let bytes = large();
    let file = laptop.home.file("large.bin", &bytes);
    let path = format!("path={}", folder.join("copy.bin").display());
    let content = format!("content=@{}", file.display());
    let write = ["filesystem.write", &path, &content, "--timeout", "60s"];
    let written = offered(&laptop.home, &write);
    assert_eq!(written.expect(0).json()["node"], "nas");
    assert!(std::fs::read(folder.join("copy.bin")).expect("it is there") == bytes);
    let digest = laptop.home.json(["blob", "put", file.to_str().expect("a name")]);
    let digest = text(&digest["digest"]).to_owned();
    // What was fetched for the call went with it.
    let kept = nas.home.work().join("kept.bin");
    let kept = kept.to_str().expect("a name");
    nas.home.run(["blob", "get", &digest, kept]).expect(Exit::NotFound as i32);

    let reader = Node::joined("reader", &laptop.ticket(), &[]);
    reader.sees(2);
    let read = offered(&reader.home, &["filesystem.read", &path, "--timeout", "60s"]);
    let read = read.expect(0).json();
    assert!(read.to_string().contains(&digest), "{read}");
    let copy = reader.home.work().join("copy.bin");
    reader.home.run(["blob", "get", &digest, copy.to_str().expect("a name")]).expect(0);
    assert!(std::fs::read(copy).expect("it is there") == bytes);
}

#[test]
fn a_call_of_a_peer_reads_no_blob_that_its_peer_does_not_have() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["blob_reader.*"]);
    nas.home.install(&guest("blob-reader"), &[]);
    laptop.sees(1);
    let bytes = large();
    let secret = nas.home.file("secret.bin", &bytes);
    let digest = nas.home.json(["blob", "put", secret.to_str().expect("a name")]);
    let content = format!("content:={{\"blob\":\"{}\"}}", text(&digest["digest"]));
    let peek = ["call", "blob_reader.peek", &content, "offset=1048576", "length=8"];
    nas.home.run(peek).expect(0);
    let refused = offered(&laptop.home, &peek[1..]);
    assert_eq!(refused.code_name(), "input-invalid", "{}", refused.stdout);
    // Whoever has the bytes may have them read.
    let file = laptop.home.file("own.bin", &bytes);
    let content = format!("content=@{}", file.display());
    let peek = ["call", "blob_reader.peek", &content, "offset=3000000", "length=8"];
    let answer = laptop.home.json(peek);
    assert_eq!(answer["data"], "sHELALFxCwA=", "{answer}");
}

/// `guess: func(digest: string) -> answer`, a `record { blob: string }`: an answer that looks like a blob.
const GUESSER: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "f") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 20) (local.get 1))
            (i32.const 16)))
    (core instance $i (instantiate $m))
    (type $fields (record (field "blob" string)))
    (func $guess (param "digest" string) (result $fields)
        (canon lift (core func $i "f") (memory (core memory $i "memory"))
            (realloc (core func $i "realloc"))))
    (component $exports
        (type $fields (record (field "blob" string)))
        (import "answer-type" (type $answer (eq $fields)))
        (import "guess-func" (func $guess (param "digest" string) (result $answer)))
        (export $named "answer" (type $answer))
        (export "guess" (func $guess) (func (param "digest" string) (result $named))))
    (instance $all (instantiate $exports
        (with "answer-type" (type $fields)) (with "guess-func" (func $guess))))
    (export "acme:guesser/tricks@1.0.0" (instance $all)))"#;

#[test]
fn an_answer_that_only_looks_like_a_blob_is_text_and_brings_none() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["acme.guesser.*"]);
    nas.home.install(&wat(&nas.home, "guesser.wasm", GUESSER), &[]);
    laptop.sees(1);
    let secret = nas.home.file("secret.bin", "a secret");
    let digest = nas.home.json(["blob", "put", secret.to_str().expect("a name")]);
    let digest = text(&digest["digest"]);
    let guess = format!("digest={digest}");
    let answer = offered(&laptop.home, &["acme.guesser.tricks.guess", &guess]);
    let answer = answer.expect(0).json();
    assert_eq!(answer["data"]["blob"], digest, "{answer}");
    let copy = laptop.home.work().join("copy.bin");
    let get = ["blob", "get", digest, copy.to_str().expect("a name")];
    laptop.home.run(get).expect(Exit::NotFound as i32);
}

#[test]
fn a_piece_of_work_is_shown_as_all_nodes_recorded_it_and_what_is_missing_is_said() {
    let (laptop, ticket) = Node::founder("laptop");
    let file = laptop.home.file("caller.wasm", linked::caller("1.0.0"));
    let install = ["plugin", "install", file.to_str().expect("a name"), "--grant", linked::GRANT];
    let mut gpubox = Node::joined("gpubox", &ticket, &["acme.tools.*"]);
    gpubox.home.install(&gpubox.home.file("divider.wasm", linked::divider("1.0.0")), &[]);
    until("it is offered", || (laptop.home.run(install).code == 0).then_some(()));
    let other = Node::joined("other", &laptop.ticket(), &[]);
    laptop.sees(2);
    let answer = laptop.home.json(["call", "caller.f", "a=42", "b=6"]);
    let work = text(&answer["correlation_id"]);
    let fleet = laptop.home.json(["audit", "replay", work, "--fleet"]);
    let told: Vec<_> = fleet["events"].as_array().expect("events").iter().collect();
    let order: Vec<_> =
        told.iter().map(|it| (text(&it["node"]), text(&it["event_type"]))).collect();
    let expected = [
        ("laptop", "execution_started"),
        ("gpubox", "execution_started"),
        ("gpubox", "execution_completed"),
        ("laptop", "execution_completed"),
    ];
    assert_eq!(order, expected, "{fleet}");
    assert_eq!(fleet["missing"], serde_json::json!([]), "{fleet}");
    let depths: Vec<_> =
        fleet["calls"].as_array().expect("calls").iter().map(|it| &it["depth"]).collect();
    assert_eq!(depths, [0, 1], "{fleet}");
    let trace = laptop.home.run(["trace", work]).expect(0).stdout;
    assert!(trace.contains("gpubox: 2 events, signed and unchanged"), "{trace}");
    assert!(trace.contains("other: no record of this"), "{trace}");
    // Nobody but the node that began it there is told.
    let stranger = other.home.json(["audit", "replay", work, "--fleet"]);
    assert_eq!(stranger["events"], serde_json::json!([]), "{stranger}");
    gpubox.kill();
    let alone = until("it is missed", || {
        let alone = laptop.home.json(["audit", "replay", work, "--fleet"]);
        alone["nodes"].to_string().contains("unreachable").then_some(alone)
    });
    let missing = &alone["missing"][0];
    assert_eq!((text(&missing["node"]), &missing["receipt"]), ("gpubox", &true.into()), "{alone}");
}

#[test]
fn what_a_caller_prefers_comes_first_and_does_not_bind() {
    let (laptop, ticket) = Node::founder("laptop");
    let laptop = laptop.with_echo();
    let gpubox = Node::joined("gpubox", &ticket, &["*"]).with_echo();
    laptop.sees(1);
    let there = until("it is offered", || {
        let answer = echo(&laptop.home, &["--prefer", "gpubox"]).expect(0).json();
        (answer["node"] == "gpubox").then_some(answer)
    });
    let why = laptop.home.run(["audit", "why", text(&there["invocation_id"])]).expect(0).stdout;
    assert!(why.contains("preferred by the caller"), "{why}");
    // Here or there: a busy machine lets others work.
    echo(&laptop.home, &["--prefer", "nobody"]).expect(0);
    let nobody = laptop.home.run_json(["call", "nobody.has", "x=1"]);
    let nobody = nobody.expect(Exit::NotFound as i32).json();
    let why = laptop.home.run(["audit", "why", text(&nobody["invocation_id"])]).expect(0).stdout;
    assert!(why.contains("nobody.has"), "that nobody could be asked is written down: {why}");
    drop(gpubox);
}

#[test]
fn a_command_without_a_serving_node_calls_others_too() {
    let (laptop, ticket) = Node::founder("laptop");
    let alone = Home::new();
    join(&alone, "alone", &ticket, &[]).expect(0);
    let laptop = laptop.with_echo();
    laptop.home.run(["mesh", "share", "conformance_echo.*"]).expect(0);
    let answer = echo(&alone, &[]).expect(0).json();
    assert_eq!(answer["node"], "laptop");
    let ping = alone.json(["mesh", "ping", "laptop"]);
    assert!(ping["round_trip_us"].as_u64().is_some_and(|us| us > 0), "{ping}");
    let checked = alone.json(["mesh", "netcheck"]);
    assert_eq!(checked["addresses"][0]["reached"], true, "{checked}");
}
