//! What a component imports from other plugins must be provided by one, in a fitting version and of the
//! same type, when it is installed. Later changes of a provider are judged at each call.

use std::sync::Arc;

use meshhost_core::{code::Code, gates::Wanted, link::Link, outcome::Refusal};

use super::candidate::Candidate;
use crate::{builtin, door::Elsewhere, registry::Snapshot};

/// Refuses a component that imports from a plugin what none provides: here, or, when its function can
/// carry what keeps another node from answering, on a node that shares it.
pub(super) async fn check(
    candidate: &Candidate,
    snapshot: &Snapshot,
    elsewhere: Option<Arc<dyn Elsewhere>>,
) -> Result<(), Refusal> {
    for link in &candidate.links() {
        let Err(refusal) = provided(link, snapshot) else { continue };
        let others = elsewhere.as_ref().filter(|_| link.carries_call_errors);
        let offered = match others {
            Some(others) => others.offers(&link.callee).await,
            None => false,
        };
        if !offered {
            return Err(refusal);
        }
    }
    Ok(())
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
