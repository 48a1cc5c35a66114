//! Models that run natively, in a worker process of the node's own binary.
//!
//! Reading order: [`Serving`] is the [`meshhost_core::inference::Inference`] that the node hands to
//! its components. It looks a model up in the node's [`Models`], queues and batches calls fairly,
//! keeps quotas, and starts, watches and restarts the worker, which alone parses and runs models.
//! [`child_main`] is the worker's side, which the binary runs under a hidden subcommand.
//!
//! Deliberately absent: mapping of shared memory and every other use of `unsafe`; a fallback from
//! the configured execution provider to another one; models by path or address.

mod descriptors;
mod engine;
mod frame;
pub mod library;
mod memory;
mod message;
mod process;
mod quota;
pub mod scan;
mod schedule;
mod serving;
mod settings;
mod store;
mod text;
mod transfer;
mod worker;

use std::{ffi::OsString, process::ExitCode};

pub use serving::{LoadedModel, Serving, WorkerState};
pub use settings::{Engines, Program, Provider, Settings};
pub use store::{Models, StoredFile, StoredModel, TextModel};

/// The child's side: what the binary runs under the subcommand that [`Program::arguments`] names,
/// with the arguments that follow it. `worker` serves models on standard input until the node
/// closes it; `probe PATH PROVIDER` opens a library of ONNX Runtime and says its version.
#[must_use]
pub fn child_main(arguments: &[OsString]) -> ExitCode {
    match arguments {
        [role] if role == worker::WORKER => match worker::worker_main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        [role, library, provider] if role == library::PROBE => {
            library::probe_main(library, provider)
        }
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/support/onnx.rs"]
mod fixture;
