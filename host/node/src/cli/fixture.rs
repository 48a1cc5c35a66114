//! Replies of a node as the tests of this module need them.

use meshhost_core::{
    code::Code,
    id::Digest,
    limits::{Limits, Usage},
    outcome::{OutcomeKind, Refusal},
};
use serde_json::json;

use crate::api::{AskView, CallReply, CapabilityView, PluginView, Review};

/// `git.log` with parameters of every kind.
pub(crate) fn capability() -> CapabilityView {
    CapabilityView {
        id: "git.log".parse().unwrap(),
        long_id: "git.repository.log".parse().unwrap(),
        version: "0.1.0".to_owned(),
        plugin: "git".parse().unwrap(),
        preferred: true,
        description: "Commits that are reachable from a revision, newest first.".to_owned(),
        risk: "low".to_owned(),
        read_only: true,
        destructive: false,
        idempotent: true,
        path_parameters: vec!["path".to_owned()],
        input_schema: json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "description": "A folder inside the repository."},
                "limit": {"type": ["integer", "null"], "description": "At most this many."},
                "ratio": {"type": "number"},
                "merges": {"type": "boolean"},
                "order": {"enum": ["new", "old"]},
                "authors": {"type": "array", "items": {"type": "string"}},
                "patch": {"oneOf": [
                    {"type": "string", "contentEncoding": "base64"},
                    {"type": "object", "properties": {"blob": {"type": "string"}}},
                ]},
                "filter": {"type": "object"},
                "note_text": {"type": "string"},
            },
        }),
        output_schema: json!({"type": "array"}),
    }
}

/// A git plugin that asks for a folder to choose, a host and the clock.
pub(crate) fn review() -> Review {
    Review {
        name: "git".parse().unwrap(),
        version: "0.1.0".to_owned(),
        description: "Reads git repositories.".to_owned(),
        component: Digest::of(b"component"),
        review: Digest::of(b"review"),
        size_bytes: 1_600_000,
        has_manifest: true,
        asks: vec![
            ask("fs:ro", "repositories are read", false, Some("you choose the folder")),
            ask("net=https://api.example.org", "fetches", true, None),
            ask("clock", "dates of commits", false, None),
        ],
        can_reach: vec!["nothing else".to_owned()],
        limits: Limits::DEFAULT,
        capabilities: vec![capability()],
        notes: vec!["git.log is also offered by plugin other, which stays the default".to_owned()],
        changes: Vec::new(),
        consent_command: "meshhost plugin install git --grant fs:ro=FOLDER --grant clock"
            .to_owned(),
        inspection: json!({"is_command": false, "wit": "world git {}"}),
    }
}

/// One thing asked for.
pub(crate) fn ask(
    permission: &str,
    reason: &str,
    optional: bool,
    needs_choice: Option<&str>,
) -> AskView {
    AskView {
        permission: permission.to_owned(),
        reason: reason.to_owned(),
        optional,
        granted: false,
        needs_choice: needs_choice.map(str::to_owned),
    }
}

/// The plugin of [`review`], installed with one grant.
pub(crate) fn plugin() -> PluginView {
    PluginView {
        name: "git".parse().unwrap(),
        version: "0.1.0".to_owned(),
        component: Digest::of(b"component"),
        state: "serving".to_owned(),
        staged: None,
        asks: review().asks,
        grants: vec!["fs:ro=/home/me/src".to_owned()],
        effective: vec!["fs:ro=/home/me/src".to_owned()],
        limits: Limits::DEFAULT,
        capabilities: vec!["git.log".parse().unwrap()],
        notes: Vec::new(),
    }
}

/// A call of `git.log` that ended so.
pub(crate) fn call_reply(outcome: OutcomeKind, code: Option<Code>) -> CallReply {
    let success = outcome == OutcomeKind::Success;
    CallReply {
        invocation_id: "i-1".parse().unwrap(),
        correlation_id: "c-1".parse().unwrap(),
        capability_id: "git.log".parse().unwrap(),
        capability_version: Some("0.1.0".to_owned()),
        plugin: Some("git".to_owned()),
        node: None,
        outcome,
        success,
        data: success.then(|| json!({"commits": 2})),
        error: code.map(|code| Refusal::new(code, "what happened")),
        denied: Vec::new(),
        models: Vec::new(),
        log: Vec::new(),
        evidence_ids: vec!["e-1".to_owned(), "e-2".to_owned()],
        usage: Usage::default(),
        started_at: "2026-01-01T00:00:00.000000Z".to_owned(),
        completed_at: "2026-01-01T00:00:00.010000Z".to_owned(),
        replayed: false,
    }
}
