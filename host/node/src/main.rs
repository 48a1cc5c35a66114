//! The meshhost binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshhost::cli::main()
}
