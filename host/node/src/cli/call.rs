//! `meshhost call`: calls a capability with arguments from the command line.

use std::time::Duration;

use clap::{Args, CommandFactory as _};
use meshhost_core::{
    code::Code,
    diagnostic::nearest,
    id::{CapabilityId, CorrelationId, InvocationId, PluginName},
    limits::LimitsWanted,
    outcome::Refusal,
};
use serde_json::json;

use super::{
    arguments::{Input, Reader},
    denied,
    items::Streamed,
    json as documents, outcome,
    parameters::{self, parameters},
    print::Output,
    session::{Session, unexpected},
    text::clean_line,
};
use crate::api::{CallReply, CallRequest, CapabilityView, Reply, Request};

/// How often a call is repeated after a grant that was given for it.
const REPEATS_MAX: u32 = 8;

/// Call a capability of an installed plugin.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Arguments are read by the parameter's type:
  key=text      text, number, true or false, a word of a choice; bytes as text
  key=a key=b   a list, one argument for each item
  key:=JSON     JSON, such as limit:=null or filter:='{\"merges\": true}'
  key=@FILE     a file (@- is standard input): a blob for bytes, else its text

Text results are printed as they are, everything else as JSON: with line breaks
on a terminal, on one line otherwise.

Examples:
  meshhost call git.log --help
  meshhost call git.log path=. limit=5
  meshhost call git.log@^0.1 --input '{\"path\": \"/home/me/src\"}' --json
  meshhost call ocr.recognize image=@scan.png --timeout 60s
  meshhost call acme.sensors.watch --stream
"
)]
pub(crate) struct CallCommand {
    /// The capability, with a version range where one is wanted: git.log, git.log@^0.1.
    #[arg(value_name = "CAPABILITY[@RANGE]", required_unless_present = "help")]
    capability: Option<String>,
    /// key=text, key:=JSON or key=@FILE.
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    #[command(flatten)]
    options: CallOptions,
    /// The plugin, when several have the capability.
    #[arg(long, value_name = "PLUGIN")]
    plugin: Option<PluginName>,
    /// The node that it has to run on, by name or key.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// The nodes that come first when they can run it, by name, key or role.
    #[arg(long, value_name = "NODE|ROLE", conflicts_with = "node")]
    prefer: Option<String>,
    /// Print what the capability streams as it comes, one item a line, as JSON.
    #[arg(long)]
    stream: bool,
    /// Show the parameters of the capability, or this text.
    #[arg(short, long)]
    help: bool,
}

impl CallCommand {
    /// `meshhost call --help`, which needs no node.
    pub(crate) const fn asks_for_no_capability(&self) -> bool {
        self.capability.is_none()
    }
}

/// What `call` and `run` share.
#[derive(Debug, Args)]
pub(crate) struct CallOptions {
    /// The input as a whole: a JSON object, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    /// How long to wait: 500ms, 5s, 2m. The plugin's own limit may be shorter.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) timeout: Option<Duration>,
    /// Fuel that the call and those below it may use together.
    #[arg(long, value_name = "UNITS")]
    pub(crate) fuel: Option<u64>,
    /// The call's own id. The same id and input again gives the recorded result.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<InvocationId>,
    /// The id of the piece of work that this call belongs to.
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<CorrelationId>,
}

pub(crate) async fn run(command: CallCommand, session: &mut Session) -> Result<Output, Refusal> {
    let written = command.capability.as_deref().unwrap_or_default();
    let (id, version) = split_version(written)?;
    let known = capabilities(session).await?;
    let here = choose(&known, &id, command.plugin.as_ref()).filter(|_| command.node.is_none());
    // What this node does not have, another may: it says how it is called.
    let there = match here {
        Some(_) => None,
        None => described(&id, command.node.as_deref(), session).await?,
    };
    let found = here.or(there.as_ref());
    if command.help {
        return found.map(help).ok_or_else(|| not_found(&id, &known));
    }
    let parameters = found.map(parameters);
    let reader = Reader {
        parameters: parameters.as_deref(),
        place: &session.place,
        elsewhere: there.is_some(),
        stdin: Some(std::io::stdin()),
    };
    let input = reader.read(command.options.input.as_deref(), &command.arguments)?;
    let mut call = request(&id, &command.options, session);
    call.version = version;
    call.plugin.clone_from(&command.plugin);
    call.node.clone_from(&command.node);
    call.prefer.clone_from(&command.prefer);
    call.stream = command.stream;
    call.input = put_blobs(session, input).await?;
    // A capability that is not known is asked for all the same: the node writes the attempt down.
    let mut streamed = Streamed::default();
    let (reply, told) = Box::pin(ask_until_granted(session, call, &mut streamed)).await?;
    let mut output = outcome::output(&reply, told);
    if !streamed.is_empty() {
        streamed.rest(session.printer, &reply).await?;
        // Each of its items stands on a line already.
        output.text.clear();
    }
    if found.is_none()
        && let Some(near) = nearest(id.as_str(), known.iter().map(|one| one.id.as_str()))
    {
        output.notes.push_str(&format!("  did you mean {near}?\n"));
    }
    Ok(output)
}

/// How a capability of another node is called.
async fn described(
    id: &CapabilityId,
    node: Option<&str>,
    session: &mut Session,
) -> Result<Option<CapabilityView>, Refusal> {
    let node = node.map(str::to_owned);
    let reply = session.ask(Request::Describe { capability: id.clone(), node }).await?;
    let Reply::Capabilities(mut found) = reply else { return Err(unexpected(&reply)) };
    Ok(found.pop())
}

/// The call that the options describe, without its input.
pub(crate) fn request(id: &CapabilityId, options: &CallOptions, session: &Session) -> CallRequest {
    let timeout_ms =
        options.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    CallRequest {
        capability: id.clone(),
        version: None,
        node: None,
        prefer: None,
        plugin: None,
        input: json!({}),
        timeout_ms,
        fuel: options.fuel,
        invocation_id: options.id.clone(),
        correlation_id: options.correlation.clone(),
        working_folder: Some(session.place.folder.clone()),
        arguments: Vec::new(),
        stdin: None,
        stream: false,
    }
}

/// Puts the files of an input into the blob store and their digests into the input.
pub(crate) async fn put_blobs(
    session: &mut Session,
    input: Input,
) -> Result<serde_json::Value, Refusal> {
    let Input { mut value, blobs } = input;
    for blob in &blobs {
        let file = blob.file.path().to_owned();
        let reply = session.ask(Request::PutBlob { file }).await?;
        let Reply::Blob { digest, .. } = reply else { return Err(unexpected(&reply)) };
        if let Some(place) = value.pointer_mut(&blob.pointer) {
            *place = json!({"blob": digest});
        }
    }
    Ok(value)
}

/// Calls; when it fails for a missing grant and somebody is there, offers the grant and calls
/// again. A call with an id of the caller's is not repeated, since its result is recorded, and neither is
/// one of which something was printed. Also says whether the denials were shown.
async fn ask_until_granted(
    session: &mut Session,
    call: CallRequest,
    streamed: &mut Streamed,
) -> Result<(CallReply, bool), Refusal> {
    let may_repeat = session.interactive && call.invocation_id.is_none();
    let mut repeats = if may_repeat { REPEATS_MAX } else { 0 };
    loop {
        let reply = Box::pin(streamed.call(session, call.clone())).await?;
        let Reply::Call(mut reply) = reply else { return Err(unexpected(&reply)) };
        denied::name_folders(&mut reply);
        let offer = outcome::offer(&reply).filter(|_| repeats > 0 && streamed.is_empty());
        let Some((plugin, permission)) = offer else { return Ok((*reply, false)) };
        repeats -= 1;
        session.printer.say(&outcome::denials(&reply));
        let question = format!("Grant {} to {plugin} and call again?", clean_line(&permission));
        if !super::consent::confirm(&question) {
            return Ok((*reply, true));
        }
        let limits = LimitsWanted::default();
        session.ask(Request::Grant { name: plugin, permissions: vec![permission], limits }).await?;
    }
}

/// All capabilities of the node.
pub(crate) async fn capabilities(session: &mut Session) -> Result<Vec<CapabilityView>, Refusal> {
    match session.ask(Request::Capabilities).await? {
        Reply::Capabilities(known) => Ok(known),
        other => Err(unexpected(&other)),
    }
}

/// The capability that an id means: `-` and `_` are the same, the short or the long id.
pub(crate) fn choose<'a>(
    known: &'a [CapabilityView],
    id: &CapabilityId,
    plugin: Option<&PluginName>,
) -> Option<&'a CapabilityView> {
    let wanted = id.folded();
    let fits = |one: &&CapabilityView| one.id.folded() == wanted || one.long_id.folded() == wanted;
    let by_plugin = |one: &&CapabilityView| plugin.is_none_or(|name| *name == one.plugin);
    let matching = || known.iter().filter(fits).filter(by_plugin);
    matching().find(|one| one.preferred).or_else(|| matching().next())
}

/// There is no such capability; names the nearest.
pub(crate) fn not_found(id: &CapabilityId, known: &[CapabilityView]) -> Refusal {
    let hint = nearest(id.as_str(), known.iter().map(|one| one.id.as_str())).map_or_else(
        || "`meshhost capabilities` lists what is installed".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    Refusal::new(Code::CapabilityNotFound, format!("there is no capability {id}; {hint}"))
}

fn help(capability: &CapabilityView) -> Output {
    let reply = Reply::Capabilities(vec![capability.clone()]);
    Output::success(parameters::help(capability), documents::of(&reply, ""))
}

/// `meshhost call --help`.
pub(crate) fn static_help() -> Output {
    let mut definition = super::Cli::command();
    definition.build();
    let text = definition
        .find_subcommand_mut("call")
        .map(|call| call.render_help().ansi().to_string())
        .unwrap_or_default();
    let json = json!({"schema": "meshhost.help/1", "text": text});
    Output::success(text, json)
}

/// `git.log@^0.1` in two.
fn split_version(written: &str) -> Result<(CapabilityId, Option<semver::VersionReq>), Refusal> {
    let usage = |message: String| Refusal::new(Code::UsageError, message);
    let (id, range) = match written.split_once('@') {
        Some((id, range)) => (id, Some(range)),
        None => (written, None),
    };
    let id = id.parse::<CapabilityId>().map_err(|error| usage(format!("`{id}`: {error}")))?;
    let version = range
        .map(str::parse::<semver::VersionReq>)
        .transpose()
        .map_err(|error| usage(format!("the version range after @ is not right: {error}")))?;
    Ok((id, version))
}

/// `500ms`, `5s`, `2m`; a bare number is seconds.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1_000)];
    for (unit, milliseconds) in units {
        if let Some(number) = text.strip_suffix(unit) {
            let whole = number.parse::<u64>().ok().and_then(|one| one.checked_mul(milliseconds));
            return whole
                .filter(|time| *time > 0)
                .map(Duration::from_millis)
                .ok_or_else(|| "a time is a whole number with a unit: 500ms, 5s, 2m".to_owned());
        }
    }
    Err("a time is a whole number with a unit: 500ms, 5s, 2m".to_owned())
}

#[cfg(test)]
mod tests;
