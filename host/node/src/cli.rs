//! The command line: parses arguments, asks for consent, says an [`crate::api::Request`] to the
//! node and prints its reply. The work itself is behind [`crate::api`].
//!
//! With `--json` standard output holds exactly one JSON document with a `schema` field, such as
//! `meshhost.call/1`, whose fields are those of the reply in [`crate::api`]. `call --stream` alone prints
//! lines before it.

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::{
    ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::FalseyValueParser, parser::ValueSource,
};
use meshhost_core::{
    code::{Code, Exit},
    outcome::Refusal,
};

use tracing_subscriber::EnvFilter;

use self::{
    place::Place,
    print::{Output, Printer},
    session::Session,
};
use crate::{
    client::Connection,
    node::{Config, Options},
    store::directory::Access,
    sys,
};

mod arguments;
mod audit;
mod blob;
mod call;
mod capabilities;
mod compile_child;
mod completions;
mod consent;
mod denied;
mod doctor;
mod exit;
mod explain;
#[cfg(test)]
mod fixture;
mod inference_child;
mod inspection;
mod items;
mod json;
mod mesh;
mod model;
mod outcome;
mod parameters;
mod place;
mod plugin;
mod print;
mod review;
mod run;
mod runtime;
mod serve;
mod serve_log;
mod session;
mod table;
mod text;
mod up;

const EXAMPLES: &str = "\
Examples:
  meshhost plugin install git --grant fs:ro=~/src
  meshhost call git.log path=. limit=5
  meshhost audit verify
  meshhost explain MH0412
";

/// Runs WebAssembly plugins that can do only what you granted, and records every call.
#[derive(Debug, Parser)]
#[command(name = "meshhost", version, max_term_width = 80)]
pub struct Cli {
    #[command(flatten)]
    node: NodeArguments,
    /// Print one JSON document instead of text.
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// No colours, whatever the terminal can do.
    #[arg(long, global = true, env = "MESHHOST_PLAIN", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new(), help_heading = GLOBAL)]
    plain: bool,
    /// What the program logs to standard error: `info`, `meshhost=debug`.
    #[arg(long, global = true, env = "MESHHOST_LOG", hide_env_values = true)]
    #[arg(value_name = "FILTER", default_value = "warn", help_heading = GLOBAL)]
    log: String,
    #[command(subcommand)]
    command: Command,
}

/// Which node is meant, and with what it is configured.
#[derive(Debug, Args)]
struct NodeArguments {
    /// The data directory [default: the platform's data folder].
    #[arg(long, global = true, env = "MESHHOST_DATA", hide_env_values = true)]
    #[arg(value_name = "FOLDER", help_heading = GLOBAL)]
    data: Option<PathBuf>,
    /// The node's configuration [default: `meshhost.toml` in the data directory]. A node that
    /// serves has read its own: then a command takes none.
    #[arg(long, global = true, env = "MESHHOST_CONFIG", hide_env_values = true)]
    #[arg(value_name = "FILE", help_heading = GLOBAL)]
    config: Option<PathBuf>,
    /// Whether `config` stands on the command line, and not in the environment.
    #[arg(skip)]
    config_is_said: bool,
}

const GLOBAL: &str = "Options of every command";

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Node(NodeCommand),
    Serve(serve::ServeCommand),
    Up(up::UpCommand),
    Down(up::DownCommand),
    Doctor(doctor::DoctorCommand),
    Explain(explain::ExplainCommand),
    Completions(completions::CompletionsCommand),
    CompileChild(compile_child::CompileChildCommand),
    InferenceChild(inference_child::InferenceChildCommand),
}

/// The commands that ask a node one thing or a few.
#[derive(Debug, Subcommand)]
enum NodeCommand {
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    Call(call::CallCommand),
    Run(run::RunCommand),
    Capabilities(capabilities::CapabilitiesCommand),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    Trace(audit::fleet::TraceCommand),
    #[command(subcommand)]
    Blob(blob::BlobCommand),
    #[command(subcommand)]
    Model(model::ModelCommand),
    #[command(subcommand)]
    Runtime(runtime::RuntimeCommand),
    #[command(subcommand)]
    Mesh(mesh::MeshCommand),
    #[command(subcommand)]
    Peer(mesh::PeerCommand),
}

/// Parses the command line of this process, does what it says and prints the result.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(exit) => return code(exit),
    };
    if let Command::InferenceChild(command) = &cli.command {
        return inference_child::run(command);
    }
    let printer = Printer::new(cli.json, cli.plain);
    code(match execute(cli, printer) {
        Ok(output) => printer.output(&output),
        Err(refusal) => printer.refusal(&refusal),
    })
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// The whole command line as clap knows it.
fn definition() -> clap::Command {
    Cli::command().after_help(format!("{EXAMPLES}\n{}", exit::table()))
}

/// Parses, and prints help and usage errors itself. An error is the end that follows.
fn parse(arguments: Vec<OsString>) -> Result<Cli, Exit> {
    let json = arguments.iter().any(|argument| argument == "--json");
    let parsed = definition().try_get_matches_from(arguments).and_then(|it| read(&it));
    parsed.map_err(|error| {
        if error.use_stderr() && json {
            let text = error.render().to_string();
            return Printer { json }.refusal(&Refusal::new(Code::UsageError, text));
        }
        // Whoever closed the pipe does not want to read it.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Success }
    })
}

fn read(matches: &ArgMatches) -> Result<Cli, clap::Error> {
    let config_is_said = matches.value_source("config") == Some(ValueSource::CommandLine);
    let mut cli = Cli::from_arg_matches(matches)?;
    cli.node.config_is_said = config_is_said;
    Ok(cli)
}

fn start_log(filter: &str) -> Result<(), Refusal> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Refusal::new(Code::UsageError, format!("the log filter is not right: {error}"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && sys::environment("NO_COLOR").is_none())
        .try_init()
        .map_err(|error| Refusal::new(Code::HostFault, format!("the log cannot start: {error}")))
}

/// How long work that nobody waits for any more, and that cannot be stopped, may keep the process:
/// a file that is being read, a name that is being looked up.
const LEFTOVER_WAIT: Duration = Duration::from_millis(200);

fn run_to_end<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.map_err(|error| {
        Refusal::new(Code::HostFault, format!("the program cannot start its threads: {error}"))
    })?;
    let done = threads.block_on(work);
    threads.shutdown_timeout(LEFTOVER_WAIT);
    done
}

/// Does what the command says. Only what needs them starts threads.
fn execute(cli: Cli, printer: Printer) -> Result<Output, Refusal> {
    start_log(&cli.log)?;
    let options = |access| cli.node.options(access);
    match cli.command {
        Command::Explain(command) => explain::run(&command),
        Command::Completions(command) => Ok(completions::run(&command)),
        Command::CompileChild(command) => Ok(compile_child::run(&command)),
        Command::InferenceChild(_) => {
            Err(Refusal::new(Code::UsageError, "only the node runs this"))
        }
        Command::Node(NodeCommand::Call(command)) if command.asks_for_no_capability() => {
            Ok(call::static_help())
        }
        Command::Node(command) => {
            run_to_end(with_node(command, options(Access::Command)?, printer))
        }
        Command::Serve(command) => {
            run_to_end(serve::run(&command, options(Access::Node)?, printer))
        }
        Command::Up(command) => run_to_end(up::up(&command, options(Access::Command)?, &cli.log)),
        Command::Down(_) => run_to_end(up::down(options(Access::Command)?)),
        Command::Doctor(command) => run_to_end(doctor::run(&command, options(Access::Command)?)),
    }
}

impl NodeArguments {
    /// How the node is opened.
    fn options(&self, access: Access) -> Result<Options, Refusal> {
        let place = Place::here()?;
        let absolute = |path: &PathBuf| place.absolute(&path.to_string_lossy());
        let data = absolute(&self.data.clone().map_or_else(place::default_data, Ok)?)?;
        let config = self.config.as_ref().map(absolute).transpose()?;
        let config = match config {
            Some(file) if self.config_is_said => Config::Given(file),
            file => Config::Usual(file),
        };
        Ok(Options { data, config, access })
    }
}

/// Runs a command that talks to a node. Ctrl-C drops what is in progress, which cancels it;
/// a node in this process still writes that down before the command ends.
async fn with_node(
    command: NodeCommand,
    options: Options,
    printer: Printer,
) -> Result<Output, Refusal> {
    let place = Place::here()?;
    let user = sys::user_name(rustix::process::geteuid().as_raw());
    let connection = Connection::open(options, &user).await?;
    let mut session = Session::new(connection, printer, place);
    let result = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err(Refusal::new(Code::Cancelled, "interrupted")),
        result = Box::pin(ask(command, &mut session)) => result,
    };
    tokio::select! {
        biased;
        // Whoever interrupts again does not want to wait for the end of what was cancelled.
        _ = tokio::signal::ctrl_c() => {}
        () = session.close() => {}
    }
    result
}

async fn ask(command: NodeCommand, session: &mut Session) -> Result<Output, Refusal> {
    match command {
        NodeCommand::Plugin(command) => plugin::run(command, session).await,
        NodeCommand::Call(command) => call::run(command, session).await,
        NodeCommand::Run(command) => run::run(command, session).await,
        NodeCommand::Capabilities(command) => capabilities::run(command, session).await,
        NodeCommand::Audit(command) => audit::run(command, session).await,
        NodeCommand::Trace(command) => audit::fleet::run(command, session).await,
        NodeCommand::Blob(command) => blob::run(command, session).await,
        NodeCommand::Model(command) => model::run(command, session).await,
        NodeCommand::Runtime(command) => runtime::run(command, session).await,
        NodeCommand::Mesh(command) => mesh::run(command, session).await,
        NodeCommand::Peer(command) => mesh::peer(command, session).await,
    }
}

#[cfg(test)]
mod tests;
