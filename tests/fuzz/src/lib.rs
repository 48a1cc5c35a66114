//! What is fuzzed, as plain functions of bytes. Each takes anything, must not panic, and asserts
//! what holds of whatever is accepted: most of all that it is written again as it was understood.
//!
//! `cargo xtask fuzz NAME` drives one of them with libFuzzer; a test of this crate drives all of
//! them with the seeds in `tests/fuzz/seeds/` and with mutations of these. The conversion between
//! WIT and JSON, and the code cache, are fuzzed from within the runtime, and the journal from within
//! the node, which let nobody else at them; their tests are there.

mod evidence;
mod files;
mod json;
mod members;
mod merkle;
mod mesh;
mod model;
mod node;
mod words;

/// Takes any bytes; panics when something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(fuzzing)]
    ("cache", meshhost_runtime::fuzz::cache),
    #[cfg(fuzzing)]
    ("conversion", meshhost_runtime::fuzz::conversion),
    #[cfg(fuzzing)]
    ("journal", meshhost::store::writer::fuzz::journal),
    ("bundle", evidence::bundle),
    ("canonical", json::canonical),
    ("configuration", files::configuration),
    ("event", evidence::event),
    ("frame", node::frame),
    ("grants", files::grants),
    ("inspect", node::inspect),
    ("json", json::json),
    ("manifest", files::manifest),
    ("merkle", merkle::merkle),
    ("mesh-announcement", members::announcement),
    ("mesh-frame", mesh::frame),
    ("mesh-record", members::record),
    ("mesh-statement", mesh::statement),
    ("mesh-ticket", mesh::ticket),
    ("mesh-value", mesh::value),
    ("model", model::model),
    ("patterns", words::patterns),
    ("permission", words::permission),
    ("profile", files::profile),
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Drives one target.
///
/// # Panics
/// When something does not hold of the bytes, or there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    let target = find(name);
    assert!(target.is_some(), "there is no target {name}");
    if let Some(target) = target {
        target(bytes);
    }
}

/// Bytes as text; what is no text is no file that a person wrote.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
