//! Resident memory of a node that serves ten plugins, one of them Python, after 1,000 calls to
//! each: the real binary, called over its socket.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use meshhost::{
    api::{Reply, Request},
    client::Connection,
    node::{Config, Options},
    store::directory::Access,
};
use serde_json::json;

use crate::{door::executor, engine, home, report::Row};

/// Plugins in Rust, beside the one in Python.
const PLAIN: usize = 9;
const CALLS: usize = 1_000;
/// How long the node is left alone before it is looked at.
const REST: Duration = Duration::from_secs(2);

/// The node; ended when dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let names: Vec<String> = (0..PLAIN).map(|index| format!("echo-{index}")).collect();
    for name in &names {
        install(&data, "conformance-echo", name, &[])?;
    }
    install(&data, "python-echo", "python-echo", &["--grant", "random"])?;
    let node = binary(&data).args(["serve", "--allow-root"]).stderr(Stdio::piped()).spawn()?;
    let mut node = Serving(node);
    // It says on standard error when it accepts; the pipe stays open as long as it runs.
    let mut said = BufReader::new(node.0.stderr.take().context("a pipe")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    ensure!(line.contains("serves"), "the node ended before it was ready: {line}");
    let before = resident(node.0.id())?;
    executor()?.block_on(calls(&data, &names))?;
    std::thread::sleep(REST);
    let after = resident(node.0.id())?;
    let ok = after <= 150 * 1024;
    Ok(vec![
        Row::shown("resident memory before the first call", mebibytes(before)),
        Row::must("resident memory after 10 × 1,000 calls", mebibytes(after), "≤ 150 MB", ok)
            .by("VmRSS of the real binary, mapped code included, 2 s after the last call"),
    ])
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.0} MiB", kibibytes as f64 / 1024.0)
}

async fn calls(data: &Path, names: &[String]) -> anyhow::Result<()> {
    let options =
        Options { data: data.to_owned(), config: Config::default(), access: Access::Command };
    let mut node = Connection::open(options, "bench")
        .await
        .map_err(|refusal| anyhow::anyhow!("{}", refusal.message))?;
    ensure!(node.is_socket(), "the node does not serve");
    let plain = names.iter().map(|name| (format!("{name}.echo"), json!({ "message": "hello" })));
    let python = ("fixture.python-echo.echo.text".to_owned(), json!({ "text": "hello" }));
    for (capability, input) in plain.chain([python]) {
        for _ in 0..CALLS {
            let request = home::request(&capability, input.clone())?;
            match node.ask(Request::Call(request)).await {
                Reply::Call(reply) if reply.success => {}
                other => bail!("{capability}: {other:?}"),
            }
        }
    }
    Ok(())
}

/// The binary, on a data directory.
pub(crate) fn binary(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshhost"));
    command.arg("--data").arg(data).stdin(Stdio::null());
    command
}

/// Installs one of the components that are built beside the binary.
pub(crate) fn install(
    data: &Path,
    guest: &str,
    name: &str,
    granted: &[&str],
) -> anyhow::Result<()> {
    let mut command = binary(data);
    command.args(["plugin", "install"]).arg(engine::guest_path(guest));
    let output = command.args(["--name", name, "--yes"]).args(granted).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "install {name}: {said}");
    Ok(())
}

/// Resident kibibytes of a process.
fn resident(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).context("VmRSS")?;
    Ok(number.parse()?)
}
