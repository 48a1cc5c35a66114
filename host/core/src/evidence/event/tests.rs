use std::collections::BTreeSet;

use super::*;

#[test]
fn event_types_are_reserved_names_or_our_own() {
    let names: BTreeSet<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), EventType::ALL.len());
    let families = ["execution_", "safety_", "key_", "host_adapter_", "dev.meshhost."];
    let single =
        ["budget_exceeded", "approval_requested", "evidence_purged", "retention_policy_applied"];
    for name in names {
        let known =
            families.iter().any(|family| name.starts_with(family)) || single.contains(&name);
        assert!(known, "{name} is neither reserved nor under dev.meshhost.");
    }
}

#[test]
fn a_reason_is_written_by_its_code() {
    let reason = Reason {
        code: Code::BudgetExceeded,
        invariant_id: Some("max-size".to_owned()),
        retry_after_ms: Some(1_000),
    };
    let mut out = String::new();
    reason.write(&mut out);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["code"], "budget_exceeded");
    assert_eq!(value["retryable"], true);
    assert_eq!(value["invariant_id"], "max-size");
    assert_eq!(value["details"]["number"], "MH0409");
    assert_eq!(value["details"]["retry_after_ms"], 1_000);
}
