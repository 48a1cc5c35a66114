//! The export of one correlation: its events with a signed header, checkable by anybody from the
//! text alone (Capability Host Protocol, evidence bundle 0.2).
//!
//! [`build`] writes bundles of this host. [`verify_bundle`] checks bundles of any host: events of
//! both hash schemes, withheld and sealed payloads. Deliberately absent: resolving anchors (that
//! is I/O) and the header scheme `chp-jcs-v1`, which is reported as not understood.

use serde_json::{Map, Value, json};

use super::{
    canonical::{self, CanonicalError, write_text},
    hash::Hash,
    sign::{HostIdentity, PublicKey, Signer},
    time::Timestamp,
};
use crate::id::{CorrelationId, HostId};

pub use check::{BUNDLE_LIMITS, BundleReport, Check, verify_bundle};

mod check;

const CANONICALIZATION: &str = "chp-stable-v1";
const COMPLETENESS: &str = "chp-completeness-v1";
const PROTOCOL_VERSION: &str = "0.2";

/// What a bundle is made of.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// The host.
    pub host_id: &'a HostId,
    /// The correlation that the bundle holds as a whole.
    pub correlation_id: &'a CorrelationId,
    /// Its events in the order of sequence: the stored text and the content hash of each.
    pub events: &'a [(&'a str, Hash)],
    /// The sequence of the store when it was read: no later event of the correlation was there.
    pub as_of_sequence: u64,
    /// When the bundle is made.
    pub created_at: Timestamp,
    /// The host's statement that the signing key is its own.
    pub identity: &'a HostIdentity,
}

/// The bundle as canonical JSON, signed; `None` without events.
///
/// # Errors
/// [`CanonicalError`] when the identity's anchors hold a fraction.
pub fn build(contents: &Contents<'_>, signer: &Signer) -> Result<Option<String>, CanonicalError> {
    let Some((_, head)) = contents.events.last() else { return Ok(None) };
    let mut bundle = json!({
        "canonicalization": CANONICALIZATION,
        "completeness": {
            "as_of_sequence": contents.as_of_sequence,
            "correlation_id": contents.correlation_id.as_str(),
            "head_hash": head.to_string(),
            "scheme": COMPLETENESS,
        },
        "created_at": contents.created_at.to_string(),
        "host_id": contents.host_id.as_str(),
        "protocol_version": PROTOCOL_VERSION,
        "root_hash": root_hash(contents.events.iter().map(|(_, hash)| *hash)).to_string(),
    });
    let signature = signer.sign(canonical::to_string(&bundle)?.as_bytes());
    let key = signer.public_key();
    if let Some(members) = bundle.as_object_mut() {
        let identity = serde_json::to_value(contents.identity).unwrap_or_default();
        let signature = json!({
            "algorithm": "ed25519",
            "key_id": key.key_id(),
            "signature": signature,
        });
        members.insert("assurance".to_owned(), Value::from("signed"));
        members.insert("host_identity".to_owned(), identity);
        members.insert("public_key".to_owned(), Value::from(key.to_base64()));
        members.insert("signature".to_owned(), signature);
    }
    write_bundle(&bundle, contents.events).map(Some)
}

/// The canonical text of `bundle` with the stored events, which are canonical already, among its
/// members.
fn write_bundle(bundle: &Value, events: &[(&str, Hash)]) -> Result<String, CanonicalError> {
    let mut names: Vec<&str> =
        bundle.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
    names.push("events");
    names.sort_unstable();
    let mut out = String::with_capacity(events.iter().map(|(text, _)| text.len() + 2).sum());
    for (index, name) in names.into_iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ", " });
        write_text(name, &mut out);
        out.push_str(": ");
        match bundle.get(name) {
            Some(value) => canonical::write(value, &mut out)?,
            None => write_events(events, &mut out),
        }
    }
    out.push('}');
    Ok(out)
}

fn write_events(events: &[(&str, Hash)], out: &mut String) {
    out.push('[');
    for (index, (text, _)) in events.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        out.push_str(text);
    }
    out.push(']');
}

/// SHA-256 over the content hashes in hexadecimal, each followed by a line feed.
fn root_hash(hashes: impl Iterator<Item = Hash>) -> Hash {
    let mut lines = String::new();
    for hash in hashes {
        lines.push_str(hash.hex().as_str());
        lines.push('\n');
    }
    Hash::of(lines.as_bytes())
}

/// What the signature of a bundle covers.
pub(super) fn header(bundle: &Value) -> Value {
    let mut header = Map::new();
    for name in ["canonicalization", "created_at", "host_id", "protocol_version", "root_hash"] {
        header.insert(name.to_owned(), bundle.get(name).cloned().unwrap_or_default());
    }
    if let Some(claim) = bundle.get("completeness").filter(|claim| !claim.is_null()) {
        header.insert("completeness".to_owned(), claim.clone());
    }
    Value::Object(header)
}

#[cfg(test)]
mod tests;
