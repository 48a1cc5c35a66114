//! What a component imports from other plugins must be provided by one, in a fitting version and of the
//! same type, when it is installed. Later changes of a provider are judged at each call.

use meshhost_core::{code::Code, gates::Wanted, link::Link, outcome::Refusal};

use super::candidate::Candidate;
use crate::{builtin, registry::Snapshot};

/// Refuses a component that imports from a plugin what none provides.
pub(super) fn check(candidate: &Candidate, snapshot: &Snapshot) -> Result<(), Refusal> {
    candidate.links().iter().try_for_each(|link| provided(link, snapshot))
}

fn provided(link: &Link, snapshot: &Snapshot) -> Result<(), Refusal> {
    let callee = &link.callee;
    let versions = callee.versions();
    let wanted = Wanted {
        capability: &callee.capability,
        plugin: None,
        version: versions.as_ref(),
        type_hash: callee.type_hash.as_ref(),
    };
    let Err(refusal) = snapshot.find(wanted) else { return Ok(()) };
    let reason = match refusal.code {
        Code::CapabilityNotFound => format!(", which no plugin here provides; {}", remedy(link)),
        _ => format!(": {}", refusal.message),
    };
    let message = format!("the component imports {}#{}{reason}", link.interface, link.function);
    Err(Refusal::new(Code::UnknownImport, message))
}

/// What to do about a provider that is missing.
fn remedy(link: &Link) -> String {
    let package = link.callee.capability.as_str().split('.').next().unwrap_or_default();
    match builtin::names().find(|name| *name == package) {
        Some(name) => format!("`meshhost plugin install {name}` adds one"),
        None => "install the plugin that does first".to_owned(),
    }
}
