//! Bytes of a component to machine code. Runs in a child process of the node, under limits that
//! the child sets for itself before it reads the bytes: the compiler is not made to withstand
//! hostile input within bounds of memory and time.

use meshhost_core::{code::Code, limits::MIB};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{engine, inspect};

/// Characters kept of the compiler's message.
const MESSAGE_CHARS_MAX: usize = 500;

/// Why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// invalid-component, compile-limit or host-fault.
    pub code: Code,
    /// What is wrong, bounded.
    pub message: String,
}

/// What the compiling child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of address space; a Python component (18 MB) peaks at 380 MB.
    pub memory_bytes: u64,
    /// Seconds of processor time, all threads together.
    pub processor_seconds: u64,
    /// Bytes of the code that it writes.
    pub output_bytes: u64,
    /// Open files.
    pub files: u64,
}

impl CompileLimits {
    /// What any component that installs may use.
    pub const DEFAULT: Self = Self {
        memory_bytes: 2048 * MIB,
        processor_seconds: 240,
        output_bytes: 512 * MIB,
        files: 32,
    };
}

/// Puts this process under `limits`, for good. Called first thing in the child.
///
/// # Errors
/// When the system refuses a limit; the child must then end.
pub fn child_limits(limits: &CompileLimits) -> std::io::Result<()> {
    for (resource, value) in [
        (Resource::As, limits.memory_bytes),
        (Resource::Cpu, limits.processor_seconds),
        (Resource::Fsize, limits.output_bytes),
        (Resource::Nofile, limits.files),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    }
    Ok(())
}

/// Compiles `bytes` for the engine that [`inspect::engine_of`] names. Called in the child process only, after
/// [`child_limits`].
///
/// # Errors
/// When the bytes are not valid for the engine.
pub fn compile(bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    let engine = engine::compiling(inspect::engine_of(bytes)).map_err(|error| CompileError {
        code: Code::HostFault,
        message: format!("the compiler could not be set up: {}", bounded(&error)),
    })?;
    engine.precompile_component(bytes).map_err(|error| CompileError {
        code: Code::InvalidComponent,
        message: format!("the component does not compile: {}", bounded(&error)),
    })
}

/// The error and its causes, escaped and cut: it may quote names from the component.
fn bounded(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    crate::state::escape_into(&format!("{error:#}"), MESSAGE_CHARS_MAX, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_refused_with_a_reason() {
        for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"random bytes", b"\0asm\x0d\0\x01\0\xff\xff"] {
            let error = compile(bytes).unwrap_err();
            assert_eq!(error.code, Code::InvalidComponent);
            assert!(error.message.chars().count() < 600);
        }
    }
}
