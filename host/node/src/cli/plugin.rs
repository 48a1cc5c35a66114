//! `meshhost plugin …`: install, look at, grant, update and remove plugins.

use clap::{Args, Subcommand};
use meshhost_core::{
    code::Code,
    id::{CapabilityId, Digest, PluginName},
    outcome::Refusal,
};

use super::{
    consent::{self, ConsentOptions, LimitOptions},
    inspection, json as documents,
    place::Place,
    print::Output,
    review,
    session::{Session, unexpected},
    table::table,
    text::{bytes, clean_line, count, wrap},
};
use crate::api::{DataChange, PluginView, RemovedPlugin, Reply, Request, Review, Source};

/// Install, inspect, grant, update and remove plugins.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  meshhost plugin install git --grant fs:ro=~/src
  meshhost plugin list
  meshhost plugin permissions git
")]
pub(crate) enum PluginCommand {
    Install(InstallCommand),
    Inspect(InspectCommand),
    /// List the installed plugins.
    #[command(after_help = "Example:\n  meshhost plugin list")]
    List,
    /// Show what a plugin asks for, was granted and may use.
    #[command(after_help = "Example:\n  meshhost plugin permissions git")]
    Permissions(Named),
    Grant(GrantCommand),
    Revoke(RevokeCommand),
    Update(UpdateCommand),
    /// Go back to the version before the last update.
    #[command(after_help = "Example:\n  meshhost plugin rollback git")]
    Rollback(Named),
    /// Let a plugin serve again; this also ends a quarantine.
    #[command(after_help = "Example:\n  meshhost plugin enable git")]
    Enable(Named),
    /// Stop serving a plugin; its calls are skipped.
    #[command(after_help = "Example:\n  meshhost plugin disable git")]
    Disable(Named),
    Remove(RemoveCommand),
    Prefer(PreferCommand),
}

/// A plugin by name.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The plugin.
    #[arg(value_name = "PLUGIN")]
    name: PluginName,
}

/// Install a component. What it asks for is shown first; on a terminal you are asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a terminal an install that asks for something ends with exit code 3 and
prints the command that would consent.

Examples:
  meshhost plugin install git --grant fs:ro=~/src
  meshhost plugin install ./weather.wasm --yes
  meshhost plugin install ./weather.wasm --name weather2
")]
pub(crate) struct InstallCommand {
    /// A .wasm file, or the name of a component that is inside meshhost, such as git.
    #[arg(value_name = "FILE|NAME")]
    source: String,
    /// Install it under this name.
    #[arg(long, value_name = "PLUGIN")]
    name: Option<PluginName>,
    #[command(flatten)]
    consent: ConsentOptions,
}

/// Show what a component is, asks for and could reach, without installing it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost plugin inspect ./weather.wasm
  meshhost plugin inspect git --wit
  meshhost plugin inspect ./weather.wasm --json
")]
pub(crate) struct InspectCommand {
    /// A .wasm file, or the name of a component that is inside meshhost, such as git.
    #[arg(value_name = "FILE|NAME")]
    source: String,
    /// Show it as it would be under this name.
    #[arg(long, value_name = "PLUGIN")]
    name: Option<PluginName>,
    /// Print its WIT world.
    #[arg(long)]
    wit: bool,
}

/// Grant permissions to a plugin, or raise its limits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost plugin grant git fs:ro=~/src
  meshhost plugin grant weather net=https://api.example.org clock
  meshhost plugin grant weather --limit fuel=20000000000
")]
pub(crate) struct GrantCommand {
    /// The plugin.
    #[arg(value_name = "PLUGIN")]
    name: PluginName,
    /// Permissions, such as fs:ro=~/src.
    #[arg(value_name = "PERMISSION")]
    permissions: Vec<String>,
    #[command(flatten)]
    limits: LimitOptions,
}

/// Take permissions away. Running calls meet it at their next host call.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost plugin revoke git fs:ro=~/src
  meshhost plugin revoke git --all
")]
pub(crate) struct RevokeCommand {
    /// The plugin.
    #[arg(value_name = "PLUGIN")]
    name: PluginName,
    /// Permissions, as `plugin permissions` prints them.
    #[arg(value_name = "PERMISSION", required_unless_present = "all", conflicts_with = "all")]
    permissions: Vec<String>,
    /// Take all away.
    #[arg(long)]
    all: bool,
}

/// Update a plugin. An update that asks for more waits while the old version serves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshhost plugin update git
  meshhost plugin update weather ./weather.wasm
  meshhost plugin update weather --approve --digest blake3:… --yes
")]
pub(crate) struct UpdateCommand {
    /// The plugin.
    #[arg(value_name = "PLUGIN")]
    name: PluginName,
    /// The new .wasm file; without it the component that is inside meshhost.
    #[arg(value_name = "FILE|NAME", conflicts_with = "approve")]
    source: Option<String>,
    /// Let the update that waits serve.
    #[arg(long, requires = "digest")]
    approve: bool,
    /// The digest of the update that waits, as it was shown.
    #[arg(long, requires = "approve")]
    digest: Option<Digest>,
    #[command(flatten)]
    consent: ConsentOptions,
}

/// Remove a plugin with its grants and versions. Its evidence stays.
#[derive(Debug, Args)]
#[command(after_help = "\
What the plugin has stored (key-values, documents to search in) stays as well,
and a plugin that is installed under the same name finds it again. --with-data
deletes it, also when the plugin is removed already.

Examples:
  meshhost plugin remove git
  meshhost plugin remove rag --with-data
")]
pub(crate) struct RemoveCommand {
    /// The plugin.
    #[arg(value_name = "PLUGIN")]
    name: PluginName,
    /// Delete what it has stored as well. There is no way back.
    #[arg(long)]
    with_data: bool,
}

/// Choose the plugin that provides a capability which several have.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meshhost plugin prefer weather.current weather2")]
pub(crate) struct PreferCommand {
    /// The capability.
    capability: CapabilityId,
    /// The plugin.
    #[arg(value_name = "PLUGIN")]
    name: PluginName,
}

pub(crate) async fn run(command: PluginCommand, session: &mut Session) -> Result<Output, Refusal> {
    match command {
        PluginCommand::Install(command) => install(command, session).await,
        PluginCommand::Inspect(command) => inspect(command, session).await,
        PluginCommand::List => list(session).await,
        PluginCommand::Permissions(Named { name }) => {
            let reply = session.ask(Request::Permissions { name }).await?;
            plugin(reply, review::permissions)
        }
        PluginCommand::Grant(command) => grant(command, session).await,
        PluginCommand::Revoke(command) => revoke(command, session).await,
        PluginCommand::Update(command) => update(command, session).await,
        PluginCommand::Rollback(Named { name }) => {
            change(session, Request::Rollback { name }, "is back").await
        }
        PluginCommand::Enable(Named { name }) => {
            change(session, Request::Enable { name }, "is enabled").await
        }
        PluginCommand::Disable(Named { name }) => {
            change(session, Request::Disable { name }, "is disabled").await
        }
        PluginCommand::Remove(RemoveCommand { name, with_data: data }) => {
            let reply = session.ask(Request::Remove { name, data }).await?;
            let Reply::PluginRemoved(done) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(removed(done), documents::of(&reply, "")))
        }
        PluginCommand::Prefer(PreferCommand { capability, name }) => {
            let text = format!("{capability} is now provided by {name}\n");
            let reply = session.ask(Request::Prefer { capability, name }).await?;
            Ok(Output::success(text, documents::of(&reply, "")))
        }
    }
}

/// A path has a slash or ends in `.wasm`; everything else is a component inside meshhost.
pub(crate) fn source(written: &str, place: &Place) -> Result<Source, Refusal> {
    let is_file = written.contains('/') || written.ends_with(".wasm") || written == "~";
    if is_file {
        place.absolute(written).map(Source::File)
    } else {
        Ok(Source::BuiltIn(written.to_owned()))
    }
}

async fn install(command: InstallCommand, session: &mut Session) -> Result<Output, Refusal> {
    let source = source(&command.source, &session.place)?;
    let given = command.consent.consent(&session.place)?;
    let name = command.name;
    let inspect = Request::Inspect { source: source.clone(), name: name.clone() };
    // What cannot be inspected is refused by the install, which writes that down.
    let shown = match session.ask(inspect).await {
        Ok(Reply::Review(shown)) => Some(shown),
        Ok(other) => return Err(unexpected(&other)),
        Err(_) => None,
    };
    let first =
        Request::Install { source: source.clone(), name: name.clone(), consent: given.clone() };
    if session.interactive {
        session.printer.say("checking and compiling…\n");
    }
    match session.ask(first).await? {
        Reply::Review(asked) if session.interactive => {
            let consent = consent::ask(session, &asked, &given)?;
            let again = session.ask(Request::Install { source, name, consent }).await?;
            changed(again, "is installed")
        }
        Reply::Plugin(view) => {
            // Nobody was asked: what was installed is shown all the same, its notes at the end.
            let asks = view.asks.clone();
            let mut output = changed(Reply::Plugin(view), "is installed")?;
            if let Some(shown) = shown {
                let shown = Review { asks, notes: Vec::new(), ..*shown };
                output.text.insert_str(0, &review::card(&shown));
            }
            Ok(output)
        }
        reply => changed(reply, "is installed"),
    }
}

async fn update(command: UpdateCommand, session: &mut Session) -> Result<Output, Refusal> {
    let given = command.consent.consent(&session.place)?;
    let name = command.name;
    let first = match command.digest {
        Some(digest) => Request::Approve { name: name.clone(), digest, consent: given.clone() },
        None => {
            let new = command.source.map(|one| source(&one, &session.place)).transpose()?;
            Request::Update { name: name.clone(), source: new, consent: given.clone() }
        }
    };
    match session.ask(first).await? {
        Reply::Review(asked) if session.interactive => {
            let consent = consent::ask(session, &asked, &given)?;
            let approve = Request::Approve { name, digest: asked.component, consent };
            changed(session.ask(approve).await?, "is updated")
        }
        reply => changed(reply, "is updated"),
    }
}

async fn inspect(command: InspectCommand, session: &mut Session) -> Result<Output, Refusal> {
    let source = source(&command.source, &session.place)?;
    let reply = session.ask(Request::Inspect { source, name: command.name }).await?;
    let Reply::Review(asked) = &reply else { return Err(unexpected(&reply)) };
    let text = if command.wit { inspection::wit(asked) } else { inspection::card(asked) };
    Ok(Output::success(text, documents::of(&reply, "")))
}

async fn list(session: &mut Session) -> Result<Output, Refusal> {
    let reply = session.ask(Request::Plugins).await?;
    let Reply::Plugins(plugins) = &reply else { return Err(unexpected(&reply)) };
    let text = if plugins.is_empty() {
        "no plugins are installed; try `meshhost plugin install git`\n".to_owned()
    } else {
        let rows = plugins.iter().map(|plugin| {
            [
                plugin.name.to_string(),
                clean_line(&plugin.version).into_owned(),
                state(plugin),
                plugin.effective.iter().map(|one| clean_line(one).into_owned() + " ").collect(),
                count(plugin.capabilities.len(), "capability"),
            ]
        });
        table(["PLUGIN", "VERSION", "STATE", "MAY USE", "OFFERS"], rows)
    };
    Ok(Output::success(text, documents::of(&reply, "")))
}

fn state(plugin: &PluginView) -> String {
    let staged = if plugin.staged.is_some() { ", update waits" } else { "" };
    format!("{}{staged}", clean_line(&plugin.state))
}

async fn grant(command: GrantCommand, session: &mut Session) -> Result<Output, Refusal> {
    let limits = command.limits.wanted()?;
    if command.permissions.is_empty() && limits == Default::default() {
        return Err(Refusal::new(Code::UsageError, "say what to grant: a permission or --limit"));
    }
    let permissions = consent::expand_all(&command.permissions, &session.place)?;
    let request = Request::Grant { name: command.name, permissions, limits };
    plugin(session.ask(request).await?, review::permissions)
}

async fn revoke(command: RevokeCommand, session: &mut Session) -> Result<Output, Refusal> {
    // An empty list means all; clap has seen to it that --all was said.
    let permissions = consent::expand_all(&command.permissions, &session.place)?;
    let request = Request::Revoke { name: command.name, permissions };
    plugin(session.ask(request).await?, review::permissions)
}

async fn change(session: &mut Session, request: Request, what: &str) -> Result<Output, Refusal> {
    changed(session.ask(request).await?, what)
}

/// What a removal did, and how what it left is deleted.
fn removed(done: &RemovedPlugin) -> String {
    let name = &done.name;
    let stored = format!(
        "{} of key-values, {} of documents",
        bytes(done.key_value_bytes),
        bytes(done.index_bytes)
    );
    let first = if done.installed {
        format!("{name} is removed; its evidence stays\n")
    } else {
        format!("{name} was removed before\n")
    };
    let data = match done.data {
        DataChange::None => return first,
        DataChange::Kept => format!(
            "what it has stored stays for an install of the same name ({stored}); \
             `meshhost plugin remove {name} --with-data` deletes it"
        ),
        DataChange::Deleted => format!("what it had stored is deleted ({stored})"),
    };
    format!("{first}{}\n", wrap("", &data))
}

/// The answer to a change: the plugin as it is now, or the review that asks for more consent.
fn changed(reply: Reply, what: &str) -> Result<Output, Refusal> {
    match reply {
        Reply::Review(asked) => Ok(consent::needed(*asked)),
        reply => plugin(reply, |view| {
            let notes = view.notes.iter().map(|note| format!("  note: {}\n", clean_line(note)));
            let next =
                view.capabilities.first().map(|id| format!("  try: meshhost call {id} --help\n"));
            let serving = view.state == "serving";
            let next = next.filter(|_| serving).unwrap_or_default();
            format!("{}{}{next}", review::done(what, view), notes.collect::<String>())
        }),
    }
}

fn plugin(reply: Reply, show: impl Fn(&PluginView) -> String) -> Result<Output, Refusal> {
    match &reply {
        Reply::Plugin(view) => Ok(Output::success(show(view), documents::of(&reply, ""))),
        Reply::Done => Ok(Output::success("done\n".to_owned(), documents::of(&reply, ""))),
        _ => Err(unexpected(&reply)),
    }
}

#[cfg(test)]
mod tests;
