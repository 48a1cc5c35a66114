//! `meshhost runtime …`: what runs models on this machine.

use clap::{Args, Subcommand};
use meshhost_core::{config::InferenceEngines, outcome::Refusal};

use super::{
    json as documents,
    print::Output,
    session::{Session, unexpected},
    table::table,
    text::{clean_line, wrap},
};
use crate::api::{Reply, Request, RuntimeView, Runtimes};

/// See and choose what runs models.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  meshhost runtime list\n  meshhost runtime use embedded")]
pub(crate) enum RuntimeCommand {
    /// List the engines that can run models here, in the order in which they are tried.
    #[command(after_help = "\
A library of ONNX Runtime is opened in a process of its own to see whether it can be
used; none after the first usable one is looked at.

Example:
  meshhost runtime list
")]
    List,
    Use(UseCommand),
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
        RuntimeCommand::Use(UseCommand { engines }) => {
            let reply = session.ask(Request::RuntimeUse { engines }).await?;
            let text = format!("from its next start on the node uses: {}\n", engines.name());
            Ok(Output::success(text, documents::of(&reply, "")))
        }
    }
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
