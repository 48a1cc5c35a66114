//! `meshhost runtime …`: what runs models on this machine.

use clap::{Args, Subcommand};
use meshhost_core::{config::InferenceEngines, outcome::Refusal};

use super::{
    json as documents,
    print::Output,
    session::{Session, unexpected},
    table::table,
    text::{bytes, clean_line, wrap},
};
use crate::api::{InstalledRuntime, Reply, Request, RuntimeChange, RuntimeView, Runtimes};

/// See, install and choose what runs models.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  meshhost runtime list
  meshhost runtime install ./libonnxruntime.so.1.31.1
  meshhost runtime use embedded
")]
pub(crate) enum RuntimeCommand {
    /// List the engines that can run models here, in the order in which they are tried.
    #[command(after_help = "\
A library of ONNX Runtime is opened in a process of its own to see whether it can be
used; none after the first usable one is looked at.

Example:
  meshhost runtime list
")]
    List,
    Install(InstallCommand),
    Use(UseCommand),
}

/// Install a library of ONNX Runtime that you have.
#[derive(Debug, Args)]
#[command(after_help = "\
PATH is a file libonnxruntime.so.VERSION, or a folder with one: its parts for
devices (libonnxruntime_providers_*) and its terms of use come along. Of a
Python wheel, which is a zip file, unpack it and name the folder
onnxruntime/capi in it. Nothing is fetched.

The library is opened in a process of its own first, and kept only when it can
be used. One of the same version is replaced. A node that serves uses it from
its next start on.

Examples:
  meshhost runtime install ./libonnxruntime.so.1.31.1
  meshhost runtime install target/runtimes/onnxruntime/1.31.1
")]
pub(crate) struct InstallCommand {
    /// The library, or the folder that holds it.
    #[arg(value_name = "PATH")]
    from: String,
}

/// Choose which engines may run models.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes `engines` under [inference] in the meshhost.toml of the data directory. It holds
from the node's next start on; a command without a node that serves is such a start.

Example:
  meshhost runtime use embedded
")]
pub(crate) struct UseCommand {
    /// `any`, `onnx-runtime` or `embedded`; any is ONNX Runtime where it can be used.
    #[arg(value_name = "ENGINE")]
    engines: InferenceEngines,
}

pub(crate) async fn run(command: RuntimeCommand, session: &mut Session) -> Result<Output, Refusal> {
    match command {
        RuntimeCommand::List => {
            let reply = session.ask(Request::Runtimes).await?;
            let Reply::Runtimes(found) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(list(found), documents::of(&reply, "")))
        }
        RuntimeCommand::Install(InstallCommand { from }) => {
            let from = session.place.absolute(&from)?;
            let reply = session.ask(Request::RuntimeInstall { from }).await?;
            let Reply::RuntimeInstalled(done) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(installed(done), documents::of(&reply, "")))
        }
        RuntimeCommand::Use(UseCommand { engines }) => {
            let reply = session.ask(Request::RuntimeUse { engines }).await?;
            let text = format!("from its next start on the node uses: {}\n", engines.name());
            Ok(Output::success(text, documents::of(&reply, "")))
        }
    }
}

fn installed(done: &InstalledRuntime) -> String {
    let what = match done.change {
        RuntimeChange::Installed => "is installed",
        RuntimeChange::Replaced => "is installed, in place of another file of this version",
        RuntimeChange::Unchanged => "was here already, and is unchanged",
    };
    let line = |key: &str, words: &str| {
        format!("{}\n", wrap(&format!("  {key:<8}  "), &clean_line(words)))
    };
    let beside: String = done.files.iter().map(|file| line("beside", &file.name)).collect();
    let next = "`meshhost runtime list` shows what is used; a node that serves looks for libraries \
                when it starts";
    [
        format!("ONNX Runtime {} {what}\n", clean_line(&done.version)),
        line("library", &done.library),
        line("size", &bytes(done.bytes)),
        line("digest", &done.digest.to_string()),
        beside,
        format!("{}\n", wrap("", next)),
    ]
    .concat()
}

fn list(found: &Runtimes) -> String {
    let rows = found.runtimes.iter().map(|runtime| {
        [
            runtime.engine.clone(),
            runtime.version.as_deref().map(clean_line).unwrap_or_default().into_owned(),
            state(runtime),
            runtime.library.as_deref().map(clean_line).unwrap_or_default().into_owned(),
        ]
    });
    let table = table(["ENGINE", "VERSION", "STATE", "LIBRARY"], rows);
    let problems = found.runtimes.iter().filter_map(|runtime| {
        let library = runtime.library.as_deref().unwrap_or(&runtime.engine);
        let words = format!("{library}: {}", runtime.problem.as_deref()?);
        Some(format!("{}\n", wrap("  ", &clean_line(&words))))
    });
    let problems: String = problems.collect();
    format!("{table}{problems}allowed: {}, on {}\n", found.engines, found.provider)
}

fn state(runtime: &RuntimeView) -> String {
    match &runtime.problem {
        Some(_) => "unusable".to_owned(),
        None if runtime.used => "used".to_owned(),
        None => "not needed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_shown_with_why_they_are_not_used() {
        let library = |problem: Option<&str>, used| RuntimeView {
            engine: "onnx-runtime".to_owned(),
            library: Some("/opt/a/very/long/way/to/a/library/libonnxruntime.so.1.31.1".to_owned()),
            version: problem.is_none().then(|| "1.31.1".to_owned()),
            problem: problem.map(str::to_owned),
            used,
        };
        let embedded =
            RuntimeView { engine: "embedded".to_owned(), library: None, ..library(None, false) };
        let found = Runtimes {
            engines: "any".to_owned(),
            provider: "cpu".to_owned(),
            runtimes: vec![
                library(Some("it crashed the process that opened it (signal 11)"), false),
                library(None, true),
                embedded,
            ],
        };
        let text = anstream::adapter::strip_str(&list(&found)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for words in ["unusable", "crashed", "used", "allowed: any, on cpu"] {
            assert!(text.contains(words), "{text}");
        }
    }
}
