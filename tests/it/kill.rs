//! `kill -9` at random moments of installing, updating, serving callers, calling without a node and
//! committing to a repository: after each the data directory opens, the record verifies, what was
//! acknowledged is there, every call that was started has an end, and the state is the old one or the
//! new one, never one between.
//!
//! `MESHHOST_KILLS` sets how often (default 200; `cargo xtask soak` takes 1,000) and
//! `MESHHOST_SEED` which moments.

mod alone;
mod commit;
mod serving;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    bad_input::Numbers,
    components::{self, manifest},
    kill::commit::Committed,
    support::{Home, Ran, parse, ran, with_manifest},
};

const KILLS: u64 = 200;
/// Kills of one data directory: verifying a long record each time would take most of the time.
const KILLS_OF_ONE: u64 = 40;
/// Milliseconds after which the latest kill of an install or update comes: many take less, so that
/// some finish.
const CHANGE_MS: usize = 120;

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
    /// How long a call without a node takes, and a commit.
    call_us: usize,
    commit_us: usize,
    committed: Committed,
    count: Count,
}

/// How often something came to pass: each must, or the moments are chosen badly.
#[derive(Debug, Default)]
struct Count {
    /// Calls of a node that were answered.
    answered: u64,
    /// Installs and updates that ended before they were killed.
    changed: u64,
    /// Calls without a node, killed before their start was written, while they ran, and not at all.
    alone_before: u64,
    alone_within: u64,
    alone_whole: u64,
    /// Commits that left the old and the new branch.
    commit_old: u64,
    commit_new: u64,
    /// Starts whose end was written for them.
    interrupted: u64,
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
    let mut known = Known::new(seed);
    let fresh = known.home.work().join("fresh");
    copy(&known.home.data(), &fresh);
    for kill in 0..kills {
        if kill % KILLS_OF_ONE == 0 {
            std::fs::remove_dir_all(known.home.data()).expect("a data directory");
            copy(&fresh, &known.home.data());
            known.begin_again();
        }
        known.kill_something(kill);
    }
    known.home.run(["call", "steady.f"]).expect(0);
    println!("{:?}", known.count);
    let Count { answered, changed, alone_before, alone_within, alone_whole, .. } = known.count;
    let Count { commit_old, commit_new, interrupted, .. } = known.count;
    for count in [answered, changed, alone_within, commit_old, commit_new, interrupted] {
        assert!(count > 0, "each must happen: {:?}", known.count);
    }
    assert!(alone_before + alone_whole > 0, "each must happen: {:?}", known.count);
}

/// A copy of a data directory that nobody has open, with its modes.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} is not copied", from.display());
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
        home.install(&home.file("busy.wasm", parse(&components::keeper())), &[]);
        let committed = Committed::new(&home);
        let time = |words: &[&str]| {
            let begun = Instant::now();
            home.run(words).expect(0);
            usize::try_from(begun.elapsed().as_micros()).expect("a short time")
        };
        let call_us = time(&["call", "busy.slow"]);
        let commit_us = time(&committed.words("message=at first"));
        let mut known = Self {
            numbers: Numbers(seed | 1),
            versions,
            serving: 0,
            installed: BTreeSet::new(),
            names: 0,
            newest: None,
            call_us,
            commit_us,
            committed,
            count: Count::default(),
            home,
        };
        known.committed.acknowledge();
        known
    }

    /// The data directory is a fresh one; the repository is not.
    fn begin_again(&mut self) {
        self.serving = 0;
        self.installed.clear();
        self.newest = None;
    }

    fn kill_something(&mut self, kill: u64) {
        let answered = match self.numbers.below(8) {
            0 => self.kill_an_install(),
            1 => self.kill_an_update(),
            2 | 3 => self.kill_a_call(kill),
            4 => self.kill_a_commit(kill),
            _ => self.kill_a_node(),
        };
        self.check_record(kill, &answered);
        let serving = self.check_plugins(kill);
        if kill % 10 == 9 {
            self.call_and_tidy(kill, &serving);
        }
    }

    /// Kills a process within so many microseconds; gives how it ended when it was faster.
    fn kill(&mut self, mut child: Child, within_us: usize) -> Option<Ran> {
        let wait = Duration::from_micros(self.numbers.below(within_us.max(1)) as u64);
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
        if let Some(ended) = self.kill(install, CHANGE_MS * 1000) {
            ended.expect(0);
            self.count.changed += 1;
            self.installed.insert(name);
        }
        Vec::new()
    }

    fn kill_an_update(&mut self) -> Vec<String> {
        let next = 1 - self.serving;
        let file = self.versions[usize::try_from(next).expect("0 or 1")].clone();
        let update = self.start(&["plugin", "update", "changing", text(&file)]);
        if let Some(ended) = self.kill(update, CHANGE_MS * 1000) {
            ended.expect(0);
            self.count.changed += 1;
            self.serving = next;
        } else {
            let found = self.home.json(["call", "changing.f"])["data"].as_u64();
            self.serving = found.filter(|found| *found < 2).expect("the old or the new version");
        }
        Vec::new()
    }

    /// Opens what the kill left and looks for what was answered.
    fn check_record(&mut self, kill: u64, answered: &[String]) {
        let verified = self.home.run(["audit", "verify"]);
        assert_eq!(verified.code, 0, "kill {kill}: {verified:?}");
        // Calls that nobody heard of may have ended too: one of each caller, and some look-ups.
        let limit = (answered.len() + serving::CALLERS + 20).to_string();
        let list = self.home.json(["audit", "list", "--limit", &limit]);
        let calls = list["events"].as_array().expect("calls");
        let mut ended = BTreeSet::new();
        for call in calls {
            let id = call["invocation_id"].as_str().expect("an id");
            assert!(call["outcome"].is_string(), "kill {kill}: {call} has no end");
            ended.insert(id);
        }
        for id in answered {
            assert!(ended.contains(id.as_str()), "kill {kill}: the answered call {id} is lost");
        }
        let newest = self.newest.as_deref();
        assert!(newest.is_none_or(|id| ended.contains(id)), "kill {kill}: {newest:?} is lost");
        let known = calls.iter().position(|call| call["invocation_id"].as_str() == newest);
        let fresh = calls.iter().take(known.unwrap_or(calls.len()));
        let interrupted = fresh.filter(|call| call["outcome"] == "indeterminate").count();
        self.count.interrupted += interrupted as u64;
        self.newest = calls[0]["invocation_id"].as_str().map(str::to_owned);
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
        let always = ["steady", "changing", "busy", "git"];
        for name in self.installed.iter().map(String::as_str).chain(always) {
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

    /// The events of a call, as far as it was recorded.
    fn events(&self, id: &str) -> Vec<Value> {
        let shown = self.home.run_json(["audit", "show", id]);
        if shown.code != 0 {
            assert_eq!(shown.code_name(), "not-found", "{shown:?}");
            return Vec::new();
        }
        shown.json()["events"].as_array().expect("events").clone()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}
