//! Events and bundles as others may have changed them.

use meshhost_core::{
    evidence::{
        bundle::verify_bundle,
        canonical, merkle, read,
        sign::Signer,
        verify::{Row, Verifier},
    },
    json::{self, Bounds},
};
use serde_json::Value;

/// The bounds of a bundle, for a machine that fuzzes.
const BOUNDS: Bounds = Bounds { bytes_max: 1 << 20, values_max: 100_000, ..Bounds::BUNDLE };

/// One stored event with the columns that it says itself, as the first of its store.
pub(crate) fn event(bytes: &[u8]) {
    let Some(text) = crate::text(bytes) else { return };
    let _ = read::context(text);
    let Ok(value) = json::parse(bytes, BOUNDS) else { return };
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let correlation = value.pointer("/correlation/correlation_id").and_then(Value::as_str);
    let leaf = correlation
        .and_then(|id| id.parse().ok())
        .zip(field("content_hash").parse().ok())
        .map(|(id, hash)| merkle::leaf(&id, &hash));
    let row = Row {
        sequence: value.get("sequence").and_then(Value::as_u64).unwrap_or_default(),
        json: Some(text),
        event_type: field("event_type"),
        invocation_id: field("invocation_id"),
        capability_id: field("capability_id"),
        correlation_id: correlation.unwrap_or_default(),
        content_hash: field("content_hash"),
        // Of the first event, its leaf alone.
        subtrees: leaf.as_ref().map_or(&[], |leaf| leaf.as_bytes().as_slice()),
    };
    let Ok(host) = field("host_id").parse() else { return };
    let key = Signer::from_seed(&[7; 32]).public_key();
    let Ok(mut verifier) = Verifier::new(host, Vec::new(), &key) else { return };
    if verifier.event(&row).is_ok() {
        let written = canonical::to_string(&value);
        assert_eq!(written.as_deref(), Ok(text), "an event has one spelling");
    }
}

/// A bundle of any host: the report counts what is there and is the same each time.
pub(crate) fn bundle(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes, BOUNDS) else { return };
    let report = verify_bundle(&value);
    let events = value.get("events").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(report.events, events);
    assert!(report.withheld <= events && report.host_id.chars().count() <= 128);
    assert_eq!(report.holds(), report.checks.iter().all(|check| check.problem.is_none()));
    if report.holds() {
        assert!(report.key_id.is_some() && report.first_wrong.is_none(), "{report:?}");
    }
    assert_eq!(verify_bundle(&value), report);
}
