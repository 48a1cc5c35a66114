//! The child process alone, for the crate's own tests and benchmark: the node runs the same under
//! a hidden subcommand of its binary.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    meshhost_inference::child_main(&arguments)
}
