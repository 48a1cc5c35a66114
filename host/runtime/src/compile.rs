//! Bytes of a component to machine code. Runs in a child process of the node, under its limits.

use meshhost_core::code::Code;

/// Why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// invalid-component or compile-limit.
    pub code: Code,
    /// What is wrong, bounded.
    pub message: String,
}

/// Compiles `bytes` with the node's engine configuration. Called in the child process only;
/// the caller has set its limits on memory, time and file size.
///
/// # Errors
/// When the bytes are not valid for the engine.
pub fn compile(bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    let _ = bytes;
    Err(CompileError { code: Code::InvalidComponent, message: "not built yet".to_owned() })
}
