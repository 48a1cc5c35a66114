//! A provider is killed while calls that do no harm twice are in flight: how long they take until another
//! node has answered them, and how long calls take that are made as soon as it is missed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use meshhost::api::{MeshReply, MeshRequest};
use serde_json::json;
use tokio::task::JoinSet;

use super::{PATIENCE, another, ask};
use crate::{
    home::{self, Home},
    memory::{binary, install},
    report::{Row, Times},
};

/// How often a provider is killed.
const ROUNDS: usize = 10;
/// How often one is that nobody calls.
const IDLE_ROUNDS: usize = 4;
/// Callers at once, each with one call in flight.
const CALLERS: usize = 16;
/// How long they call before the kill, and after the provider was missed.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(1);

/// One call: when it began, when it had its answer, and whose that was.
struct Called {
    begun: Instant,
    ended: Instant,
    node: String,
}

pub(super) async fn measure(caller: &Arc<Home>) -> anyhow::Result<Vec<Row>> {
    let shelf = tempfile::tempdir()?;
    let file = shelf.path().join("file");
    std::fs::write(&file, b"hello")?;
    let mut providers = Vec::new();
    for name in ["first", "second"] {
        providers.push(Provider::new(name, shelf.path(), &another(caller).await?)?);
    }
    let (mut moved, mut later) = (Times::default(), Times::default());
    for round in 0..ROUNDS {
        both_answer(caller, &file).await?;
        let Some(provider) = providers.get_mut(round % 2) else { bail!("two providers") };
        let killed = kill_one(caller, &file, provider).await?;
        let Killed { at, missed, calls } = killed;
        for Called { begun, ended, node } in calls {
            if begun >= missed {
                later.push(ended - begun);
            } else if begun < at && ended > at && node != provider.name {
                moved.push(ended - at);
            }
        }
        provider.serve()?;
    }
    ensure!(moved.count() > 0 && later.count() > 0, "no call was in flight");
    let mut idle = Times::default();
    for round in 0..IDLE_ROUNDS {
        both_answer(caller, &file).await?;
        let Some(provider) = providers.get_mut(round % 2) else { bail!("two providers") };
        let at = Instant::now();
        provider.kill()?;
        missed(caller, provider.name, at).await?;
        idle.push(at.elapsed());
        provider.serve()?;
    }
    let (at_kill, after) = (moved.p99(), later.p99());
    Ok(vec![
        Row::must(
            "kill -9 of a provider: calls in flight, by another node",
            moved.text(),
            "p99 ≤ 1 s",
            at_kill <= Duration::from_secs(1),
        )
        .by(
            "two processes, one killed in each of 10 rounds, 16 callers of a call that reads; from the kill \
             to the answer, of all calls that were in flight with either",
        ),
        Row::must(
            "calls made after it was missed",
            later.text(),
            "p99 ≤ 100 ms",
            after <= Duration::from_millis(100),
        )
        .by("the same callers, from when the node is shown as not connected"),
        Row::must(
            "kill -9 of a provider without calls, until it is missed",
            idle.text(),
            "≤ 5 s",
            idle.percentile(100) <= Duration::from_secs(5),
        ),
    ])
}

/// What one kill did.
struct Killed {
    at: Instant,
    missed: Instant,
    calls: Vec<Called>,
}

async fn kill_one(
    caller: &Arc<Home>,
    file: &Path,
    provider: &mut Provider,
) -> anyhow::Result<Killed> {
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (caller, file, over) = (Arc::clone(caller), file.to_owned(), Arc::clone(&over));
        callers.spawn(async move {
            let mut calls = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let node = stat(&caller, &file).await?;
                calls.push(Called { begun, ended: Instant::now(), node });
            }
            anyhow::Ok(calls)
        });
    }
    tokio::time::sleep(BEFORE).await;
    let at = Instant::now();
    provider.kill()?;
    missed(caller, provider.name, at).await?;
    let missed = Instant::now();
    tokio::time::sleep(AFTER).await;
    over.store(true, Ordering::Relaxed);
    let mut calls = Vec::new();
    while let Some(made) = callers.join_next().await {
        calls.extend(made??);
    }
    Ok(Killed { at, missed, calls })
}

/// Calls what only reads, and says who answered.
async fn stat(caller: &Home, file: &Path) -> anyhow::Result<String> {
    let request = home::request("filesystem.stat", json!({ "path": file }))?;
    caller.call(request).await?.node.context("it ran on another node")
}

/// Waits until a node is missed that was killed at `at`.
async fn missed(caller: &Home, name: &str, at: Instant) -> anyhow::Result<()> {
    while is_connected(caller, name).await? {
        ensure!(at.elapsed() < 5 * PATIENCE, "{name} is not missed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn is_connected(caller: &Home, name: &str) -> anyhow::Result<bool> {
    match ask(caller, MeshRequest::Status).await? {
        MeshReply::Status(status) => {
            Ok(status.members.iter().any(|member| member.name == name && member.connected))
        }
        other => bail!("{other:?}"),
    }
}

/// Waits until calls go to both.
async fn both_answer(caller: &Arc<Home>, file: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    for name in ["first", "second"] {
        loop {
            let mut request = home::request("filesystem.stat", json!({ "path": file }))?;
            request.node = Some(name.to_owned());
            if caller.call(request).await.is_ok() {
                break;
            }
            ensure!(begun.elapsed() < 3 * PATIENCE, "{name} does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// A provider in a process of its own; killed when dropped.
struct Provider {
    name: &'static str,
    data: PathBuf,
    process: Option<Child>,
    _folder: tempfile::TempDir,
}

impl Provider {
    /// A node that joins and shares what reads files of that folder.
    fn new(name: &'static str, shelf: &Path, ticket: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let grant = format!("fs:ro={}", shelf.display());
        install(&data, "filesystem", "filesystem", &["--grant", &grant])?;
        let mut provider = Self { name, data, process: None, _folder: folder };
        provider.serve()?;
        let mut join = binary(&provider.data);
        join.args(["mesh", "join", "--name", name, "--listen", "127.0.0.1:0"]);
        join.args(["--share", "filesystem.*"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut join = join.spawn()?;
        join.stdin.take().context("a pipe")?.write_all(ticket.as_bytes())?;
        ensure!(join.wait()?.success(), "{name} does not join");
        Ok(provider)
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let mut command = binary(&self.data);
        let command = command.args(["serve", "--allow-root"]).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut said = BufReader::new(process.stderr.take().context("a pipe")?);
        self.process = Some(process);
        let mut line = String::new();
        said.read_line(&mut line)?;
        ensure!(line.contains("serves"), "the node ended before it was ready: {line}");
        // What it says later is read, so that it never waits for that.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Ok(())
    }

    /// As `kill -9` does.
    fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it serves")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
