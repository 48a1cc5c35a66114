//! `meshhost up` and `meshhost down`: the node in the background.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::Args;
use meshhost_core::{code::Code, outcome::Refusal};
use serde_json::json;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use super::{
    print::Output,
    serve_log::{self, LOG},
    text::clean_line,
};
use crate::{
    client::connect,
    node::{Config, Options},
    regular_file,
    store::{
        directory::{Access, DataDirectory},
        error::StoreError,
    },
};

/// How long the node may take until it serves: it may have a database to migrate.
const STARTING: Duration = Duration::from_secs(60);
/// How long it may take to end: calls in progress have ten seconds, and their ends are written.
const ENDING: Duration = Duration::from_secs(30);
/// How often one looks meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of what a node said that could not start.
const SAID_BYTES_MAX: u64 = 64 * 1024;

/// Run the node in the background.
#[derive(Debug, Args)]
#[command(after_help = "\
Comes back as soon as the node serves, and at once when it does already. What
the node says goes into serve.log in the data directory, which becomes
serve.log.1 when it has 8 MiB. `meshhost down` ends the node; it does not come
back by itself when the machine starts.

Example:
  meshhost up
")]
pub(crate) struct UpCommand {
    /// Serve although this is the root user.
    #[arg(long)]
    allow_root: bool,
}

/// End the node that runs in the background, or in the foreground elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "\
Calls in progress have ten seconds to end.

Example:
  meshhost down
")]
pub(crate) struct DownCommand {}

/// Starts the node, unless it serves already.
pub(crate) async fn up(
    command: &UpCommand,
    options: Options,
    filter: &str,
) -> Result<Output, Refusal> {
    let socket = DataDirectory::socket_in(&options.data);
    if let Some(stream) = connect(&options.data).await? {
        if let Config::Given(_) = &options.config {
            let message = "a node serves this data directory with the configuration that it began \
                           with; `meshhost down` ends it";
            return Err(Refusal::new(Code::UsageError, message));
        }
        return Ok(serves(process(&stream), &socket, true));
    }
    let mut child = start(command, &options, filter)?;
    let deadline = Instant::now() + STARTING;
    loop {
        if let Some(stream) = connect(&options.data).await? {
            return Ok(serves(process(&stream), &socket, false));
        }
        if child.try_wait().map_err(|error| fault(&error))?.is_some() {
            return Err(not_started(&options.data));
        }
        if Instant::now() >= deadline {
            let message = format!(
                "the node has not begun to serve within {} s and goes on trying; {} has what it says",
                STARTING.as_secs(),
                options.data.join(LOG).display()
            );
            return Err(Refusal::new(Code::NodeUnreachable, message));
        }
        sleep(LOOK).await;
    }
}

/// Ends the node that serves, and waits for that.
pub(crate) async fn down(options: Options) -> Result<Output, Refusal> {
    let Some(stream) = connect(&options.data).await? else {
        let text = "no node serves this data directory\n".to_owned();
        return Ok(Output::success(text, json!({"schema": "meshhost.down/1", "pid": null})));
    };
    let unknown = || Refusal::new(Code::HostFault, "the system does not say which process serves");
    let pid = process(&stream).ok_or_else(unknown)?;
    let process = rustix::process::Pid::from_raw(pid).ok_or_else(unknown)?;
    let signal = rustix::process::kill_process(process, rustix::process::Signal::TERM);
    signal.map_err(|error| fault(&error.into()))?;
    // A command that asks nothing more need not be waited for.
    drop(stream);
    // The node's lock on the data directory goes last.
    let ended = async {
        while let Err(error) = DataDirectory::open(&options.data, Access::Command).await {
            if !matches!(error, StoreError::Locked { .. }) {
                return Err(error.refusal());
            }
        }
        Ok(())
    };
    let Ok(ended) = tokio::time::timeout(ENDING, ended).await else {
        let message = format!(
            "the node, process {pid}, was told to end and has not within {} s",
            ENDING.as_secs()
        );
        return Err(Refusal::new(Code::NodeUnreachable, message));
    };
    ended?;
    let document = json!({"schema": "meshhost.down/1", "pid": pid});
    Ok(Output::success("the node has ended\n".to_owned(), document))
}

/// The process at the other end.
fn process(stream: &UnixStream) -> Option<i32> {
    stream.peer_cred().ok()?.pid()
}

fn serves(pid: Option<i32>, socket: &Path, already: bool) -> Output {
    let pid_text = pid.map_or_else(String::new, |pid| format!(" as process {pid}"));
    let text = if already {
        format!("the node serves already{pid_text}\n")
    } else {
        format!("the node serves{pid_text}; `meshhost down` ends it\n")
    };
    let document = json!({
        "schema": "meshhost.up/1",
        "pid": pid,
        "socket": socket,
        "already": already,
    });
    Output::success(text, document)
}

/// An empty file for what the node says; the data directory is made when it is not there.
fn log(data: &Path) -> Result<File, Refusal> {
    DataDirectory::make(data).map_err(|error| error.refusal())?;
    serve_log::begin(data).map_err(|error| fault(&error))
}

fn start(command: &UpCommand, options: &Options, filter: &str) -> Result<Child, Refusal> {
    let log = log(&options.data)?;
    let program = std::env::current_exe().map_err(|error| fault(&error))?;
    let mut serve = Command::new(program);
    serve.arg("serve").arg("--data").arg(&options.data).args(["--log", filter]);
    match &options.config {
        Config::Given(file) => {
            serve.arg("--config").arg(file);
        }
        // As it was said in the environment, from wherever that was.
        Config::Usual(Some(file)) => {
            serve.env("MESHHOST_CONFIG", file);
        }
        Config::Usual(None) => {}
    }
    if command.allow_root {
        serve.arg("--allow-root");
    }
    // A group of its own: what ends this command's group does not end the node.
    serve.process_group(0).current_dir("/");
    serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    serve.spawn().map_err(|error| fault(&error))
}

/// Why the node ended before it served: what it said last.
fn not_started(data: &Path) -> Refusal {
    let path: PathBuf = data.join(LOG);
    let said = regular_file::read(&path, SAID_BYTES_MAX).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().filter(|line| !line.trim().is_empty()).map(clean_line);
    let last: Vec<_> = lines.collect();
    let message = format!("the node did not start: {}", last.join(" "));
    Refusal::new(Code::NodeUnreachable, message)
}

fn fault(error: &std::io::Error) -> Refusal {
    Refusal::new(Code::HostFault, format!("the node could not be started or ended: {error}"))
}
