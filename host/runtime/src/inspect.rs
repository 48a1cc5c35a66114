//! Reads a component without running or compiling it: what it exports, imports and carries.

use meshhost_core::{capability::Capability, code::Code, id::Digest};
use serde::Serialize;

/// What can be said of a component's bytes. Serialises as the documented `inspect --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// Length of the file in bytes.
    pub size_bytes: u64,
    /// The functions that become capabilities.
    pub capabilities: Vec<Capability>,
    /// Every export, with the reason where it is no capability.
    pub exports: Vec<ExportReport>,
    /// Every import, classed.
    pub imports: Vec<ImportReport>,
    /// Whether `wasi:cli/run` is exported: it becomes `<plugin>.run`.
    pub is_command: bool,
    /// The WIT of the component's world, as text.
    pub wit: String,
    /// Producers section: field, name, version.
    pub producers: Vec<(String, String, String)>,
    /// Bytes of each kind of section, largest first.
    pub section_bytes: Vec<(String, u64)>,
    /// Core instances that one instantiation makes.
    pub core_instances: u32,
    /// Names that a plugin may not use, each with the reason: an install is refused when there is
    /// one (code reserved-name).
    pub reserved: Vec<String>,
    /// The manifest in the custom section `meshhost:manifest`, when there is one (TOML text).
    #[serde(skip)]
    pub manifest: Option<String>,
}

/// One export.
#[derive(Debug, Clone, Serialize)]
pub struct ExportReport {
    /// `meshhost:git/repository@0.1.0#log`, or a bare function name.
    pub name: String,
    /// The capability id, when it is one.
    pub capability: Option<String>,
    /// Why it is none.
    pub reason: Option<String>,
}

/// One imported interface.
#[derive(Debug, Clone, Serialize)]
pub struct ImportReport {
    /// `wasi:filesystem/types@0.2.6`.
    pub name: String,
    /// How the host stands to it.
    pub class: ImportClass,
}

/// How the host stands to an imported interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "class", rename_all = "kebab-case")]
pub enum ImportClass {
    /// Linked, and needs no permission.
    Provided,
    /// Linked; does something only with one of these permissions (`fs:ro=PATH`).
    NeedsGrant {
        /// The permissions, in the grammar of `meshhost_core::permission`.
        permissions: Vec<String>,
    },
    /// Linked, and refuses every call: sockets.
    AlwaysDenied,
    /// Known, and not run by this release: WASI 0.3.
    NotSupported {
        /// Why.
        reason: String,
    },
    /// Nothing that this host knows.
    Unknown,
    /// Known in another version.
    VersionMismatch {
        /// The version that the host has.
        provided: String,
    },
}

/// Why bytes are no installable component.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct InspectError {
    /// The code: invalid-component or component-too-large.
    pub code: Code,
    /// What is wrong, bounded.
    pub message: String,
}

/// Reads `bytes`. `plugin` is the name under which it would be installed: functions that the
/// world exports itself, and `wasi:cli/run`, take it as their first part.
///
/// # Errors
/// When the bytes are no component, or larger or deeper than the bounds in this module.
pub fn inspect(bytes: &[u8], plugin: &str) -> Result<Inspection, InspectError> {
    let _ = (bytes, plugin);
    Err(InspectError { code: Code::InvalidComponent, message: "not built yet".to_owned() })
}
