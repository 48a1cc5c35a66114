//! `meshhost inference-child`: the process in which the node looks at libraries and runs models.
//! Nothing here is for people.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;

/// Runs models. The node runs this itself.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct InferenceChildCommand {
    /// What it is to do.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(command: &InferenceChildCommand) -> ExitCode {
    meshhost_inference::child_main(&command.arguments)
}
