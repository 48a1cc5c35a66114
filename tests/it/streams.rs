//! What a function streams, printed as it comes: by a node in the process of the command, by one that
//! serves, and over another one.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Stdio},
};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    components,
    mesh::{Node, text},
    mesh_faults::runs,
    support::{Home, guest, until, with_manifest},
};

/// Counts for hours. Nobody can have seen its end who has seen a number.
const ENDLESS: [&str; 4] = ["call", "async_tasks.count", "to=4294967295", "--stream"];

/// The fixture, whose count does no more than read.
fn counter(home: &Home) {
    let manifest = components::manifest("async-tasks", "1.0.0", &[])
        + "\n[capabilities.\"async_tasks.count\"]\nread_only = true\n";
    let component = std::fs::read(guest("async-tasks")).expect("a component");
    let file = home.file("async-tasks.wasm", with_manifest(component, &manifest));
    home.install(&file, &["--limit", "deadline_ms=600000"]);
}

/// A call that streams, and what it prints.
struct Streaming {
    call: Child,
    printed: BufReader<ChildStdout>,
}

impl Streaming {
    fn begin(home: &Home, arguments: &[&str]) -> Self {
        let mut call = home.command(arguments);
        let call = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut call = call.expect("a call");
        let printed = BufReader::new(call.stdout.take().expect("a pipe"));
        Self { call, printed }
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.printed.read_line(&mut line).expect("a line");
        line
    }

    /// Reads no more. How it ended, and what it said.
    fn leave(self) -> (Option<i32>, String) {
        drop(self.printed);
        let output = self.call.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Reads everything. The result, which stands on the last line.
    fn result(mut self) -> Value {
        let mut rest = String::new();
        self.printed.read_to_string(&mut rest).expect("text");
        self.call.wait().expect("it ends");
        let last = rest.lines().last().expect("a result");
        serde_json::from_str(last).expect("JSON")
    }
}

/// How the call with this id began and ended on a node, as that recorded it.
fn events(home: &Home, id: &str) -> Vec<String> {
    let shown = home.run_json(["audit", "show", id]);
    let events = (shown.code == 0).then(|| shown.json()["events"].as_array().cloned());
    let events = events.flatten().unwrap_or_default();
    let kinds = events.iter().map(|event| text(&event["event_type"]).to_owned());
    kinds.filter(|kind| kind.starts_with("execution_")).collect()
}

/// Why the call with this id ended as it did, as soon as it has.
fn ended(home: &Home, id: &str) -> String {
    until("its end is recorded", || {
        (events(home, id).len() == 2).then(|| {
            let why = home.json(["audit", "why", id]);
            format!("{} {}", text(&why["outcome"]), text(&why["code"]))
        })
    })
}

/// What a command prints, line by line.
fn lines(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let ran = home.run_json(arguments).expect(0);
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn items_stand_on_lines_before_the_result() {
    let home = Home::new();
    counter(&home);
    let call = |words: &[&str]| home.run([&["call"], words, &["--stream"]].concat());
    for serving in [false, true] {
        let node = serving.then(|| home.serve());
        assert_eq!(call(&["async-tasks.count", "to=3"]).expect(0).stdout, "1\n2\n3\n");
        let pieces = call(&["async-tasks.spell"]).expect(0).stdout;
        assert_eq!(pieces, "\"aGVsbG8sIA==\"\n\"d29ybGQ=\"\n");
        let all = lines(&home, &["call", "async-tasks.count", "to=2", "--stream"]);
        assert_eq!(all[..2], [json!({ "item": 1 }), json!({ "item": 2 })]);
        assert_eq!(
            (&all[2]["schema"], &all[2]["data"]),
            (&json!("meshhost.call/1"), &json!([1, 2]))
        );
        assert_eq!(all.len(), 3);
        // What is no stream comes at the end, and so does what is no result.
        assert_eq!(call(&["async-tasks.later"]).expect(0).stdout, "it came");
        let failed = call(&["async-tasks.count", "to=0"]).expect(Exit::PluginFailure as i32);
        assert!(failed.stderr.contains("nothing to count"), "{}", failed.stderr);
        // So does one that is recorded.
        let id = if serving { "served" } else { "alone" };
        let kept = ["async-tasks.count", "to=2", "--id", id];
        assert_eq!(call(&kept).expect(0).stdout, "1\n2\n");
        assert_eq!(call(&kept).expect(0).stdout, "[1,2]\n");
        if let Some(node) = node {
            node.stop_well();
        }
    }
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn whoever_has_seen_enough_of_a_stream_ends_the_call() {
    let home = Home::new();
    counter(&home);
    for serving in [false, true] {
        let node = serving.then(|| home.serve());
        let id = if serving { "served" } else { "alone" };
        let mut streaming = Streaming::begin(&home, &[&ENDLESS[..], &["--id", id]].concat());
        assert_eq!([streaming.line(), streaming.line()], ["1\n", "2\n"]);
        if serving {
            assert_eq!(events(&home, id), ["execution_started"], "it runs");
        }
        let (code, said) = streaming.leave();
        assert_eq!(code, Some(Exit::PluginFailure as i32), "{said}");
        assert!(said.contains("nobody reads"), "{said}");
        assert_eq!(ended(&home, id), format!("failure {}", Code::Cancelled.info().name));
        if let Some(node) = node {
            node.stop_well();
        }
    }
}

#[test]
fn a_caller_that_does_not_read_holds_up_the_guest_until_its_deadline_and_nobody_else() {
    let home = Home::new();
    counter(&home);
    let node = home.serve();
    let words = [&ENDLESS[..], &["--id", "slow", "--timeout", "2s"]].concat();
    let streaming = Streaming::begin(&home, &words);
    until("it runs", || (events(&home, "slow") == ["execution_started"]).then_some(()));
    assert_eq!(home.json(["call", "async-tasks.count", "to=2"])["data"], json!([1, 2]));
    // The guest waits for its caller, and the deadline for nobody.
    assert_eq!(ended(&home, "slow"), format!("failure {}", Code::LimitDeadline.info().name));
    streaming.leave();
    node.stop_well();
}

#[test]
fn items_come_from_another_node_while_it_works() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["async_tasks.*"]);
    counter(&nas.home);
    let three = ["call", "async_tasks.count", "to=3", "--stream"];
    let expected = [1, 2, 3].map(|item| json!({ "item": item }));
    for form in ["json", "binary"] {
        until("it is called, and its type known", || {
            let ran = laptop.home.run_json(three);
            (ran.code == 0).then_some(())?;
            let all: Vec<Value> = ran.stdout.lines().map(|it| it.parse().expect("JSON")).collect();
            let (result, items) = all.split_last().expect("a result");
            assert_eq!(items, expected);
            assert_eq!((&result["data"], text(&result["node"])), (&json!([1, 2, 3]), "nas"));
            let why = laptop.home.json(["audit", "why", text(&result["invocation_id"])]);
            (why["route"]["values"] == form).then_some(())
        });
    }
    let words = [&ENDLESS[..], &["--id", "endless"]].concat();
    let mut streaming = Streaming::begin(&laptop.home, &words);
    assert_eq!([streaming.line(), streaming.line()], ["1\n", "2\n"]);
    assert_eq!(events(&nas.home, "endless"), ["execution_started"], "it runs there");
    streaming.leave();
    assert_eq!(ended(&nas.home, "endless"), format!("failure {}", Code::Cancelled.info().name));
    // A caller that does not read holds up the guest there, and no other call between the two.
    let words = [&ENDLESS[..], &["--id", "slow", "--timeout", "3s"]].concat();
    let streaming = Streaming::begin(&laptop.home, &words);
    until("it runs", || (events(&nas.home, "slow") == ["execution_started"]).then_some(()));
    assert_eq!(laptop.home.json(["call", "async_tasks.count", "to=2"])["data"], json!([1, 2]));
    let end = ended(&nas.home, "slow");
    let ends = [Code::LimitDeadline, Code::Cancelled].map(|code| code.info().name);
    assert!(ends.iter().any(|code| end == format!("failure {code}")), "{end}");
    streaming.leave();
    nas.home.run(["audit", "verify"]).expect(0);
    nas.stop_well();
}

/// Its count only reads, and so another node would be asked, had its caller seen nothing.
#[test]
fn a_call_of_which_something_was_seen_is_ended_by_the_node_that_it_came_from() {
    let (laptop, ticket) = Node::founder("laptop");
    let mut nas = Node::joined("nas", &ticket, &["async_tasks.*"]);
    counter(&nas.home);
    until("it is offered", || {
        let ran = laptop.home.run(["call", "async_tasks.count", "to=1"]);
        (ran.code == 0).then_some(())
    });
    let words = [&ENDLESS[..], &["--id", "seen", "--json"]].concat();
    let mut streaming = Streaming::begin(&laptop.home, &words);
    assert_eq!(streaming.line(), "{\"item\":1}\n");
    // Now there is another one, which is well.
    let desk = Node::joined("desk", &laptop.ticket(), &["async_tasks.*"]);
    counter(&desk.home);
    laptop.sees(2);
    nas.kill();
    nas.restart();
    let result = streaming.result();
    assert_eq!(result["outcome"], "indeterminate", "{result}");
    assert_eq!((runs(&nas.home, "seen"), runs(&desk.home, "seen")), (1, 0));
    desk.stop_well();
}
