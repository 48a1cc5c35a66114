//! Disks that are full or cannot be written: what cannot be written down does not happen, nothing
//! that was acknowledged is lost, and the node serves on when there is space again.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::{
    components::{self, manifest},
    support::{Home, Ran, parse, ran, until, wat, with_manifest},
};

/// A small disk of its own at a folder; unmounted when dropped.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts it where the data directory of `home` will be. `None`, said as skipped, where this
    /// user may not.
    fn mount(home: &Home, what: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: {what}, because only root may mount a disk");
            return None;
        }
        let at = home.data();
        fs::create_dir(&at).expect("a folder");
        let options = "size=12m,mode=0700,nosuid,nodev";
        let mount = ["-t", "tmpfs", "-o", options, "meshhost-test"];
        let mounted = Command::new("mount").args(mount).arg(&at).output();
        let said = match mounted {
            Ok(output) if output.status.success() => return Some(Self { at }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("skipped: {what}, because no disk can be mounted here: {said}");
        None
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file");
        for size in [256 * 1024, 4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives the space back.
    fn free(&self) {
        fs::remove_file(self.filler()).expect("a file");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Lets nobody write, or everybody again.
    fn set_read_only(&self, read_only: bool) {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        let mounted = Command::new("mount").args(["-o", options]).arg(&self.at).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mount -o {options}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// A node's data on a small disk: `steady`, which answers 7, and `changing` in version 0.
fn on_a_small_disk(what: &str) -> Option<(Home, Disk)> {
    let home = Home::new();
    let disk = Disk::mount(&home, what)?;
    home.install(&wat(&home, "steady", &components::number(7)), &[]);
    home.install(&changing(&home, 0, &[]), &["--yes"]);
    Some((home, disk))
}

fn changing(home: &Home, version: u32, asks: &[&str]) -> PathBuf {
    let manifest = manifest("changing", &format!("{version}.0.0"), asks);
    let component = with_manifest(parse(&components::number(version)), &manifest);
    home.file(&format!("changing-{version}.wasm"), component)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[track_caller]
fn refused(ran: Ran, code: Code) {
    assert_eq!(ran.code_name(), code.info().name, "{}", ran.stdout);
    ran.expect(i32::from(code.exit() as u8));
}

/// The ids of the calls in the record, with their outcomes.
fn recorded(home: &Home) -> Vec<(String, Value)> {
    let list = home.json(["audit", "list", "--limit", "1000"]);
    let call = |call: &Value| {
        (call["invocation_id"].as_str().expect("an id").to_owned(), call["outcome"].clone())
    };
    list["events"].as_array().expect("calls").iter().map(call).collect()
}

/// Calls until a call cannot be written down; gives the ids of those that were answered.
fn call_until_full(home: &Home) -> Vec<String> {
    let mut answered = Vec::new();
    let last = until("a call that cannot be written down", || {
        let call = home.run_json(["call", "steady.f"]);
        if call.code == Exit::Indeterminate as i32 {
            // There was room for its start and none for its end.
            assert_eq!(call.code_name(), Code::EvidenceUnavailable.info().name, "{}", call.stdout);
            return None;
        }
        if call.code != 0 {
            return Some(call);
        }
        answered.push(call.json()["invocation_id"].as_str().expect("an id").to_owned());
        None
    });
    assert_eq!(last.json()["outcome"], "denied", "nothing ran: {}", last.stdout);
    assert!(last.stdout.contains("the disk is full; make space"), "{}", last.stdout);
    refused(last, Code::EvidenceUnavailable);
    answered
}

/// Fills the disk until not even a refusal can be written down: what was reserved for a larger event
/// may still take smaller ones.
fn fill_to_the_brim(home: &Home, disk: &Disk) {
    let new = wat(home, "new", &components::nothing());
    disk.fill();
    call_until_full(home);
    until("a refusal that cannot be written down", || {
        let install = home.run_json(["plugin", "install", text(&new)]);
        let known = [Code::StoreFull, Code::EvidenceUnavailable].map(|code| code.info().name);
        assert!(known.contains(&install.code_name().as_str()), "{}", install.stdout);
        let unwritten = install.code_name() == Code::EvidenceUnavailable.info().name;
        install.expect(Exit::HostFault as i32);
        unwritten.then_some(())
    });
}

#[test]
fn on_a_full_disk_calls_are_denied_and_nothing_acknowledged_is_lost() {
    let Some((home, disk)) = on_a_small_disk("a full disk under a node that serves") else {
        return;
    };
    let node = home.serve();
    let first = home.json(["call", "steady.f"])["invocation_id"].clone();
    let mut answered = vec![first.as_str().expect("an id").to_owned()];
    for round in 0..2 {
        disk.fill();
        answered.extend(call_until_full(&home));
        disk.free();
        // The node that was refused the space goes on as soon as there is some.
        let call = home.json(["call", "steady.f"]);
        assert_eq!(call["data"], 7, "round {round}");
        answered.push(call["invocation_id"].as_str().expect("an id").to_owned());
        home.run(["audit", "verify"]).expect(0);
    }
    let (code, said) = node.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    home.run(["audit", "verify"]).expect(0);
    let recorded = recorded(&home);
    for id in &answered {
        assert!(recorded.contains(&(id.clone(), json!("success"))), "{id} is lost: {recorded:?}");
    }
    assert!(recorded.iter().all(|(_, outcome)| outcome.is_string()), "{recorded:?}");
}

#[test]
fn on_a_full_disk_no_plugin_changes() {
    let Some((home, disk)) = on_a_small_disk("changes of plugins on a full disk") else { return };
    home.file("shared/a.txt", "granted to nobody");
    let grant = format!("fs:ro={}", home.work().join("shared").display());
    home.install(&crate::support::guest("command"), &[]);
    let read = json!(["read", home.work().join("shared/a.txt")]);
    let read = format!("arguments:={read}");
    let reading = |home: &Home| home.run_json(["call", "command.run", &read]).code;
    let node = home.serve();
    let before = home.json(["plugin", "list"]);
    let next = changing(&home, 1, &[]);
    fill_to_the_brim(&home, &disk);
    for words in [
        &["plugin", "update", "changing", text(&next)][..],
        &["plugin", "grant", "command", &grant],
        &["plugin", "disable", "steady"],
        &["plugin", "remove", "steady"],
    ] {
        let change = home.run_json(words);
        assert_eq!(change.code, Exit::HostFault as i32, "{words:?}: {}", change.stdout);
        assert_eq!(home.json(["plugin", "list"]), before, "{words:?}");
    }
    disk.free();
    // What was refused is not there, neither now nor for the next node.
    assert_eq!(reading(&home), Exit::PluginFailure as i32, "the grant was refused");
    assert_eq!(home.json(["call", "changing.f"])["data"], 0);
    assert_eq!(node.stop().0, Some(0));
    assert_eq!(home.json(["plugin", "list"]), before);
    assert_eq!(reading(&home), Exit::PluginFailure as i32, "the grant was refused");
    home.run(["audit", "verify"]).expect(0);
    home.run(["plugin", "update", "changing", text(&next)]).expect(0);
    assert_eq!(home.json(["call", "changing.f"])["data"], 1);
    home.run(["plugin", "grant", "command", &grant]).expect(0);
    assert_ne!(reading(&home), Exit::PluginFailure as i32);
}

/// A call that ends when the test says so, once the disk is full.
fn end_on_a_full_disk(home: &Home, disk: &Disk, id: &str, words: &str) -> Ran {
    let shared = |name| home.work().join("shared").join(name);
    home.file("shared/watched", "x");
    let mut call = home.command(["call", "command.run", words, "--id", id, "--json"]);
    let call = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a call");
    until("the first read", || shared("started").exists().then_some(()));
    fill_to_the_brim(home, disk);
    fs::remove_file(shared("watched")).expect("a file");
    let ended = ran(call.wait_with_output().expect("it ends"));
    disk.free();
    fs::remove_file(shared("started")).expect("a file");
    ended
}

#[test]
fn of_a_call_whose_end_cannot_be_written_nobody_knows_and_nobody_waits_for_it() {
    let Some((home, disk)) = on_a_small_disk("an end that cannot be written") else { return };
    let watched = home.file("shared/watched", "x");
    let grant = format!("fs:rw={}", home.work().join("shared").display());
    let limits = ["host_calls=10000000", "fuel=1000000000000", "deadline_ms=120000"];
    let limits = limits.iter().flat_map(|limit| ["--limit", limit]);
    let options: Vec<&str> = ["--grant", &grant].into_iter().chain(limits).collect();
    home.install(&crate::support::guest("command"), &options);
    let words = json!(["watch", watched, home.work().join("shared/started")]);
    let words = format!("arguments:={words}");
    let node = home.serve();
    let mut round = 0;
    // What the database gives back may be just enough for an end: then the next call is tried.
    let (id, ended) = until("an end that cannot be written", || {
        round += 1;
        let id = format!("watching-{round}");
        let ended = end_on_a_full_disk(&home, &disk, &id, &words);
        let unwritten = ended.code_name() == Code::EvidenceUnavailable.info().name;
        unwritten.then_some((id, ended))
    });
    assert_eq!(ended.json()["outcome"], "indeterminate", "{}", ended.stdout);
    ended.expect(Exit::Indeterminate as i32);
    let again = home.run_json(["call", "command.run", &words, "--id", &id]);
    refused(again, Code::CallerConflict);
    let (code, said) = node.stop();
    assert_eq!(code, Some(0), "{said}");
    home.run(["audit", "verify"]).expect(0);
    assert!(recorded(&home).contains(&(id, json!("indeterminate"))));
}

#[test]
fn a_command_on_a_full_disk_says_that_it_is_full() {
    let Some((home, disk)) = on_a_small_disk("a command on a full disk") else { return };
    disk.fill();
    // The journal is the first that a call has to write; opening the store need write nothing.
    let call = home.run_json(["call", "steady.f"]);
    assert_eq!(call.code, Exit::HostFault as i32, "{}", call.stdout);
    assert!(call.stdout.contains("disk is full"), "{}", call.stdout);
    disk.free();
    assert_eq!(home.json(["call", "steady.f"])["data"], 7);
    home.run(["audit", "verify"]).expect(0);
}

/// Nobody may write the data directory: root by the disk, others by its modes.
enum ReadOnly {
    Disk(Disk),
    Modes,
}

impl ReadOnly {
    fn set(&self, home: &Home, read_only: bool) {
        match self {
            Self::Disk(disk) => disk.set_read_only(read_only),
            Self::Modes if read_only => set_modes(&home.data(), 0o500, 0o400),
            Self::Modes => set_modes(&home.data(), 0o700, 0o600),
        }
    }
}

fn set_modes(folder: &Path, folders: u32, files: u32) {
    fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("a mode");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            set_modes(&path, folders, files);
        } else {
            fs::set_permissions(&path, Permissions::from_mode(files)).expect("a mode");
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(folders)).expect("a mode");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_said_to_be_read_only() {
    let home = Home::new();
    let read_only = if rustix::process::geteuid().is_root() {
        let Some(disk) = Disk::mount(&home, "a read-only data directory") else { return };
        ReadOnly::Disk(disk)
    } else {
        ReadOnly::Modes
    };
    let file = wat(&home, "steady", &components::number(7));
    home.install(&file, &[]);
    let before = home.json(["plugin", "list"]);
    read_only.set(&home, true);
    let commands = [
        &["call", "steady.f"][..],
        &["plugin", "list"],
        &["plugin", "install", text(&file), "--name", "another"],
        &["audit", "verify"],
        &["serve", "--allow-root"],
    ];
    for words in commands {
        let ran = home.run_json(words);
        assert!(!ran.stdout.contains(text(&home.data())), "{}", ran.stdout);
        refused(ran, Code::StoreReadOnly);
    }
    let inside = home.data().join("new");
    let elsewhere = home.run_json(["plugin", "list", "--data", text(&inside)]);
    refused(elsewhere, Code::StoreReadOnly);
    read_only.set(&home, false);
    assert_eq!(home.json(["plugin", "list"]), before);
    assert_eq!(home.json(["call", "steady.f"])["data"], 7);
    home.run(["audit", "verify"]).expect(0);
}
