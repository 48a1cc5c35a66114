//! `cargo xtask demo mesh`: three real nodes on this machine that join, share, call each other, lose one,
//! and have the evidence that is theirs.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context;
use serde_json::Value;

use super::{DENIED_OR_FAILED, Demo, chapter, models::text, prepare};
use crate::{say, tools};

const PLAN: &str = "\
meshhost demo mesh: what will happen
  1  set up and build what is missing        up to 30 min, once
  2  three nodes join, share and call        10 s
  3  one is killed in the middle of a call   10 s
Everything is on this machine, in a temporary folder.";

/// Not found: what a capability is that is not shared.
const NOT_FOUND: [i32; 1] = [11];
/// How long a node may take to be connected.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often one looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long the call that loses its node goes on before.
const MEANWHILE: Duration = Duration::from_millis(80);
/// What the call that loses its node looks for. It is found nowhere, so everything is read.
const SOUGHT: &str = "pattern=this text stands nowhere but here";

/// A node of its own.
struct Node {
    demo: Demo,
    serving: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.serving.kill();
        let _ = self.serving.wait();
    }
}

impl Node {
    fn start(prompt: &'static str, folder: &Path) -> anyhow::Result<Self> {
        let demo = Demo::new(prompt, folder.join(prompt.trim_end_matches('$')))?;
        let serve = ["serve", "--allow-root"];
        demo.typed(&["serve"]);
        let mut serving = demo.command(&serve).stderr(Stdio::piped()).spawn().context("serve")?;
        let stderr = serving.stderr.take().context("listen to the node")?;
        let mut lines = BufReader::new(stderr);
        lines.read_line(&mut String::new()).context("listen to the node")?;
        // What it logs later is read, so that it never waits for a reader.
        thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        Ok(Self { demo, serving })
    }

    /// Begins a community; answers with a ticket.
    fn begin(&self) -> anyhow::Result<String> {
        let init = ["mesh", "init", "home", "--name", "laptop", "--listen", "127.0.0.1:0"];
        self.ticket(&init)
    }

    fn ticket(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.demo.typed(arguments);
        let output = self.demo.command(arguments).output().context("start meshhost")?;
        anyhow::ensure!(output.status.success(), "that failed");
        let ticket = String::from_utf8(output.stdout).context("read the ticket")?;
        say::line(format!("{}…", ticket.chars().take(40).collect::<String>()));
        Ok(ticket)
    }

    /// Joins with a ticket; answers with the exit code.
    fn join(&self, name: &str, ticket: &str, shares: &[&str]) -> anyhow::Result<i32> {
        let mut arguments = vec!["mesh", "join", "--name", name, "--listen", "127.0.0.1:0"];
        for share in shares {
            arguments.extend(["--share", share]);
        }
        self.demo.typed(&[&arguments[..], &["<", "ticket"]].concat());
        let mut command = self.demo.command(&arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start meshhost")?;
        let mut stdin = child.stdin.take().context("write the ticket")?;
        stdin.write_all(ticket.as_bytes()).context("write the ticket")?;
        drop(stdin);
        let output = child.wait_with_output().context("wait for meshhost")?;
        super::shortened(&output.stdout);
        super::shortened(&output.stderr);
        Ok(output.status.code().unwrap_or(-1))
    }

    /// Waits until a capability of others can be called.
    fn knows(&self, capability: &str, nodes: usize) -> anyhow::Result<()> {
        let looks = PATIENCE.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            let output = self.demo.command(&["mesh", "status", "--json"]).output();
            let output = output.context("start meshhost")?;
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let members = status.get("members").and_then(Value::as_array);
            let offers = |member: &&Value| {
                let offers = member.get("offers").and_then(Value::as_array);
                offers.is_some_and(|all| all.iter().any(|one| one == capability))
            };
            if members.is_some_and(|all| all.iter().filter(offers).count() >= nodes) {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        anyhow::bail!("{capability} was not offered in time")
    }
}

/// Sets everything up and shows it.
pub(super) fn run(yes: bool) -> anyhow::Result<()> {
    say::line(PLAN);
    say::line("");
    prepare(yes)?;
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let root = tools::root().display().to_string();
    let reads = format!("fs:ro={root}");
    chapter("Three nodes. The first begins a community, the others join with tickets.");
    let laptop = Node::start("laptop$", folder.path())?;
    let gpubox = Node::start("gpubox$", folder.path())?;
    let nas = Node::start("nas$", folder.path())?;
    let first = laptop.begin()?;
    gpubox.join("gpubox", &first, &["embedding.*", "filesystem.*", "ocr.*"])?;
    let second = laptop.ticket(&["mesh", "ticket"])?;
    nas.join("nas", &second, &["filesystem.*"])?;

    chapter("Each has its own plugins, under its own grants.");
    laptop.demo.ok(&["plugin", "install", "git", "--grant", &reads])?;
    nas.demo.ok(&["plugin", "install", "filesystem", "--grant", &reads])?;
    gpubox.demo.ok(&["plugin", "install", "filesystem", "--grant", &reads])?;
    let minilm = tools::root().join("target/models/minilm").display().to_string();
    gpubox.demo.ok(&["model", "add", "minilm", "--from", &minilm])?;
    gpubox.demo.ok(&["plugin", "install", "embedding", "--yes"])?;
    let ppocr = tools::root().join("target/models/ppocr").display().to_string();
    gpubox.demo.ok(&["model", "add", "ppocr", "--from", &ppocr])?;
    gpubox.demo.ok(&["plugin", "install", "ocr", "--yes"])?;
    laptop.knows("embedding.embed", 1)?;
    laptop.knows("ocr.recognize", 1)?;
    laptop.knows("filesystem.list", 2)?;
    laptop.demo.ok(&["mesh", "status"])?;

    chapter("A capability is called wherever it runs.");
    let folder_of_core = format!("path={root}/host/core/src");
    laptop.demo.ok(&["call", "filesystem.list", &folder_of_core, "--node", "nas"])?;
    let texts = r#"texts:=["a cat", "a dog", "a lease for a house"]"#;
    let answer = laptop.demo.call(&["embedding.embed", texts])?;
    say::line(format!(
        "  ran on {}, with a model that the laptop does not have",
        text(&answer, "/node")
    ));

    chapter("The laptop's image is read where the models are, and the work is shown as one.");
    let page = tools::root().join("target/samples/page/page.png");
    let image = format!("image=@{}", page.display());
    let answer = laptop.demo.call(&["ocr.recognize", &image])?;
    say::line(format!(
        "  ran on {}: {}",
        text(&answer, "/node"),
        text(&answer, "/data/lines/0/text")
    ));
    laptop.demo.ok(&["trace", &text(&answer, "/correlation_id")])?;

    chapter("A plugin of the laptop imports one of gpubox, and does not know where it is.");
    let docs = format!("{root}/docs");
    let consent = ["--yes", "--grant", &format!("fs:ro={docs}"), "--grant", "call=embedding.*"];
    laptop.demo.ok(&[&["plugin", "install", "rag"], &consent[..]].concat())?;
    laptop.demo.ok(&["call", "rag.ingest", "corpus=docs", &format!("path={docs}/mesh.md")])?;
    let question = "question=how is a member put out?";
    let answer = laptop.demo.call(&["rag.query", "corpus=docs", question])?;
    laptop.demo.ok(&["trace", &text(&answer, "/correlation_id")])?;

    chapter("Work that goes through three nodes is one, for whoever began it.");
    laptop.demo.ok(&["mesh", "share", "rag.query"])?;
    // A peer's call reaches no more than is shared with the peer, also by what it calls in turn.
    laptop.demo.ok(&["mesh", "share", "embedding.*"])?;
    nas.knows("rag.query", 1)?;
    let answer = nas.demo.call(&["rag.query", "corpus=docs", question])?;
    nas.demo.ok(&["trace", &text(&answer, "/correlation_id")])?;

    strangers(&laptop, &gpubox, folder.path(), &root)?;
    lost(&laptop, nas, &format!("path={root}/host"))?;

    chapter("The evidence is where the call ran, and every record holds.");
    for node in [&laptop, &gpubox] {
        node.demo.ok(&["audit", "list", "--limit", "3"])?;
        node.demo.ok(&["audit", "verify"])?;
    }
    Ok(())
}

/// A node without a ticket, and a member that was not given a share.
fn strangers(laptop: &Node, gpubox: &Node, folder: &Path, root: &str) -> anyhow::Result<()> {
    chapter("A stranger with a ticket that was cancelled learns nothing.");
    let ticket = laptop.ticket(&["mesh", "ticket"])?;
    let tickets = laptop.demo.command(&["mesh", "tickets", "--json"]).output();
    let tickets: Value = serde_json::from_slice(&tickets.context("start meshhost")?.stdout)?;
    let usable = tickets.pointer("/tickets").and_then(Value::as_array).context("no tickets")?;
    let usable = usable.iter().find(|ticket| ticket.get("usable") == Some(&Value::Bool(true)));
    laptop.demo.ok(&["mesh", "cancel", &text(usable.context("no ticket")?, "/name")])?;
    let stranger = Node::start("stranger$", folder)?;
    let code = stranger.join("stranger", &ticket, &[])?;
    anyhow::ensure!(DENIED_OR_FAILED.contains(&code), "the stranger was let in: {code}");
    chapter("What the laptop does not share, a member does not find.");
    let log = ["call", "git.log", &format!("path={root}"), "limit=1", "--node", "laptop"];
    gpubox.demo.ends(&log, &NOT_FOUND)
}

/// A node is killed while it works on a call that may run twice: another one answers.
fn lost(laptop: &Node, mut nas: Node, folder: &str) -> anyhow::Result<()> {
    chapter("A node is killed in the middle of a call, which another one answers.");
    let call = ["call", "filesystem.grep", folder, SOUGHT, "--json"];
    laptop.demo.typed(&call);
    let mut command = laptop.demo.command(&call);
    let child = command.stdout(Stdio::piped()).spawn().context("start meshhost")?;
    // Long enough for the call to have begun, and not to have ended.
    thread::sleep(MEANWHILE);
    say::line("nas# kill -9 meshhost");
    nas.serving.kill().context("kill the node")?;
    nas.serving.wait().context("kill the node")?;
    let output = child.wait_with_output().context("wait for the call")?;
    let answer: Value = serde_json::from_slice(&output.stdout).context("read the answer")?;
    anyhow::ensure!(output.status.success(), "the call was lost: {answer}");
    say::line(format!("  answered by {}", text(&answer, "/node")));
    let again = laptop.demo.call(&["filesystem.stat", folder])?;
    say::line(format!("  the next call: {}", text(&again, "/node")));
    laptop.demo.ok(&["audit", "why", &text(&answer, "/invocation_id")])
}
