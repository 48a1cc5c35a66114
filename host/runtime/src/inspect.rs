//! Reads a component without running or compiling it: what it exports, imports and carries.
//!
//! The bytes are hostile. They are bounded and validated ([`structure`], with the features of the
//! engine) before anything interprets them; only then is the WIT read ([`wit_component::decode`]).
//!
//! A component carries no doc comments. Our build adds two custom sections at its top level,
//! which `cargo xtask` writes and anybody may:
//! - `meshhost:manifest`: the manifest, TOML text;
//! - `meshhost:docs`: doc comments by interface, function, parameter and type, JSON
//!   ([`docs::Documentation`]). The `package-docs` section of wit-parser describes one package
//!   only and has no place for parameters, so it cannot serve here.

mod docs;
mod exports;
mod features;
mod function_type;
mod imports;
mod instances;
mod structure;
#[cfg(test)]
mod tests;
mod type_depth;

use std::panic::{AssertUnwindSafe, catch_unwind};

use meshhost_core::{capability::Capability, code::Code, id::Digest, link::Link};
use serde::Serialize;
use wit_component::{DecodedWasm, WitPrinter};
use wit_parser::{Resolve, WorldId};

use crate::engine::EngineKind;

/// Most bytes of the WIT text that is kept.
const WIT_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of an error message that repeats what a library said.
const MESSAGE_BYTES_MAX: usize = 300;

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
    /// Which engine runs it.
    pub engine: EngineReport,
    /// What the component needs of the engine that this release does not run: it can be looked at
    /// and not installed.
    pub unsupported: Vec<String>,
    /// The manifest in the custom section `meshhost:manifest`, when there is one (TOML text).
    #[serde(skip)]
    pub manifest: Option<String>,
}

/// Which engine runs a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineReport {
    /// The first, unless there is a reason.
    pub kind: EngineKind,
    /// What the component uses that only the second engine runs.
    pub reasons: Vec<String>,
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
    /// Another plugin provides it, when one does.
    FromPlugin {
        /// Its functions, each with what it calls.
        links: Vec<Link>,
    },
    /// Known, and not provided by this release.
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

impl InspectError {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidComponent, message: bounded(message.into(), MESSAGE_BYTES_MAX) }
    }

    fn too_large(message: impl Into<String>) -> Self {
        Self { code: Code::ComponentTooLarge, message: bounded(message.into(), MESSAGE_BYTES_MAX) }
    }
}

impl EngineReport {
    fn of(reasons: Vec<String>) -> Self {
        let kind = if reasons.is_empty() { EngineKind::Plain } else { EngineKind::Concurrent };
        Self { kind, reasons }
    }
}

/// Which engine runs the component with these bytes, which [`inspect`] has accepted; of any others
/// it says nothing.
#[must_use]
pub fn engine_of(bytes: &[u8]) -> EngineKind {
    EngineReport::of(features::needs(bytes).second_engine).kind
}

/// Whether an exported interface is that of a command, in a version that the host knows.
pub(crate) fn is_run(interface: &str) -> bool {
    ["wasi:cli/run@0.2.", "wasi:cli/run@0.3."].iter().any(|known| interface.starts_with(known))
}

/// Reads `bytes`. `plugin` is the name under which it would be installed: functions that the
/// world exports itself, and `wasi:cli/run`, take it as their first part.
///
/// # Errors
/// When the bytes are no component, or larger or deeper than the bounds in this module.
pub fn inspect(bytes: &[u8], plugin: &str) -> Result<Inspection, InspectError> {
    let structure = structure::read(bytes)?;
    let (mut resolve, world) = decode(bytes)?;
    let documentation = docs::Documentation::parse(structure.docs)?;
    documentation.apply(&mut resolve, world);
    let wit = wit_text(&resolve, world)?;
    let imports = imports::classify(&resolve, world, &structure.unnamed_imports);
    let exports = exports::read(&resolve, world, plugin, &documentation);
    Ok(Inspection {
        digest: Digest::of(bytes),
        size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        capabilities: exports.capabilities,
        exports: exports.reports,
        imports,
        is_command: exports.is_command,
        wit,
        producers: structure.producers,
        section_bytes: structure.section_bytes,
        core_instances: structure.core_instances,
        reserved: exports.reserved,
        engine: EngineReport::of(structure.needs.second_engine),
        unsupported: structure.needs.unsupported,
        manifest: structure.manifest,
    })
}

/// Reads the WIT of a validated component.
///
/// wit-parser asserts some of what it expects of a component instead of checking it, and a
/// component that breaks such an expectation is still valid. So a panic in there means that the
/// component is refused, not that the host fails. Nothing is shared with the closure.
fn decode(bytes: &[u8]) -> Result<(Resolve, WorldId), InspectError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| wit_component::decode(bytes)));
    match decoded {
        Ok(Ok(DecodedWasm::Component(resolve, world))) => Ok((resolve, world)),
        Ok(Ok(DecodedWasm::WitPackage(..))) => Err(InspectError::invalid(
            "this file is a WIT package: it describes interfaces and holds no code",
        )),
        Ok(Err(error)) => Err(InspectError::invalid(format!(
            "the component's interface has no WIT form: {}",
            error.root_cause()
        ))),
        Err(_) => Err(InspectError::invalid("the component's interface has no WIT form")),
    }
}

/// The world and the interfaces that it names, as WIT text.
fn wit_text(resolve: &Resolve, world: WorldId) -> Result<String, InspectError> {
    let package = resolve.worlds.get(world).and_then(|world| world.package);
    let no_text = || InspectError::invalid("the component's interface cannot be written as WIT");
    let package = package.ok_or_else(no_text)?;
    let others: Vec<_> =
        resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let mut printer = WitPrinter::default();
    let printed = catch_unwind(AssertUnwindSafe(|| printer.print(resolve, package, &others)));
    match printed {
        Ok(Ok(())) => Ok(bounded(printer.output.to_string(), WIT_BYTES_MAX)),
        _ => Err(no_text()),
    }
}

/// Cuts text at a character boundary.
fn bounded(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
