//! `meshhost compile-child`: the child process in which the node compiles a component. Reads
//! the component from standard input and writes machine code to standard output. The node sets
//! its limits on memory, time and file size; nothing here is for people.

use std::io::{Read as _, Write as _};

use clap::Args;
use meshhost_core::{code::Code, outcome::Refusal};
use serde_json::json;

use super::print::Output;

/// Most bytes of a component; the node refuses larger ones before.
const COMPONENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Compiles a component. The node runs this itself.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct CompileChildCommand {}

pub(crate) fn run() -> Result<Output, Refusal> {
    let failed = |error: std::io::Error| Refusal::new(Code::HostFault, error.to_string());
    let mut component = Vec::new();
    std::io::stdin()
        .lock()
        .take(COMPONENT_BYTES_MAX)
        .read_to_end(&mut component)
        .map_err(failed)?;
    let code = meshhost_runtime::compile::compile(&component)
        .map_err(|error| Refusal::new(error.code, error.message))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).map_err(failed)?;
    Ok(Output::success(String::new(), json!({"schema": "meshhost.compiled/1"})))
}
