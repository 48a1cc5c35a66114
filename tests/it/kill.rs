//! `kill -9` at random moments of installing, updating, calling and committing: after each the
//! data directory opens, the record verifies, what was acknowledged is there and the state is the
//! old one or the new one, never one between.
//!
//! `MESHHOST_KILLS` sets how often (default 200; `cargo xtask soak` takes 1,000) and
//! `MESHHOST_SEED` which moments.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    bad_input::Numbers,
    components::{self, manifest},
    support::{Home, Ran, parse, ran, with_manifest},
};

const KILLS: u64 = 200;
/// Kills of one data directory: verifying a long record each time would take most of the time.
const KILLS_OF_ONE: u64 = 40;
/// Milliseconds after which the latest kill of a node comes.
const NODE_MS: usize = 40;
/// The same for commands: many take less, so that some finish.
const COMMAND_MS: usize = 120;
/// Callers at once, so that commits are shared.
const CALLERS: usize = 3;

/// What a run knows to be true.
struct Known {
    home: Home,
    numbers: Numbers,
    versions: [PathBuf; 2],
    /// The version that serves, when the last change was acknowledged or has been looked at.
    serving: u64,
    /// Plugins whose install was acknowledged.
    installed: BTreeSet<String>,
    names: u64,
    /// The newest call that was seen in the record.
    newest: Option<String>,
    answered: u64,
    finished: u64,
}

#[expect(clippy::disallowed_methods, reason = "a test is set up by its environment")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_moment_it_is_killed_nothing_acknowledged_is_lost() {
    let kills = setting("MESHHOST_KILLS").unwrap_or(KILLS);
    let seed = setting("MESHHOST_SEED").unwrap_or(0x6d65_7368);
    println!("{kills} kills, MESHHOST_SEED={seed}");
    let (mut answered, mut finished) = (0, 0);
    for first in (0..kills).step_by(usize::try_from(KILLS_OF_ONE).expect("a count")) {
        let mut known = Known::new(seed.wrapping_add(first));
        for kill in first..kills.min(first + KILLS_OF_ONE) {
            known.kill_something(kill);
        }
        known.home.run(["call", "steady.f"]).expect(0);
        answered += known.answered;
        finished += known.finished;
    }
    println!("{answered} answers and {finished} commands were acknowledged");
    assert!(answered > 0 && finished > 0, "some must get through");
}

impl Known {
    fn new(seed: u64) -> Self {
        let home = Home::new();
        let steady = home.file("steady.wasm", parse(&components::number(7)));
        home.install(&steady, &[]);
        let version = |value: u32| {
            let manifest = manifest("changing", &format!("{value}.0.0"), &["clock"]);
            let component = with_manifest(parse(&components::number(value)), &manifest);
            home.file(&format!("changing-{value}.wasm"), component)
        };
        let versions = [version(0), version(1)];
        home.install(&versions[0], &["--yes"]);
        let numbers = Numbers(seed | 1);
        Self {
            home,
            numbers,
            versions,
            serving: 0,
            installed: BTreeSet::new(),
            names: 0,
            newest: None,
            answered: 0,
            finished: 0,
        }
    }

    fn kill_something(&mut self, kill: u64) {
        let answered = match self.numbers.below(4) {
            0 => self.kill_an_install(),
            1 => self.kill_an_update(),
            _ => self.kill_a_node(),
        };
        self.check_record(kill, &answered);
        let serving = self.check_plugins(kill);
        if kill % 10 == 9 {
            self.call_and_tidy(kill, &serving);
        }
    }

    /// Kills a process after a while; gives how it ended when it was faster.
    fn kill(&mut self, mut child: Child) -> Option<Ran> {
        let wait = Duration::from_micros(self.numbers.below(COMMAND_MS * 1000) as u64);
        // The moment is what is tested, not a state that is waited for.
        std::thread::sleep(wait);
        child.kill().expect("it can be killed");
        let ended = ran(child.wait_with_output().expect("it ends"));
        (ended.code >= 0).then_some(ended)
    }

    fn start(&self, words: &[&str]) -> Child {
        let mut command = self.home.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }

    fn kill_an_install(&mut self) -> Vec<String> {
        self.names += 1;
        let name = format!("p{}", self.names);
        let file = self.home.work().join("steady.wasm");
        let install = self.start(&["plugin", "install", text(&file), "--name", &name]);
        if let Some(ended) = self.kill(install) {
            ended.expect(0);
            self.finished += 1;
            self.installed.insert(name);
        }
        Vec::new()
    }

    fn kill_an_update(&mut self) -> Vec<String> {
        let next = 1 - self.serving;
        let file = self.versions[usize::try_from(next).expect("0 or 1")].clone();
        let update = self.start(&["plugin", "update", "changing", text(&file)]);
        if let Some(ended) = self.kill(update) {
            ended.expect(0);
            self.finished += 1;
            self.serving = next;
        } else {
            let found = self.home.json(["call", "changing.f"])["data"].as_u64();
            self.serving = found.filter(|found| *found < 2).expect("the old or the new version");
        }
        Vec::new()
    }

    /// Kills a node while it answers calls; gives the ids of the calls that were answered.
    fn kill_a_node(&mut self) -> Vec<String> {
        let node = self.home.serve();
        let socket = self.home.data().join("admin.sock");
        let over = AtomicBool::new(false);
        let wait = Duration::from_micros(self.numbers.below(NODE_MS * 1000) as u64);
        let answered: Vec<String> = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..CALLERS).map(|_| scope.spawn(|| call_until(&socket, &over))).collect();
            std::thread::sleep(wait);
            node.kill();
            over.store(true, Ordering::Relaxed);
            callers.into_iter().flat_map(|caller| caller.join().expect("answers")).collect()
        });
        self.answered += answered.len() as u64;
        answered
    }

    /// Opens what the kill left and looks for what was answered.
    fn check_record(&mut self, kill: u64, answered: &[String]) {
        let verified = self.home.run(["audit", "verify"]);
        assert_eq!(verified.code, 0, "kill {kill}: {verified:?}");
        // Calls that nobody heard of may have ended too: one of each caller, and some look-ups.
        let limit = (answered.len() + CALLERS + 20).to_string();
        let list = self.home.json(["audit", "list", "--limit", &limit]);
        let ended: BTreeSet<&str> = list["events"]
            .as_array()
            .expect("calls")
            .iter()
            .filter(|call| call["outcome"].is_string())
            .filter_map(|call| call["invocation_id"].as_str())
            .collect();
        for id in answered {
            assert!(ended.contains(id.as_str()), "kill {kill}: the answered call {id} is lost");
        }
        let newest = self.newest.as_deref();
        assert!(newest.is_none_or(|id| ended.contains(id)), "kill {kill}: {newest:?} is lost");
        self.newest = list["events"][0]["invocation_id"].as_str().map(str::to_owned);
    }

    /// The plugins that serve: all whose install was acknowledged.
    fn check_plugins(&self, kill: u64) -> BTreeSet<String> {
        let plugins = self.home.json(["plugin", "list"]);
        let serving: BTreeSet<String> = plugins["plugins"]
            .as_array()
            .expect("plugins")
            .iter()
            .filter(|plugin| plugin["state"] == "serving")
            .filter_map(|plugin| plugin["name"].as_str().map(str::to_owned))
            .collect();
        for name in self.installed.iter().map(String::as_str).chain(["steady", "changing"]) {
            assert!(serving.contains(name), "kill {kill}: {name} is lost: {plugins}");
        }
        serving
    }

    /// Now and then: everything that is there really runs, and most of it is removed again.
    fn call_and_tidy(&mut self, kill: u64, serving: &BTreeSet<String>) {
        let changing = self.home.json(["call", "changing.f"]);
        assert_eq!(changing["data"], json!(self.serving), "kill {kill}");
        let node = self.home.serve();
        for name in serving.iter().filter(|name| name.starts_with('p')) {
            let call = self.home.json(["call", &format!("{name}.f")]);
            assert_eq!(call["data"], 7, "kill {kill}");
            self.home.run(["plugin", "remove", name]).expect(0);
            self.installed.remove(name);
        }
        node.stop_well();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// Calls over the socket until it breaks; gives the ids of the calls that were answered well.
fn call_until(socket: &Path, over: &AtomicBool) -> Vec<String> {
    let mut answered = Vec::new();
    let Ok(mut stream) = UnixStream::connect(socket) else { return answered };
    let body = br#"{"do":"call","capability":"steady.f","input":{}}"#;
    let mut request = u32::try_from(body.len()).expect("short").to_le_bytes().to_vec();
    request.extend(body);
    while !over.load(Ordering::Relaxed) {
        let mut head = [0; 4];
        if stream.write_all(&request).and_then(|()| stream.read_exact(&mut head)).is_err() {
            break;
        }
        let mut answer = vec![0; u32::from_le_bytes(head).try_into().expect("a size")];
        if stream.read_exact(&mut answer).is_err() {
            break;
        }
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["value"]["data"], 7, "{answer}");
        answered.extend(answer["value"]["invocation_id"].as_str().map(str::to_owned));
    }
    answered
}
