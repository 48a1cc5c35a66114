//! Nodes of a mesh that fail: busy, frozen, killed in the middle of a call, copied, with clocks that are hours
//! apart. Each fault is a real one, done to real processes.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use meshhost_core::code::{Code, Exit};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::{
    components::{body, sleeper},
    mesh::{Node, echo, offered, text},
    support::{Home, Ran, ran, until, wat},
};

/// Calls that are still there when the test ends.
const LONG: &[&str] = &["--limit", "deadline_ms=600000"];

/// A call in the background.
fn begin(home: &Home, arguments: &[&str]) -> Child {
    let mut call = home.command([&["call"][..], arguments, &["--json"]].concat());
    call.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a call")
}

fn end(call: Child) -> Ran {
    ran(call.wait_with_output().expect("it ends"))
}

/// The same, as soon as it runs on that node; its id is the last word.
fn begin_on(caller: &Node, provider: &Node, arguments: &[&str]) -> Child {
    let id = arguments.last().expect("an id");
    until("it is offered and begins", || {
        let mut call = begin(&caller.home, arguments);
        let runs = until("an end or a beginning", || {
            let runs = provider.home.run(["audit", "show", id]).code == 0;
            (runs || call.try_wait().expect("a child").is_some()).then_some(runs)
        });
        runs.then_some(call)
    })
}

/// How often the call with this id has begun on a node, as that recorded it.
pub(crate) fn runs(home: &Home, id: &str) -> usize {
    let shown = home.run_json(["audit", "show", id]);
    if shown.code != 0 {
        return 0;
    }
    let shown = shown.json();
    let events = shown["events"].as_array().expect("events").iter();
    events.filter(|event| event["event_type"] == "execution_started").count()
}

#[test]
fn a_full_node_leaves_calls_to_another_and_when_all_are_full_the_caller_is_told_busy() {
    let (laptop, ticket) = Node::founder("laptop");
    let one = Node::joined("one", &ticket, &["*"]);
    let other = Node::joined("other", &laptop.ticket(), &["*"]);
    for node in [&one, &other] {
        let limits = [LONG, &["--limit", "concurrency=1", "--limit", "waiting=0"]].concat();
        node.home.install(&wat(&node.home, "sleeper", &sleeper()), &limits);
    }
    laptop.sees(2);
    let first = begin_on(&laptop, &one, &["sleeper.f", "--node", "one", "--id", "first"]);
    // Nobody is named: that one of them is full is not the end of it.
    let second = begin_on(&laptop, &other, &["sleeper.f", "--id", "second"]);
    let third = laptop.home.run_json(["call", "sleeper.f", "--timeout", "20s"]);
    let refused = third.expect(Exit::Busy as i32);
    assert_eq!(refused.code_name(), Code::Busy.info().name);
    let error = &refused.json()["error"];
    assert!(error["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{error}");
    assert_eq!(refused.json()["outcome"], "denied", "nothing ran");
    for mut call in [first, second] {
        call.kill().expect("it ends");
        call.wait().expect("it ends");
    }
}

#[test]
fn a_remote_guest_that_traps_or_does_not_end_costs_its_own_call_alone() {
    let (laptop, ticket) = Node::founder("laptop");
    let nas = Node::joined("nas", &ticket, &["*"]).with_echo();
    nas.home.install(&wat(&nas.home, "trapper", &body("unreachable")), &[]);
    nas.home.install(&wat(&nas.home, "sleeper", &sleeper()), &[]);
    laptop.sees(1);
    let trapped = offered(&laptop.home, &["trapper.f"]).expect(Exit::Trap as i32);
    assert_eq!((trapped.code_name().as_str(), &trapped.json()["node"]), ("trap", &"nas".into()));
    let late = offered(&laptop.home, &["sleeper.f", "--timeout", "300ms"]);
    late.expect(Exit::Timeout as i32);
    assert_eq!(echo(&laptop.home, &[]).expect(0).json()["node"], "nas", "it serves on");
    nas.home.run(["audit", "verify"]).expect(0);
    nas.stop_well();
}

#[test]
fn a_node_that_freezes_is_missed_and_comes_back() {
    let (laptop, ticket) = Node::founder("laptop");
    let one = Node::joined("one", &ticket, &["*"]).with_repeatable_echo();
    let other = Node::joined("other", &laptop.ticket(), &["*"]).with_repeatable_echo();
    laptop.sees(2);
    until("both have it", || {
        let both = ["one", "other"].map(|node| echo(&laptop.home, &["--node", node]).code);
        (both == [0, 0]).then_some(())
    });
    let frozen = one.process();
    kill_process(frozen, Signal::STOP).expect("a signal");
    // A second run does no harm: the other node is asked when this one is missed.
    let moved = echo(&laptop.home, &["--prefer", "one", "--timeout", "25s"]).expect(0).json();
    assert_eq!(moved["node"], "other", "{moved}");
    // It failed and is not asked for now: nobody waits for it again.
    let named = echo(&laptop.home, &["--node", "one", "--timeout", "25s"]);
    named.expect(Exit::Unreachable as i32);
    kill_process(frozen, Signal::CONT).expect("a signal");
    let back = until("it is back", || {
        let ran = echo(&laptop.home, &["--node", "one"]);
        (ran.code == 0).then(|| ran.json())
    });
    assert_eq!(back["node"], "one");
    drop((one, other));
}

#[test]
fn a_provider_that_is_killed_in_the_middle_of_a_call_says_afterwards_that_it_was_interrupted() {
    let (laptop, ticket) = Node::founder("laptop");
    let mut one = Node::joined("one", &ticket, &["*"]);
    let other = Node::joined("other", &laptop.ticket(), &["*"]);
    for node in [&one, &other] {
        node.home.install(&wat(&node.home, "sleeper", &sleeper()), LONG);
    }
    laptop.sees(2);
    let arguments = ["sleeper.f", "--node", "one", "--id", "middle"];
    let mut call = begin_on(&laptop, &one, &arguments);
    one.kill();
    assert!(call.try_wait().expect("a child").is_none(), "it waits for the node's own word");
    one.restart();
    let ended = end(call).expect(Exit::Indeterminate as i32).json();
    assert_eq!(ended["outcome"], "indeterminate", "{ended}");
    assert_eq!(runs(&one.home, "middle"), 1, "it ran once");
    assert_eq!(runs(&other.home, "middle"), 0, "and nowhere else");
    one.home.run(["audit", "verify"]).expect(0);
    // Asked again it says the same, and runs nothing.
    end(begin(&laptop.home, &arguments)).expect(Exit::Indeterminate as i32);
    assert_eq!(runs(&one.home, "middle"), 1);
}

/// Copies the files of a data directory whose node does not run.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    let same = std::fs::metadata(from).expect("a folder").permissions();
    std::fs::set_permissions(to, same).expect("its mode");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (kind, target) = (entry.file_type().expect("a kind"), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn two_nodes_with_one_key_are_one_member_whose_connection_is_the_newer_and_that_is_said() {
    let (mut laptop, ticket) = Node::founder("laptop");
    let mut nas = Node::joined("nas", &ticket, &["*"]).with_repeatable_echo();
    laptop.sees(1);
    until("it is callable", || (echo(&laptop.home, &[]).code == 0).then_some(()));
    nas.stop();
    let twin = Home::new();
    copy(&nas.home.data(), &twin.data());
    nas.restart();
    laptop.sees(1);
    let serving = twin.serve();
    // One member, at one address at a time, which goes from one to the other and back.
    let mut seen: Vec<String> = Vec::new();
    until("both take the place", || {
        let status = laptop.home.json(["mesh", "status"]);
        let members = status["members"].as_array().expect("members");
        let named: Vec<_> = members.iter().filter(|member| member["name"] == "nas").collect();
        assert_eq!(named.len(), 1, "{status}");
        let address = text(&named[0]["addresses"][0]).to_owned();
        if named[0]["connected"] == true && seen.last() != Some(&address) {
            seen.push(address);
        }
        // Whatever is called meanwhile ends, and says how.
        let code = echo(&laptop.home, &["--timeout", "2s"]).code;
        let typed = [0, Exit::Unreachable as i32, Exit::Indeterminate as i32, Exit::Timeout as i32];
        assert!(typed.contains(&code), "{code}");
        (seen.len() >= 3).then_some(())
    });
    serving.kill();
    until("the one that is left serves", || (echo(&laptop.home, &[]).code == 0).then_some(()));
    let said = laptop.stop();
    assert!(said.contains("two nodes run with one key"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// A library that moves the time of day of the program that it is loaded into. `None` where none can be made.
fn moved_time(home: &Home) -> Option<PathBuf> {
    let source = home.file(
        "time.c",
        "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n\
         #include <sys/syscall.h>\n\
         int clock_gettime(clockid_t clock, struct timespec *time) {\n\
         \x20   int result = syscall(SYS_clock_gettime, clock, time);\n\
         \x20   const char *seconds = getenv(\"MOVED_SECONDS\");\n\
         \x20   if (clock == CLOCK_REALTIME && seconds) time->tv_sec += atol(seconds);\n\
         \x20   return result;\n}\n",
    );
    let library = home.work().join("time.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let made = compiler.output().is_ok_and(|output| output.status.success());
    (cfg!(target_os = "linux") && made).then_some(library)
}

#[test]
fn nodes_whose_clocks_are_hours_apart_call_each_other_and_nothing_runs_twice() {
    let (laptop, _) = Node::founder("laptop");
    let Some(library) = moved_time(&laptop.home) else {
        println!(
            "skipped: clocks that are hours apart, because no C compiler makes a library here"
        );
        return;
    };
    let library = library.to_str().expect("a path that is text");
    let far = |seconds: &str| {
        let environment = [("LD_PRELOAD", library), ("MOVED_SECONDS", seconds)];
        Node::with_environment(&environment)
    };
    let (ahead, behind) = (far("3600"), far("-3600"));
    for (node, name) in [(&ahead, "ahead"), (&behind, "behind")] {
        let ticket = laptop.home.run(["mesh", "ticket", "--for", "30m"]).expect(0).stdout;
        crate::mesh::join(&node.home, name, &ticket, &["*"]).expect(0);
    }
    let (laptop, ahead, behind) = (laptop, ahead.with_echo(), behind.with_echo());
    for node in [&laptop, &ahead, &behind] {
        node.sees(2);
    }
    let call = |node: &Node, on: &str, id: &str| -> Value {
        let call = ["conformance_echo.echo", "message=hello", "--node", on, "--id", id];
        offered(&node.home, &call).expect(0).json()
    };
    let there = call(&laptop, "ahead", "one");
    let later = call(&laptop, "behind", "two");
    assert!(text(&later["started_at"]) < text(&there["started_at"]), "clocks are apart: {later}");
    call(&ahead, "behind", "three");
    call(&behind, "ahead", "four");
    for (node, on, id) in [(&laptop, &ahead, "one"), (&laptop, &behind, "two")] {
        let name = if id == "one" { "ahead" } else { "behind" };
        assert_eq!(call(node, name, id)["replayed"], true, "the same id gets its one result");
        assert_eq!(runs(&on.home, id), 1);
    }
    // What was said last holds, whoever's clock was ahead.
    behind.home.run(["mesh", "unshare", "*"]).expect(0);
    until("it is not offered any more", || {
        let ran = echo(&ahead.home, &["--node", "behind"]);
        (ran.code == Exit::NotFound as i32).then_some(())
    });
    for node in [laptop, ahead, behind] {
        node.home.run(["audit", "verify"]).expect(0);
        node.stop_well();
    }
}
