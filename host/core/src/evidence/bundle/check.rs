//! Checks a bundle of any host. Nothing in it is trusted, and nothing but it is needed.

use serde_json::{Value, json};

use super::{CANONICALIZATION, COMPLETENESS, HostIdentity, PublicKey, header, root_hash};
use crate::evidence::{canonical, chain::HASH_SCHEME, hash::Hash};

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which: `events`, `order`, `root_hash`, `signature`, `host_identity`, `completeness`.
    pub name: &'static str,
    /// What is wrong, when something is.
    pub problem: Option<String>,
}

/// What was found in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleReport {
    /// Every check that applied, in order.
    pub checks: Vec<Check>,
    /// The host that the bundle names: a label, unless the key is known from elsewhere.
    pub host_id: String,
    /// The id of the signing key, computed from the key.
    pub key_id: Option<String>,
    /// Number of events.
    pub events: usize,
    /// How many of them withhold or seal their payload; their hashes still count.
    pub withheld: usize,
    /// The first event that is wrong, counted from 0.
    pub first_wrong: Option<usize>,
}

/// What a bundle by itself cannot show, in plain words, to be printed with every report.
pub const BUNDLE_LIMITS: &str = "the bundle shows that these events were signed with this key and \
    not changed since; whose key it is must be known from elsewhere, and that no later event was \
    left out only a head that somebody else kept shows";

impl BundleReport {
    /// Whether every check holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.problem.is_none())
    }

    fn note(&mut self, name: &'static str, result: Result<(), String>) {
        self.checks.push(Check { name, problem: result.err() });
    }
}

/// Checks `bundle` (read with [`crate::json::parse`], which bounds it).
#[must_use]
pub fn verify_bundle(bundle: &Value) -> BundleReport {
    let empty = Vec::new();
    let events = bundle.get("events").and_then(Value::as_array).unwrap_or(&empty);
    let mut report = BundleReport {
        checks: Vec::new(),
        host_id: text(bundle, "host_id").chars().take(128).collect(),
        key_id: None,
        events: events.len(),
        withheld: events.iter().filter(|event| is_withheld(event)).count(),
        first_wrong: None,
    };
    let chained = check_events(bundle, events);
    report.first_wrong = chained.as_ref().err().map(|(index, _)| *index);
    report.note("events", chained.map_err(|(index, problem)| format!("event {index}: {problem}")));
    let hashes: Option<Vec<Hash>> =
        events.iter().map(|event| hash_at(event, "content_hash")).collect();
    let root = hashes.map(|hashes| root_hash(hashes.into_iter()));
    let same = root.is_some() && root == hash_at(bundle, "root_hash");
    report.note("root_hash", require(same, "it is not the hash over these events"));
    if let Some(claim) = bundle.get("completeness").filter(|claim| !claim.is_null()) {
        report.note("completeness", check_completeness(claim, events));
    }
    if text(bundle, "assurance") == "signed" {
        check_signatures(bundle, &mut report);
    } else {
        report.note("signature", Err("the bundle is not signed".to_owned()));
    }
    report
}

fn check_signatures(bundle: &Value, report: &mut BundleReport) {
    let key = match PublicKey::from_base64(text(bundle, "public_key")) {
        Ok(key) => key,
        Err(error) => return report.note("signature", Err(error.to_string())),
    };
    report.key_id = Some(key.key_id());
    report.note("signature", check_header(bundle, &key));
    let identity = bundle.get("host_identity").filter(|identity| !identity.is_null());
    let result = match identity {
        Some(identity) => check_identity(bundle, identity, &key),
        None => Err("no statement says that the key speaks for the host".to_owned()),
    };
    report.note("host_identity", result);
}

fn check_header(bundle: &Value, key: &PublicKey) -> Result<(), String> {
    let signature = bundle.get("signature").cloned().unwrap_or_default();
    require(text(&signature, "algorithm") == "ed25519", "the algorithm is not ed25519")?;
    require(text(&signature, "key_id") == key.key_id(), "the key id is not that of the key")?;
    let scheme = text(bundle, "canonicalization");
    require(scheme == CANONICALIZATION, "the canonicalization of the header is not understood")?;
    let message = canonical::to_string(&header(bundle)).map_err(|error| error.to_string())?;
    key.check(message.as_bytes(), text(&signature, "signature")).map_err(|error| error.to_string())
}

fn check_identity(bundle: &Value, identity: &Value, key: &PublicKey) -> Result<(), String> {
    let identity: HostIdentity = serde_json::from_value(identity.clone())
        .map_err(|_| "it does not have the form of a host identity".to_owned())?;
    let vouched = identity
        .verify(text(bundle, "host_id"), text(bundle, "created_at"))
        .map_err(|error| error.to_string())?;
    require(vouched == *key, "it vouches for another key")
}

fn check_completeness(claim: &Value, events: &[Value]) -> Result<(), String> {
    let last = events.last().ok_or("there are no events")?;
    require(text(claim, "scheme") == COMPLETENESS, "its scheme is not understood")?;
    let head = hash_at(claim, "head_hash");
    require(
        head.is_some() && head == hash_at(last, "content_hash"),
        "it names another last event",
    )?;
    require(
        text(claim, "correlation_id") == correlation_id(last),
        "it is about another correlation",
    )?;
    let (claimed, sequence) = (number(claim, "as_of_sequence"), number(last, "sequence"));
    require(claimed.is_some() && claimed >= sequence, "it ends before the last event")
}

/// The chain from its first event on; the index of the first that is wrong.
fn check_events(bundle: &Value, events: &[Value]) -> Result<(), (usize, String)> {
    let mut prev: Option<Hash> = None;
    let mut sequence = None;
    let correlation = events.first().map(correlation_id).unwrap_or_default();
    for (index, event) in events.iter().enumerate() {
        let at = |problem: &str| (index, problem.to_owned());
        let hash = content_hash(event).map_err(|problem| at(&problem))?;
        if hash_at(event, "content_hash") != Some(hash) {
            return Err(at("its content hash is not that of its fields"));
        }
        let claimed = event.get("prev_hash").filter(|value| !value.is_null());
        if claimed.is_some() != prev.is_some() || hash_at(event, "prev_hash") != prev {
            return Err(at("it does not continue the chain"));
        }
        if correlation_id(event) != correlation {
            return Err(at("it belongs to another correlation"));
        }
        if text(event, "host_id") != text(bundle, "host_id") {
            return Err(at("it is of another host"));
        }
        let next = number(event, "sequence");
        if next.is_some() && next <= sequence {
            return Err(at("its sequence does not rise"));
        }
        sequence = next.or(sequence);
        check_copies(event).map_err(|problem| at(&problem))?;
        prev = Some(hash);
    }
    Ok(())
}

/// The content hash by the scheme that the event names.
fn content_hash(event: &Value) -> Result<Hash, String> {
    let member = |name: &str| event.get(name).cloned().unwrap_or_default();
    let mut stable = json!({
        "capability_id": member("capability_id"),
        "correlation_id": correlation_id(event),
        "event_id": member("event_id"),
        "event_type": member("event_type"),
        "host_id": member("host_id"),
        "invocation_id": member("invocation_id"),
        "outcome": member("outcome"),
        "prev_hash": member("prev_hash"),
        "timestamp": member("timestamp"),
    });
    let (name, committed) = match event.get("hash_scheme").and_then(Value::as_str) {
        None => ("payload", member("payload")),
        Some(HASH_SCHEME) => {
            let commitment =
                hash_at(event, "payload_commitment").ok_or("it commits to no payload")?;
            if !is_withheld(event) {
                let payload = canonical::hash(&member("payload")).map_err(|e| e.to_string())?;
                require(payload == commitment, "its payload differs from the commitment to it")?;
            }
            ("payload_commitment", Value::from(commitment.to_string()))
        }
        Some(_) => return Err("its hash scheme is not understood".to_owned()),
    };
    if let Some(members) = stable.as_object_mut() {
        members.insert(name.to_owned(), committed);
    }
    canonical::hash(&stable).map_err(|error| error.to_string())
}

/// The fields that the hash leaves out, against their copies in the payload where it has them.
fn check_copies(event: &Value) -> Result<(), String> {
    let Some(bound) = event.get("payload").and_then(|payload| payload.get("bound")) else {
        return Ok(());
    };
    let copies = bound.as_object().ok_or("its copied fields are no object")?;
    let differing = copies.iter().find(|(name, copy)| event.get(name.as_str()) != Some(*copy));
    require(differing.is_none(), "a field differs from its copy in the payload")
}

fn is_withheld(event: &Value) -> bool {
    let payload = event.get("payload");
    let flag = payload.and_then(|payload| payload.get("chp_withheld")).and_then(Value::as_bool);
    flag == Some(true) || payload.is_some_and(|payload| payload.get("chp_sealed").is_some())
}

fn correlation_id(event: &Value) -> &str {
    event.get("correlation").map_or("", |correlation| text(correlation, "correlation_id"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

fn hash_at(value: &Value, name: &str) -> Option<Hash> {
    text(value, name).parse().ok()
}

fn require(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}
