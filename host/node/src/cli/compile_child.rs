//! `meshhost compile-child`: the child process in which the node compiles a component. Reads
//! the component from standard input and writes machine code to standard output; an error is
//! one line on standard error. Nothing here is for people.
//!
//! The child limits itself before it reads a byte, because a parent can do that for its child
//! only with `unsafe` code. Its wall-clock time is bounded by the node.

use std::{
    io::{Read as _, Write as _},
    thread::available_parallelism,
};

use clap::Args;
use meshhost_core::{
    code::{Code, Exit},
    config::COMPONENT_BYTES_MAX,
    outcome::Refusal,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use super::print::Output;

/// Compiles a component. The node runs this itself.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct CompileChildCommand {
    /// Bytes of memory.
    memory_bytes: u64,
    /// Milliseconds; of processor time as much as all processors have in that time.
    time_ms: u64,
}

pub(crate) fn run(command: &CompileChildCommand) -> Output {
    let (notes, exit) = match compile(command) {
        Ok(()) => (String::new(), Exit::Success),
        Err(refusal) => (format!("{refusal}\n"), refusal.code.exit()),
    };
    Output { text: String::new(), raw: false, notes, json: Value::Null, exit }
}

fn compile(command: &CompileChildCommand) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::new(Code::HostFault, error.to_string());
    limit(command).map_err(|error| failed(error.into()))?;
    let mut component = Vec::new();
    // The node refuses larger ones before.
    let mut stdin = std::io::stdin().lock().take(COMPONENT_BYTES_MAX as u64);
    stdin.read_to_end(&mut component).map_err(failed)?;
    let code = meshhost_runtime::compile::compile(&component)
        .map_err(|error| Refusal::new(error.code, error.message))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).map_err(failed)
}

/// Bounds this process: memory, processor time, no files, no core dumps.
fn limit(command: &CompileChildCommand) -> Result<(), rustix::io::Errno> {
    let processors = available_parallelism().map_or(1, |count| count.get() as u64);
    let processor_seconds = command.time_ms.div_ceil(1000).saturating_mul(processors);
    for (resource, most) in [
        (Resource::Data, command.memory_bytes),
        (Resource::Cpu, processor_seconds),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        // Whoever started the node may have set a lower bound already.
        let most = getrlimit(resource).maximum.map_or(most, |bound| bound.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
